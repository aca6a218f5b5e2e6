//! What a text says against what the record says: labels, modality, organs, findings, sides, severity.

use super::lexicon::{Id, Kind, Lexicon, longest};
use super::mention::{Mention, Polarity, Text};
use super::support::{Standing, Support};
use super::{Rule, Violation, quantity, side};
use std::collections::BTreeSet;
use std::ops::Range;

/// Words that say of what follows that it lies beside.
const BESIDE: &[&str] = &[
    "adjacent",
    "next",
    "beside",
    "near",
    "surrounding",
    "bordering",
    "neighboring",
    "neighbouring",
    "abutting",
    "behind",
    "between",
    "above",
    "below",
    "close",
    "along",
    "proximity",
    "relative",
    "toward",
    "towards",
    "against",
    "around",
    "surrounded",
    "alongside",
    "under",
    "beneath",
    "from",
    "than",
    "outside",
    "contacting",
    "touching",
    "into",
];
const BESIDE_CJK: &[&str] = &[
    "邻近",
    "旁",
    "周围",
    "相邻",
    "附近",
    "毗邻",
    "靠近",
    "之间",
    "后方",
    "前方",
    "隣接",
    "近く",
    "周囲",
    "接する",
    "紧邻",
    "外侧",
    "内侧",
    "贴近",
];

/// Words that name the main thing.
const SHOWS: &[&str] = &[
    "show",
    "shows",
    "showing",
    "depict",
    "depicts",
    "depicting",
    "contain",
    "contains",
    "represent",
    "represents",
    "is",
    "outline",
    "outlines",
    "display",
    "displays",
    "corresponds",
    "covers",
    "marks",
    "encloses",
    "captures",
    "demonstrates",
    "includes",
    "features",
    "highlights",
];

/// Between such a word and the thing.
const FILLS: &[&str] = &[
    "the", "a", "an", "part", "of", "to", "with", "portion", "region", "area", "some", "clearly", "mainly", "likely",
    "section",
];

/// Words beside which "normal" is said of something else than the whole.
const REST: &[&str] = &[
    "other",
    "otherwise",
    "remaining",
    "rest",
    "elsewhere",
    "surrounding",
    "adjacent",
    "background",
    "contralateral",
    "additional",
    "further",
    "apart",
    "aside",
    "beyond",
    "outside",
    "opposite",
    "remainder",
    "besides",
    "neighboring",
    "neighbouring",
    "nearby",
    "than",
    "unlike",
    "compared",
];
const REST_CJK: &[&str] =
    &["其余", "其他", "其它", "周围", "另外", "除", "邻近", "その他", "他の", "周囲", "以外", "相比", "余"];

/// What may stand between a denial and a name without making it another thing.
const PLAIN: &[&str] = &[
    "no",
    "not",
    "a",
    "an",
    "the",
    "any",
    "of",
    "or",
    "and",
    "nor",
    "without",
    ",",
    "obvious",
    "clear",
    "evident",
    "definite",
    "significant",
    "visible",
    "discernible",
    "appreciable",
    "detectable",
    "such",
    "focal",
    "suspicious",
    "show",
    "shows",
    "contain",
    "contains",
    "free",
    "from",
    "be",
    "is",
    "are",
    "see",
    "for",
    "have",
    "has",
    "with",
    "by",
    "apparent",
    "convincing",
    "frank",
    "than",
    "unlike",
    "to",
    "represent",
    "suggest",
    "indicate",
    "actual",
    "neither",
    "lack",
    "lacks",
    "non",
    "-",
    "cannot",
    "excluding",
    "excludes",
    "there",
    "it",
    "this",
    "image",
    "region",
    "see",
    "evidence",
    "sign",
    "single",
];

/// Compares texts with one record.
pub(super) struct Judge<'a> {
    pub(super) support: &'a Support,
    pub(super) lexicon: &'a Lexicon,
    /// Whether the text is about one region.
    pub(super) is_region: bool,
}

impl Judge<'_> {
    /// Adds what `text` does wrong. `said` turns the polarity of a sentence's words into what is claimed by them; `question` is what an answer replies to.
    pub(super) fn check(
        &self,
        text: &Text,
        said: impl Fn(usize, Polarity) -> Polarity,
        question: Option<&Text>,
        violations: &mut Vec<Violation>,
    ) {
        let turn = |mentions: Vec<Mention>| -> Vec<Mention> {
            mentions.into_iter().map(|m| Mention { polarity: said(m.sentence, m.polarity), ..m }).collect()
        };
        let own = turn(self.support.own_in(text));
        let known = turn(text.concepts(self.lexicon));
        let mut covered: Vec<Range<usize>> = Vec::new();
        for mention in &own {
            match self.own(text, mention) {
                Some(violation) => {
                    violations.push(violation);
                    covered.push(mention.tokens.clone());
                }
                None if mention.polarity != Polarity::Negated => covered.push(mention.tokens.clone()),
                None => {}
            }
        }
        let is_covered = |mention: &Mention| {
            covered.iter().any(|range| range.start <= mention.tokens.start && mention.tokens.end <= range.end)
        };
        for mention in known.iter().filter(|mention| !is_covered(mention)) {
            violations.extend(self.known(text, mention, &known));
        }
        self.sides(text, &known, violations);
        quantity::check(self, text, question, &own, &known, violations);
    }

    /// One of the source's own names.
    fn own(&self, text: &Text, mention: &Mention) -> Option<Violation> {
        let standings: Vec<Standing> = mention.ids.iter().map(|id| self.support.own[*id].standing).collect();
        let words = text.words(&mention.tokens);
        let own = &self.support.own[mention.ids[0]];
        let holds = standings.contains(&Standing::Holds);
        match mention.polarity {
            Polarity::Affirmed if !holds && standings.contains(&Standing::Contrary) => {
                let is_beside = own.region_term.is_some() && is_beside(text, mention);
                let told: Vec<&str> = self
                    .support
                    .own
                    .iter()
                    .filter(|other| {
                        other.standing == Standing::Holds && other.region_term.is_some() == own.region_term.is_some()
                    })
                    .map(|other| other.name.as_str())
                    .collect();
                let reason = format!("but the record says: {}", told.join(", "));
                (!is_beside && !self.is_accounted_for(own.heads.iter().copied()))
                    .then(|| Violation::new(Rule::Label, words, reason))
            }
            Polarity::Negated if holds && is_plainly_denied(text, mention, &[]) => {
                Some(Violation::new(Rule::Label, words, "is denied, but the record says so"))
            }
            _ => None,
        }
    }

    /// Whether another name that holds says the same: two values may mean one thing in the vocabulary.
    fn is_accounted_for(&self, heads: impl Iterator<Item = Id>) -> bool {
        let heads: BTreeSet<Id> = heads.collect();
        !heads.is_empty()
            && heads.iter().all(|id| self.support.core.contains(id))
            && heads.iter().any(|id| !self.is_shared(*id))
    }

    /// Whether a concept belongs to holding and contrary names alike: then it does not tell them apart.
    fn is_shared(&self, id: Id) -> bool {
        let standing = |wanted| self.support.own.iter().any(|own| own.standing == wanted && own.heads.contains(&id));
        standing(Standing::Holds) && standing(Standing::Contrary)
    }

    /// Something that the vocabulary knows.
    fn known(&self, text: &Text, mention: &Mention, all: &[Mention]) -> Option<Violation> {
        let words = text.words(&mention.tokens);
        let mut first = None;
        for id in &mention.ids {
            let found = match mention.polarity {
                Polarity::Affirmed => self.affirmed(text, mention, *id, all),
                Polarity::Negated => self.denied(text, mention, *id, all),
                Polarity::Neutral => None,
            };
            let (rule, reason) = found?; // One reading that is fine is enough.
            first = first.or(Some(Violation::new(rule, words, reason)));
        }
        first
    }

    fn affirmed(&self, text: &Text, mention: &Mention, id: Id, all: &[Mention]) -> Option<(Rule, String)> {
        let concept = &self.lexicon.concepts[id];
        let support = self.support;
        match concept.kind {
            Kind::Modality => {
                let own = support.modality.and_then(|modality| self.lexicon.modality(modality))?;
                let fits = own == id
                    || support.closure.contains(&id)
                    || concept.like.contains(&own)
                    || self.lexicon.concepts[own].like.contains(&id);
                (!fits).then(|| (Rule::Modality, format!("but the modality is {}", self.lexicon.concepts[own].key)))
            }
            Kind::Organ => self.organ(text, mention, id),
            Kind::Structure => {
                let is_wrong = support.against.contains(&id) && !is_beside(text, mention);
                is_wrong.then(|| (Rule::Label, "is not what the record says".to_string()))
            }
            Kind::Finding => {
                if support.closure.contains(&id) {
                    return None;
                }
                let is_contrary = support.against.contains(&id) || (support.is_normal && !concept.device);
                let rule = if is_contrary { Rule::Label } else { Rule::InventedFinding };
                Some((rule, "is not told by the record".to_string()))
            }
            Kind::Normal => self.normal(text, mention),
            Kind::Abnormal => {
                support.is_normal.then(|| (Rule::Label, "but the record says that all is well".to_string()))
            }
            Kind::Value(family) => self.value(text, mention, id, family, all),
            Kind::Ignore => None,
        }
    }

    fn organ(&self, text: &Text, mention: &Mention, id: Id) -> Option<(Rule, String)> {
        let support = self.support;
        if support.organs.contains(&id) || is_beside(text, mention) {
            return None;
        }
        if support.against.contains(&id) {
            return Some((Rule::Organ, "is not what the record says".to_string()));
        }
        let named: Vec<Id> = support.organs.iter().copied().collect();
        if named.is_empty() || self.lexicon.upwards([id]).iter().any(|whole| support.core.contains(whole)) {
            return None;
        }
        let roots = |ids: &[Id]| -> BTreeSet<Id> { ids.iter().flat_map(|id| self.lexicon.roots(*id)).collect() };
        let is_near = !roots(&[id]).is_disjoint(&roots(&named));
        let is_main = self.is_region
            && is_main(text, mention)
            && support.own.iter().any(|own| own.region_term.is_some() && !own.heads.is_empty());
        (!is_near || is_main)
            .then(|| (Rule::Organ, "belongs to another part of the body than the record tells".to_string()))
    }

    /// "Normal", said of the whole or of the organ where the record has a finding.
    fn normal(&self, text: &Text, mention: &Mention) -> Option<(Rule, String)> {
        if !self.support.is_abnormal(self.lexicon) {
            return None;
        }
        let sentence = &text.sentences[mention.sentence];
        let whole = text.words(sentence);
        if text.plain(sentence.clone()).any(|word| REST.contains(&word))
            || REST_CJK.iter().any(|word| whole.contains(word))
        {
            return None;
        }
        let names = self.lexicon.names(text.language);
        let mut organs = BTreeSet::new();
        for at in sentence.start..mention.tokens.end {
            let found = names.iter().filter_map(|names| longest(names, &text.tokens, at)).flat_map(|(ids, _)| ids);
            organs.extend(found.filter(|id| self.lexicon.concepts[*id].kind == Kind::Organ));
        }
        let related = |id: &Id| {
            let up = self.lexicon.upwards([*id]);
            self.support.organs.contains(id) || up.iter().any(|whole| self.support.core.contains(whole))
        };
        (organs.is_empty() || organs.iter().any(related))
            .then(|| (Rule::Label, "but the record tells a finding".to_string()))
    }

    fn value(&self, text: &Text, mention: &Mention, id: Id, family: usize, all: &[Mention]) -> Option<(Rule, String)> {
        let support = self.support;
        let of_family = |id: &&Id| self.lexicon.concepts[**id].kind == Kind::Value(family);
        let told: Vec<&Id> = support.core.iter().filter(of_family).collect();
        if told.contains(&&id) || support.closure.contains(&id) {
            return None;
        }
        let family = &self.lexicon.families[family];
        if family.attached {
            let is_wrong = !told.is_empty() && self.is_attached(text, mention, all);
            return is_wrong.then(|| (Rule::Grade, format!("but the record says {}", self.keys(&told))));
        }
        let rule = match family.key.as_str() {
            "proliferation" | "grade_level" | "differentiation" => Rule::Grade,
            _ => Rule::Label,
        };
        match (told.is_empty(), family.strict || support.against.contains(&id)) {
            (false, _) => Some((rule, format!("but the record says {}", self.keys(&told)))),
            (true, true) if support.against.contains(&id) => Some((rule, "is not what the record says".to_string())),
            (true, true) => Some((Rule::InventedFinding, "is not told by the record".to_string())),
            (true, false) => None,
        }
    }

    fn keys(&self, ids: &[&Id]) -> String {
        let keys: Vec<&str> = ids.iter().map(|id| self.lexicon.concepts[**id].key.as_str()).collect();
        keys.join(", ")
    }

    /// Whether a word of severity belongs to what the record tells.
    fn is_attached(&self, text: &Text, mention: &Mention, all: &[Mention]) -> bool {
        const REACH: usize = 5;
        let end = mention.tokens.end;
        let sentence = &text.sentences[mention.sentence];
        let of_record = |other: &&Mention| {
            let is_about = |id: &Id| {
                let kind = self.lexicon.concepts[*id].kind;
                matches!(kind, Kind::Finding | Kind::Organ | Kind::Value(_)) && self.support.closure.contains(id)
            };
            other.ids.iter().any(is_about)
        };
        let follows = all.iter().filter(|other| other.sentence == mention.sentence && other.tokens.start >= end);
        if follows.filter(of_record).any(|other| other.tokens.start - end <= REACH) {
            return true;
        }
        let before: Vec<&str> = text.plain(sentence.start..mention.tokens.start).rev().take(4).collect();
        let behind: Vec<&str> = text.plain(end..sentence.end).take(3).collect();
        let says_grade = |word: &&str| {
            matches!(
                *word,
                "severity" | "grade" | "stage" | "degree" | "disease" | "form" | "case" | "level" | "retinopathy"
            )
        };
        let predicate = before
            .first()
            .is_some_and(|word| matches!(*word, "is" | "as" | "are" | "为" | "呈" | "は" | "是" | "属" | "appears"));
        predicate || before.iter().any(&says_grade) || behind.iter().any(says_grade)
    }

    fn denied(&self, text: &Text, mention: &Mention, id: Id, all: &[Mention]) -> Option<(Rule, String)> {
        let support = self.support;
        let told = support.core.contains(&id);
        let rule = match self.lexicon.concepts[id].kind {
            Kind::Modality if support.modality.and_then(|modality| self.lexicon.modality(modality)) == Some(id) => {
                Rule::Modality
            }
            Kind::Organ if told => Rule::Organ,
            Kind::Structure if told => Rule::Label,
            Kind::Finding => {
                let findings =
                    support.core.iter().copied().filter(|id| self.lexicon.concepts[*id].kind == Kind::Finding);
                let is_told = self.lexicon.upwards(findings).contains(&id) && !support.is_normal;
                if !is_told {
                    return None;
                }
                Rule::Label
            }
            Kind::Normal if support.is_normal => Rule::Label,
            Kind::Value(_) if told => Rule::Label,
            _ => return None,
        };
        is_plainly_denied(text, mention, all).then(|| (rule, "is denied, but the record says so".to_string()))
    }

    fn sides(&self, text: &Text, known: &[Mention], violations: &mut Vec<Violation>) {
        use side::Side;
        for claim in side::claims(text, known, self.lexicon) {
            if claim.polarity != Polarity::Affirmed {
                continue;
            }
            let related = |organ: Option<Id>| match (organ, claim.organ) {
                (Some(told), Some(said)) => {
                    self.lexicon.upwards([told]).contains(&said) || self.lexicon.upwards([said]).contains(&told)
                }
                _ => true,
            };
            let told: BTreeSet<Side> =
                self.support.sides.iter().filter(|(organ, _)| related(*organ)).map(|(_, side)| *side).collect();
            let has_both = told.contains(&Side::Both) || (told.contains(&Side::Left) && told.contains(&Side::Right));
            let fits = told.contains(&claim.side) || has_both || (told.is_empty() && claim.side == Side::Both);
            if !fits {
                let names: Vec<&str> = told.iter().map(|side| side.name()).collect();
                let reason = if names.is_empty() {
                    "but the record tells no side".to_string()
                } else {
                    format!("but the record says {}", names.join(", "))
                };
                violations.push(Violation::new(Rule::Side, text.words(&claim.tokens), reason));
            }
        }
    }
}

/// Whether something is named only as a neighbour.
fn is_beside(text: &Text, mention: &Mention) -> bool {
    let sentence = &text.sentences[mention.sentence];
    let start = mention.tokens.start.saturating_sub(5).max(sentence.start);
    let before: Vec<&str> = text.plain(start..mention.tokens.start).collect();
    let clause = text.before(mention.sentence, mention.tokens.start);
    let near: String = clause.chars().rev().take(6).collect::<Vec<char>>().into_iter().rev().collect();
    let after: String = text.after(mention.sentence, mention.tokens.end).chars().take(4).collect();
    before.iter().any(|word| BESIDE.contains(word))
        || BESIDE_CJK.iter().any(|word| near.contains(word) || after.contains(word))
}

/// Whether something is what a sentence says is shown.
fn is_main(text: &Text, mention: &Mention) -> bool {
    let sentence = &text.sentences[mention.sentence];
    let before = text.plain(sentence.start..mention.tokens.start).rev().find(|word| !FILLS.contains(word));
    let clause = text.before(mention.sentence, mention.tokens.start);
    before.is_some_and(|word| SHOWS.contains(&word))
        || ["显示", "为", "是", "包含", "对应", "呈现", "展示", "は"].iter().any(|word| clause.ends_with(word))
}

/// Whether a denial is of the thing itself and not of a special sort of it ("no ulcerated polyp").
fn is_plainly_denied(text: &Text, mention: &Mention, all: &[Mention]) -> bool {
    let Some(previous) = mention.tokens.start.checked_sub(1) else { return true };
    let sentence = &text.sentences[mention.sentence];
    let token = &text.tokens[previous];
    let is_named = all.iter().any(|other| other.tokens.end == mention.tokens.start);
    let is_word = token.kind == super::token::TokenKind::Word && sentence.contains(&previous);
    !is_word || is_named || PLAIN.contains(&token.plain.as_str()) || PLAIN.contains(&token.word.as_str())
}
