//! Results on standard output: lines for people, or one JSON document for machines.

use serde::Serialize;
use std::io::{self, Write};

/// Who reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A person: lines as they come.
    Text,
    /// A program: nothing but the document at the end.
    Json,
}

impl Output {
    /// Writes one line for people; nothing when a program reads.
    pub fn line(self, text: impl AsRef<str>) -> io::Result<()> {
        match self {
            Output::Text => writeln!(io::stdout().lock(), "{}", text.as_ref()),
            Output::Json => Ok(()),
        }
    }

    /// Writes a piece of text for people at once, without a line break.
    pub fn piece(self, text: &str) -> io::Result<()> {
        if self == Output::Json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes the command's result for programs; nothing when a person reads.
    pub fn document(self, value: &impl Serialize) -> anyhow::Result<()> {
        if self == Output::Json {
            let text = serde_json::to_string_pretty(value)?;
            writeln!(io::stdout().lock(), "{text}")?;
        }
        Ok(())
    }
}
