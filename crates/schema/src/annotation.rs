//! What an annotation says about an image, and what its source says about all of its images.

use crate::conversation::Turn;
use crate::mask::RleMask;
use crate::vocabulary::{Department, Language, Modality, SectionKind, Task};
use serde::{Deserialize, Serialize};

/// A name in English and, where the source gives one, in Chinese.
///
/// Without a Chinese name nothing about the term is said in Chinese: translations are never guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// English name as used in the middle of a sentence, e.g. `white blood cell`.
    pub en: String,
    /// Chinese name, e.g. `白细胞`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zh: Option<String>,
}

impl Term {
    /// A term with both names.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Term {
        Term { en: en.into(), zh: Some(zh.into()) }
    }

    /// A term without a Chinese name.
    pub fn english(en: impl Into<String>) -> Term {
        Term { en: en.into(), zh: None }
    }

    /// The name in `language`, if there is one. Sources give no Japanese names; the text checks have their own vocabulary for them.
    pub fn text(&self, language: Language) -> Option<&str> {
        match language {
            Language::En => Some(&self.en),
            Language::Zh => self.zh.as_deref(),
            Language::Ja => None,
        }
    }
}

/// A box as fractions of width and height, origin at the top left (paper, figure 1a).
///
/// Invariant kept by [`BoundingBox::from_pixels`]: `0 <= x1 < x2 <= 1` and `0 <= y1 < y2 <= 1`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Left edge.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
}

impl BoundingBox {
    /// A box from pixel edges (`right` and `bottom` exclusive) of an image of `width` x `height`.
    ///
    /// Returns `None` when the box has no area or leaves the image: such a box is a defect of the annotation and is quarantined.
    pub fn from_pixels(left: f64, top: f64, right: f64, bottom: f64, width: u32, height: u32) -> Option<BoundingBox> {
        let (width, height) = (f64::from(width), f64::from(height));
        let inside = left >= 0.0 && top >= 0.0 && right <= width && bottom <= height;
        if !inside || right <= left || bottom <= top {
            return None; // Also taken when a value is not a number.
        }
        Some(BoundingBox {
            x1: (left / width) as f32,
            y1: (top / height) as f32,
            x2: (right / width) as f32,
            y2: (bottom / height) as f32,
        })
    }

    /// Share of the image that the box covers, 0 to 1.
    pub fn area(&self) -> f32 {
        (self.x2 - self.x1) * (self.y2 - self.y1)
    }

    /// Intersection over union with another box.
    pub fn iou(&self, other: &BoundingBox) -> f32 {
        let width = (self.x2.min(other.x2) - self.x1.max(other.x1)).max(0.0);
        let height = (self.y2.min(other.y2) - self.y1.max(other.y1)).max(0.0);
        let intersection = width * height;
        intersection / (self.area() + other.area() - intersection)
    }
}

/// Writes the box as training text has it: `[[0.18, 0.16, 0.5, 0.43]]`, two decimals, no trailing zeros.
impl std::fmt::Display for BoundingBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let round = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
        write!(f, "[[{}, {}, {}, {}]]", round(self.x1), round(self.y1), round(self.x2), round(self.y2))
    }
}

/// One thing that is known of an image as a whole, e.g. attribute `diagnosis`, value `melanoma`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Key of the [`Attribute`] in the source's facts.
    pub attribute: String,
    /// What the annotation says.
    pub value: Term,
}

/// A named part of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// What the region is.
    pub term: Term,
    /// Where it is: the drawn box, or the tight box around a mask.
    pub bounds: BoundingBox,
    /// Its pixels, where they were drawn; of the size of the picture that the annotation was drawn on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<RleMask>,
}

/// A named place: one point, without any extent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What lies there.
    pub term: Term,
    /// Share of the width from the left, 0 to 1.
    pub x: f32,
    /// Share of the height from the top, 0 to 1.
    pub y: f32,
}

/// Writes the place as training text has it: `[[0.18, 0.16]]`, two decimals, no trailing zeros.
impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let round = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
        write!(f, "[[{}, {}]]", round(self.x), round(self.y))
    }
}

/// A number that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What was measured, e.g. `mean SUVbw`.
    pub name: Term,
    /// The number as the source writes it: `4.10` stays `4.10`.
    pub value: String,
    /// Its unit, e.g. `mm`; empty for plain numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Where in the body it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Term>,
    /// What was measured there, e.g. `primary neoplasm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Term>,
}

impl Measurement {
    /// Number and unit as text: `4.10 mm`.
    pub fn quantity(&self) -> String {
        if self.unit.is_empty() { self.value.clone() } else { format!("{} {}", self.value, self.unit) }
    }
}

/// A severity, as a step of an ordered scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grade {
    /// Key of the [`Attribute`] whose values are the scale, the lowest first.
    pub attribute: String,
    /// The step, from 0.
    pub level: usize,
    /// Steps of the scale.
    pub num_levels: usize,
}

/// One section of a report, verbatim but for dates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// What it is; `None` for a title that the vocabulary does not know.
    pub kind: Option<SectionKind>,
    /// Its title as the report has it; empty for text before the first title.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// A conversation written by others and taken over unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dialogue {
    /// The turns with their `<image>` markers.
    pub turns: Vec<Turn>,
    /// Language of all turns.
    pub language: Language,
    /// The source's own kind, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A question with its answer, written by people and taken over unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionAnswer {
    /// The question as the source has it, surrounding white space removed.
    pub question: String,
    /// The answer as the source has it, surrounding white space removed.
    pub answer: String,
    /// Language of both.
    pub language: Language,
    /// The source's own kind, e.g. `PRES` in VQA-RAD.
    pub kind: Option<String>,
    /// The split the source assigns, where it has one.
    pub official_split: Option<crate::conversation::Split>,
}

/// An attribute that a source labels, with every value it can take: the answer space of its questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Key used in records and shards, e.g. `diagnosis`.
    pub key: String,
    /// What it is called in a sentence, e.g. `diagnosis` / `诊断`.
    pub name: Term,
    /// What questions about it examine.
    pub task: Task,
    /// Every value, in the order of the config file.
    pub values: Vec<Term>,
    /// Whether an image may carry several values at once (multi-label). A value that is not listed is then absent.
    #[serde(default)]
    pub multiple: bool,
    /// Whether the values are steps of a scale, the lowest first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordinal: bool,
    /// Whether a value that is not listed may still hold (reports do not speak of everything): then only a record's
    /// [`absent`](crate::Record::absent) labels are known to be absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
}

/// What holds for every image of a source. All generated text rests on this and on the record, on nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Name of the source, unique in a dataset; appears in ids.
    pub name: String,
    /// Clinical department.
    pub department: Department,
    /// Modalities that occur in the source; a record names its own.
    pub modalities: Vec<Modality>,
    /// Attributes with their values.
    pub attributes: Vec<Attribute>,
    /// Every name a region can have.
    pub region_terms: Vec<Term>,
    /// What questions about regions examine.
    pub region_task: Task,
    /// Whether every instance of `region_terms` in an image is marked, so that counts and absence may be stated.
    pub regions_exhaustive: bool,
    /// Licence of the data, as written in the config.
    pub licence: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn box_text_has_two_decimals_without_trailing_zeros() {
        let bounds = BoundingBox::from_pixels(179.0, 164.0, 500.0, 434.0, 1000, 1000).expect("inside");
        assert_eq!(bounds.to_string(), "[[0.18, 0.16, 0.5, 0.43]]");
    }

    #[test]
    fn boxes_without_area_or_outside_are_refused() {
        assert_eq!(BoundingBox::from_pixels(5.0, 5.0, 5.0, 9.0, 10, 10), None);
        assert_eq!(BoundingBox::from_pixels(5.0, 5.0, 11.0, 9.0, 10, 10), None);
        assert_eq!(BoundingBox::from_pixels(f64::NAN, 5.0, 9.0, 9.0, 10, 10), None);
    }

    #[test]
    fn iou_of_half_overlap_is_one_third() {
        let left = BoundingBox { x1: 0.0, y1: 0.0, x2: 0.5, y2: 1.0 };
        let middle = BoundingBox { x1: 0.25, y1: 0.0, x2: 0.75, y2: 1.0 };
        assert!((left.iou(&middle) - 1.0 / 3.0).abs() < 1e-6);
    }
}
