//! The rows of a dataset that can be judged, as benchmark items.

use crate::dataset::spread;
use anyhow::{Context, Result};
use gmai_eval::Item;
use gmai_schema::{Conversation, Question, Rgb8, Split};
use gmai_shard::{EncodedImage, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The questions of one part of a dataset, and which of them are asked.
pub struct QuestionSet {
    reader: Reader,
    split: Split,
    picked: BTreeMap<String, BTreeSet<usize>>,
}

impl QuestionSet {
    /// Opens the dataset folder and picks at most `per_source` questions of each source, evenly spread; all when `None`.
    pub fn open(folder: &Path, split: Split, per_source: Option<usize>) -> Result<QuestionSet> {
        let reader = Reader::open(folder)?;
        let mut totals = BTreeMap::<String, usize>::new();
        for sample in reader.samples(split) {
            let conversation = sample?.conversation;
            if question(&conversation).is_some() {
                *totals.entry(conversation.source).or_default() += 1;
            }
        }
        let pick = |(source, total): (String, usize)| (source, spread(total, per_source.unwrap_or(total)));
        Ok(QuestionSet { reader, split, picked: totals.into_iter().map(pick).collect() })
    }

    /// How many questions are asked.
    pub fn len(&self) -> usize {
        self.picked.values().map(BTreeSet::len).sum()
    }

    /// The questions with their pictures, in the order of the shards.
    pub fn items(&self) -> impl Iterator<Item = Result<Item>> {
        let mut seen = BTreeMap::<String, usize>::new();
        let mut pictures = LastPictures::default();
        self.reader.samples(self.split).filter_map(move |sample| {
            let sample = match sample {
                Ok(sample) => sample,
                Err(error) => return Some(Err(error.into())),
            };
            let question = question(&sample.conversation)?;
            let index = seen.entry(question.source.clone()).or_default();
            let is_picked = self.picked.get(&question.source).is_some_and(|picked| picked.contains(index));
            *index += 1;
            is_picked.then(|| {
                let images = pictures.decode(&sample.images).with_context(|| format!("question {}", question.id))?;
                Ok(Item { question, images })
            })
        })
    }
}

/// The questions with these ids, with their pictures, in the order of the shards.
pub fn items_of(folder: &Path, split: Split, ids: &[String]) -> Result<Vec<Item>> {
    let wanted: BTreeSet<&String> = ids.iter().collect();
    let mut items = Vec::new();
    for sample in Reader::open(folder)?.samples(split) {
        let sample = sample?;
        if let Some(question) = question(&sample.conversation).filter(|question| wanted.contains(&question.id)) {
            let images = sample.images.iter().map(EncodedImage::decode).collect::<Result<_, _>>()?;
            items.push(Item { question, images });
        }
    }
    Ok(items)
}

/// The pictures that were decoded last: neighbouring rows often ask about the same one.
#[derive(Default)]
struct LastPictures {
    keys: Vec<String>,
    pictures: Vec<Rgb8>,
}

impl LastPictures {
    fn decode(&mut self, images: &[EncodedImage]) -> Result<Vec<Rgb8>> {
        let keys: Vec<String> = images.iter().map(|image| image.path.clone()).collect();
        if keys != self.keys {
            self.pictures = images.iter().map(EncodedImage::decode).collect::<Result<_, _>>()?;
            self.keys = keys;
        }
        Ok(self.pictures.clone())
    }
}

/// The benchmark item that a conversation holds; `None` when no reply to it can be judged mechanically.
pub fn question(conversation: &Conversation) -> Option<Question> {
    let quiz = conversation.quiz.clone()?;
    let prompt = conversation.turns.first()?.value.clone();
    let attribute = conversation.attribute.clone().unwrap_or_else(|| conversation.task.key().to_string());
    Some(Question {
        id: conversation.id.clone(),
        prompt,
        quiz,
        attribute,
        source: conversation.source.clone(),
        task: conversation.task,
        modality: conversation.modality,
        language: conversation.language,
        patient: conversation.patient.clone(),
    })
}
