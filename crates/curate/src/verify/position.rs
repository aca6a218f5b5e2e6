//! Where in the picture something lies, compared with the boxes.

use super::lexicon::{Id, Kind, Lexicon};
use super::mention::{Mention, Text};
use gmai_schema::{BoundingBox, Language};
use std::ops::Range;

/// Words that make a side one of the picture.
const PICTURE: &[&str] = &[
    "image",
    "images",
    "picture",
    "frame",
    "view",
    "field",
    "photo",
    "photograph",
    "corner",
    "edge",
    "border",
    "margin",
    "panel",
    "slide",
    "tile",
    "crop",
    "screen",
    "micrograph",
    "patch",
];

const PICTURE_CJK: &[&str] = &[
    "图像", "图片", "画面", "视野", "图中", "照片", "画幅", "图的", "影像", "画像", "視野", "写真", "图上", "全图",
    "像素", "本图", "该图",
];

/// Parts of the body whose names begin with a place: "right upper lobe".
const BODILY: &[&str] = &[
    "lobe",
    "lung",
    "quadrant",
    "kidney",
    "eye",
    "breast",
    "hemithorax",
    "zone",
    "lower",
    "upper",
    "ventricle",
    "atrium",
    "hemidiaphragm",
];

/// How far the middle of a box may lie on the other side of the picture's middle.
const SLACK: f32 = 0.06;

/// How far the middle of a box in "the center" may lie from the picture's.
const CENTRE: f32 = 0.3;

/// A place in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Place {
    left: bool,
    right: bool,
    upper: bool,
    lower: bool,
    centre: bool,
}

/// A place that a text tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    pub(super) place: Place,
    pub(super) sentence: usize,
    pub(super) tokens: Range<usize>,
}

impl Place {
    fn add(&mut self, word: &str) -> bool {
        match word {
            "left" | "leftmost" | "左" => self.left = true,
            "right" | "rightmost" | "右" => self.right = true,
            "upper" | "top" | "uppermost" | "上" => self.upper = true,
            "lower" | "bottom" | "lowermost" | "下" => self.lower = true,
            "center" | "centre" | "central" | "centrally" | "middle" | "centered" | "centred" | "中" => {
                self.centre = true
            }
            _ => return false,
        }
        true
    }

    /// Whether a box lies there, roughly.
    pub(super) fn holds(&self, bounds: &BoundingBox) -> bool {
        let (x, y) = ((bounds.x1 + bounds.x2) / 2.0, (bounds.y1 + bounds.y2) / 2.0);
        let only_centre = self.centre && !(self.left || self.right || self.upper || self.lower);
        (!self.left || self.right || x < 0.5 + SLACK)
            && (!self.right || self.left || x > 0.5 - SLACK)
            && (!self.upper || self.lower || y < 0.5 + SLACK)
            && (!self.lower || self.upper || y > 0.5 - SLACK)
            && (!only_centre || ((x - 0.5).abs() < CENTRE && (y - 0.5).abs() < CENTRE))
    }
}

/// Names that hold a side themselves, e.g. "left ventricle".
pub(super) fn names_with_sides(text: &Text, range: &Range<usize>, lexicon: &Lexicon) -> Vec<Range<usize>> {
    let found = text.find(&lexicon.names(text.language));
    let ignored = found.into_iter().filter(|mention| lexicon.concepts[mention.ids[0]].kind == Kind::Ignore);
    ignored.map(|mention| mention.tokens).filter(|tokens| range.contains(&tokens.start)).collect()
}

/// Whether the side at `token` is one of the picture and not of the body.
pub(super) fn is_of_picture(
    text: &Text,
    sentence: usize,
    token: usize,
    mentions: &[Mention],
    lexicon: &Lexicon,
) -> bool {
    claims(text, mentions, lexicon).iter().any(|claim| claim.sentence == sentence && claim.tokens.contains(&token))
}

/// The places in the picture that a text tells.
pub(super) fn claims(text: &Text, mentions: &[Mention], lexicon: &Lexicon) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (sentence, range) in text.sentences.iter().enumerate() {
        let ignored = names_with_sides(text, range, lexicon);
        let mut at = range.start;
        while at < range.end {
            let end = run_end(text, at, range.end);
            if end == at || ignored.iter().any(|name| name.contains(&at)) {
                at += 1;
                continue;
            }
            let mut place = Place::default();
            text.plain(at..end).for_each(|word| {
                place.add(word);
            });
            let is_place = match text.language {
                Language::En => is_place_in_english(text, range, at..end, &place, mentions, lexicon),
                Language::Zh | Language::Ja => is_place_in_cjk(text, sentence, at..end, mentions, lexicon),
            };
            if is_place && place != Place::default() {
                claims.push(Claim { place, sentence, tokens: at..end });
            }
            at = end;
        }
    }
    claims
}

/// The end of a run of words of place; `at` when there is none. "left of" and "left-hand side" go on.
fn run_end(text: &Text, at: usize, limit: usize) -> usize {
    let mut probe = Place::default();
    let mut end = at;
    let mut index = at;
    while index < limit {
        let word = text.tokens[index].plain.as_str();
        let next = text.tokens.get(index + 1).map(|token| token.plain.as_str()).unwrap_or_default();
        if word == "中" && !matches!(next, "央" | "心" | "间" | "部" | "段" | "线" | "間") {
            break; // 图像中: in the image.
        }
        if probe.add(word) {
            end = index + 1;
        } else if matches!(word, "部" | "侧" | "側" | "方") && end == index && index > at && Place::default().add(next)
        {
            // 下部中间: one place.
        } else if !matches!(word, "-" | "hand" | "and") || end == at || (word == "and" && text.language != Language::En)
        {
            break;
        }
        index += 1;
    }
    end
}

fn begins_organ(mentions: &[Mention], lexicon: &Lexicon, token: usize) -> bool {
    let bodily = |id: Id| matches!(lexicon.concepts[id].kind, Kind::Organ | Kind::Finding | Kind::Structure);
    mentions.iter().any(|mention| mention.tokens.start == token && bodily(mention.ids[0]))
}

fn is_place_in_english(
    text: &Text,
    range: &Range<usize>,
    run: Range<usize>,
    place: &Place,
    mentions: &[Mention],
    lexicon: &Lexicon,
) -> bool {
    let next = text.tokens.get(run.end).map(|token| token.plain.as_str()).unwrap_or_default();
    if BODILY.contains(&next) || begins_organ(mentions, lexicon, run.end) {
        return false;
    }
    let behind = run.end..(run.end + 6).min(range.end);
    let in_front = run.start.saturating_sub(6).max(range.start)..run.start;
    let names_picture = text.plain(behind).any(|word| PICTURE.contains(&word))
        || text.plain(in_front).any(|word| word == "image" || word == "picture");
    let is_corner = (place.left || place.right) && (place.upper || place.lower);
    names_picture || is_corner
}

fn is_place_in_cjk(text: &Text, sentence: usize, run: Range<usize>, mentions: &[Mention], lexicon: &Lexicon) -> bool {
    let next = text.tokens.get(run.end).map(|token| token.plain.as_str()).unwrap_or_default();
    let follows_suffix = matches!(
        next,
        "侧" | "部"
            | "方"
            | "央"
            | "心"
            | "间"
            | "角"
            | "缘"
            | "边"
            | "側"
            | "端"
            | "半"
            | "区"
            | "段"
            | "隅"
            | "寄"
            | "的"
            | "に"
            | "の"
    );
    let skip = if follows_suffix { run.end + 1 } else { run.end };
    if begins_organ(mentions, lexicon, run.end)
        || begins_organ(mentions, lexicon, skip)
        || mentions.iter().any(|m| m.tokens.contains(&run.start))
    {
        return false;
    }
    let whole = [text.before(sentence, run.start), text.after(sentence, run.end)];
    let length = run.end - run.start;
    let names_picture = whole.iter().any(|part| PICTURE_CJK.iter().any(|word| part.contains(word)));
    // A single character of place stands inside many words: 中 in 其中, 上 in 以上.
    names_picture && (follows_suffix || length >= 2)
}
