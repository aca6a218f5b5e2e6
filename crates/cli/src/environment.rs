//! Every environment variable that gmai reads. No other crate reads any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folder of real medical data for recipes and tests.
pub const SHARED: &str = "GMAI_SHARED";

/// Where the shared data lies: the folder that `GMAI_SHARED` names, or `../shared` where that exists.
pub fn shared_folder() -> Option<PathBuf> {
    let named = std::env::var_os(SHARED).filter(|value| !value.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from("../shared")).filter(|folder| folder.join("data").is_dir()))
}

/// The value of a variable that a config names, e.g. the one that holds an endpoint's key.
pub fn named(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// What `${NAME}` stands for in configs: every variable whose value is text, and `GMAI_SHARED` even where only `../shared` exists.
pub fn variables() -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // Absolute: a path in a config counts from the config's folder.
    if let Some(folder) = shared_folder().and_then(|folder| Path::new(&folder).canonicalize().ok()) {
        variables.insert(SHARED.to_string(), folder.to_string_lossy().into_owned());
    }
    variables
}
