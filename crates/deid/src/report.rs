//! What a run did, and what may remain: as JSON and as one HTML page. Neither holds a value that was removed, nor a path of the input.

use crate::dicom::Tally;
use crate::error::{Error, Result};
use crate::picture::PixelRect;
use askama::Template;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a run did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Profile with its options.
    pub profile: String,
    /// Files met. Always the sum of those written, left out and quarantined.
    pub given: u64,
    /// Files written.
    pub written: u64,
    /// Files left out because their kind cannot be cleaned, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Files held back because something may identify a person, by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Different patients in DICOM files.
    pub patients: u64,
    /// DICOM: what was done, by attribute.
    pub attributes: BTreeMap<String, Tally>,
    /// Other files: what was left behind beside the pixels.
    pub side_matter: BTreeMap<String, u64>,
    /// Report texts: identifiers replaced, by kind.
    pub text_identifiers: BTreeMap<String, u64>,
    /// Pictures looked at for burned-in text.
    pub pictures: PictureCounts,
    /// Pictures in which something looks written, by the name they were (or would have been) written under.
    pub flagged: Vec<FlaggedPicture>,
    /// Kept texts that look as if they named somebody: attribute and kind, with the number of files.
    pub suspicious_texts: BTreeMap<String, u64>,
    /// Names of input files and folders that gave something away, by what; all were replaced.
    pub risky_names: BTreeMap<String, u64>,
    /// What the second reader found in the finished files.
    pub residual: ResidualCheck,
    /// What nobody looked at or can vouch for.
    pub not_covered: Vec<String>,
}

/// Pictures by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PictureCounts {
    /// Looked at.
    pub examined: u64,
    /// Could not be decoded, so nobody looked.
    pub not_examined: u64,
    /// Something looks written.
    pub flagged: u64,
    /// Of these, painted over.
    pub blanked: u64,
}

/// A picture in which something looks written.
#[derive(Debug, Clone, Serialize)]
pub struct FlaggedPicture {
    /// Name in the output.
    pub file: String,
    /// Where.
    pub boxes: Vec<PixelRect>,
    /// Score of the best line.
    pub score: f32,
}

/// The second reader's result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ResidualCheck {
    /// Files read again.
    pub files: u64,
    /// Different identifiers searched for, each in four encodings.
    pub identifiers: u64,
    /// Files in which one was found; they were withdrawn and count as quarantined.
    pub files_with_findings: u64,
    /// Removed descriptions or dates that stand elsewhere in the same file: no identifiers by themselves.
    pub repeated_texts: u64,
}

#[derive(Template)]
#[template(path = "residual.html")]
struct Page<'r> {
    report: &'r Report,
    options: &'r [String],
}

impl Report {
    /// The page, self-contained.
    pub fn html(&self) -> Result<String> {
        let options: Vec<String> = self.profile.split(" + ").map(str::to_string).collect();
        Page { report: self, options: &options }.render().map_err(|error| Error::Report(error.to_string()))
    }

    /// The facts.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| Error::Report(error.to_string()))
    }

    /// The same in a few lines.
    pub fn text(&self) -> String {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        let mut lines = vec![
            format!(
                "{} files: {} written, {} left out, {} quarantined",
                self.given,
                self.written,
                sum(&self.left_out),
                sum(&self.quarantined)
            ),
            format!(
                "pictures: {} examined, {} flagged ({} blanked), {} not examined",
                self.pictures.examined, self.pictures.flagged, self.pictures.blanked, self.pictures.not_examined
            ),
            format!(
                "second reader: {} identifiers searched in {} files, found in {}",
                self.residual.identifiers, self.residual.files, self.residual.files_with_findings
            ),
        ];
        let reasons = self.left_out.iter().map(|(reason, count)| (reason, count, "left out"));
        let reasons = reasons.chain(self.quarantined.iter().map(|(reason, count)| (reason, count, "quarantined")));
        lines.extend(reasons.map(|(reason, count, what)| format!("  {what}, {count}: {reason}")));
        lines.join("\n")
    }
}
