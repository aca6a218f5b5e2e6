//! The file map of ARCHITECTURE.md, read back.

use std::collections::BTreeMap;

/// Crates and files as the map lists them.
///
/// The map is the fenced block under the heading `## File map`: a crate is a line of two spaces and `name/`; the words of the
/// lines below it that are indented by four spaces and end in `.rs` or `.html` are files of its `src` folder.
#[derive(Debug, PartialEq, Eq)]
pub struct FileMap {
    /// File names below `src`, by crate.
    pub files: BTreeMap<String, Vec<String>>,
}

impl FileMap {
    /// Reads the map out of the document; `None` when the heading or its block is missing.
    pub fn read(document: &str) -> Option<FileMap> {
        let section = document.split("\n## File map").nth(1)?;
        let block = section.split("```").nth(1)?;
        let mut files = BTreeMap::<String, Vec<String>>::new();
        let mut current = None;
        for line in block.lines() {
            let indent = line.len() - line.trim_start().len();
            let mut words = line.split_whitespace();
            match (indent, &current) {
                (2, _) => {
                    let name = words.next().and_then(|word| word.strip_suffix('/'))?.to_string();
                    files.entry(name.clone()).or_default();
                    current = Some(name);
                }
                (4.., Some(name)) => {
                    let listed = words.filter(|word| word.ends_with(".rs") || word.ends_with(".html"));
                    files.entry(name.clone()).or_default().extend(listed.map(str::to_string));
                }
                _ => {}
            }
        }
        Some(FileMap { files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_read_by_indentation() {
        let document = "# A\n\n## File map\n```text\ncrates/\n  one/   first\n    a.rs  what a is; see b\n    inner/b.rs\n  two/\n```\n";
        let map = FileMap::read(document).expect("has a map");
        assert_eq!(map.files["one"], ["a.rs", "inner/b.rs"]);
        assert!(map.files["two"].is_empty());
        assert_eq!(FileMap::read("# A\n"), None);
    }
}
