//! The rules of the style page as tests: each names the files that break it.

mod arrows;
mod documents;
mod sources;

use gmai_tidy::Workspace;

/// Fails with every broken rule at once, one a line.
fn assert_none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

/// Every file's lines that `hits` finds, as `file:line: text`, but for files that `allowed` names.
fn lines_with(
    sources: &[(String, gmai_tidy::Source)],
    hits: impl Fn(&gmai_tidy::Source) -> Vec<gmai_tidy::source::Hit>,
    allowed: impl Fn(&str) -> bool,
) -> Vec<String> {
    let outside = sources.iter().filter(|(name, _)| !allowed(name));
    outside
        .flat_map(|(name, source)| {
            hits(source).into_iter().map(move |hit| format!("{name}:{}: {}", hit.line, hit.text))
        })
        .collect()
}

fn workspace() -> Workspace {
    Workspace::open()
}
