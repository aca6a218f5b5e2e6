//! Text of a reply while it is being written: ids come one by one, text leaves in whole characters.

use crate::error::Result;
use crate::tokenizer::Tokenizer;

/// Ids that may wait for the rest of a character. A character has at most four bytes, but a byte-level token may end inside one and begin
/// the next; what is longer than this is not text, and is let go with replacement characters.
const MAX_WAITING: usize = 16;

/// Turns a growing list of ids into a growing text. All pieces together are the text of all ids.
#[derive(Debug)]
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    /// The ids last let go, then those that wait. The former are kept because a token's text depends on what stands before it.
    window: Vec<u32>,
    /// How many of `window` were let go.
    num_written: usize,
}

impl<'a> StreamDecoder<'a> {
    /// A decoder at the beginning of a reply.
    pub fn new(tokenizer: &'a Tokenizer) -> StreamDecoder<'a> {
        StreamDecoder { tokenizer, window: Vec::new(), num_written: 0 }
    }

    /// Takes the next id and returns the text that is complete now; empty while a character is incomplete.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.window.push(id);
        let waiting = self.window.len() - self.num_written;
        let text = self.waiting_text()?;
        if text.is_empty() || (text.ends_with(char::REPLACEMENT_CHARACTER) && waiting < MAX_WAITING) {
            return Ok(String::new());
        }
        self.window.drain(..self.num_written);
        self.num_written = self.window.len();
        Ok(text)
    }

    /// Returns what still waits, an incomplete character as replacement characters.
    pub fn finish(mut self) -> Result<String> {
        let text = self.waiting_text()?;
        self.window.clear();
        Ok(text)
    }

    /// The text that the waiting ids add to the written ones.
    fn waiting_text(&self) -> Result<String> {
        let (written, waiting) = self.window.split_at(self.num_written);
        let before = self.tokenizer.decode(written)?;
        let whole = self.tokenizer.decode(&self.window)?;
        match whole.strip_prefix(&before) {
            Some(added) => Ok(added.to_string()),
            // Broken bytes can spoil the whole characters before them; those are out already.
            None => self.tokenizer.decode(waiting),
        }
    }
}
