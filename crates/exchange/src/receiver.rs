//! Takes rows as formats give them, checks them, and writes those that are sound into a dataset folder.

use crate::facts::{GivenFacts, language_of};
use crate::import::{ImportOptions, Markers};
use crate::incoming::{Defect, Incoming, Picture};
use crate::side::{Side, text_sha256};
use crate::zips::Zips;
use crate::{Error, Result, digest, paths, picture};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Conversation, Department, Form, Modality, Progress, Provenance, Role, Split, Task, Turn};
use gmai_shard::{EncodedImage, Quarantined, Tally, Writer};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rows between two reports of progress.
const ROWS_PER_REPORT: u64 = 100;

/// What became of one source's rows.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) name: String,
    pub(crate) facts: GivenFacts,
    /// Department of its first sound row.
    pub(crate) department: Option<Department>,
    pub(crate) modalities: BTreeSet<Modality>,
    pub(crate) images: Tally,
    pub(crate) rows: Tally,
}

/// The state of an import.
pub(crate) struct Receiver<'a> {
    options: &'a ImportOptions,
    /// Folder that pictures are named from.
    root: PathBuf,
    writer: Writer,
    zips: Zips,
    /// Pictures of the row before: rows of one picture stand together.
    cache: Vec<(String, EncodedImage)>,
    pub(crate) sources: Vec<Received>,
    pub(crate) given: u64,
    pub(crate) used: u64,
    pub(crate) skipped: u64,
    pub(crate) edited: u64,
    pub(crate) quarantined: u64,
    pub(crate) first_reason: Option<String>,
    /// Over ids, texts and pictures of all rows.
    content: Sha256,
    total: u64,
    on_progress: &'a mut dyn FnMut(Progress),
}

/// A row that passed every check.
struct Sound {
    conversation: Conversation,
    images: Vec<EncodedImage>,
    is_edited: bool,
}

/// Why a row is not taken: the row is defective, or the import must end.
enum Refusal {
    Defect(String),
    End(Error),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal::Defect(reason)
    }
}

impl<'a> Receiver<'a> {
    pub(crate) fn new(
        options: &'a ImportOptions,
        root: &Path,
        writer: Writer,
        total: u64,
        on_progress: &'a mut dyn FnMut(Progress),
    ) -> Receiver<'a> {
        Receiver {
            options,
            root: root.to_path_buf(),
            writer,
            zips: Zips::default(),
            cache: Vec::new(),
            sources: Vec::new(),
            given: 0,
            used: 0,
            skipped: 0,
            edited: 0,
            quarantined: 0,
            first_reason: None,
            content: Sha256::new(),
            total,
            on_progress,
        }
    }

    /// Looks for pictures in the zips of `folder`, too.
    pub(crate) fn add_zips(&mut self, folder: &Path) -> Result<()> {
        self.zips = Zips::open(folder)?;
        Ok(())
    }

    /// The writer, the hash over all rows.
    pub(crate) fn finish(self) -> (Writer, String) {
        let hash = self.content.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (self.writer, hash)
    }

    /// Notes something that is left out because it is defective.
    pub(crate) fn defect(&mut self, defect: Defect) -> Result<()> {
        let name = self.options.source.clone();
        self.given += 1;
        let tally = &mut self.source(&name).rows;
        tally.given += 1;
        tally.quarantined += 1;
        self.quarantine(&name, defect)
    }

    fn quarantine(&mut self, source: &str, defect: Defect) -> Result<()> {
        let Defect { file, place, reason, remedy } = defect;
        self.quarantined += 1;
        self.first_reason.get_or_insert_with(|| format!("{file}, {place}: {reason}"));
        self.writer.quarantine(&Quarantined { source: source.to_string(), file, field: place, reason, remedy })?;
        Ok(())
    }

    fn source(&mut self, name: &str) -> &mut Received {
        let index = match self.sources.iter().position(|source| source.name == name) {
            Some(index) => index,
            None => {
                let given = self.options.facts.source.get(name).cloned().unwrap_or_default();
                self.sources.push(Received {
                    name: name.to_string(),
                    facts: given.or(&self.options.defaults),
                    department: None,
                    modalities: BTreeSet::new(),
                    images: Tally::default(),
                    rows: Tally::default(),
                });
                self.sources.len() - 1
            }
        };
        &mut self.sources[index]
    }

    /// Takes one row.
    pub(crate) fn row(&mut self, row: Incoming) -> Result<()> {
        let (file, place) = (row.file.clone(), row.place.clone());
        let num_images = row.images.len() as u64;
        let fallback = row.source.clone().unwrap_or_else(|| self.options.source.clone());
        self.given += 1;
        if self.given.is_multiple_of(ROWS_PER_REPORT) || self.given == self.total {
            let note = format!("{} quarantined", self.quarantined);
            (self.on_progress)(Progress { phase: "import".to_string(), done: self.given, total: self.total, note });
        }
        if row.is_left_out {
            let source = self.source(&fallback);
            source.images.given += num_images;
            source.rows.given += 1;
            let reason = "left out by the list's sample_ratio".to_string();
            *source.images.skipped.entry(reason.clone()).or_default() += num_images;
            *source.rows.skipped.entry(reason).or_default() += 1;
            self.skipped += 1;
            return Ok(());
        }
        match self.sound(row, &fallback) {
            Ok(sound) => self.take(&sound, num_images),
            Err(Refusal::End(error)) => Err(error),
            Err(Refusal::Defect(reason)) => {
                let source = self.source(&fallback);
                source.images.given += num_images;
                source.images.quarantined += num_images;
                source.rows.given += 1;
                source.rows.quarantined += 1;
                self.quarantine(&fallback, Defect::of_row(&file, place, reason))
            }
        }
    }

    fn take(&mut self, sound: &Sound, num_images: u64) -> Result<()> {
        let Sound { conversation, images, is_edited } = sound;
        let keys: Vec<&str> = images.iter().map(|image| image.path.as_str()).collect();
        let text = text_sha256(&conversation.turns);
        let parts = [&[conversation.id.as_str(), text.as_str()], keys.as_slice()].concat();
        self.content.update(digest::of_parts(&parts));
        self.writer.push(conversation, images)?;
        let source = self.source(&conversation.source);
        source.modalities.extend(conversation.modality);
        source.department.get_or_insert(conversation.department);
        for (tally, count) in [(&mut source.images, num_images), (&mut source.rows, 1)] {
            tally.given += count;
            tally.used += count;
        }
        self.used += 1;
        self.edited += u64::from(*is_edited);
        Ok(())
    }

    fn sound(&mut self, mut row: Incoming, source: &str) -> std::result::Result<Sound, Refusal> {
        let side = row.side.take().map(|text| Side::parse(&text));
        let side = side.transpose().map_err(|reason| format!("gmai: {reason}"))?;
        let num_markers: usize = row.turns.iter().map(|turn| turn.value.matches(IMAGE_MARKER).count()).sum();
        if side.is_none() && num_markers == 0 && self.options.markers == Markers::Prepend {
            prepend_markers(&mut row);
        }
        check_turns(&row.turns, row.images.len())?;
        let keys = side.as_ref().map(|side| side.images().to_vec());
        if keys.as_ref().is_some_and(|keys| keys.len() != row.images.len()) {
            return Err(
                format!("{} pictures, exported were {}", row.images.len(), keys.map_or(0, |keys| keys.len())).into()
            );
        }
        let (images, original) = self.pictures(&row.images, keys.as_deref())?;
        match side {
            Some(side) => {
                let restored = side.restore(row.turns);
                Ok(Sound { conversation: restored.conversation, images, is_edited: restored.is_edited })
            }
            None => self.described(row, source, images, original),
        }
    }

    /// The pictures of a row, and the hash of the first one's file.
    fn pictures(
        &mut self,
        named: &[Picture],
        keys: Option<&[String]>,
    ) -> std::result::Result<(Vec<EncodedImage>, String), String> {
        let mut cache = std::mem::take(&mut self.cache);
        let (mut images, mut kept, mut original) = (Vec::new(), Vec::new(), String::new());
        for (index, picture) in named.iter().enumerate() {
            let key = keys.map(|keys| keys[index].as_str());
            let name = match picture {
                Picture::Named(name) => name.clone(),
                Picture::Inline(bytes) => digest::of_bytes(bytes),
            };
            let cached = cache.iter().position(|(own, _)| *own == name);
            let image = match cached {
                Some(place) if key.is_none_or(|key| cache[place].1.path == key) => cache[place].1.clone(),
                _ => {
                    let bytes = match picture {
                        Picture::Named(name) => self.bytes(name).map_err(|reason| format!("image: {reason}"))?,
                        Picture::Inline(bytes) => bytes.clone(),
                    };
                    let read = match key {
                        Some(key) => picture::exported(bytes, key),
                        None => picture::foreign(&bytes),
                    };
                    let image = read.map_err(|reason| format!("image `{name}`: {reason}"))?;
                    cache.push((name.clone(), image.clone()));
                    image
                }
            };
            if index == 0 {
                original.clone_from(&name);
            }
            kept.push((name, image.clone()));
            images.push(image);
        }
        self.cache = kept;
        Ok((images, original))
    }

    fn bytes(&mut self, name: &str) -> std::result::Result<Vec<u8>, String> {
        paths::plain(name)?;
        match paths::below(&self.root, name) {
            Ok(path) => picture::read_file(&path).map_err(|reason| format!("`{name}`: {reason}")),
            Err(missing) => self.zips.read(name).unwrap_or(Err(missing)),
        }
    }

    /// A row of another program, with what the import was told about its source.
    fn described(
        &mut self,
        row: Incoming,
        source: &str,
        images: Vec<EncodedImage>,
        original: String,
    ) -> std::result::Result<Sound, Refusal> {
        let facts = self.source(source).facts.clone();
        let Some(department) = facts.department else {
            return Err(Refusal::End(Error::MissingFact {
                file: row.file,
                place: row.place,
                source_name: source.to_string(),
                fact: "department",
                option: "--department",
            }));
        };
        let language = match facts.language {
            Some(language) => language,
            None => language_of(row.turns.iter().map(|turn| turn.value.as_str()))?,
        };
        let form = match row.turns.iter().filter(|turn| turn.from == Role::Assistant).count() {
            1 if row.is_caption => Form::ImageCaption,
            1 => Form::Instruction,
            _ => Form::Conversation,
        };
        let key = images.first().map_or_else(|| text_sha256(&row.turns), |image| image.path.clone());
        let (file, place) = (row.file.as_str(), row.place.as_str());
        let id = digest::of_parts(&[
            source,
            file,
            place,
            row.id.as_deref().unwrap_or_default(),
            &text_sha256(&row.turns),
            &key,
        ]);
        let file_sha256 = images
            .first()
            .map_or_else(String::new, |image| image.path.split('.').next().unwrap_or_default().to_string());
        let named = row.images.first().is_some_and(|picture| matches!(picture, Picture::Named(_)));
        let conversation = Conversation {
            id,
            record: digest::of_parts(&["record", source, &key]),
            turns: row.turns,
            form,
            quiz: None,
            attribute: None,
            source: source.to_string(),
            task: facts.task.unwrap_or(Task::QuestionAnswering),
            modality: row.modality.or(facts.modality),
            department,
            labels: Vec::new(),
            boxes: Vec::new(),
            language,
            // Nobody is named: rows of one picture stay together.
            patient: digest::of_parts(&["patient", source, &key])[..16].to_string(),
            split: row.split.or(self.options.split).unwrap_or(Split::Train),
            generator: "source".to_string(),
            provenance: Provenance {
                file: if named { original } else { format!("{file}#{place}") },
                file_sha256,
                annotation: Some(file.to_string()),
                ..Provenance::default()
            },
        };
        Ok(Sound { conversation, images, is_edited: false })
    }
}

/// Puts one marker per picture before the first question.
fn prepend_markers(row: &mut Incoming) {
    let num_images = row.images.len();
    if let Some(turn) = row.turns.iter_mut().find(|turn| turn.from == Role::Human) {
        turn.value = format!("{}{}", format!("{IMAGE_MARKER}\n").repeat(num_images), turn.value);
    }
}

/// Checks who speaks when, and that every picture has its marker.
fn check_turns(turns: &[Turn], num_images: usize) -> std::result::Result<(), String> {
    let begins = turns.iter().position(|turn| turn.from != Role::System).unwrap_or(turns.len());
    if begins > 1 {
        return Err("conversations: more than one system turn".to_string());
    }
    if turns.len() < begins + 2 {
        return Err("conversations: no question with an answer".to_string());
    }
    for (index, turn) in turns.iter().enumerate().skip(begins) {
        let expected = if (index - begins).is_multiple_of(2) { Role::Human } else { Role::Assistant };
        if turn.from != expected {
            return Err(format!(
                "conversations, turn {}: person and model do not alternate, beginning with the person",
                index + 1
            ));
        }
        if turn.from == Role::Assistant && turn.value.contains(IMAGE_MARKER) {
            return Err(format!("conversations, turn {}: an image marker in an answer", index + 1));
        }
        if turn.value.trim().is_empty() {
            return Err(format!("conversations, turn {}: empty", index + 1));
        }
    }
    if !(turns.len() - begins).is_multiple_of(2) {
        return Err("conversations: the last question has no answer".to_string());
    }
    let num_markers: usize = turns.iter().map(|turn| turn.value.matches(IMAGE_MARKER).count()).sum();
    if num_markers != num_images {
        let hint = if num_markers == 0 { " (--prepend-markers puts them before the first question)" } else { "" };
        return Err(format!("conversations: {num_markers} image markers, {num_images} pictures{hint}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(turns: &[(Role, &str)], num_images: usize) -> std::result::Result<(), String> {
        let turns: Vec<Turn> =
            turns.iter().map(|(from, value)| Turn { from: *from, value: (*value).to_string() }).collect();
        check_turns(&turns, num_images)
    }

    #[test]
    fn person_and_model_alternate() {
        use Role::{Assistant, Human, System};
        assert!(check(&[(System, "s"), (Human, "<image> q"), (Assistant, "a")], 1).is_ok());
        assert!(check(&[(Assistant, "a"), (Human, "q")], 0).is_err());
        assert!(check(&[(Human, "q"), (Assistant, "a"), (Human, "q")], 0).is_err());
        assert!(check(&[(Human, "q"), (Human, "q")], 0).is_err());
        assert!(check(&[(Human, "q"), (Assistant, " ")], 0).is_err());
        assert!(check(&[(System, "s")], 0).is_err());
    }

    #[test]
    fn every_picture_has_its_marker() {
        use Role::{Assistant, Human};
        assert!(check(&[(Human, "<image><image>"), (Assistant, "a")], 2).is_ok());
        assert!(check(&[(Human, "<image>"), (Assistant, "a")], 2).is_err());
        assert!(check(&[(Human, "q"), (Assistant, "a")], 1).unwrap_err().contains("--prepend-markers"));
        assert!(check(&[(Human, "q"), (Assistant, "<image>")], 1).is_err());
    }
}
