//! The second half of a run: records come back from the journal in their order, get their texts, and become rows.

use crate::Result;
use crate::author::{self, Author, Subject};
use crate::config::{Config, Source};
use crate::deidentify::Cleaner;
use crate::instruct;
use crate::journal::{Entry, Journal, Spooled};
use crate::kind::Kind;
use crate::ledger::{Defect, IMAGE_LEFT_OUT, Ledger, Of};
use crate::reading::{Dice, ReadSource};
use crate::split::{Comparison, Fate};
use crate::table::RowId;
use gmai_schema::{Conversation, Modality, Progress, SourceFacts, Split};
use gmai_shard::{Agreement, Counts, Deidentified, EncodedImage, SourceSummary, Writer};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Records whose texts are made at once, and more where one item has more.
const RECORDS_PER_STEP: usize = 256;

/// Options of the text generator: wrong modality options come from what the dataset holds, when that is enough.
pub(crate) fn text_options(config: &Config, read: &[ReadSource]) -> instruct::Options {
    /// A multiple-choice question on the modality has this many options.
    const NUM_OPTIONS: usize = 4;
    let mut options = config.instruct.clone();
    if options.modality_options.is_empty() {
        let present: BTreeSet<Modality> = read.iter().flat_map(|source| source.modalities.iter().copied()).collect();
        if present.len() >= NUM_OPTIONS {
            options.modality_options = present.into_iter().collect();
        }
    }
    options
}

/// What is the same for all sources while rows are written.
pub(crate) struct Writing<'a> {
    pub(crate) options: instruct::Options,
    pub(crate) comparison: &'a Comparison,
    pub(crate) cleaner: &'a Cleaner,
    /// Records of all sources.
    pub(crate) total: u64,
}

/// Where rows go.
pub(crate) struct Step<'a, 'b> {
    pub(crate) author: Option<&'a mut Author<'b>>,
    pub(crate) writer: &'a mut Writer,
    pub(crate) journal: &'a mut Journal,
    /// Where the next frame begins.
    pub(crate) at: u64,
    pub(crate) counts: &'a mut Counts,
    /// Records so far.
    pub(crate) done: u64,
}

/// A record that waits to be written.
struct Waiting {
    entry: Entry,
    pictures: Vec<Spooled>,
    split: Split,
    fate: Fate,
}

/// An item with records that wait.
struct WaitingItem {
    num_records: usize,
    num_annotations: u64,
    rows: Vec<RowId>,
}

impl Waiting {
    /// Whether a language model is asked about the record.
    fn is_written_about(&self, options: &author::Options) -> bool {
        matches!(self.fate, Fate::Keep) && options.splits.contains(&self.split) && self.pictures.len() == 1
    }
}

impl Writing<'_> {
    /// Writes the rows of a source and closes its account.
    pub(crate) fn write_source(
        &self,
        source: &Source,
        read: ReadSource,
        step: &mut Step,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<SourceSummary> {
        let facts = read.facts(source);
        let ReadSource { num_items, tables, dice, mut ledger, deidentified, .. } = read;
        let uncounted = SourceFacts { regions_exhaustive: false, ..facts.clone() };
        let mut account = Account { pairs: 0, used_rows: BTreeSet::new(), ledger: &mut ledger };
        let mut left = num_items;
        while left > 0 {
            let (waiting, items) = self.take(&mut left, step)?;
            let mut texts: Vec<Vec<Conversation>> = waiting
                .par_iter()
                .map(|waiting| match waiting.fate {
                    Fate::Keep => {
                        let facts = if waiting.entry.incomplete { &uncounted } else { &facts };
                        instruct::conversations(&waiting.entry.record, facts, &self.options)
                    }
                    _ => Vec::new(),
                })
                .collect();
            write_by_model(&waiting, [&facts, &uncounted], &mut texts, step, &mut |done, total| {
                let phase = format!("texts by a model, {}", source.name);
                on_progress(Progress { phase, done, total, note: String::new() });
            })?;
            step.done += waiting.len() as u64;
            account.write(waiting, items, texts, step)?;
            let (done, total, note) =
                (step.done, self.total, format!("{} rows", step.counts.split.values().sum::<u64>()));
            on_progress(Progress { phase: "write rows".to_string(), done, total, note });
        }
        let Account { pairs, used_rows, .. } = account;
        tables.settle(&used_rows, &mut ledger);
        ledger.check(&source.name)?;
        let (authored, mut lines) = match &mut step.author {
            Some(author) => (Some(std::mem::take(&mut author.account)), std::mem::take(&mut author.quarantined)),
            None => (None, Vec::new()),
        };
        lines.extend(ledger.quarantined(&source.name));
        for line in lines {
            step.writer.quarantine(&self.cleaner.line(line))?;
        }
        let kind = source.kind.key().to_string();
        let agreement = agreement(dice, source);
        let (images, annotations) = (ledger.images, ledger.annotations);
        let deidentified = (deidentified != Deidentified::default()).then_some(deidentified);
        Ok(SourceSummary { facts, kind, images, annotations, agreement, pairs, authored, deidentified })
    }

    /// The next items of the journal, of `left`, with their records.
    fn take(&self, left: &mut u64, step: &mut Step) -> Result<(Vec<Waiting>, Vec<WaitingItem>)> {
        let (mut all, mut items) = (Vec::new(), Vec::new());
        while *left > 0 && all.len() < RECORDS_PER_STEP {
            let frame = step.journal.next(&mut step.at)?.ok_or_else(|| step.journal.damaged())?;
            let (entries, num_annotations, rows) = frame.into_entries();
            items.push(WaitingItem { num_records: entries.len(), num_annotations, rows });
            let first = step.done + all.len() as u64;
            let waiting = |(index, (entry, pictures)): (usize, (Entry, Vec<Spooled>))| {
                let record = (first + index as u64) as u32;
                Waiting { entry, pictures, split: self.comparison.split(record), fate: self.comparison.fate(record) }
            };
            all.extend(entries.into_iter().enumerate().map(waiting));
            *left -= 1;
        }
        Ok((all, items))
    }
}

/// What became of the inputs of a source.
struct Account<'a> {
    pairs: u64,
    used_rows: BTreeSet<RowId>,
    ledger: &'a mut Ledger,
}

impl Account<'_> {
    /// Writes the rows of some items, and notes what was used.
    fn write(
        &mut self,
        waiting: Vec<Waiting>,
        items: Vec<WaitingItem>,
        texts: Vec<Vec<Conversation>>,
        step: &mut Step,
    ) -> Result<()> {
        let mut records = waiting.into_iter().zip(texts);
        for item in items {
            let mut is_used = false;
            for (record, texts) in records.by_ref().take(item.num_records) {
                self.pairs += texts.len() as u64;
                if settle(&record, texts.is_empty(), self.ledger) {
                    is_used = true;
                    push(&record, texts, step)?;
                }
            }
            // Annotations are used when a record of their item is.
            if is_used {
                self.ledger.used(Of::Annotations, item.num_annotations);
                self.used_rows.extend(item.rows);
            } else {
                self.ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, item.num_annotations);
            }
        }
        Ok(())
    }
}

/// Writes the rows of a record. Its pictures are read when a row needs them: those of an earlier run's shards do not.
fn push(record: &Waiting, texts: Vec<Conversation>, step: &mut Step) -> Result<()> {
    let mut pictures: Option<Vec<EncodedImage>> = None;
    for mut conversation in texts {
        conversation.split = record.split;
        step.counts.add(&conversation);
        if step.writer.has_next(record.split) {
            step.writer.push(&conversation, &[])?;
            continue;
        }
        let pictures = match &pictures {
            Some(pictures) => pictures,
            None => {
                let read =
                    record.pictures.iter().map(|picture| step.journal.picture(picture)).collect::<Result<_>>()?;
                pictures.insert(read)
            }
        };
        step.writer.push(&conversation, pictures)?;
    }
    Ok(())
}

/// Adds the texts of a language model to those of templates. `facts` are those of sound records and of records in which nothing may be counted.
fn write_by_model(
    chunk: &[Waiting],
    facts: [&SourceFacts; 2],
    texts: &mut [Vec<Conversation>],
    step: &mut Step,
    on_done: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let Some(author) = &mut step.author else { return Ok(()) };
    let options = author.options;
    let chosen: Vec<usize> = (0..chunk.len()).filter(|index| chunk[*index].is_written_about(options)).collect();
    let mut done = 0;
    for batch in chosen.chunks(options.batch) {
        let mut subjects = Vec::with_capacity(batch.len());
        for index in batch {
            let Waiting { entry, pictures, .. } = &chunk[*index];
            let wanted = author::plan(&entry.record, options);
            let picture = step.journal.picture(&pictures[0])?;
            let facts = if entry.incomplete { facts[1] } else { facts[0] };
            subjects.push(Subject { record: &entry.record, facts, picture, wanted });
        }
        for (index, written) in batch.iter().zip(author.write(&subjects)?) {
            texts[*index].extend(written);
        }
        done += batch.len() as u64;
        on_done(done, chosen.len() as u64);
    }
    Ok(())
}

/// How far the observers of a source agree; `None` when no picture has several.
fn agreement(dice: Dice, source: &Source) -> Option<Agreement> {
    if dice.count == 0 || !matches!(source.kind, Kind::ObserverMasks(_)) {
        return None;
    }
    Some(Agreement {
        pairs: dice.count,
        mean_dice: dice.sum / dice.count as f64,
        least_dice: dice.least,
        num_below: dice.num_below,
    })
}

/// Accounts for one record; whether it is used.
fn settle(waiting: &Waiting, has_no_text: bool, ledger: &mut Ledger) -> bool {
    match &waiting.fate {
        Fate::Repeats => ledger.skip(Of::Images, "the picture occurs earlier with the same labels", 1),
        Fate::Contradicts(other) => {
            let reason = format!("the same or nearly the same picture has other labels in `{other}`");
            let remedy = "find out which label is right and remove the other file";
            ledger.quarantine(Of::Images, Defect::new(&waiting.entry.record.provenance.file, "labels", reason, remedy));
        }
        Fate::Keep if has_no_text => {
            ledger.skip(Of::Images, "nothing can be said about it with the configured facts, forms and languages", 1);
        }
        Fate::Keep => {
            ledger.used(Of::Images, 1);
            return true;
        }
    }
    false
}
