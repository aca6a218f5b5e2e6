//! Accounts for every input of a source: used, skipped for a reason, or quarantined.

use crate::{Error, Result};
use gmai_shard::{Quarantined, Tally};
use serde::{Deserialize, Serialize};

/// The reason that stands for annotations whose image is not in the dataset.
pub(crate) const IMAGE_LEFT_OUT: &str = "the image was left out";

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// Pictures, and slices of volumes.
    Images,
    /// Table rows, boxes, masks, questions.
    Annotations,
}

/// What is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Defect {
    /// The file, relative to the source's root.
    pub(crate) file: String,
    /// Where in the file.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) remedy: String,
}

impl Defect {
    /// A defect of `field` in `file`.
    pub(crate) fn new(file: &str, field: impl Into<String>, reason: impl Into<String>, remedy: &str) -> Defect {
        Defect { file: file.to_string(), field: field.into(), reason: reason.into(), remedy: remedy.to_string() }
    }
}

/// The account of one source, or of a part of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) images: Tally,
    pub(crate) annotations: Tally,
    pub(crate) defects: Vec<Defect>,
}

impl Ledger {
    fn tally(&mut self, of: Of) -> &mut Tally {
        match of {
            Of::Images => &mut self.images,
            Of::Annotations => &mut self.annotations,
        }
    }

    /// Notes inputs that were found and whose fate is told later.
    pub(crate) fn found(&mut self, of: Of, count: u64) {
        self.tally(of).given += count;
    }

    /// Notes inputs that are in the dataset.
    pub(crate) fn used(&mut self, of: Of, count: u64) {
        self.tally(of).used += count;
    }

    /// Notes sound inputs that a rule leaves out.
    pub(crate) fn skip(&mut self, of: Of, reason: &str, count: u64) {
        if count > 0 {
            *self.tally(of).skipped.entry(reason.to_string()).or_default() += count;
        }
    }

    /// Notes a defective input.
    pub(crate) fn quarantine(&mut self, of: Of, defect: Defect) {
        self.tally(of).quarantined += 1;
        self.defects.push(defect);
    }

    /// Adds the account of a part.
    pub(crate) fn absorb(&mut self, part: Ledger) {
        for (tally, part) in [(&mut self.images, part.images), (&mut self.annotations, part.annotations)] {
            tally.given += part.given;
            tally.used += part.used;
            tally.quarantined += part.quarantined;
            for (reason, count) in part.skipped {
                *tally.skipped.entry(reason).or_default() += count;
            }
        }
        self.defects.extend(part.defects);
    }

    /// Fails when an input was lost, or counted twice.
    pub(crate) fn check(&self, source: &str) -> Result<()> {
        for (what, tally) in [("images", &self.images), ("annotations", &self.annotations)] {
            if !tally.adds_up() {
                return Err(Error::DoesNotAddUp { name: source.to_string(), what, tally: format!("{tally:?}") });
            }
        }
        let lines = self.images.quarantined + self.annotations.quarantined;
        if lines != self.defects.len() as u64 {
            let tally = format!("{lines} quarantined, {} lines", self.defects.len());
            return Err(Error::DoesNotAddUp { name: source.to_string(), what: "quarantine lines", tally });
        }
        Ok(())
    }

    /// The lines for `quarantine.jsonl`, sorted.
    pub(crate) fn quarantined(&self, source: &str) -> Vec<Quarantined> {
        let line = |defect: &Defect| Quarantined {
            source: source.to_string(),
            file: defect.file.clone(),
            field: defect.field.clone(),
            reason: defect.reason.clone(),
            remedy: defect.remedy.clone(),
        };
        let mut lines: Vec<Quarantined> = self.defects.iter().map(line).collect();
        lines.sort();
        lines
    }
}
