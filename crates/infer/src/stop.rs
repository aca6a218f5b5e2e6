//! Stop texts: a reply ends where one of them would begin, and nothing of it is ever shown.

/// Holds back what may be the beginning of a stop text.
#[derive(Debug, Clone)]
pub struct StopFilter {
    stops: Vec<String>,
    waiting: String,
}

/// What a filter lets out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// Text that belongs to the reply; more may follow.
    Text(String),
    /// The last text of the reply: a stop text follows.
    End(String),
}

impl StopFilter {
    /// A filter for these texts; empty ones are ignored.
    pub fn new(stops: &[String]) -> StopFilter {
        StopFilter { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), waiting: String::new() }
    }

    /// Takes the next piece of the reply.
    pub fn push(&mut self, text: &str) -> Released {
        self.waiting.push_str(text);
        let first = self.stops.iter().filter_map(|stop| self.waiting.find(stop.as_str())).min();
        if let Some(at) = first {
            let before = self.waiting[..at].to_owned();
            self.waiting.clear();
            return Released::End(before);
        }
        let safe = self.waiting.len() - self.longest_beginning();
        let rest = self.waiting.split_off(safe);
        Released::Text(std::mem::replace(&mut self.waiting, rest))
    }

    /// What still waits at the end of a reply: it was no stop text after all.
    pub fn finish(self) -> String {
        self.waiting
    }

    /// Bytes at the end of the waiting text that a stop text may begin with.
    fn longest_beginning(&self) -> usize {
        let waits = |stop: &String| {
            let ends = stop.char_indices().map(|(index, _)| index).rev();
            ends.into_iter().find(|&length| self.waiting.ends_with(&stop[..length])).unwrap_or(0)
        };
        self.stops.iter().map(waits).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of a text that comes in pieces, each piece as it is let out.
    fn shown(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut filter = StopFilter::new(&stops);
        let mut out = Vec::new();
        for piece in pieces {
            match filter.push(piece) {
                Released::Text(text) => out.push(text),
                Released::End(text) => {
                    out.push(text);
                    return (out, true);
                }
            }
        }
        out.push(filter.finish());
        (out, false)
    }

    #[test]
    fn nothing_of_a_stop_text_is_shown_however_it_is_cut() {
        let text = "it is clear.\nUser: and now?";
        for width in 1..text.len() {
            let pieces: Vec<&str> =
                text.as_bytes().chunks(width).map(|chunk| std::str::from_utf8(chunk).unwrap_or_default()).collect();
            let (out, ended) = shown(&["\nUser:"], &pieces);
            assert!(ended);
            assert_eq!(out.concat(), "it is clear.", "pieces of {width}");
        }
    }

    #[test]
    fn a_beginning_that_comes_to_nothing_is_shown_later() {
        let (out, ended) = shown(&["END"], &["the E", "N", "T", " clinic", " EN"]);
        assert!(!ended);
        assert_eq!(out, ["the ", "", "ENT", " clinic", " ", "EN"].map(String::from));
    }

    #[test]
    fn the_first_of_several_counts_and_multi_byte_texts_are_whole() {
        let (out, _) = shown(&["。", "结束"], &["肺部", "清晰", "结", "果结束。"]);
        assert_eq!(out.concat(), "肺部清晰结果");
        let (out, ended) = shown(&[""], &["all"]);
        assert_eq!((out.concat().as_str(), ended), ("all", false));
    }
}
