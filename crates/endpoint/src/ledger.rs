//! Every call and every reply, on disk before anything else happens: what was answered is never asked again, and the bill adds up.
//!
//! The file has one JSON object a line and only grows. A call is noted before it is sent (`asked`), and its end when it is known (`answered`, `failed`).
//! An `asked` without end is a call that a crash cut off: it may have been charged for, and nothing else can have been.

use crate::reply::Reply;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The longest line that is read.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    #[serde(default)]
    pub completion_tokens: u64,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Name of the request: [`crate::key`].
    pub key: String,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// What happened.
    pub outcome: Outcome,
}

/// What a line of the ledger tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// A request is about to be sent.
    Asked {
        /// What it is expected to cost at most; stands for the price where the end is not known.
        expected_cost: f64,
    },
    /// It was answered.
    Answered {
        /// The model that was asked, at which address.
        model: String,
        /// What came back.
        reply: Reply,
        /// What it cost, by the settings' price.
        cost: f64,
    },
    /// It was not answered.
    Failed {
        /// Why.
        reason: String,
        /// What it may have cost: the expected cost where an answer was lost on the way, else 0.
        cost: f64,
    },
}

/// The ledger of one endpoint, open for writing. Only one process can hold it.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    replies: HashMap<String, Reply>,
    open: BTreeMap<(String, u32), f64>,
    spent: f64,
    num_asked: u64,
    num_answered: u64,
    attempts: HashMap<String, u32>,
}

impl Ledger {
    /// Opens a ledger, which is made when it does not exist. A torn last line is dropped.
    pub fn open(path: &Path) -> Result<Ledger> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: path.to_path_buf() }),
            Err(TryLockError::Error(source)) => return Err(Error::io(path)(source)),
        }
        let mut ledger = Ledger {
            path: path.to_path_buf(),
            file,
            replies: HashMap::new(),
            open: BTreeMap::new(),
            spent: 0.0,
            num_asked: 0,
            num_answered: 0,
            attempts: HashMap::new(),
        };
        let end = ledger.read()?;
        ledger.file.set_len(end).map_err(Error::io(path))?;
        ledger.file.seek(SeekFrom::Start(end)).map_err(Error::io(path))?;
        Ok(ledger)
    }

    /// Takes in every whole line; where the last of them ends.
    fn read(&mut self) -> Result<u64> {
        let mut reader = BufReader::new(self.file.try_clone().map_err(Error::io(&self.path))?);
        let (mut end, mut bytes) = (0, Vec::new());
        for number in 1.. {
            bytes.clear();
            let read =
                (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).map_err(Error::io(&self.path))?;
            if bytes.last() != Some(&b'\n') {
                if read as u64 == MAX_LINE_BYTES {
                    let reason = "longer than any line of a ledger".to_string();
                    return Err(Error::BadLine { path: self.path.clone(), line: number, reason });
                }
                break; // Torn by a crash, or the end.
            }
            let line: Line = serde_json::from_slice(&bytes).map_err(|error| Error::BadLine {
                path: self.path.clone(),
                line: number,
                reason: error.to_string(),
            })?;
            end += read as u64;
            self.take_in(line);
        }
        Ok(end)
    }

    fn take_in(&mut self, line: Line) {
        let Line { key, attempt, outcome } = line;
        match outcome {
            Outcome::Asked { expected_cost } => {
                self.num_asked += 1;
                let last = self.attempts.entry(key.clone()).or_default();
                *last = attempt.max(*last);
                self.open.insert((key, attempt), expected_cost);
            }
            Outcome::Answered { reply, cost, .. } => {
                self.num_answered += 1;
                self.spent += cost;
                self.open.remove(&(key.clone(), attempt));
                self.replies.entry(key).or_insert(reply);
            }
            Outcome::Failed { cost, .. } => {
                self.spent += cost;
                self.open.remove(&(key, attempt));
            }
        }
    }

    /// Writes a line; it is on the disk when this returns.
    pub(crate) fn note(&mut self, line: Line) -> Result<()> {
        let mut bytes = serde_json::to_vec(&line).map_err(|error| Error::io(&self.path)(error.into()))?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(Error::io(&self.path))?;
        self.file.sync_data().map_err(Error::io(&self.path))?;
        self.take_in(line);
        Ok(())
    }

    /// The reply to a request that was answered before.
    pub fn reply(&self, key: &str) -> Option<&Reply> {
        self.replies.get(key)
    }

    /// The number of the next attempt at a request, over all runs.
    pub(crate) fn next_attempt(&self, key: &str) -> u32 {
        self.attempts.get(key).copied().unwrap_or(0) + 1
    }

    /// What was spent, and may still be spent on calls whose end is not known.
    pub fn committed(&self) -> f64 {
        self.spent + self.open.values().sum::<f64>()
    }

    /// Calls that were sent, in this run and before.
    pub fn num_asked(&self) -> u64 {
        self.num_asked
    }

    /// Calls that were answered.
    pub fn num_answered(&self) -> u64 {
        self.num_answered
    }

    /// Calls without an end: under way, or cut off by a crash.
    pub fn num_open(&self) -> u64 {
        self.open.len() as u64
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gmai_schema::FinishReason;

    fn asked(key: &str) -> Line {
        Line { key: key.into(), attempt: 1, outcome: Outcome::Asked { expected_cost: 2.0 } }
    }

    fn answered(key: &str, text: &str) -> Line {
        let reply = Reply { text: text.into(), finish: FinishReason::Stop, usage: None, tokens: Vec::new() };
        Line { key: key.into(), attempt: 1, outcome: Outcome::Answered { model: "m".into(), reply, cost: 0.5 } }
    }

    #[test]
    fn replies_survive_and_a_torn_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = Ledger::open(&path).unwrap();
        for line in [asked("a"), answered("a", "one"), asked("b")] {
            ledger.note(line).unwrap();
        }
        drop(ledger);
        let whole = std::fs::read(&path).unwrap();
        let mut torn = whole.clone();
        torn.extend_from_slice(&serde_json::to_vec(&answered("b", "two")).unwrap()[..40]);
        std::fs::write(&path, torn).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.reply("a").unwrap().text, "one");
        assert!(ledger.reply("b").is_none());
        assert_eq!((ledger.num_asked(), ledger.num_answered(), ledger.num_open()), (2, 1, 1));
        assert_eq!((ledger.committed(), ledger.next_attempt("b")), (2.5, 2));
        drop(ledger);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn one_process_at_a_time_and_no_foreign_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let held = Ledger::open(&path).unwrap();
        assert!(matches!(Ledger::open(&path), Err(Error::InUse { .. })));
        drop(held);
        std::fs::write(&path, "{\"other\":1}\n").unwrap();
        assert!(matches!(Ledger::open(&path), Err(Error::BadLine { line: 1, .. })));
    }
}
