//! Names of entries: which of them are paths below a folder, on every system.

/// Longest name of one file or folder, in bytes.
const MAX_PART_BYTES: usize = 255;
/// Folders within each other.
const MAX_DEPTH: usize = 64;
/// Longest path, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 4096;

/// The parts of a relative path, none of them special; empty for the folder itself. The error says what is wrong.
///
/// Both slashes separate parts: archives made on Windows have the other one. Bytes that are not UTF-8 (old zip files have
/// names in code pages) become `%` and two hex digits.
pub(crate) fn parts(name: &[u8]) -> Result<Vec<String>, &'static str> {
    if name.len() > MAX_NAME_BYTES {
        return Err("the name is too long");
    }
    if name.starts_with(b"/") || name.starts_with(b"\\") || name.get(1) == Some(&b':') {
        return Err("the name is an absolute path");
    }
    let mut parts = Vec::new();
    for part in name.split(|byte| matches!(byte, b'/' | b'\\')) {
        match part {
            b"" | b"." => continue,
            b".." => return Err("the name leads out of the folder"),
            _ => {}
        }
        if part.iter().any(|byte| byte.is_ascii_control()) {
            return Err("the name holds control characters");
        }
        let part = readable(part);
        if part.len() > MAX_PART_BYTES {
            return Err("the name is too long");
        }
        parts.push(part);
    }
    if parts.len() > MAX_DEPTH {
        return Err("the folders are nested too deeply");
    }
    Ok(parts)
}

/// Any bytes as text.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_folder_pass() {
        assert_eq!(parts(b"./a//b.png"), Ok(vec!["a".to_string(), "b.png".to_string()]));
        assert_eq!(parts(b"a\\b"), Ok(vec!["a".to_string(), "b".to_string()]));
        assert_eq!(parts(b"a/...b"), Ok(vec!["a".to_string(), "...b".to_string()]));
        assert_eq!(parts(b"./"), Ok(vec![]));
        for bad in ["/etc/x", "\\x", "C:\\x", "c:x", "..", "a/../../b", "a\\..\\..\\b", "a\0b", "a\nb"] {
            assert!(parts(bad.as_bytes()).is_err(), "{bad:?} passed");
        }
        assert!(parts("x".repeat(256).as_bytes()).is_err());
        assert!(parts("x/".repeat(65).as_bytes()).is_err());
    }

    #[test]
    fn names_in_code_pages_stay_apart() {
        assert_eq!(parts(b"R\x94ntgen"), Ok(vec!["R%94ntgen".to_string()]));
        assert_eq!(parts("Röntgen".as_bytes()), Ok(vec!["Röntgen".to_string()]));
    }
}
