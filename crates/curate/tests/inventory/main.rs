//! `gmai inventory` through the crate's public interface: what it says of folders, and that its drafts can be curated as they are.
#![allow(clippy::unwrap_used)]

mod made_up;
mod real;

use gmai_curate::inventory::{Inventory, Options, inventory};
use gmai_curate::{Job, run};
use gmai_imaging::Decoder;
use gmai_schema::{Form, Split};
use gmai_shard::{Manifest, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Looks through a folder with the usual options.
fn look(folder: &Path) -> Inventory {
    inventory(folder, &Decoder::default(), Options::default(), &mut |_| {}).unwrap()
}

/// Curates the draft as it is, and gives the manifest with the forms of each source.
fn curate(found: &Inventory, out: &Path) -> Result<(Manifest, BTreeMap<String, BTreeSet<Form>>), String> {
    let job = Job {
        config_path: out.join("draft.toml"),
        config_text: found.draft_config.clone(),
        variables: BTreeMap::new(),
        out: out.join("dataset"),
        decoder: Decoder::default(),
    };
    let summary = run(&job, &mut |_| {}).map_err(|error| error.to_string())?;
    let mut forms: BTreeMap<String, BTreeSet<Form>> = BTreeMap::new();
    let reader = Reader::open(&job.out).unwrap();
    for sample in Split::ALL.into_iter().flat_map(|split| reader.samples(split)) {
        let conversation = sample.unwrap().conversation;
        forms.entry(conversation.source.clone()).or_default().insert(conversation.form);
    }
    Ok((summary.manifest, forms))
}
