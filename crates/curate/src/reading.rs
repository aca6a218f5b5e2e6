//! The first half of a run: every item of every source is read once, into the journal.

use crate::config::{Config, Source, Table};
use crate::deidentify::Cleaner;
use crate::journal::{Frame, Journal, Position};
use crate::kind::Kind;
use crate::labels::{self, Description};
use crate::ledger::{Defect, IMAGE_LEFT_OUT, Ledger, Of};
use crate::load;
use crate::ordered::in_order;
use crate::source::{self, Folder, Item};
use crate::split::Candidates;
use crate::table::{RowId, Tables};
use crate::{Result, check};
use gmai_schema::{Department, Modality, Progress, SourceFacts};
use gmai_shard::Deidentified;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Items between two reports of progress.
const ITEMS_PER_REPORT: u64 = 64;

/// A source whose pixels were read. Its records stand in the journal.
pub(crate) struct ReadSource {
    /// Frames of the journal that are its items.
    pub(crate) num_items: u64,
    pub(crate) num_records: u64,
    pub(crate) tables: Tables,
    pub(crate) dice: Dice,
    pub(crate) ledger: Ledger,
    pub(crate) deidentified: Deidentified,
    /// Modalities of its records.
    pub(crate) modalities: BTreeSet<Modality>,
    departments: BTreeMap<Department, u64>,
}

/// Dice coefficients of observers of one picture, in short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) least: f64,
    pub(crate) num_below: u64,
}

impl Dice {
    fn add(&mut self, dice: f64, least_dice: f64) {
        self.count += 1;
        self.sum += dice;
        self.least = self.least.min(dice);
        self.num_below += u64::from(dice < least_dice);
    }
}

/// Where what is read goes, and through what.
pub(crate) struct Sink<'a> {
    pub(crate) cleaner: &'a Cleaner,
    pub(crate) journal: &'a mut Journal,
    pub(crate) candidates: &'a mut Candidates,
    /// Items that an earlier run had read.
    pub(crate) num_replayed: &'a mut u64,
}

impl ReadSource {
    fn of(tables: Tables, ledger: Ledger) -> ReadSource {
        ReadSource {
            num_items: 0,
            num_records: 0,
            tables,
            dice: Dice { count: 0, sum: 0.0, least: f64::INFINITY, num_below: 0 },
            ledger,
            deidentified: Deidentified::default(),
            modalities: BTreeSet::new(),
            departments: BTreeMap::new(),
        }
    }

    /// What holds for the source.
    pub(crate) fn facts(&self, source: &Source) -> SourceFacts {
        let most = self.departments.iter().max_by_key(|(department, count)| (**count, std::cmp::Reverse(**department)));
        let listed = || source.department_by.as_ref().and_then(|by| by.values.values().next().copied());
        // The department that stands for the source as a whole: that of most of its records. A source without any record says nothing
        // about a department: no row has it.
        let of_records = source.department.or(most.map(|(department, _)| *department)).or_else(listed);
        let department = of_records.unwrap_or(Department::ALL[0]);
        labels::facts(source, self.modalities.iter().copied().collect(), department)
    }

    /// Adds what an item gave.
    fn add(&mut self, number: u32, frame: Frame, least_dice: f64, candidates: &mut Candidates) -> Result<()> {
        for (index, (entry, prints)) in frame.prints().enumerate() {
            let at = Position { frame: frame.start, index: index as u32 };
            candidates.add(number, &entry.record, prints, at)?;
            self.modalities.extend(entry.record.modality);
            *self.departments.entry(entry.record.department).or_default() += 1;
            self.num_records += 1;
        }
        frame.kept.dice.iter().for_each(|dice| self.dice.add(*dice, least_dice));
        self.ledger.absorb(frame.kept.ledger);
        self.deidentified.absorb(frame.kept.deidentified);
        self.num_items += 1;
        Ok(())
    }
}

/// Reads source number `number` into the journal. Items that it holds already are not read again.
pub(crate) fn read_source(
    config: &Config,
    number: u32,
    folder: &Folder,
    sink: &mut Sink,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<ReadSource> {
    let source = folder.source;
    let mut ledger = Ledger::default();
    let items = source::read(folder, &mut ledger)?;
    let mut tables = Tables::read(source, folder.inputs, &mut ledger)?;
    let looked_at = items.look().map(|item| {
        let mut item = item.into_owned();
        tables.join(source, &mut item);
        item
    });
    check::check_fields(source, looked_at, folder.config)?;
    let total = items.look().count() as u64;
    let mut read = ReadSource::of(Tables::default(), Ledger::default());
    let least_dice = match &source.kind {
        Kind::ObserverMasks(kind) => kind.least_dice,
        _ => 0.0,
    };
    let num_refused = Cell::new(0);
    let report = |read: &ReadSource, on_progress: &mut dyn FnMut(Progress)| {
        let (done, note) = (read.num_items + num_refused.get(), format!("{} pictures", read.num_records));
        on_progress(Progress { phase: format!("read {}", source.name), done, total, note });
    };
    report(&read, on_progress); // Bars measure a phase from its first report.
    let mut described = items.all().filter_map(|mut item| {
        tables.join(source, &mut item);
        let description = describe(source, &item, &mut tables, &mut ledger);
        num_refused.update(|count| count + u64::from(description.is_none()));
        Some((item, description?))
    });
    let mut first = None;
    for next in described.by_ref() {
        let Some(frame) = sink.journal.replay(number)? else {
            first = Some(next);
            break;
        };
        read.add(number, frame, least_dice, sink.candidates)?;
        *sink.num_replayed += 1;
        if read.num_items.is_multiple_of(ITEMS_PER_REPORT) {
            report(&read, on_progress);
        }
    }
    let (inputs, decoder, seed) = (folder.inputs, folder.decoder, config.dataset.seed);
    let (max_side, cleaner) = (config.dataset.max_side, sink.cleaner);
    let job = load::Job { source, inputs, decoder, seed, max_side, cleaner };
    let load = |(item, description): (Item, Description)| (job.load(&item, &description), item.rows);
    in_order(first.into_iter().chain(described), load, |(loaded, rows): (load::Loaded, Vec<RowId>)| {
        let frame = sink.journal.append(number, loaded, &rows)?;
        read.add(number, frame, least_dice, sink.candidates)?;
        if read.num_items.is_multiple_of(ITEMS_PER_REPORT) {
            report(&read, on_progress);
        }
        Ok(())
    })?;
    report(&read, on_progress);
    read.ledger.absorb(ledger);
    read.tables = tables;
    Ok(read)
}

/// Applies the source's rules to an item; one that cannot be described is quarantined.
fn describe(source: &Source, item: &Item, tables: &mut Tables, ledger: &mut Ledger) -> Option<Description> {
    let needs_row = matches!(source.kind, Kind::CsvLabels(_));
    let result = if needs_row && item.rows.is_empty() {
        let key = |table: &Table| format!("{} `{}`", table.file, table.matches.fill(&item.fields).as_str());
        let keys: Vec<String> = source.tables.iter().map(key).collect();
        let reason = format!("image without label: no row for it in {}", keys.join(", "));
        Err(Defect::new(&item.name, "annotation", reason, "add a row, remove the image, or correct `matches`"))
    } else {
        labels::describe(source, item, tables)
    };
    let refused = |defect| {
        if item.image.counts_by_slices() {
            ledger.found(Of::Images, 1); // Volumes count by slices, and none was cut.
        }
        ledger.quarantine(Of::Images, defect);
        ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, item.num_annotations());
    };
    result.map_err(refused).ok()
}
