//! One Rust file, with the parts a rule must not see blanked out. Line numbers stay as they are.

/// A Rust source in three readings.
#[derive(Debug)]
pub struct Source {
    text: String,
    code: String,
    built: String,
}

/// A line of a source that a rule points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Counted from 1.
    pub line: usize,
    /// The line as written.
    pub text: String,
}

/// What is blanked out of a reading.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blank {
    Comments,
    CommentsAndQuotes,
}

impl Source {
    /// Prepares the readings of a file's text.
    pub fn new(text: String) -> Source {
        let code = blank(&text, Blank::Comments);
        let built = without_tests(&blank(&text, Blank::CommentsAndQuotes));
        Source { text, code, built }
    }

    /// The file as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Number of lines.
    pub fn num_lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Lines whose code, text in quotes included, holds `needle`. Tests count too.
    pub fn hits_in_code(&self, needle: &str) -> Vec<Hit> {
        self.hits(&self.code, needle)
    }

    /// Lines whose code holds `needle` outside of quotes, comments and `#[cfg(test)]` items.
    pub fn hits_in_built(&self, needle: &str) -> Vec<Hit> {
        self.hits(&self.built, needle)
    }

    fn hits(&self, reading: &str, needle: &str) -> Vec<Hit> {
        let lines = reading.lines().zip(self.text.lines()).enumerate();
        lines
            .filter(|(_, (line, _))| line.contains(needle))
            .map(|(index, (_, text))| Hit { line: index + 1, text: text.trim().to_string() })
            .collect()
    }
}

/// Replaces comments (and quoted text) by spaces, keeping every line break.
fn blank(text: &str, what: Blank) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = piece_end(&chars, at);
        let is_comment = chars[at] == '/' && end > at + 1;
        let is_quote = end > at + 1 && !is_comment;
        let hidden = is_comment || (is_quote && what == Blank::CommentsAndQuotes);
        for &letter in &chars[at..end] {
            out.push(if hidden && letter != '\n' { ' ' } else { letter });
        }
        at = end;
    }
    out
}

/// End of the comment or literal that begins at `at`; `at + 1` for anything else.
fn piece_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match (chars[at], next) {
        ('/', Some('/')) => {
            chars[at..].iter().position(|&letter| letter == '\n').map_or(chars.len(), |length| at + length)
        }
        ('/', Some('*')) => block_comment_end(chars, at),
        ('"', _) => quote_end(chars, at, '"'),
        ('r', Some('"' | '#')) if !in_word(chars, at) => raw_text_end(chars, at).unwrap_or(at + 1),
        ('\'', Some('\\')) => quote_end(chars, at, '\''),
        // A lifetime has no second quote two places on.
        ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at + 1,
    }
}

/// Whether `at` continues an identifier; `br"..."` begins a raw text all the same.
fn in_word(chars: &[char], at: usize) -> bool {
    let is_word = |index: usize| chars[index].is_alphanumeric() || chars[index] == '_';
    at > 0 && is_word(at - 1) && !(chars[at - 1] == 'b' && (at == 1 || !is_word(at - 2)))
}

fn quote_end(chars: &[char], at: usize, quote: char) -> usize {
    let mut index = at + 1;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 2,
            letter if letter == quote => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

fn raw_text_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|&&letter| letter == '#').count();
    let body = at + 1 + hashes;
    if chars.get(body) != Some(&'"') {
        return None; // A raw identifier such as `r#type`.
    }
    let closes = |index: &usize| {
        chars[*index] == '"' && chars[*index + 1..].iter().take(hashes).filter(|&&l| l == '#').count() == hashes
    };
    Some((body + 1..chars.len()).find(closes).map_or(chars.len(), |index| index + 1 + hashes))
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut index = at;
    while index + 1 < chars.len() {
        match (chars[index], chars[index + 1]) {
            ('/', '*') => (depth, index) = (depth + 1, index + 2),
            ('*', '/') => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    chars.len()
}

/// Blanks every item that stands under `#[cfg(test)]`; `code` has no comments or quotes any more.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        let end = start + item_end(&rest[start..]);
        out.push_str(&rest[..start]);
        out.extend(rest[start..end].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// End of the item at the start of `code`: its closing brace, or the semicolon when it has no body.
fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (index, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth <= 1 => return index + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(text.to_string())
    }

    #[test]
    fn comments_and_quotes_are_not_built() {
        let file = source("// x.unwrap()\nlet a = \".unwrap()\"; /* .unwrap()\n.unwrap() */\nb.unwrap();\n");
        assert_eq!(file.hits_in_built(".unwrap()"), [Hit { line: 4, text: "b.unwrap();".to_string() }]);
        assert_eq!(file.hits_in_code(".unwrap()").len(), 2);
    }

    #[test]
    fn test_items_are_not_built() {
        let file = source("fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c.unwrap() } }\nfn d() { e.unwrap() }\n");
        assert_eq!(file.hits_in_built(".unwrap()").iter().map(|hit| hit.line).collect::<Vec<_>>(), [4]);
        let outside = source("#[cfg(test)]\nmod tests;\nfn d() { e.unwrap() }\n");
        assert_eq!(outside.hits_in_built(".unwrap()").len(), 1);
    }

    #[test]
    fn raw_texts_letters_and_lifetimes_do_not_confuse_the_reader() {
        let file = source(
            "let a = r#\"\" .unwrap()\"#; let q = '\"'; fn f<'a>(x: &'a str) { y.unwrap() }\nlet z = '\\''; w.unwrap();",
        );
        assert_eq!(file.hits_in_built(".unwrap()").iter().map(|hit| hit.line).collect::<Vec<_>>(), [1, 2]);
        assert!(!file.built.contains("r#"));
    }
}
