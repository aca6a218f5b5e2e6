//! Files with one JSON value a line: questions, replies, verdicts.

use crate::error::{Error, Result};
use crate::score::Verdict;
use gmai_schema::Question;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// Longest line that is read, in bytes. The longest reply we write is a few kilobytes; more than this is not our file.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;

/// What a file held.
pub(crate) struct Lines<T> {
    /// Every readable entry, in file order.
    pub values: Vec<T>,
    /// Numbers (from 1) of complete lines that are not entries.
    pub damaged: Vec<usize>,
    /// Bytes up to the end of the last complete line; what follows is a line torn by an interrupted write.
    pub complete_bytes: u64,
}

/// Reads entries line by line. A torn last line is left out, other unreadable lines are numbered.
pub(crate) fn read_lines<T: DeserializeOwned>(file: &File, path: &Path) -> Result<Lines<T>> {
    let mut reader = BufReader::new(file);
    let mut lines = Lines { values: Vec::new(), damaged: Vec::new(), complete_bytes: 0 };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let bytes =
            (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(Error::file(path, "read"))?;
        if bytes == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            if (bytes as u64) < MAX_LINE_BYTES {
                break; // Torn: the file ends inside this line.
            }
            return Err(Error::BadLine { path: path.to_path_buf(), line: number });
        }
        lines.complete_bytes += bytes as u64;
        match serde_json::from_slice(&line) {
            Ok(value) => lines.values.push(value),
            Err(_) => lines.damaged.push(number),
        }
    }
    Ok(lines)
}

fn read_all<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).map_err(Error::file(path, "open"))?;
    let lines = read_lines(&file, path)?;
    match lines.damaged.first() {
        Some(&line) => Err(Error::BadLine { path: path.to_path_buf(), line }),
        None => Ok(lines.values),
    }
}

/// Writes beside the target and renames, so that a reader never sees half a file.
fn write_all<'a, T: Serialize + 'a>(
    path: &Path,
    values: impl Iterator<Item = &'a T>,
    id: impl Fn(&T) -> &str,
) -> Result<()> {
    let aside = path.with_extension("jsonl.partial");
    let file = File::create(&aside).map_err(Error::file(&aside, "create"))?;
    let mut writer = BufWriter::new(file);
    for value in values {
        let mut line = serde_json::to_vec(value).map_err(|source| Error::Encode {
            path: path.to_path_buf(),
            id: id(value).to_string(),
            source,
        })?;
        line.push(b'\n');
        writer.write_all(&line).map_err(Error::file(&aside, "write"))?;
    }
    let file = writer.into_inner().map_err(|broken| broken.into_error()).map_err(Error::file(&aside, "write"))?;
    file.sync_all().map_err(Error::file(&aside, "write"))?;
    std::fs::rename(&aside, path).map_err(Error::file(path, "replace"))
}

/// Stores the questions of a run, so that its replies can be judged again without the dataset.
pub fn write_questions(path: &Path, questions: &[Question]) -> Result<()> {
    write_all(path, questions.iter(), |question| &question.id)
}

/// Reads what [`write_questions`] stored. Any unreadable line is an error: a score over part of a set misleads.
pub fn read_questions(path: &Path) -> Result<Vec<Question>> {
    read_all(path)
}

/// Stores verdicts, one a line.
pub fn write_verdicts(path: &Path, verdicts: &[Verdict]) -> Result<()> {
    write_all(path, verdicts.iter(), |verdict| &verdict.question)
}

/// Reads what [`write_verdicts`] stored.
pub fn read_verdicts(path: &Path) -> Result<Vec<Verdict>> {
    read_all(path)
}
