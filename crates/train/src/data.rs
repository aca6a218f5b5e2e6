//! The training split in memory: encoded text, and each picture once as 8-bit pixels of the network's size.

use crate::batch::pack;
use crate::error::{Error, Result};
use crate::recipe::{Objective, Stage};
use gmai_processor::{IGNORE, Pixels, Processor};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Conversation, Form, Progress, Role, Split, Turn};
use gmai_shard::{EncodedImage, Reader};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// One encoded conversation.
#[derive(Debug, Clone, Default)]
pub struct Example {
    /// Ids, image tokens expanded.
    pub input_ids: Vec<u32>,
    /// What should be predicted; `IGNORE` where nothing is.
    pub labels: Vec<i64>,
    /// Indices of the pictures, in order.
    pub images: Vec<usize>,
    /// How many of the ids are image tokens.
    pub num_image_tokens: usize,
    /// The beginning that it may share with others in a row.
    pub opening: Option<Opening>,
}

/// A beginning that ends with a picture and is the same for all conversations about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Number of the beginning: equal numbers mean equal ids and the same picture.
    pub number: usize,
    /// Its tokens.
    pub num_tokens: usize,
    /// Of these, image tokens.
    pub num_image_tokens: usize,
}

impl Example {
    /// Tokens.
    pub fn len(&self) -> usize {
        self.input_ids.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.input_ids.is_empty()
    }

    /// Whether it begins as `other` does.
    pub fn shares_opening(&self, other: &Example) -> bool {
        self.opening.is_some() && self.opening == other.opening
    }

    /// Tokens that it adds to a row after `previous`, which stands before it there.
    pub fn len_after(&self, previous: Option<&Example>) -> usize {
        match (self.opening, previous) {
            (Some(opening), Some(previous)) if self.shares_opening(previous) => self.len() - opening.num_tokens,
            _ => self.len(),
        }
    }
}

/// Text and pictures of the training split as read, before a stage chooses from them.
pub struct Corpus {
    conversations: Vec<(Conversation, Vec<usize>)>,
    pictures: Vec<Pixels>,
}

/// What a stage trains on.
pub struct Dataset<'a> {
    /// Encoded conversations in dataset order.
    pub examples: Vec<Example>,
    /// For contrastive pretraining: text and facts of each example.
    pub captions: Vec<Caption>,
    /// Conversations left out, by reason.
    pub skipped: BTreeMap<&'static str, usize>,
    pictures: &'a [Pixels],
}

/// The text of an image-text pair.
#[derive(Debug, Clone, Default)]
pub struct Caption {
    /// Ids of the text alone.
    pub input_ids: Vec<u32>,
    /// What the annotation says, in a canonical form: equal for images with equal annotation.
    pub facts: String,
}

/// Rows decoded at once; their encoded pictures are in memory together.
const ROWS_AT_ONCE: usize = 512;

/// All text of the training split, for training a tokenizer. Pictures are not decoded.
pub fn texts(reader: &Reader) -> impl Iterator<Item = String> + '_ {
    reader.samples(Split::Train).filter_map(|sample| sample.ok()).flat_map(|sample| {
        sample.conversation.turns.into_iter().map(|turn| turn.value.replace(IMAGE_MARKER, "").trim_start().to_owned())
    })
}

impl Corpus {
    /// Reads the training split; each distinct picture is decoded and resized once.
    pub fn read(reader: &Reader, processor: &Processor, on_progress: &mut dyn FnMut(Progress)) -> Result<Corpus> {
        let total = reader.num_rows(Split::Train) as u64;
        let mut corpus = Corpus { conversations: Vec::new(), pictures: Vec::new() };
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut samples = reader.samples(Split::Train);
        loop {
            let mut fresh: Vec<EncodedImage> = Vec::new();
            let mut rows = 0;
            for sample in samples.by_ref().take(ROWS_AT_ONCE) {
                let sample = sample?;
                let mut images = Vec::new();
                for image in sample.images {
                    let next = known.len();
                    let index = *known.entry(image.path.clone()).or_insert(next);
                    if index == next {
                        fresh.push(image);
                    }
                    images.push(index);
                }
                corpus.conversations.push((sample.conversation, images));
                rows += 1;
            }
            let pixels = |image: &EncodedImage| -> Result<Pixels> { Ok(processor.pixels(&image.decode()?)) };
            corpus.pictures.extend(fresh.par_iter().map(pixels).collect::<Result<Vec<_>>>()?);
            let done = corpus.conversations.len() as u64;
            let note = format!("{} pictures", corpus.pictures.len());
            on_progress(Progress { phase: "read training data".into(), done, total, note });
            if rows < ROWS_AT_ONCE {
                return Ok(corpus);
            }
        }
    }

    /// Distinct pictures.
    pub fn num_pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Encodes what `stage` trains on. Conversations longer than `max_length` are left out and counted.
    pub fn select(&self, stage: &Stage, processor: &Processor, max_length: usize) -> Result<Dataset<'_>> {
        let wanted = |(conversation, _): &&(Conversation, Vec<usize>)| {
            stage.forms.is_empty() || stage.forms.contains(&conversation.form)
        };
        let chosen: Vec<_> = self.conversations.iter().filter(wanted).collect();
        let mut dataset = Dataset {
            examples: Vec::new(),
            captions: Vec::new(),
            skipped: BTreeMap::from([("form not in this stage", self.conversations.len() - chosen.len())]),
            pictures: &self.pictures,
        };
        if stage.objective == Objective::Contrastive {
            dataset.fill_captions(&chosen, processor)?;
            return Ok(dataset);
        }
        if stage.objective == Objective::Language {
            dataset.examples = documents(&chosen, processor, max_length)?;
            return Ok(dataset);
        }
        let encoded = chosen
            .par_iter()
            .map(|(conversation, images)| encode(conversation, images, processor))
            .collect::<Result<Vec<_>>>()?;
        let before = encoded.len();
        dataset.examples = encoded.into_iter().filter(|example| example.len() <= max_length).collect();
        dataset.skipped.insert("longer than max_length", before - dataset.examples.len());
        number_openings(&mut dataset.examples);
        Ok(dataset)
    }
}

/// Encodes one conversation with its images.
fn encode(conversation: &Conversation, images: &[usize], processor: &Processor) -> Result<Example> {
    let encoded = processor.encode(&conversation.turns, images.len())?;
    let num_image_tokens = encoded.image_spans.iter().map(ExactSizeIterator::len).sum();
    let opening = encoded.image_spans.first().map(|span| Opening {
        number: 0,
        num_tokens: span.end,
        num_image_tokens: span.len(),
    });
    // What is learned right after a shared beginning would need a target there for each conversation.
    let opening = opening.filter(|opening| encoded.labels.iter().take(opening.num_tokens + 1).all(|&id| id == IGNORE));
    let (input_ids, labels, images) = (encoded.input_ids, encoded.labels, images.to_vec());
    Ok(Example { input_ids, labels, images, num_image_tokens, opening })
}

/// Gives equal beginnings equal numbers.
fn number_openings(examples: &mut [Example]) {
    let mut numbers: HashMap<(usize, Vec<u32>), usize> = HashMap::new();
    for example in examples {
        let Some(opening) = &mut example.opening else { continue };
        let next = numbers.len();
        let beginning = example.input_ids[..opening.num_tokens].to_vec();
        opening.number = *numbers.entry((example.images[0], beginning)).or_insert(next);
    }
}

/// Times that the conversations of a record are laid out anew for language pretraining.
const LAYOUTS: u64 = 2;

/// Text for language pretraining: the conversations about one image end to end, in random order, cut at `max_length`.
///
/// A caption that stands before a question tells what a picture would show, so the model learns to answer from what is
/// before it (to find the letter of an option, to tell present from absent) before it has seen any picture.
fn documents(chosen: &[&(Conversation, Vec<usize>)], processor: &Processor, max_length: usize) -> Result<Vec<Example>> {
    let mut records: BTreeMap<&str, Vec<&Conversation>> = BTreeMap::new();
    for (conversation, _) in chosen {
        records.entry(&conversation.record).or_default().push(conversation);
    }
    let records: Vec<_> = records.into_iter().collect();
    let documents = records
        .par_iter()
        .map(|(record, conversations)| {
            let text = |turn: &Turn| Turn {
                from: turn.from,
                value: turn.value.replace(IMAGE_MARKER, "").trim_start().to_owned(),
            };
            let mut pieces = Vec::new();
            for conversation in conversations {
                let turns: Vec<Turn> = conversation.turns.iter().map(text).collect();
                pieces.push(processor.encode(&turns, 0)?.input_ids);
            }
            let mut examples = Vec::new();
            for layout in 0..LAYOUTS {
                let mut order: Vec<usize> = (0..pieces.len()).collect();
                order.shuffle(&mut ChaCha8Rng::from_seed(Sha256::digest(format!("{record}/{layout}")).into()));
                for row in pack(&order, |_, piece| pieces[piece].len(), max_length) {
                    let input_ids = row.iter().flat_map(|&piece| pieces[piece].iter().copied()).collect::<Vec<u32>>();
                    let labels = input_ids.iter().map(|&id| i64::from(id)).collect();
                    examples.push(Example { input_ids, labels, ..Example::default() });
                }
            }
            Ok(examples)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(documents.into_iter().flatten().filter(|example| example.len() <= max_length).collect())
}

impl Dataset<'_> {
    /// Appends the normalised values of picture `index`, `[3, size, size]`.
    pub fn append_pixels(&self, index: usize, processor: &Processor, out: &mut Vec<f32>) -> Result<()> {
        let pixels = &self.pictures[index];
        let start = out.len();
        out.resize(start + pixels.bytes.len(), 0.0);
        Ok(processor.normalize(pixels, &mut out[start..])?)
    }

    /// One pair per caption whose picture is alone; the caption is the model's first reply.
    fn fill_captions(&mut self, chosen: &[&(Conversation, Vec<usize>)], processor: &Processor) -> Result<()> {
        let mut left_out = 0;
        for (conversation, images) in chosen {
            let reply = conversation.turns.iter().find(|turn| turn.from == Role::Assistant);
            let (Form::ImageCaption, [_], Some(reply)) = (conversation.form, images.as_slice(), reply) else {
                left_out += 1;
                continue;
            };
            self.examples.push(Example { images: images.clone(), ..Example::default() });
            let input_ids = processor.encode_reply(&reply.value)?;
            self.captions.push(Caption { input_ids, facts: facts(conversation) });
        }
        self.skipped.insert("not the caption of one image", left_out);
        Ok(())
    }

    /// Share of image-text pairs, taken at random, whose facts are equal.
    pub fn match_rate(&self) -> f64 {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for caption in &self.captions {
            *counts.entry(&caption.facts).or_default() += 1;
        }
        let pairs: f64 = counts.values().map(|&count| (count as f64).powi(2)).sum();
        pairs / (self.captions.len().max(1) as f64).powi(2)
    }

    /// Tokens that `sample` adds to a row in which `previous` stands before it.
    pub fn len_after(&self, previous: Option<usize>, sample: usize) -> usize {
        self.examples[sample].len_after(previous.map(|previous| &self.examples[previous]))
    }

    /// Refuses an empty dataset.
    pub fn check(&self, reader: &Reader, stage: &Stage) -> Result<()> {
        if !self.examples.is_empty() {
            return Ok(());
        }
        let reason = format!("skipped: {:?}; check `forms` and `max_length`", self.skipped);
        Err(Error::NoSamples { dataset: reader.folder().to_owned(), stage: stage.name.clone(), reason })
    }
}

/// What the annotation says of a conversation's image, the same text for the same annotation.
fn facts(conversation: &Conversation) -> String {
    let modality = conversation.modality.map_or("", |modality| modality.key());
    let mut labels: Vec<String> =
        conversation.labels.iter().map(|label| format!("{}={}", label.attribute, label.value.en)).collect();
    labels.sort();
    // Images without labels are told apart by their source alone: nothing else is known to differ.
    let source = if labels.is_empty() { conversation.source.as_str() } else { "" };
    format!("{modality}|{}|{source}|{}", conversation.department.key(), labels.join(";"))
}
