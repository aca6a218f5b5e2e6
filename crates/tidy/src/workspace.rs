//! The repository on disk: its crates, their manifests and its files.

use crate::source::Source;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold what is made, not what is written. They stand in `.gitignore`.
const MADE_FOLDERS: [&str; 4] = ["target", ".git", "out", "runs"];

/// The repository that this crate was compiled in.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    files: Vec<PathBuf>,
}

/// What one crate's `Cargo.toml` says.
#[derive(Debug)]
pub struct Manifest {
    /// Folder name below `crates/`, which is also the package name without its prefix.
    pub name: String,
    /// The whole document.
    pub table: toml::Table,
}

impl Manifest {
    /// Names under `[dependencies]` and `[build-dependencies]`, and under those of any target: what the crate is built from.
    pub fn dependencies(&self) -> Vec<String> {
        let mut names = self.names_in("dependencies");
        names.extend(self.names_in("build-dependencies"));
        names
    }

    /// Names under `[dev-dependencies]`: what its tests and examples may use besides.
    pub fn test_dependencies(&self) -> Vec<String> {
        self.names_in("dev-dependencies")
    }

    /// Every dependency of any kind with its entry.
    pub fn entries(&self) -> BTreeMap<String, toml::Value> {
        let mut entries = BTreeMap::new();
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for table in self.tables(kind) {
                entries.extend(table.iter().map(|(name, entry)| (name.clone(), entry.clone())));
            }
        }
        entries
    }

    fn names_in(&self, kind: &str) -> Vec<String> {
        self.tables(kind).into_iter().flat_map(|table| table.keys().cloned()).collect()
    }

    fn tables(&self, kind: &str) -> Vec<&toml::Table> {
        let own = self.table.get(kind).and_then(toml::Value::as_table);
        let targets = self.table.get("target").and_then(toml::Value::as_table);
        let of_targets = targets.into_iter().flat_map(|targets| targets.values());
        own.into_iter().chain(of_targets.filter_map(|target| target.get(kind)?.as_table())).collect()
    }
}

impl Workspace {
    /// Reads the list of files. Panics when the repository cannot be read, for then no rule can be checked.
    pub fn open() -> Workspace {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("two folders above is the root");
        let mut files = Vec::new();
        list(&root, &mut files);
        files.sort();
        Workspace { root, files }
    }

    /// The repository's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every file of the repository, sorted.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// `path` below the root, with `/` between its parts, as messages show it.
    pub fn name(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    }

    /// Text of a file given by its name below the root; `None` when there is none.
    pub fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join(name)).ok()
    }

    /// The manifest of each folder in `crates/`, sorted by name.
    pub fn manifests(&self) -> Vec<Manifest> {
        let in_crates = |path: &&PathBuf| {
            let name = self.name(path);
            name.starts_with("crates/") && name.ends_with("/Cargo.toml") && name.matches('/').count() == 2
        };
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path).expect("listed file is readable");
            let table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let folder = path.parent().and_then(Path::file_name).expect("a manifest lies in a folder");
            Manifest { name: folder.to_string_lossy().into_owned(), table }
        };
        self.files.iter().filter(in_crates).map(read).collect()
    }

    /// Every Rust file of the repository with its name.
    pub fn sources(&self) -> Vec<(String, Source)> {
        let rust = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "rs");
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (self.name(path), Source::new(text))
        };
        self.files.iter().filter(rust).map(read).collect()
    }

    /// The sources that are built into crates: those in a `src` folder, but for test modules in files of their own.
    pub fn built_sources(&self) -> Vec<(String, Source)> {
        let is_built = |name: &str| name.contains("/src/") && !name.ends_with("/tests.rs");
        self.sources().into_iter().filter(|(name, _)| is_built(name)).collect()
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("folder entry is readable");
        let kind = entry.file_type().expect("file type is known");
        if kind.is_file() {
            files.push(entry.path());
        } else if kind.is_dir() && !MADE_FOLDERS.contains(&entry.file_name().to_string_lossy().as_ref()) {
            list(&entry.path(), files);
        }
    }
}
