//! Names of files that come from outside: never out of the folder they are counted from.

use std::path::{Component, Path, PathBuf};

/// The path below `root` that `name` means; the reason when it leaves `root` or cannot be there.
///
/// Checked twice: the name itself (no absolute paths, no `..`, no drive letters), then the file that it leads to, since a link may point elsewhere.
pub(crate) fn below(root: &Path, name: &str) -> Result<PathBuf, String> {
    let relative = plain(name)?;
    let path = root.join(relative);
    let found = path.canonicalize().map_err(|error| format!("`{name}`: {error}"))?;
    let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
    match found.starts_with(&root) {
        true => Ok(found),
        false => Err(format!("`{name}` leads out of the folder")),
    }
}

/// `name` as a relative path of plain parts; the reason when it is something else.
pub(crate) fn plain(name: &str) -> Result<PathBuf, String> {
    let refused = |why: &str| Err(format!("`{name}` {why}; name a file below the folder of pictures"));
    if name.trim().is_empty() {
        return refused("is empty");
    }
    if name.contains('\0') || name.contains('\\') || name.as_bytes().get(1) == Some(&b':') {
        return refused("is not a relative path with `/` between its parts");
    }
    let path = Path::new(name);
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return refused("leads out of the folder");
            }
        }
    }
    if plain.as_os_str().is_empty() { refused("is empty") } else { Ok(plain) }
}

/// Letters, digits, `.`, `_` and `-` of a name, everything else as `_`: a part of a path on every system.
pub(crate) fn part(name: &str) -> String {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
    let text: String = name.chars().map(safe).collect();
    match text.trim_matches('.') {
        "" => "_".to_string(),
        trimmed => trimmed.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in
            ["../x.png", "a/../../x.png", "/etc/passwd", "C:\\x.png", "C:/x.png", "a\\..\\x", "", " ", ".", "a\0b"]
        {
            assert!(plain(name).is_err(), "{name:?}");
        }
        assert_eq!(plain("./images//a.png").unwrap(), Path::new("images/a.png"));
    }

    #[test]
    #[cfg(unix)]
    fn links_that_leave_the_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside.png"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(&outside, b"x").unwrap();
        std::fs::write(root.join("inside.png"), b"x").unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link.png")).unwrap();
        assert!(below(&root, "inside.png").is_ok());
        assert!(below(&root, "link.png").unwrap_err().contains("leads out"));
        assert!(below(&root, "missing.png").is_err());
    }

    #[test]
    fn parts_are_safe_on_every_system() {
        assert_eq!(part("NIH chest/x-ray.14"), "NIH_chest_x-ray.14");
        assert_eq!((part(".."), part("乳腺")), ("_".to_string(), "__".to_string()));
    }
}
