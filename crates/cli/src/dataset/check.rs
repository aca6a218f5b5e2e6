//! `gmai dataset check`: is the folder whole, and are its pictures what they should be?

use super::args::CheckArguments;
use super::licence;
use crate::output::Output;
use crate::progress::Bars;
use anyhow::{Context, Result, bail};
use gmai_imaging::Limits;
use gmai_quality::licence::Judged;
use gmai_quality::pictures::{Collection, of_dataset, of_folder};
use gmai_quality::{Audit, Benchmark, audit, audit_page};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Progress, Rgb8, Split};
use gmai_shard::{Reader, Sample};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// Defects that are listed; the rest is counted.
const MAX_LISTED_DEFECTS: usize = 20;

/// Pairs and hits that are shown as lines.
const MAX_LISTED_PAIRS: usize = 12;

/// What a check of rows found.
#[derive(Debug, Default, Serialize)]
struct Rows {
    rows: u64,
    pictures: usize,
    patients: usize,
    num_defects: u64,
    defects: Vec<String>,
}

/// What a check found.
#[derive(Debug, Serialize)]
struct Check {
    rows: u64,
    pictures: usize,
    patients: usize,
    num_defects: u64,
    defects: Vec<String>,
    audit: Audit,
    licences: Vec<Judged>,
}

/// What a check remembers from row to row.
#[derive(Default)]
struct Seen {
    ids: BTreeSet<String>,
    pictures: BTreeSet<String>,
    split_of_patient: BTreeMap<String, Split>,
}

/// Runs the command.
pub fn run(arguments: &CheckArguments, output: Output) -> Result<()> {
    let folder = &arguments.folder;
    // A folder without a manifest is a plain one only when it holds no shards: those would be an unfinished dataset's.
    let is_plain = folder.is_dir() && !folder.join("manifest.json").exists() && !holds_shards(folder);
    let reader = if is_plain { None } else { Some(Reader::open(folder)?) };
    let mut bars = Bars::default();
    let mut on_progress = |progress: Progress| bars.show(progress);
    let (mut rows, collection) = match &reader {
        Some(reader) => (check_rows(reader, &mut on_progress)?, of_dataset(reader, &mut on_progress)?),
        None => (Rows::default(), of_folder(folder, &mut on_progress)?),
    };
    let mut benchmark: Option<Benchmark> = None;
    for path in &arguments.against {
        let more = Benchmark::read(path, &mut on_progress)?;
        benchmark = Some(match benchmark {
            Some(benchmark) => benchmark.joined(more),
            None => more,
        });
    }
    drop(bars);
    for unreadable in &collection.unreadable {
        rows.add(format!("picture {}: {}", unreadable.name, unreadable.reason));
    }
    let sources = reader.iter().flat_map(|reader| &reader.manifest().sources);
    let sources = sources.map(|source| (source.facts.name.as_str(), source.facts.licence.as_str()));
    let judged = licence::judge(arguments.licence_policy.as_deref(), sources)?;
    let audit = audit(&collection, benchmark.as_ref());
    if let Some(sheet) = &arguments.sheet {
        let pictures = shown_pictures(folder, reader.as_ref(), &audit, &collection)?;
        let name =
            reader.as_ref().map_or_else(|| folder.display().to_string(), |reader| reader.manifest().name.clone());
        let page = audit_page::audit_html(&name, &audit, &judged, &pictures);
        std::fs::write(sheet, page).with_context(|| format!("cannot write {}", sheet.display()))?;
    }
    if let Some(hashes) = &arguments.hashes {
        write_hashes(hashes, &collection)?;
    }
    let Rows { rows, pictures, patients, num_defects, defects } = rows;
    let check = Check { rows, pictures, patients, num_defects, defects, audit, licences: judged };
    output.document(&check)?;
    report(&check, arguments, output)
}

fn holds_shards(folder: &Path) -> bool {
    let is_shard = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with("-00000.parquet");
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_shard))
}

/// Shows what was found; an error when something must be mended.
fn report(check: &Check, arguments: &CheckArguments, output: Output) -> Result<()> {
    let folder = arguments.folder.display();
    for defect in &check.defects {
        output.line(format!("  {defect}"))?;
    }
    for line in check.audit.lines(MAX_LISTED_PAIRS) {
        output.line(line)?;
    }
    let refused = licence::show(&check.licences, output)?;
    for file in [&arguments.sheet, &arguments.hashes].into_iter().flatten() {
        output.line(format!("written: {}", file.display()))?;
    }
    if check.rows > 0 {
        output.line(format!(
            "{folder}: {} rows, {} pictures, {} patients, every shard as the manifest says",
            check.rows, check.pictures, check.patients
        ))?;
    }
    let audit = &check.audit;
    let (leaks, hits) = match arguments.strict {
        true => (audit.leaks.values().sum(), audit.in_benchmark.len() as u64),
        false => (audit.certain_leaks, audit.certain_hits()),
    };
    let contradictions = if arguments.strict { audit.contradictions } else { 0 };
    let wrong: Vec<String> = [
        (check.num_defects, "defects: make the dataset again with gmai curate"),
        (leaks, "pairs of copies across splits: give their records one patient, or leave one out"),
        (contradictions, "pairs of one picture with different labels: find out which is right"),
        (hits, "pictures of a benchmark: leave them out"),
        (refused, "sources with a refused licence: leave them out"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if !wrong.is_empty() {
        bail!("{folder}: {}", wrong.join("; "));
    }
    Ok(())
}

/// The pictures that the sheet shows, read again: a check keeps fingerprints only.
fn shown_pictures(
    folder: &Path,
    reader: Option<&Reader>,
    audit: &Audit,
    collection: &Collection,
) -> Result<BTreeMap<usize, Rgb8>> {
    let wanted = audit_page::shown(audit);
    let Some(reader) = reader else {
        let read = |index: usize| {
            let path = folder.join(&collection.pictures[index].name);
            Some((index, gmai_imaging::display(&path, None, &Limits::default()).ok()?))
        };
        return Ok(wanted.into_iter().filter_map(read).collect());
    };
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for index in wanted {
        by_key.entry(&collection.pictures[index].name).or_default().push(index);
    }
    let mut pictures = BTreeMap::new();
    for sample in Split::ALL.into_iter().flat_map(|split| reader.samples(split)) {
        for image in sample?.images {
            if let Some(indices) = by_key.remove(image.path.as_str()) {
                let picture = image.decode()?;
                pictures.extend(indices.into_iter().map(|index| (index, picture.clone())));
            }
        }
    }
    Ok(pictures)
}

fn write_hashes(path: &Path, collection: &Collection) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).with_context(cannot)?);
    writeln!(file, "# SHA-256 over width and height (32-bit, little-endian) and 8-bit RGB pixels")
        .with_context(cannot)?;
    for picture in &collection.pictures {
        writeln!(file, "{}  {}", picture.print.pixels_hex(), picture.name).with_context(cannot)?;
    }
    file.flush().with_context(cannot)
}

impl Rows {
    fn add(&mut self, defect: String) {
        self.num_defects += 1;
        if self.defects.len() < MAX_LISTED_DEFECTS {
            self.defects.push(defect);
        }
    }
}

/// Checks shards against the manifest, and every row.
fn check_rows(reader: &Reader, on_progress: &mut dyn FnMut(Progress)) -> Result<Rows> {
    reader.verify()?;
    let total = Split::ALL.iter().map(|split| reader.manifest().num_rows(*split)).sum();
    let (mut found, mut seen) = (Rows::default(), Seen::default());
    for split in Split::ALL {
        for sample in reader.samples(split) {
            defects(&sample?, split, &mut seen).into_iter().for_each(|defect| found.add(defect));
            found.rows += 1;
            on_progress(Progress { phase: "check rows".to_string(), done: found.rows, total, note: String::new() });
        }
    }
    found.pictures = seen.pictures.len();
    found.patients = seen.split_of_patient.len();
    if found.rows != total {
        found.add(format!("manifest.json: counts {total} rows, the shards hold {}", found.rows));
    }
    Ok(found)
}

/// What is wrong with one row.
fn defects(sample: &Sample, split: Split, seen: &mut Seen) -> Vec<String> {
    let conversation = &sample.conversation;
    let mut found = Vec::new();
    if !seen.ids.insert(conversation.id.clone()) {
        found.push("id: occurs twice".to_string());
    }
    let markers: usize = conversation.turns.iter().map(|turn| turn.value.matches(IMAGE_MARKER).count()).sum();
    if markers != sample.images.len() {
        found.push(format!("conversations: {markers} image markers, {} pictures", sample.images.len()));
    }
    if conversation.split != split {
        found.push(format!("split: {} in a shard of {}", conversation.split.key(), split.key()));
    }
    let first = *seen.split_of_patient.entry(conversation.patient.clone()).or_insert(split);
    if first != split {
        found.push(format!("patient: {} is in {} and in {}", conversation.patient, first.key(), split.key()));
    }
    seen.pictures.extend(sample.images.iter().map(|image| image.path.clone()));
    found.into_iter().map(|defect| format!("row {}: {defect}", conversation.id)).collect()
}
