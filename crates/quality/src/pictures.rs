//! The pictures of a dataset folder or of a plain folder, each with its fingerprint and what is known of it.

use crate::fingerprint::Fingerprint;
use crate::flags::{Flag, Shows, flags};
use crate::{Error, Result};
use gmai_imaging::{FileKind, Limits};
use gmai_schema::{Conversation, Department, Modality, Progress, Rgb8, Split};
use gmai_shard::{EncodedImage, Reader};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Pictures decoded between two reports of progress. Bounds memory.
const PICTURES_PER_STEP: usize = 64;

/// A picture with what is needed to judge it: about 1.5 KiB, whatever its size.
#[derive(Debug, Clone)]
pub struct Pictured {
    /// Path in a folder, or key in a dataset.
    pub name: String,
    /// Where it came from: the file that a dataset's picture was made of; the name otherwise.
    pub origin: String,
    /// Source in a dataset, parent folder elsewhere.
    pub group: String,
    /// What it is labelled as, by attribute; in a plain folder, the name of its parent folder under the key `folder`,
    /// unless that names a split.
    pub labels: BTreeMap<String, Vec<String>>,
    /// Side of the split; in a plain folder, where a folder's name says so.
    pub split: Option<Split>,
    /// Pseudonym of the patient.
    pub patient: Option<String>,
    /// Whether it is compared by its look: neighbouring slices of one volume look alike without being copies.
    pub by_look: bool,
    /// What it is compared by.
    pub print: Fingerprint,
    /// SHA-256 of the picture's bytes and of the file that it was made of.
    pub hashes: Vec<String>,
    /// What is odd about it.
    pub flags: Vec<Flag>,
}

/// A picture that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Path or key.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// All pictures of a place.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    /// The pictures, in a fixed order.
    pub pictures: Vec<Pictured>,
    /// Those that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// Whether a row's picture shows a chest X-ray, as far as the row says.
fn shows(conversation: &Conversation) -> Shows {
    let is_chest = conversation.department == Department::PulmonaryMedicine
        || conversation.labels.iter().any(|label| label.value.en == "chest");
    match conversation.modality == Some(Modality::XRay) && is_chest {
        true => Shows::ChestXRay,
        false => Shows::Anything,
    }
}

/// Every different picture of a dataset, as its first row has it.
///
/// # Errors
/// A damaged dataset. A picture that cannot be decoded is listed.
pub fn of_dataset(reader: &Reader, on_progress: &mut dyn FnMut(Progress)) -> Result<Collection> {
    let mut collection = Collection::default();
    let mut places: HashMap<(Split, String), ()> = HashMap::new();
    let total = Split::ALL.iter().map(|split| reader.manifest().num_rows(*split)).sum();
    let mut rows = 0;
    for split in Split::ALL {
        let mut waiting: Vec<(Conversation, EncodedImage)> = Vec::new();
        for sample in reader.samples(split) {
            let sample = sample?;
            rows += 1;
            for image in sample.images {
                // A picture that lies in two splits is looked at in both: that is what is to be found.
                if places.insert((split, image.path.clone()), ()).is_none() {
                    waiting.push((sample.conversation.clone(), image));
                }
            }
            if waiting.len() >= PICTURES_PER_STEP || rows == total {
                read_rows(&mut waiting, &mut collection);
                let note = format!("{} pictures", collection.pictures.len());
                on_progress(Progress { phase: "look at pictures".to_string(), done: rows, total, note });
            }
        }
        read_rows(&mut waiting, &mut collection);
    }
    Ok(collection)
}

fn read_rows(waiting: &mut Vec<(Conversation, EncodedImage)>, collection: &mut Collection) {
    let read: Vec<_> = waiting.par_iter().map(|(conversation, image)| read_row(conversation, image)).collect();
    for result in read {
        match result {
            Ok(pictured) => collection.pictures.push(pictured),
            Err(unreadable) => collection.unreadable.push(unreadable),
        }
    }
    waiting.clear();
}

fn read_row(conversation: &Conversation, image: &EncodedImage) -> std::result::Result<Pictured, Unreadable> {
    let refused = |error: gmai_shard::Error| Unreadable { name: image.path.clone(), reason: error.to_string() };
    let picture = image.decode().map_err(refused)?;
    let print = Fingerprint::of(&picture);
    let flags = flags(&picture, &print, shows(conversation));
    let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for label in &conversation.labels {
        labels.entry(label.attribute.clone()).or_default().push(label.value.en.clone());
    }
    labels.values_mut().for_each(|values| values.sort());
    let stored = image.path.split('.').next().unwrap_or_default().to_string();
    Ok(Pictured {
        name: image.path.clone(),
        origin: conversation.provenance.file.clone(),
        group: conversation.source.clone(),
        labels,
        split: Some(conversation.split),
        patient: Some(conversation.patient.clone()),
        by_look: conversation.provenance.slice.is_none(),
        print,
        hashes: vec![stored, conversation.provenance.file_sha256.clone()],
        flags,
    })
}

/// The split that a folder's name states.
fn split_of_folder(name: &str) -> Option<Split> {
    let words = name.to_lowercase();
    let mut words = words.split(|letter: char| !letter.is_ascii_alphabetic());
    words.find_map(|word| match word {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    })
}

/// Picture files below a folder, in order of their names.
pub(crate) fn picture_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|error| Error::io(folder)(error.into()))?;
        let is_picture = |kind: FileKind| !matches!(kind, FileKind::Nifti | FileKind::Dicom);
        if entry.file_type().is_file() && gmai_imaging::sniff(entry.path()).ok().flatten().is_some_and(is_picture) {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Every picture file below a folder. The parent folder stands for the label, folders called train, val or test for the split.
///
/// # Errors
/// A folder that cannot be listed or holds no picture. A file that cannot be decoded is listed.
pub fn of_folder(folder: &Path, on_progress: &mut dyn FnMut(Progress)) -> Result<Collection> {
    let files = picture_files(folder)?;
    if files.is_empty() {
        return Err(Error::NoPictures { path: folder.to_path_buf() });
    }
    let limits = Limits::default();
    let mut collection = Collection::default();
    let total = files.len() as u64;
    for chunk in files.chunks(PICTURES_PER_STEP) {
        let read: Vec<_> = chunk.par_iter().map(|path| read_file(folder, path, &limits)).collect();
        for result in read {
            match result {
                Ok(pictured) => collection.pictures.push(pictured),
                Err(unreadable) => collection.unreadable.push(unreadable),
            }
        }
        let done = (collection.pictures.len() + collection.unreadable.len()) as u64;
        on_progress(Progress { phase: format!("look at {}", folder.display()), done, total, note: String::new() });
    }
    Ok(collection)
}

fn read_file(folder: &Path, path: &Path, limits: &Limits) -> std::result::Result<Pictured, Unreadable> {
    let relative = path.strip_prefix(folder).unwrap_or(path);
    let name = relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
    let refused = |error: gmai_imaging::Error| Unreadable { name: name.clone(), reason: error.to_string() };
    let picture: Rgb8 = gmai_imaging::display(path, None, limits).map_err(refused)?;
    let print = Fingerprint::of(&picture);
    let flags = flags(&picture, &print, Shows::Anything);
    let parts: Vec<&str> = name.split('/').collect();
    let folders = &parts[..parts.len() - 1];
    let group = folders.join("/");
    // A folder that names a split says nothing about what its pictures show.
    let label = folders.last().filter(|folder| split_of_folder(folder).is_none());
    let label = label.map(|folder| ("folder".to_string(), vec![(*folder).to_string()]));
    Ok(Pictured {
        origin: name.clone(),
        group,
        labels: label.into_iter().collect(),
        split: folders.iter().find_map(|folder| split_of_folder(folder)),
        patient: None,
        by_look: true,
        print,
        hashes: vec![gmai_imaging::sha256_file(path).map_err(refused)?],
        flags,
        name,
    })
}
