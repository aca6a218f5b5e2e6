//! What a record says, in the words of the vocabulary: everything that a text about it is compared with.

use super::lexicon::{Id, Kind, Lexicon, Names, add};
use super::mention::{Mention, Polarity, Text};
use super::number::{self, Grade};
use super::side::{self, Side};
use gmai_schema::{Axis, BoundingBox, Language, Modality, Point, Record, SourceFacts, Term};
use std::collections::{BTreeMap, BTreeSet};

/// One-word names that say too little to be looked for as they stand.
const TOO_GENERAL: &[&str] = &[
    "normal",
    "other",
    "positive",
    "negative",
    "unknown",
    "none",
    "present",
    "absent",
    "left",
    "right",
    "yes",
    "no",
    "healthy",
    "abnormal",
    "mild",
    "moderate",
    "severe",
    "image",
    "region",
    "lesion",
    "background",
    "low",
    "high",
    "small",
    "large",
    "正常",
    "其他",
    "异常",
    "左",
    "右",
    "是",
    "否",
    "无",
    "有",
];

/// A name of the source's own: a value of an attribute, or what a region can be.
#[derive(Debug)]
pub(super) struct Own {
    /// English name, for messages.
    pub(super) name: String,
    /// Whether the record says it.
    pub(super) standing: Standing,
    /// What the vocabulary knows of it.
    pub(super) heads: BTreeSet<Id>,
    /// Index of the term among the source's region terms; `None` for values of attributes.
    pub(super) region_term: Option<usize>,
}

/// What a record says of one of its source's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is so.
    Holds,
    /// Another value holds, or nothing of the kind is marked.
    Contrary,
    /// The record says nothing of it.
    Unknown,
}

/// What a record says.
#[derive(Debug)]
pub(super) struct Support {
    /// The source's own names.
    pub(super) own: Vec<Own>,
    /// How they are called, in each language: ids are indices of `own`.
    own_names: BTreeMap<&'static str, Names>,
    /// What the record's terms speak of.
    pub(super) core: BTreeSet<Id>,
    /// What a text may speak of: `core`, what it belongs to, and what comes with it.
    pub(super) closure: BTreeSet<Id>,
    /// What belongs to names that do not hold.
    pub(super) against: BTreeSet<Id>,
    /// Organs that the record speaks of, with their wholes.
    pub(super) organs: BTreeSet<Id>,
    /// Sides of organs: `None` stands for the picture as a whole.
    pub(super) sides: Vec<(Option<Id>, Side)>,
    /// Whether the record says that all is well.
    pub(super) is_normal: bool,
    pub(super) modality: Option<Modality>,
    /// Grades and stages that the record names.
    pub(super) grades: Vec<Grade>,
    /// Measures as written, e.g. `12 mm`.
    pub(super) measures: Vec<number::Measure>,
    /// Every number in the record's texts.
    pub(super) numbers: BTreeSet<String>,
    /// The boxes, by index of the term in `own`.
    pub(super) boxes: Vec<(usize, BoundingBox)>,
    /// Whether the boxes are all there are.
    pub(super) is_complete: bool,
}

/// How a record's terms are called in Japanese, beyond what the vocabulary knows: by English name.
pub(super) type JapaneseNames = BTreeMap<String, String>;

impl Support {
    /// Collects what `record` says. With `region`, the text is about that one region alone.
    pub(super) fn of(
        record: &Record,
        facts: &SourceFacts,
        japanese: &JapaneseNames,
        lexicon: &Lexicon,
        region: Option<usize>,
    ) -> Support {
        let mut support = Support {
            own: Vec::new(),
            own_names: BTreeMap::new(),
            core: BTreeSet::new(),
            closure: BTreeSet::new(),
            against: BTreeSet::new(),
            organs: BTreeSet::new(),
            sides: Vec::new(),
            is_normal: false,
            modality: record.modality,
            grades: Vec::new(),
            measures: Vec::new(),
            numbers: BTreeSet::new(),
            boxes: Vec::new(),
            is_complete: facts.regions_exhaustive,
        };
        support.take_attributes(record, facts, lexicon, japanese);
        support.take_regions(record, facts, lexicon, japanese, region);
        support.take_texts(record, lexicon);
        support.take_acquisition(record, lexicon);
        support.close(lexicon);
        support
    }

    fn take_attributes(&mut self, record: &Record, facts: &SourceFacts, lexicon: &Lexicon, japanese: &JapaneseNames) {
        for attribute in &facts.attributes {
            let given: Vec<&Term> = record
                .labels
                .iter()
                .filter(|label| label.attribute == attribute.key)
                .map(|label| &label.value)
                .collect();
            for value in &attribute.values {
                let standing = match (given.is_empty(), given.contains(&value)) {
                    (true, _) => Standing::Unknown,
                    (false, true) => Standing::Holds,
                    (false, false) => Standing::Contrary,
                };
                self.add_own(value, standing, None, lexicon, japanese);
            }
        }
        // Labels of attributes that the facts do not list are said all the same.
        let listed = |key: &str| facts.attributes.iter().any(|attribute| attribute.key == key);
        for label in record.labels.iter().filter(|label| !listed(&label.attribute)) {
            self.add_own(&label.value, Standing::Holds, None, lexicon, japanese);
        }
    }

    fn take_regions(
        &mut self,
        record: &Record,
        facts: &SourceFacts,
        lexicon: &Lexicon,
        japanese: &JapaneseNames,
        only: Option<usize>,
    ) {
        let regions = record.regions.iter().map(|region| (&region.term, region.bounds));
        let at = |point: &Point| BoundingBox { x1: point.x, y1: point.y, x2: point.x, y2: point.y };
        let points = record.points.iter().map(|point| (&point.term, at(point)));
        let marks: Vec<(&Term, BoundingBox)> = match only {
            Some(index) => regions.skip(index).take(1).collect(),
            None => regions.chain(points).collect(),
        };
        let mut terms: Vec<&Term> = facts.region_terms.iter().collect();
        for (term, _) in &marks {
            if !terms.contains(term) {
                terms.push(term);
            }
        }
        for (index, term) in terms.into_iter().enumerate() {
            let holds = marks.iter().any(|(marked, _)| *marked == term);
            let standing = if holds { Standing::Holds } else { Standing::Contrary };
            let own = self.add_own(term, standing, Some(index), lexicon, japanese);
            let marked = marks.iter().filter(|(marked, _)| *marked == term);
            self.boxes.extend(marked.map(|(_, bounds)| (own, *bounds)));
        }
        self.is_complete |= only.is_some();
    }

    /// Adds a name of the source's own; its index.
    fn add_own(
        &mut self,
        term: &Term,
        standing: Standing,
        region_term: Option<usize>,
        lexicon: &Lexicon,
        japanese: &JapaneseNames,
    ) -> usize {
        let index = self.own.len();
        let mut heads = BTreeSet::new();
        for (language, name) in [(Language::En, Some(term.en.as_str())), (Language::Zh, term.zh.as_deref())] {
            let Some(name) = name else { continue };
            self.name(language, name, index);
            let text = Text::new(name, language);
            let mentions = text.concepts(lexicon);
            heads.extend(
                mentions.iter().filter(|mention| mention.polarity == Polarity::Affirmed).flat_map(|m| m.ids.clone()),
            );
            if standing == Standing::Holds {
                let organs: Vec<&Mention> =
                    mentions.iter().filter(|m| lexicon.concepts[m.ids[0]].kind == Kind::Organ).collect();
                let organ = organs.first().map(|mention| mention.ids[0]);
                self.sides.extend(side::in_term(&text).into_iter().map(|side| (organ, side)));
                self.is_normal |= says_normal(&text, &mentions, lexicon);
                self.grades.extend(number::grades(&text).into_iter().map(|found| found.grade));
                self.measures.extend(number::measures(&text).into_iter().map(|found| found.measure));
            }
        }
        let mut names: Vec<String> = lexicon.japanese(&term.en).to_vec();
        names.extend(japanese.get(&term.en).cloned());
        names.iter().for_each(|name| self.name(Language::Ja, name, index));
        if standing == Standing::Holds {
            self.core.extend(&heads);
        }
        self.own.push(Own { name: term.en.clone(), standing, heads, region_term });
        index
    }

    fn name(&mut self, language: Language, name: &str, index: usize) {
        let plain = name.trim().to_lowercase();
        if !TOO_GENERAL.contains(&plain.as_str()) && plain.chars().count() >= 2 {
            add(self.own_names.entry(language.key()).or_default(), &plain, index);
        }
    }

    /// Takes in what people wrote about the image: its report, and questions with their answers.
    fn take_texts(&mut self, record: &Record, lexicon: &Lexicon) {
        let mut texts: Vec<(String, Language)> = Vec::new();
        for pair in &record.questions {
            let statement = match answer_polarity(&pair.answer) {
                Some(true) | None => format!("{} {}", pair.question.trim_end_matches(['?', '？']), pair.answer),
                Some(false) => continue, // What is denied stays unknown: the question may be about anything.
            };
            texts.push((statement, pair.language));
        }
        if let Some(report) = &record.report {
            let is_chinese = report.chars().any(super::token::is_cjk);
            texts.push((report.clone(), if is_chinese { Language::Zh } else { Language::En }));
        }
        for (source, language) in &texts {
            let text = Text::new(source, *language);
            let mentions = text.concepts(lexicon);
            let affirmed = mentions.iter().filter(|mention| mention.polarity == Polarity::Affirmed);
            let kinds = |id: &Id| !matches!(lexicon.concepts[*id].kind, Kind::Normal | Kind::Abnormal);
            self.core.extend(affirmed.flat_map(|mention| mention.ids.clone()).filter(kinds));
            self.sides
                .extend(side::claims(&text, &mentions, lexicon).into_iter().map(|claim| (claim.organ, claim.side)));
            self.grades.extend(number::grades(&text).into_iter().map(|found| found.grade));
            self.measures.extend(number::measures(&text).into_iter().map(|found| found.measure));
            self.numbers.extend(
                text.tokens.iter().filter(|t| t.kind == super::token::TokenKind::Number).map(|t| t.word.clone()),
            );
        }
    }

    fn take_acquisition(&mut self, record: &Record, lexicon: &Lexicon) {
        let implied: &[&str] = match record.modality {
            Some(Modality::Fundus | Modality::Ophthalmoscope) => &["retina", "optic_disc", "macula"],
            Some(Modality::Oct | Modality::InfraredReflectance) => &["eye"],
            Some(Modality::Dermoscopy) => &["skin"],
            _ => &[],
        };
        self.core.extend(implied.iter().filter_map(|key| lexicon.id(key)));
        let axis = record.provenance.slice.map(|slice| match slice.axis {
            Axis::Axial => "axial",
            Axis::Coronal => "coronal",
            Axis::Sagittal => "sagittal",
        });
        self.core.extend(axis.and_then(|key| lexicon.id(key)));
    }

    /// Follows from the core what may be spoken of.
    fn close(&mut self, lexicon: &Lexicon) {
        let mut closure = lexicon.upwards(self.core.iter().copied());
        let shown: Vec<Id> = closure.iter().flat_map(|id| lexicon.concepts[*id].shows.clone()).collect();
        closure.extend(lexicon.upwards(shown));
        let is_abnormal = |id: &Id| {
            let concept = &lexicon.concepts[*id];
            concept.kind == Kind::Finding && !concept.device
        };
        if self.core.iter().any(is_abnormal) && !self.is_normal {
            closure.extend((0..lexicon.concepts.len()).filter(|id| lexicon.concepts[*id].generic));
        }
        let at = |id: &Id| lexicon.concepts[*id].at.clone();
        let organs: Vec<Id> = self
            .core
            .iter()
            .flat_map(|id| if lexicon.concepts[*id].kind == Kind::Organ { vec![*id] } else { at(id) })
            .collect();
        self.organs = lexicon.upwards(organs);
        closure.extend(&self.organs);
        let contrary = self.own.iter().filter(|own| own.standing == Standing::Contrary);
        let against = contrary.flat_map(|own| own.heads.iter().copied()).filter(|id| !closure.contains(id));
        self.against = against.collect();
        self.closure = closure;
    }

    /// The source's own names in a text.
    pub(super) fn own_in(&self, text: &Text) -> Vec<Mention> {
        let mut names: Vec<&Names> = self.own_names.get(text.language.key()).into_iter().collect();
        if text.language != Language::En {
            names.extend(self.own_names.get("en"));
        }
        text.find(&names)
    }

    /// Whether the record says a finding, normality aside.
    pub(super) fn is_abnormal(&self, lexicon: &Lexicon) -> bool {
        !self.is_normal
            && self.core.iter().any(|id| lexicon.concepts[*id].kind == Kind::Finding && !lexicon.concepts[*id].device)
    }

    /// Boxes of one of the source's names; all of them for `None`.
    pub(super) fn boxes_of(&self, own: Option<usize>) -> Vec<BoundingBox> {
        self.boxes.iter().filter(|(index, _)| own.is_none_or(|own| own == *index)).map(|(_, bounds)| *bounds).collect()
    }
}

/// Whether a term says that all is well: `normal breast`, `no finding`, `未见异常`.
fn says_normal(text: &Text, mentions: &[Mention], lexicon: &Lexicon) -> bool {
    let known = mentions.iter().any(|mention| lexicon.concepts[mention.ids[0]].kind == Kind::Normal);
    let plain = text.source.trim().to_lowercase();
    known
        || plain.starts_with("normal")
        || plain.starts_with("healthy")
        || plain.starts_with("正常")
        || plain.starts_with("no ")
}

/// Whether an answer begins with yes or no.
pub(super) fn answer_polarity(answer: &str) -> Option<bool> {
    let plain = answer.trim().to_lowercase();
    let word: String = plain.chars().take_while(|letter| letter.is_ascii_alphabetic()).collect();
    let begins = |starts: &[&str]| starts.iter().any(|start| plain.starts_with(start));
    if word == "yes"
        || begins(&[
            "是的",
            "是，",
            "是。",
            "有的",
            "有，",
            "有。",
            "对，",
            "对的",
            "可以看到",
            "はい",
            "存在，",
            "存在。",
        ])
        || plain == "是"
        || plain == "有"
    {
        Some(true)
    } else if word == "no" || begins(&["否", "不是", "没有", "无", "不，", "不存在", "未见", "いいえ"])
    {
        Some(false)
    } else {
        None
    }
}
