//! Left and right of the body. Left and right of the picture are another matter: see `position.rs`.

use super::lexicon::{Id, Kind, Lexicon};
use super::mention::{Mention, Polarity, Text};
use super::position;
use std::ops::Range;

/// A side of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Left,
    Right,
    Both,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Side::Left => "left",
            Side::Right => "right",
            Side::Both => "both sides",
        }
    }
}

/// A side that a text tells of an organ, or of the picture as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) organ: Option<Id>,
    pub(super) side: Side,
    pub(super) tokens: Range<usize>,
    pub(super) polarity: Polarity,
}

/// How far a side may stand before what it belongs to, in tokens.
const REACH: usize = 4;

fn side_of(word: &str) -> Option<Side> {
    match word {
        "left" | "左" => Some(Side::Left),
        "right" | "右" => Some(Side::Right),
        "bilateral" | "bilaterally" | "双" | "両" => Some(Side::Both),
        _ => None,
    }
}

/// Every side that a term names.
pub(super) fn in_term(text: &Text) -> Vec<Side> {
    let mut sides: Vec<Side> = text.tokens.iter().filter_map(|token| side_of(&token.plain)).collect();
    sides.dedup();
    sides
}

/// The sides that a text tells of parts of the body.
pub(super) fn claims(text: &Text, mentions: &[Mention], lexicon: &Lexicon) -> Vec<Claim> {
    let bodily = |mention: &&Mention| matches!(lexicon.concepts[mention.ids[0]].kind, Kind::Organ | Kind::Finding);
    let mut claims: Vec<Claim> = Vec::new();
    for (sentence, range) in text.sentences.iter().enumerate() {
        let ignored = position::names_with_sides(text, range, lexicon);
        for at in range.clone() {
            let Some(side) = side_of(&text.tokens[at].plain) else { continue };
            if ignored.iter().any(|name| name.contains(&at))
                || position::is_of_picture(text, sentence, at, mentions, lexicon)
            {
                continue;
            }
            let here: Vec<&Mention> =
                mentions.iter().filter(|mention| mention.sentence == sentence).filter(bodily).collect();
            // "left kidney" first, then "kidney on the left"; names like 左肺 hold their side.
            let inside = here.iter().find(|mention| mention.tokens.contains(&at));
            let behind = here.iter().find(|mention| mention.tokens.start > at && mention.tokens.start - at <= REACH);
            let before = here.iter().rev().find(|mention| mention.tokens.end <= at && at - mention.tokens.end <= REACH);
            let Some(mention) = inside.or(behind).or(before) else { continue };
            let is_organ = lexicon.concepts[mention.ids[0]].kind == Kind::Organ;
            let organ =
                if is_organ { Some(mention.ids[0]) } else { lexicon.concepts[mention.ids[0]].at.first().copied() };
            claims.push(Claim { organ, side, tokens: at..mention.tokens.end.max(at + 1), polarity: mention.polarity });
        }
    }
    claims
}
