//! Reports and results in text, FHIR, HL7 v2, C-CDA, BioC and tables, with or without the pictures they are about.
//!
//! Identities and dates stay behind: of a message only results and texts are taken over, and dates inside texts become `[date]`.

pub(super) mod bioc;
pub(super) mod ccda;
mod dates;
pub(super) mod fhir;
pub(super) mod hl7v2;
mod sections;
pub(super) mod table;
pub(super) mod text;
mod xml;

use super::{Folder, ImageFiles, Item, Measured, quarantine_unlabelled};
use crate::Result;
use crate::kind::Reports;
use crate::ledger::{Defect, Ledger, Of};
use gmai_schema::{Measurement, Section, SectionKind};
use std::collections::{BTreeMap, BTreeSet};

/// A report as it may be taken over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReportText {
    /// All of it, without dates.
    pub(crate) text: String,
    /// By titles; empty when it has none that the vocabulary knows.
    pub(crate) sections: Vec<Section>,
}

impl ReportText {
    /// A report in plain text.
    pub(crate) fn of(raw: &str) -> ReportText {
        let text = dates::without(raw.trim());
        let sections = sections::split(&text);
        ReportText { text, sections }
    }

    /// A report whose format names the sections.
    fn of_sections(sections: Vec<(String, String)>) -> ReportText {
        let section = |(title, text): (String, String)| Section {
            kind: SectionKind::from_word(&title),
            title: title.trim().to_string(),
            text: dates::without(text.trim()),
        };
        let sections: Vec<Section> =
            sections.into_iter().map(section).filter(|section| !section.text.is_empty()).collect();
        let line = |section: &Section| match section.title.as_str() {
            "" => section.text.clone(),
            title => format!("{title}: {}", section.text),
        };
        let text = sections.iter().map(line).collect::<Vec<_>>().join("\n");
        let is_titled = sections.iter().any(|section| section.kind.is_some());
        ReportText { text, sections: if is_titled { sections } else { Vec::new() } }
    }
}

/// One report of a file.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Where it stands in the file; empty when the file is the report.
    pub(super) place: String,
    pub(super) report: Option<ReportText>,
    pub(super) measurements: Vec<Measurement>,
    /// Codes and names that attributes may be read from.
    pub(super) fields: BTreeMap<String, String>,
    /// The patient's identifier; only a keyed hash of it is written.
    pub(super) patient: Option<String>,
}

/// What a part of a file gave.
#[derive(Debug)]
pub(super) enum Outcome {
    Report(Box<Parsed>),
    /// It is sound but no report.
    Skip(String),
}

impl Outcome {
    /// A report; a skip when it says nothing.
    fn of(parsed: Parsed) -> Outcome {
        let says_something = parsed.report.as_ref().is_some_and(|report| !report.text.is_empty());
        if says_something || !parsed.measurements.is_empty() {
            Outcome::Report(Box::new(parsed))
        } else {
            Outcome::Skip("the report has neither text nor results".to_string())
        }
    }
}

/// The formats of report files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportFormat {
    Text,
    Fhir,
    Hl7v2,
    Ccda,
    Bioc,
}

/// What a report file holds, for those who only take stock.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    pub(crate) reports: u64,
    /// Reports of two known sections or more in a language of the templates: questions can be asked of them without a picture.
    pub(crate) askable: u64,
    pub(crate) measurements: u64,
    /// Kinds of the sections, as often as they occur.
    pub(crate) sections: Vec<String>,
    /// Identifiers of patients; to be counted, never shown.
    pub(crate) patients: BTreeSet<String>,
}

/// Counts what a report file holds; the error is what is wrong with it.
pub(crate) fn take_stock(format: ReportFormat, file: &str, text: &str) -> std::result::Result<Holding, String> {
    let parse = match format {
        ReportFormat::Text => text::parse,
        ReportFormat::Fhir => fhir::parse,
        ReportFormat::Hl7v2 => hl7v2::parse,
        ReportFormat::Ccda => ccda::parse,
        ReportFormat::Bioc => bioc::parse,
    };
    let mut holding = Holding::default();
    for outcome in
        parse(file, text).map_err(|defect| format!("{}: {}; {}", defect.field, defect.reason, defect.remedy))?
    {
        let Outcome::Report(parsed) = outcome else { continue };
        holding.reports += 1;
        holding.measurements += parsed.measurements.len() as u64;
        let askable = |report: &ReportText| {
            let known = report.sections.iter().filter(|section| section.kind.is_some()).count();
            known >= 2 && crate::instruct::language_of(&report.text).is_some()
        };
        holding.askable += u64::from(parsed.report.as_ref().is_some_and(askable));
        let sections = parsed.report.into_iter().flat_map(|report| report.sections);
        holding.sections.extend(sections.filter_map(|section| Some(section.kind?.key().to_string())));
        holding.patients.extend(parsed.patient);
    }
    Ok(holding)
}

/// Reads report files of one format.
pub(super) fn read_files(
    folder: &Folder,
    kind: &Reports,
    parse: fn(&str, &str) -> std::result::Result<Vec<Outcome>, Defect>,
    ledger: &mut Ledger,
) -> Result<Vec<Item>> {
    let mut joining = Joining::new(folder, kind.images.as_ref());
    for (file, fields) in folder.matching(&kind.files)? {
        match folder.text(&file).and_then(|text| parse(&file, text.trim_start_matches('\u{feff}'))) {
            Ok(outcomes) => {
                for outcome in outcomes {
                    joining.add(&file, &fields, outcome, ledger);
                }
            }
            Err(defect) => joining.refuse(defect, ledger),
        }
    }
    Ok(joining.finish(ledger))
}

/// Reports on their way to their pictures.
pub(super) struct Joining<'a> {
    folder: &'a Folder<'a>,
    images: Option<&'a crate::pattern::Pattern>,
    items: Vec<Item>,
    used: BTreeSet<String>,
}

impl<'a> Joining<'a> {
    pub(super) fn new(folder: &'a Folder<'a>, images: Option<&'a crate::pattern::Pattern>) -> Joining<'a> {
        Joining { folder, images, items: Vec::new(), used: BTreeSet::new() }
    }

    /// What a report without picture counts as, and one that belongs to a picture.
    fn of(&self) -> Of {
        if self.images.is_some() { Of::Annotations } else { Of::Images }
    }

    pub(super) fn refuse(&mut self, defect: Defect, ledger: &mut Ledger) {
        ledger.found(self.of(), 1);
        ledger.quarantine(self.of(), defect);
    }

    pub(super) fn add(&mut self, file: &str, fields: &BTreeMap<String, String>, outcome: Outcome, ledger: &mut Ledger) {
        let parsed = match outcome {
            Outcome::Report(parsed) => *parsed,
            Outcome::Skip(reason) => {
                ledger.found(self.of(), 1);
                ledger.skip(self.of(), &reason, 1);
                return;
            }
        };
        let mut all = fields.clone();
        all.extend(parsed.fields);
        let (name, image) = match self.images {
            None if parsed.place.is_empty() => (file.to_string(), ImageFiles::Nothing),
            None => (format!("{file}#{}", parsed.place), ImageFiles::Nothing),
            Some(pattern) => {
                let filled = pattern.fill(&all);
                let found: Vec<String> =
                    filled.find(&self.folder.inputs.files).into_iter().map(|(picture, _)| picture).collect();
                let fresh: Vec<String> = found.into_iter().filter(|picture| !self.used.contains(picture)).collect();
                if fresh.is_empty() {
                    let field = if parsed.place.is_empty() { "file".to_string() } else { parsed.place };
                    let reason =
                        format!("label without image: `{}` does not exist, or has a report already", filled.as_str());
                    let remedy = "add the image, remove the report, or correct `images` in the config";
                    self.refuse(Defect::new(file, field, reason, remedy), ledger);
                    return;
                }
                self.used.extend(fresh.iter().cloned());
                match fresh.as_slice() {
                    [only] => (only.clone(), ImageFiles::Picture),
                    several => (several[0].clone(), ImageFiles::Pictures(several.to_vec())),
                }
            }
        };
        let mut item = Item::new(name, image, all);
        item.annotation = Some(file.to_string());
        item.report = parsed.report.filter(|report| !report.text.is_empty());
        item.patient = parsed.patient;
        let measured = |measurement| Measured { measurement, images: BTreeSet::new() };
        item.measurements = parsed.measurements.into_iter().map(measured).collect();
        self.items.push(item);
    }

    /// The items; pictures without a report are quarantined.
    pub(super) fn finish(self, ledger: &mut Ledger) -> Vec<Item> {
        if let Some(pattern) = self.images {
            for (picture, _) in pattern.find(&self.folder.inputs.files) {
                if !self.used.contains(&picture) {
                    quarantine_unlabelled(&picture, "no report is about it", ledger);
                }
            }
        }
        self.items
    }
}
