//! What of a record may tell who somebody is, and how it is taken out: texts cleaned, pictures with writing kept back, names replaced.
//!
//! Finding is `gmai_deid`'s; here stands what it is applied to. Dates of reports are gone before (`source/report/dates.rs`).

use crate::ledger::Defect;
use crate::{Error, Result};
use gmai_deid::text::{Finder, Known, Style, TextDates};
use gmai_deid::{Key, KeyFile, Replacement, file, picture};
use gmai_schema::{PixelSource, Record, Rgb8};
use gmai_shard::{Deidentified, Quarantined};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// `deidentify` of `[dataset]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deidentify {
    /// Which texts lose names, numbers, places and ages above 89.
    pub texts: Texts,
    /// What becomes of pictures in which something looks written.
    pub burned_in: BurnedIn,
    /// What becomes of file names in rows and quarantine lines.
    pub names: Names,
    /// The key file of `gmai deid`, relative to the config file, made on first use. With it patients' pseudonyms are those of
    /// `gmai deid`; without it they are hashes keyed by the seed.
    pub key: Option<String>,
}

/// Texts that are cleaned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Texts {
    /// Reports and their sections: nobody wrote them to be shared.
    #[default]
    Reports,
    /// Reports, questions and answers, dialogues, names of measurements.
    All,
    /// None: the data were cleaned before.
    None,
}

/// Pictures in which something looks written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BurnedIn {
    /// Nobody looks.
    #[default]
    Keep,
    /// They are quarantined.
    Quarantine,
}

/// File names in rows and quarantine lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// As the source has them.
    #[default]
    Keep,
    /// Keyed pseudonyms; needs a key.
    Pseudonyms,
}

impl Deidentify {
    /// What is wrong with the settings: key and reason.
    pub(crate) fn defect(&self) -> Option<(&'static str, &'static str)> {
        (self.names == Names::Pseudonyms && self.key.is_none()).then_some((
            "dataset.deidentify.names",
            "pseudonyms need `key`, the path of a key file outside the dataset",
        ))
    }

    /// In one line, for the provenance of rows; `texts` tells whether the row has cleaned ones.
    fn name(&self, has_texts: bool) -> Option<String> {
        let parts = [
            has_texts.then_some("texts cleaned"),
            (self.burned_in == BurnedIn::Quarantine).then_some("burned-in text looked for"),
            (self.names == Names::Pseudonyms).then_some("names replaced"),
            self.key.is_some().then_some("keyed patient"),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("gmai deid {}: {}", env!("CARGO_PKG_VERSION"), parts.join(", ")))
    }
}

/// Compiling the patterns takes a second; most datasets have no text to clean.
static FINDER: LazyLock<Finder> = LazyLock::new(Finder::new);

/// The settings with their key.
pub(crate) struct Cleaner {
    options: Deidentify,
    key: Option<Key>,
}

impl Cleaner {
    /// Opens the key file, or makes it. The config's `key` was made relative to the working folder; it must not lie in the dataset's.
    pub(crate) fn open(options: &Deidentify, out: &Path) -> Result<Cleaner> {
        let key = options.key.as_ref().map(|path| open_key(Path::new(path), out)).transpose()?;
        Ok(Cleaner { options: options.clone(), key })
    }

    /// Changes nothing: for what is shown and not kept.
    pub(crate) fn idle() -> Cleaner {
        Cleaner { options: Deidentify { texts: Texts::None, ..Deidentify::default() }, key: None }
    }

    /// What tells apart datasets of different keys; empty without one.
    pub(crate) fn fingerprint(&self) -> String {
        let hash = self.key.as_ref().map(|key| key.hash("dataset", b"")).unwrap_or_default();
        hash.iter().filter(|_| self.key.is_some()).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The patient's pseudonym by the key, where there is one.
    pub(crate) fn patient(&self, kind: &str, raw: &str) -> Option<String> {
        let key = self.key.as_ref()?;
        Some(if kind == "patient" { key.pseudonym(raw) } else { key.short(kind, raw, 'F') })
    }

    /// Fails when something looks written in a picture that is to be looked at.
    pub(crate) fn look(
        &self,
        name: &str,
        picture: &Rgb8,
        account: &mut Deidentified,
    ) -> std::result::Result<(), Defect> {
        if self.options.burned_in == BurnedIn::Keep {
            return Ok(());
        }
        account.pictures += 1;
        let found = picture::detect_rgb(picture);
        let Some(line) = found.lines.first().filter(|_| found.is_flagged()) else { return Ok(()) };
        account.pictures_with_text += 1;
        let area = line.area;
        let reason =
            format!("text seems to be burned in, at {}..{} x {}..{}", area.left, area.right, area.top, area.bottom);
        let remedy = "look at it; paint over it (`gmai deid run --burned-in blank`) or set burned_in = \"keep\"";
        Err(Defect::new(name, "pixels", reason, remedy))
    }

    /// Cleans the texts and names of a record. `known` are identifiers of its patient.
    pub(crate) fn clean(&self, record: &mut Record, known: &[String], account: &mut Deidentified) {
        let has_texts = self.clean_texts(record, known, account);
        if let (Names::Pseudonyms, Some(key)) = (self.options.names, &self.key) {
            let renamed = |path: &Path| file::clean_path(path, key);
            record.provenance.file = self.name(&record.provenance.file);
            record.provenance.annotation = record.provenance.annotation.as_deref().map(|name| self.name(name));
            record.pixels = match &record.pixels {
                PixelSource::File(path) => PixelSource::File(renamed(path)),
                PixelSource::Files(paths) => PixelSource::Files(paths.iter().map(|path| renamed(path)).collect()),
                PixelSource::Slice { path, slice } => PixelSource::Slice { path: renamed(path), slice: *slice },
                PixelSource::Absent => PixelSource::Absent,
            };
            account.names += 1;
        }
        record.provenance.deidentification = self.options.name(has_texts);
    }

    /// Whether there was a text to clean.
    fn clean_texts(&self, record: &mut Record, known: &[String], account: &mut Deidentified) -> bool {
        let mut texts: Vec<&mut String> = Vec::new();
        if self.options.texts != Texts::None {
            texts.extend(record.report.as_mut());
            texts.extend(record.sections.iter_mut().flat_map(|section| [&mut section.title, &mut section.text]));
        }
        if self.options.texts == Texts::All {
            texts.extend(record.questions.iter_mut().flat_map(|pair| [&mut pair.question, &mut pair.answer]));
            let turns = record.dialogues.iter_mut().flat_map(|dialogue| &mut dialogue.turns);
            texts.extend(turns.map(|turn| &mut turn.value));
            for measured in &mut record.measurements {
                let terms = [Some(&mut measured.name), measured.site.as_mut(), measured.finding.as_mut()];
                texts.extend(terms.into_iter().flatten().map(|term| &mut term.en));
            }
        }
        texts.retain(|text| !text.is_empty());
        let known = Known::new(known.iter().cloned());
        account.texts += texts.len() as u64;
        let has_texts = !texts.is_empty();
        for text in texts {
            let spans = FINDER.find(text, &known);
            if spans.is_empty() {
                continue;
            }
            for span in &spans {
                *account.identifiers.entry(span.kind.key().to_string()).or_default() += 1;
            }
            // Tags do not depend on the key.
            let key = Key::new([0; 32]);
            let style = Style { replacement: Replacement::Tag, dates: TextDates::Replace, key: &key, patient: "" };
            *text = style.replace(text, &spans);
        }
        has_texts
    }

    /// A file name as rows and quarantine lines have it. Behind `#` stands the place in a file.
    fn name(&self, name: &str) -> String {
        let (Names::Pseudonyms, Some(key)) = (self.options.names, &self.key) else { return name.to_string() };
        let (path, place) = name.split_once('#').unwrap_or((name, ""));
        let clean = file::clean_path(Path::new(path), key);
        let clean = clean.to_string_lossy().replace('\\', "/");
        if place.is_empty() { clean } else { format!("{clean}#{}", key.short("place", place, 'E')) }
    }

    /// The quarantine line without file names: reasons quote them.
    pub(crate) fn line(&self, mut line: Quarantined) -> Quarantined {
        if self.options.names == Names::Pseudonyms {
            line.file = self.name(&line.file);
            for text in [&mut line.field, &mut line.reason] {
                let outside =
                    |(index, part): (usize, &str)| if index % 2 == 0 { part.to_string() } else { "...".into() };
                *text = text.split('`').enumerate().map(outside).collect::<Vec<_>>().join("`");
            }
        }
        line
    }
}

fn open_key(path: &Path, out: &Path) -> Result<Key> {
    let refuse = |reason: String| Error::ConfigValue {
        path: path.to_path_buf(),
        key: "dataset.deidentify.key".to_string(),
        reason,
    };
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    if absolute(path).starts_with(absolute(out)) {
        return Err(refuse(
            "the key lies in the dataset folder; it leads back to the patients, keep it elsewhere".into(),
        ));
    }
    let file = KeyFile::open_or_create(path).map_err(|error| refuse(error.to_string()))?;
    Ok(file.key().clone())
}
