//! The objects of a JSON file one by one: a list of objects, or one object a line. Memory holds one object.

use std::io::{BufRead, Read};

/// The most bytes of one object. Larger ones (many inlined pictures) are passed over by name.
pub(crate) const MAX_ITEM_BYTES: usize = 64 << 20;

/// What stands at one place of the file.
#[derive(Debug)]
pub(crate) enum Item {
    /// An object, or whatever JSON stands there.
    Value(serde_json::Value),
    /// Something that is not JSON, or too large, and why. The next item may be sound.
    Bad(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `[ {...}, {...} ]`
    List,
    /// One object a line.
    Lines,
}

/// Iterates over the items of a file.
pub(crate) struct Items<R: BufRead> {
    reader: R,
    shape: Option<Shape>,
    is_over: bool,
}

impl<R: BufRead> Items<R> {
    /// Items of `reader`; the first character that is not white space tells the shape.
    pub(crate) fn new(reader: R) -> Items<R> {
        Items { reader, shape: None, is_over: false }
    }

    /// The next byte without taking it.
    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    fn skip_while(&mut self, unwanted: impl Fn(u8) -> bool) -> std::io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !unwanted(byte) {
                return Ok(Some(byte));
            }
            self.reader.consume(1);
        }
        Ok(None)
    }

    fn begin(&mut self) -> std::io::Result<Shape> {
        // A byte order mark is written by some editors.
        let first = self.skip_while(|byte| byte.is_ascii_whitespace() || [0xef, 0xbb, 0xbf].contains(&byte))?;
        if first != Some(b'[') {
            return Ok(Shape::Lines);
        }
        self.reader.consume(1);
        Ok(Shape::List)
    }

    fn next_line(&mut self) -> std::io::Result<Option<Item>> {
        if self.skip_while(|byte| byte.is_ascii_whitespace())?.is_none() {
            return Ok(None);
        }
        let mut line = Vec::new();
        (&mut self.reader).take(MAX_ITEM_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
        if line.len() > MAX_ITEM_BYTES {
            self.skip_while(|byte| byte != b'\n')?;
            return Ok(Some(too_large()));
        }
        Ok(Some(parse(&line)))
    }

    fn next_element(&mut self) -> std::io::Result<Option<Item>> {
        match self.skip_while(|byte| byte.is_ascii_whitespace() || byte == b',')? {
            None => {
                self.is_over = true;
                Ok(Some(Item::Bad("the file ends before the list does: it is cut off".to_string())))
            }
            Some(b']') => Ok(None),
            Some(_) => self.element().map(Some),
        }
    }

    /// Takes the bytes of one element: up to a comma or bracket outside of its own braces and strings.
    fn element(&mut self) -> std::io::Result<Item> {
        let (mut bytes, mut depth, mut in_string, mut is_escaped, mut is_large) =
            (Vec::new(), 0_usize, false, false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                self.is_over = true;
                return Ok(Item::Bad("the file ends inside an object: it is cut off".to_string()));
            }
            let mut taken = 0;
            let mut is_complete = false;
            for byte in buffer {
                if in_string {
                    match byte {
                        _ if is_escaped => is_escaped = false,
                        b'\\' => is_escaped = true,
                        b'"' => in_string = false,
                        _ => {}
                    }
                } else {
                    match byte {
                        b',' | b']' | b'}' if depth == 0 => {
                            is_complete = true;
                            break;
                        }
                        b'"' => in_string = true,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                }
                taken += 1;
            }
            is_large |= bytes.len() + taken > MAX_ITEM_BYTES;
            if !is_large {
                bytes.extend_from_slice(&buffer[..taken]);
            }
            // A closing brace that nothing opened belongs to this item, which is defective by it.
            let stray = is_complete && buffer.get(taken) == Some(&b'}');
            self.reader.consume(taken + usize::from(stray));
            if is_complete {
                return Ok(match (is_large, stray) {
                    (true, _) => too_large(),
                    (_, true) => Item::Bad("not JSON: a closing brace that nothing opened".to_string()),
                    _ => parse(&bytes),
                });
            }
        }
    }
}

fn too_large() -> Item {
    Item::Bad(format!("the object has more than {} MiB", MAX_ITEM_BYTES >> 20))
}

fn parse(bytes: &[u8]) -> Item {
    match serde_json::from_slice(bytes) {
        Ok(value) => Item::Value(value),
        Err(error) => Item::Bad(format!("not JSON: {error}")),
    }
}

impl<R: BufRead> Iterator for Items<R> {
    type Item = std::io::Result<Item>;

    fn next(&mut self) -> Option<std::io::Result<Item>> {
        if self.is_over {
            return None;
        }
        let next = match self.shape {
            Some(shape) => Ok(shape),
            None => self.begin(),
        };
        let next = next.and_then(|shape| {
            self.shape = Some(shape);
            match shape {
                Shape::List => self.next_element(),
                Shape::Lines => self.next_line(),
            }
        });
        match next {
            Ok(Some(item)) => Some(Ok(item)),
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(error) => {
                self.is_over = true;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Items as text; `!` for a bad one. A small buffer: strings and braces fall on its borders.
    fn read(text: &str) -> Vec<String> {
        let items = Items::new(BufReader::with_capacity(3, text.as_bytes()));
        let show = |item: std::io::Result<Item>| match item.unwrap() {
            Item::Value(value) => value.to_string(),
            Item::Bad(_) => "!".to_string(),
        };
        items.map(show).collect()
    }

    #[test]
    fn lists_and_lines_give_the_same_objects() {
        let expected = [r#"{"a":"]},\"{"}"#, r#"{"b":[1,{"c":2}]}"#];
        assert_eq!(read(r#" [ {"a": "]},\"{"}, {"b": [1, {"c": 2}]} ] "#), expected);
        assert_eq!(read("\u{feff}{\"a\": \"]},\\\"{\"}\n\n{\"b\": [1, {\"c\": 2}]}"), expected);
        assert!(read("").is_empty() && read("[]").is_empty());
    }

    #[test]
    fn a_bad_item_does_not_take_the_next_one_with_it() {
        assert_eq!(read("{\"a\":1}\n{nonsense\n{\"b\":2}\n"), [r#"{"a":1}"#, "!", r#"{"b":2}"#]);
        assert_eq!(read(r#"[{"a":1}, {x}, 7, {"b":2}]"#), [r#"{"a":1}"#, "!", "7", r#"{"b":2}"#]);
        assert_eq!(read(r#"[{"a":1}}, {"b":2}]"#), ["!", r#"{"b":2}"#]);
    }

    #[test]
    fn a_file_that_is_cut_off_says_so_once() {
        assert_eq!(read(r#"[{"a":1}, {"b"#), [r#"{"a":1}"#, "!"]);
        assert_eq!(read(r#"[{"a":1},"#), [r#"{"a":1}"#, "!"]);
    }
}
