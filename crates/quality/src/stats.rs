//! The distributions of a dataset, as the GMAI-VL paper shows them (figure 4 and table 3), and what a reader of a data card asks next.

use crate::Result;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Conversation, Progress, Role, Split};
use gmai_shard::{EncodedImage, OriginalTask, Reader};
use image::ImageReader;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Cursor;

/// Rows between two reports of progress.
const ROWS_PER_REPORT: u64 = 200;

/// Counts of one kind.
pub type Counts = BTreeMap<String, u64>;

/// How values are spread.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many times each value occurs. Memory holds distinct values, not rows.
    #[serde(skip)]
    values: BTreeMap<u64, u64>,
    /// How many values there are.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Smallest, 10th percentile, median, 90th percentile, largest.
    pub quantiles: [u64; 5],
}

impl Spread {
    fn add(&mut self, value: u64) {
        *self.values.entry(value).or_default() += 1;
    }

    fn settle(&mut self) {
        self.count = self.values.values().sum();
        let sum: f64 = self.values.iter().map(|(value, count)| *value as f64 * *count as f64).sum();
        self.mean = if self.count == 0 { 0.0 } else { sum / self.count as f64 };
        self.quantiles = [0.0, 0.1, 0.5, 0.9, 1.0].map(|share| self.quantile(share));
    }

    fn quantile(&self, share: f64) -> u64 {
        let wanted = ((share * self.count as f64).ceil() as u64).max(1);
        let mut below = 0;
        let place = self.values.iter().find(|(_, count)| {
            below += **count;
            below >= wanted
        });
        place.map_or(0, |(value, _)| *value)
    }

    /// Counts in `bins` ranges of equal width that hold everything up to the 99th percentile, and one for the rest; with their first values.
    pub fn histogram(&self, bins: u64) -> Vec<(u64, u64)> {
        let (low, high) = (self.quantile(0.0), self.quantile(0.99));
        let width = ((high - low) / bins.max(1) + 1).max(1);
        let mut ranges: Vec<(u64, u64)> = (0..=(high - low) / width).map(|bin| (low + bin * width, 0)).collect();
        if self.count == 0 {
            return Vec::new();
        }
        for (value, count) in &self.values {
            let bin = ((value - low) / width) as usize;
            match ranges.get_mut(bin) {
                Some(range) => range.1 += count,
                None => {
                    let rest = low + (high - low) / width * width + width;
                    match ranges.last_mut() {
                        Some(last) if last.0 == rest => last.1 += count,
                        _ => ranges.push((rest, *count)),
                    }
                    // All later values fall into the rest, too.
                }
            }
        }
        ranges
    }
}

/// Balance of one attribute of one source, by image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttributeBalance {
    /// The source.
    pub source: String,
    /// The attribute.
    pub attribute: String,
    /// Images, by value.
    pub values: Counts,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceLine {
    /// Its name.
    pub name: String,
    /// Its licence, as written.
    pub licence: String,
    /// Its rows.
    pub rows: u64,
    /// Its different pictures.
    pub pictures: u64,
    /// Its patients.
    pub patients: u64,
}

/// What a dataset holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Name of the dataset.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Different pictures.
    pub pictures: u64,
    /// Annotated images.
    pub records: u64,
    /// Patients.
    pub patients: u64,
    /// Bytes of all shards.
    pub bytes: u64,
    /// Rows by the task that the annotation was made for, e.g. `2D classification`.
    pub original_task: Counts,
    /// Rows by modality.
    pub modality: Counts,
    /// Rows by department.
    pub department: Counts,
    /// Rows by clinical task.
    pub clinical_task: Counts,
    /// Rows by language.
    pub language: Counts,
    /// Rows by form.
    pub form: Counts,
    /// Rows by split.
    pub split: Counts,
    /// Rows by source.
    pub source: Counts,
    /// Rows by number of questions with an answer.
    pub turns: BTreeMap<u64, u64>,
    /// Rows by number of pictures.
    pub pictures_per_row: BTreeMap<u64, u64>,
    /// Characters of all questions of a row, without image markers.
    pub question_characters: Spread,
    /// Characters of all answers of a row.
    pub answer_characters: Spread,
    /// Tokens of all text of a row; absent without a tokenizer.
    pub tokens: Option<Spread>,
    /// Longer side of the different pictures, in pixels.
    pub longer_side: Spread,
    /// Pictures by size, e.g. `256 x 256`.
    pub sizes: Counts,
    /// Rows of a patient.
    pub rows_per_patient: Spread,
    /// Balance of every attribute.
    pub balance: Vec<AttributeBalance>,
    /// The sources, in the dataset's order.
    pub sources: Vec<SourceLine>,
}

/// Counts the tokens of a text.
pub type TokenCounter<'a> = dyn FnMut(&str) -> std::result::Result<u64, String> + 'a;

/// What is remembered while rows pass: 8 bytes for each picture, record and patient.
#[derive(Default)]
struct Seen {
    pictures: HashSet<u64>,
    source_pictures: HashSet<(usize, u64)>,
    records: HashSet<u64>,
    patients: HashMap<u64, u64>,
    source_patients: HashSet<(usize, u64)>,
    balance: BTreeMap<(String, String), Counts>,
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What the annotations of a source were made for, and whether pictures are slices.
fn original_task(task: Option<OriginalTask>, is_slice: bool) -> String {
    let what = match task {
        Some(OriginalTask::Classification) => "classification",
        Some(OriginalTask::Detection) => "detection",
        Some(OriginalTask::Segmentation) => "segmentation",
        Some(OriginalTask::Report) => "report",
        Some(OriginalTask::QuestionAnswering) => "question answering",
        None => "not stated",
    };
    format!("{} {what}", if is_slice { "3D" } else { "2D" })
}

/// Counts everything in one pass over the rows.
///
/// # Errors
/// A damaged dataset.
pub fn stats(
    reader: &Reader,
    mut count_tokens: Option<&mut TokenCounter>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Stats> {
    let manifest = reader.manifest();
    let mut stats = Stats { name: manifest.name.clone(), ..Stats::default() };
    stats.bytes = manifest.shards.iter().map(|shard| shard.bytes).sum();
    stats.tokens = count_tokens.is_some().then(Spread::default);
    let line = |source: &gmai_shard::SourceSummary| SourceLine {
        name: source.facts.name.clone(),
        licence: source.facts.licence.clone(),
        rows: 0,
        pictures: 0,
        patients: 0,
    };
    stats.sources = manifest.sources.iter().map(line).collect();
    let tasks: BTreeMap<&str, Option<OriginalTask>> =
        manifest.sources.iter().map(|source| (source.facts.name.as_str(), source.original_task())).collect();
    let total = Split::ALL.iter().map(|split| manifest.num_rows(*split)).sum();
    let mut seen = Seen::default();
    for split in Split::ALL {
        for sample in reader.samples(split) {
            let sample = sample?;
            let task = tasks.get(sample.conversation.source.as_str()).copied().flatten();
            stats.add_row(&sample.conversation, &sample.images, task, &mut seen);
            if let (Some(count), Some(spread)) = (&mut count_tokens, &mut stats.tokens) {
                let texts = sample.conversation.turns.iter().map(|turn| count(&turn.value));
                let counts = texts.collect::<std::result::Result<Vec<u64>, String>>();
                let field = format!("tokens of row {}", sample.conversation.id);
                spread
                    .add(counts.map_err(|reason| crate::Error::bad_file(reader.folder(), field, reason))?.iter().sum());
            }
            if stats.rows.is_multiple_of(ROWS_PER_REPORT) || stats.rows == total {
                on_progress(Progress { phase: "count rows".to_string(), done: stats.rows, total, note: String::new() });
            }
        }
    }
    stats.settle(seen);
    Ok(stats)
}

impl Stats {
    fn add_row(&mut self, row: &Conversation, images: &[EncodedImage], task: Option<OriginalTask>, seen: &mut Seen) {
        self.rows += 1;
        let is_slice = row.provenance.slice.is_some();
        let modality = row.modality.map_or("not stated", |modality| modality.key());
        let original = match images.is_empty() {
            true => "text only".to_string(),
            false => original_task(task, is_slice),
        };
        for (counts, key) in [
            (&mut self.original_task, original.as_str()),
            (&mut self.modality, modality),
            (&mut self.department, row.department.key()),
            (&mut self.clinical_task, row.task.key()),
            (&mut self.language, row.language.key()),
            (&mut self.form, row.form.key()),
            (&mut self.split, row.split.key()),
            (&mut self.source, row.source.as_str()),
        ] {
            *counts.entry(key.to_string()).or_default() += 1;
        }
        let characters = |role: Role| {
            let texts = row.turns.iter().filter(|turn| turn.from == role);
            texts.map(|turn| turn.value.replace(IMAGE_MARKER, "").trim().chars().count() as u64).sum()
        };
        self.question_characters.add(characters(Role::Human));
        self.answer_characters.add(characters(Role::Assistant));
        let answers = row.turns.iter().filter(|turn| turn.from == Role::Assistant).count() as u64;
        *self.turns.entry(answers).or_default() += 1;
        *self.pictures_per_row.entry(images.len() as u64).or_default() += 1;
        let source = self.sources.iter().position(|source| source.name == row.source).unwrap_or(usize::MAX);
        if let Some(line) = self.sources.get_mut(source) {
            line.rows += 1;
        }
        for image in images {
            let key = hash_of(&image.path);
            if seen.pictures.insert(key) {
                self.add_picture(image);
            }
            if let (true, Some(line)) = (seen.source_pictures.insert((source, key)), self.sources.get_mut(source)) {
                line.pictures += 1;
            }
        }
        let patient = hash_of(&row.patient);
        *seen.patients.entry(patient).or_default() += 1;
        if let (true, Some(line)) = (seen.source_patients.insert((source, patient)), self.sources.get_mut(source)) {
            line.patients += 1;
        }
        if seen.records.insert(hash_of(&row.record)) {
            for label in &row.labels {
                let counts = seen.balance.entry((row.source.clone(), label.attribute.clone())).or_default();
                *counts.entry(label.value.en.clone()).or_default() += 1;
            }
        }
    }

    fn add_picture(&mut self, image: &EncodedImage) {
        let reader = ImageReader::new(Cursor::new(&image.bytes)).with_guessed_format();
        let size = reader.ok().and_then(|reader| reader.into_dimensions().ok());
        match size {
            Some((width, height)) => {
                self.longer_side.add(u64::from(width.max(height)));
                *self.sizes.entry(format!("{width} x {height}")).or_default() += 1;
            }
            None => *self.sizes.entry("cannot be read".to_string()).or_default() += 1,
        }
    }

    fn settle(&mut self, seen: Seen) {
        self.pictures = seen.pictures.len() as u64;
        self.records = seen.records.len() as u64;
        self.patients = seen.patients.len() as u64;
        seen.patients.values().for_each(|rows| self.rows_per_patient.add(*rows));
        let balance = seen.balance.into_iter();
        self.balance =
            balance.map(|((source, attribute), values)| AttributeBalance { source, attribute, values }).collect();
        for spread in [
            &mut self.question_characters,
            &mut self.answer_characters,
            &mut self.longer_side,
            &mut self.rows_per_patient,
        ] {
            spread.settle();
        }
        if let Some(tokens) = &mut self.tokens {
            tokens.settle();
        }
    }

    /// The distributions with their titles, largest first within each.
    pub fn distributions(&self) -> Vec<(&'static str, Vec<(String, u64)>)> {
        let all = [
            ("Original task", &self.original_task),
            ("Modality", &self.modality),
            ("Department", &self.department),
            ("Clinical task", &self.clinical_task),
            ("Form", &self.form),
            ("Language", &self.language),
            ("Split", &self.split),
            ("Source", &self.source),
        ];
        all.into_iter().map(|(title, counts)| (title, by_size(counts))).collect()
    }

    /// Everything as lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{}: {} pairs on {} pictures of {} patients",
            self.name, self.rows, self.pictures, self.patients
        )];
        for (title, counts) in self.distributions() {
            let share = |count: u64| 100.0 * count as f64 / self.rows.max(1) as f64;
            let list: Vec<String> =
                counts.iter().map(|(key, count)| format!("{key} {count} ({:.1} %)", share(*count))).collect();
            lines.push(format!("  {:14} {}", title.to_lowercase(), list.join(", ")));
        }
        let plain = |counts: &BTreeMap<u64, u64>| {
            counts.iter().map(|(key, count)| format!("{key}: {count}")).collect::<Vec<_>>().join(", ")
        };
        lines.push(format!("  {:14} {}", "turns", plain(&self.turns)));
        lines.push(format!("  {:14} {}", "pictures a row", plain(&self.pictures_per_row)));
        let spreads = [
            ("question chars", Some(&self.question_characters)),
            ("answer chars", Some(&self.answer_characters)),
            ("tokens", self.tokens.as_ref()),
            ("longer side", Some(&self.longer_side)),
            ("rows a patient", Some(&self.rows_per_patient)),
        ];
        for (name, spread) in spreads.into_iter().filter_map(|(name, spread)| Some((name, spread?))) {
            let [least, tenth, median, ninetieth, most] = spread.quantiles;
            lines.push(format!(
                "  {name:14} mean {:.1}, {least} to {most}, median {median}, 80 % between {tenth} and {ninetieth}",
                spread.mean
            ));
        }
        for balance in &self.balance {
            let list: Vec<String> =
                by_size(&balance.values).iter().map(|(value, count)| format!("{value} {count}")).collect();
            lines.push(format!("  {} / {}: {}", balance.source, balance.attribute, list.join(", ")));
        }
        lines
    }
}

/// Counts, largest first, equal ones by name.
pub(crate) fn by_size(counts: &Counts) -> Vec<(String, u64)> {
    let mut list: Vec<(String, u64)> = counts.iter().map(|(key, count)| (key.clone(), *count)).collect();
    list.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occur() {
        let mut spread = Spread::default();
        (1..=10).for_each(|value| spread.add(value));
        spread.add(1_000);
        spread.settle();
        assert_eq!((spread.count, spread.quantiles), (11, [1, 2, 6, 10, 1_000]));
        assert!((spread.mean - 1_055.0 / 11.0).abs() < 1e-9);
    }

    #[test]
    fn histograms_hold_every_value_once() {
        let mut spread = Spread::default();
        for value in 0..1_000 {
            spread.add(value % 40);
        }
        [5_000, 9_000].into_iter().for_each(|value| spread.add(value));
        spread.settle();
        let bins = spread.histogram(10);
        assert_eq!(bins.iter().map(|bin| bin.1).sum::<u64>(), 1_002);
        assert_eq!(bins.last().map(|bin| bin.1), Some(2), "far values stand in one range: {bins:?}");
        assert!(Spread::default().histogram(5).is_empty());
    }
}
