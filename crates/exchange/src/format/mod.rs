//! The formats, and what each must do: take rows, and give rows back.

pub(crate) mod gmai_vl;
pub(crate) mod list;
pub(crate) mod llava;
pub(crate) mod messages;
pub(crate) mod share_gpt;
pub(crate) mod web_dataset;

use crate::companion::ExportedFile;
use crate::receiver::Receiver;
use crate::{ExportOptions, ImportOptions, Result};
use gmai_schema::{Conversation, Split};
use gmai_shard::{EncodedImage, Manifest};
use std::path::Path;

/// A form in which others keep image-text pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// LLaVA: a JSON list of `{id, image, conversations}` per split, pictures in `images/`.
    LlavaJson,
    /// The same, one object a line.
    LlavaJsonl,
    /// ShareGPT as LLaMA-Factory reads it, with `dataset_info.json`.
    ShareGpt,
    /// OpenAI chat `messages`, one object a line.
    Messages,
    /// Numbered tar files; the files of a sample share their base name.
    WebDataset,
    /// The layout in which GMAI-VL-5.5M was published: `annotations/*.jsonl`, pictures in `zips/images_chunk_001.zip` and on.
    GmaiVl,
    /// A list file with `sample_ratio` over LLaVA files, one per source and split, and the same list with InternVL's keys.
    List,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 7] = [
        Format::LlavaJson,
        Format::LlavaJsonl,
        Format::ShareGpt,
        Format::Messages,
        Format::WebDataset,
        Format::GmaiVl,
        Format::List,
    ];

    /// The name on the command line and in `gmai_export.json`.
    pub fn key(self) -> &'static str {
        match self {
            Format::LlavaJson => "llava",
            Format::LlavaJsonl => "llava-jsonl",
            Format::ShareGpt => "sharegpt",
            Format::Messages => "openai",
            Format::WebDataset => "webdataset",
            Format::GmaiVl => "gmai-vl",
            Format::List => "list",
        }
    }
}

/// A row on its way out.
pub(crate) struct Row<'a> {
    pub(crate) conversation: &'a Conversation,
    pub(crate) images: &'a [EncodedImage],
    /// Text of the side field.
    pub(crate) side: String,
}

/// Takes the rows of a dataset and writes a format. Rows come split by split.
pub(crate) trait Sink {
    /// Takes one row.
    fn push(&mut self, row: &Row) -> Result<()>;

    /// Closes everything; the files with text in the order in which they are to be read back.
    fn finish(self: Box<Self>) -> Result<Vec<ExportedFile>>;
}

/// The sink of a format that writes into `folder`.
pub(crate) fn sink(format: Format, folder: &Path, manifest: &Manifest, options: &ExportOptions) -> Box<dyn Sink> {
    match format {
        Format::LlavaJson => Box::new(llava::LlavaSink::new(folder, crate::item_file::Layout::List)),
        Format::LlavaJsonl => Box::new(llava::LlavaSink::new(folder, crate::item_file::Layout::Lines)),
        Format::ShareGpt => Box::new(share_gpt::ShareGptSink::new(folder, &manifest.name)),
        Format::Messages => Box::new(messages::MessagesSink::new(folder, options.pictures)),
        Format::WebDataset => Box::new(web_dataset::WebDatasetSink::new(folder, options.samples_per_shard)),
        Format::GmaiVl => Box::new(gmai_vl::GmaiVlSink::new(folder, manifest, options)),
        Format::List => Box::new(list::ListSink::new(folder, &options.sample_ratios)),
    }
}

/// Gives every row of `source` to `receiver`.
pub(crate) fn read(format: Format, source: &Path, options: &ImportOptions, receiver: &mut Receiver) -> Result<()> {
    match format {
        Format::LlavaJson | Format::LlavaJsonl => llava::read(source, receiver),
        Format::ShareGpt => share_gpt::read(source, receiver),
        Format::Messages => messages::read(source, receiver),
        Format::WebDataset => web_dataset::read(source, receiver),
        Format::GmaiVl => gmai_vl::read(source, receiver),
        Format::List => list::read(source, options.ratios, receiver),
    }
}

/// The split that a file's name states: its first part that is the name of one; `None` otherwise.
pub(crate) fn split_of_name(file: &str) -> Option<Split> {
    let stem = file.rsplit('/').next().unwrap_or(file).to_lowercase();
    stem.split(|letter: char| !letter.is_ascii_alphabetic()).find_map(|word| match word {
        "train" | "training" => Some(Split::Train),
        "validation" | "valid" | "val" | "dev" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_read_from_whole_words_of_file_names() {
        assert_eq!(split_of_name("a/train-00001.jsonl"), Some(Split::Train));
        assert_eq!(split_of_name("slake_val.json"), Some(Split::Validation));
        assert_eq!(split_of_name("BUSI.test.jsonl"), Some(Split::Test));
        assert_eq!(split_of_name("test/constraints-2024.json"), None, "folders and parts of words say nothing");
    }
}
