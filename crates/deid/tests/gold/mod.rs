//! Texts with marked identifiers, and how well a search finds them. Shared by tests and examples.
//!
//! A gold span is found when each of its letters and digits lies in a found span, of whatever kind. A found span is right when it
//! touches a gold span of any kind.

#![allow(dead_code)] // Each user needs a part.

use gmai_deid::text::{Finder, Known, Span};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// An identifier that somebody marked.
pub struct Gold {
    /// Its kind, as the corpus names it.
    pub kind: String,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// A text with what is to be found in it.
pub struct Marked {
    /// What decides which half it belongs to.
    pub id: String,
    /// The text.
    pub text: String,
    /// What is marked.
    pub gold: Vec<Gold>,
}

/// Gold spans of one kind.
#[derive(Clone, Copy, Default)]
pub struct Recall {
    /// All.
    pub gold: u64,
    /// Those found.
    pub found: u64,
}

/// Found spans of one kind.
#[derive(Clone, Copy, Default)]
pub struct Precision {
    /// All.
    pub given: u64,
    /// Those that touch a gold span.
    pub right: u64,
}

/// How a set of texts fared.
#[derive(Default)]
pub struct Score {
    /// Texts looked at.
    pub num_texts: usize,
    /// By the corpus' kinds.
    pub recall: BTreeMap<String, Recall>,
    /// By our kinds.
    pub precision: BTreeMap<&'static str, Precision>,
    /// What was missed and what was found wrongly, for people.
    pub errors: Vec<String>,
}

impl Score {
    /// Searches the texts.
    pub fn of(finder: &Finder, texts: &[Marked]) -> Score {
        let mut score = Score { num_texts: texts.len(), ..Score::default() };
        for Marked { id, text, gold } in texts {
            let spans = finder.find(text, &Known::default());
            for span in gold {
                let recall = score.recall.entry(span.kind.clone()).or_default();
                recall.gold += 1;
                if covered(text, span, &spans) {
                    recall.found += 1;
                } else {
                    score.errors.push(format!(
                        "missed {} in {id}: {:?}",
                        span.kind,
                        around(text, span.start, span.end)
                    ));
                }
            }
            for span in &spans {
                let precision = score.precision.entry(span.kind.key()).or_default();
                precision.given += 1;
                if gold.iter().any(|gold| gold.start < span.end && span.start < gold.end) {
                    precision.right += 1;
                } else {
                    score.errors.push(format!(
                        "false {} in {id}: {:?}",
                        span.kind.key(),
                        around(text, span.start, span.end)
                    ));
                }
            }
        }
        score
    }

    /// Recall over the kinds that `counts` names.
    pub fn recall_of(&self, counts: impl Fn(&str) -> bool) -> Recall {
        let mut sum = Recall::default();
        for (_, recall) in self.recall.iter().filter(|(kind, _)| counts(kind)) {
            sum.gold += recall.gold;
            sum.found += recall.found;
        }
        sum
    }

    /// Precision over all kinds.
    pub fn precision_of_all(&self) -> Precision {
        let mut sum = Precision::default();
        for precision in self.precision.values() {
            sum.given += precision.given;
            sum.right += precision.right;
        }
        sum
    }

    /// A table by kind; kinds that `counts` does not name are told apart.
    pub fn print(&self, counts: impl Fn(&str) -> bool) {
        for (kind, recall) in &self.recall {
            let direct =
                if counts(kind) { "" } else { " (no direct identifier; kept on purpose unless it is an age above 89)" };
            let Recall { gold, found } = *recall;
            println!("recall {:.3}  {found}/{gold} {kind}{direct}", share(found, gold));
        }
        let Recall { gold, found } = self.recall_of(counts);
        println!("direct identifiers: recall {:.4} ({found}/{gold})", share(found, gold));
        for (kind, precision) in &self.precision {
            let Precision { given, right } = *precision;
            println!("precision {:.3}  {right}/{given} {kind}", share(right, given));
        }
        let Precision { given, right } = self.precision_of_all();
        println!("all spans: precision {:.4} ({right}/{given})", share(right, given));
    }
}

/// `part` of `all`; 1 of none.
pub fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 1.0 } else { part as f64 / all as f64 }
}

/// Whether a document belongs to the half `develop`, on which rules are written, or to `report`; any other word means both.
pub fn in_half(name: &str, half: &str) -> bool {
    let even = Sha256::digest(name.as_bytes())[0].is_multiple_of(2);
    match half {
        "develop" => even,
        "report" => !even,
        _ => true,
    }
}

/// Texts in the form of `chinese.txt`: a line each, identifiers as `{kind|text}`.
pub fn parse(file: &str) -> Vec<Marked> {
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| marked(line.split_once('\t').expect("a line has an id, a tab and a text"))).collect()
}

fn marked((id, line): (&str, &str)) -> Marked {
    let line = line.replace("\\n", "\n");
    let (mut text, mut gold) = (String::new(), Vec::new());
    let mut rest = line.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (inner, after) = after.split_once('}').expect("a marked identifier is closed");
        let (kind, words) = inner.split_once('|').expect("a marked identifier has a kind");
        text.push_str(before);
        let start = text.len();
        text.push_str(words);
        gold.push(Gold { kind: kind.to_string(), start, end: text.len() });
        rest = after;
    }
    text.push_str(rest);
    Marked { id: id.to_string(), text, gold }
}

fn covered(text: &str, gold: &Gold, spans: &[Span]) -> bool {
    let letters = text[gold.start..gold.end].char_indices().filter(|(_, letter)| letter.is_alphanumeric());
    letters.map(|(at, _)| gold.start + at).all(|at| spans.iter().any(|span| span.start <= at && at < span.end))
}

fn around(text: &str, start: usize, end: usize) -> String {
    let before: String = text[..start].chars().rev().take(25).collect::<Vec<_>>().into_iter().rev().collect();
    let after: String = text[end..].chars().take(15).collect();
    format!("{before}>>{}<<{after}", &text[start..end])
}
