//! The training split in memory: encoded text, and each picture once as 8-bit pixels of the network's size.

use crate::error::{Error, Result};
use crate::recipe::{Objective, Stage};
use gmai_processor::{Pixels, Processor};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Conversation, Form, Progress, Role, Split, Turn};
use gmai_shard::{EncodedImage, Reader};
use rayon::prelude::*;
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
        let with_images = stage.objective == Objective::Instruction;
        let encoded = chosen
            .par_iter()
            .map(|(conversation, images)| encode(conversation, images, with_images, processor))
            .collect::<Result<Vec<_>>>()?;
        let before = encoded.len();
        dataset.examples = encoded.into_iter().filter(|example| example.len() <= max_length).collect();
        dataset.skipped.insert("longer than max_length", before - dataset.examples.len());
        Ok(dataset)
    }
}

/// Encodes one conversation; without images every token is to be predicted, as in language pretraining.
fn encode(conversation: &Conversation, images: &[usize], with_images: bool, processor: &Processor) -> Result<Example> {
    if with_images {
        let encoded = processor.encode(&conversation.turns, images.len())?;
        let num_image_tokens = encoded.image_spans.iter().map(ExactSizeIterator::len).sum();
        let (input_ids, labels) = (encoded.input_ids, encoded.labels);
        return Ok(Example { input_ids, labels, images: images.to_vec(), num_image_tokens });
    }
    let text_only = |turn: &Turn| Turn { from: turn.from, value: turn.value.replace(IMAGE_MARKER, "").trim_start().to_owned() };
    let turns: Vec<Turn> = conversation.turns.iter().map(text_only).collect();
    let encoded = processor.encode(&turns, 0)?;
    let labels = encoded.input_ids.iter().map(|&id| i64::from(id)).collect();
    Ok(Example { input_ids: encoded.input_ids, labels, images: Vec::new(), num_image_tokens: 0 })
}

impl Dataset<'_> {
    /// Appends the normalised values of picture `index`, `[3, size, size]`.
    pub fn append_pixels(&self, index: usize, processor: &Processor, out: &mut Vec<f32>) -> Result<()> {
        let pixels = &self.pictures[index];
        let start = out.len();
        out.resize(start + 3 * pixels.size * pixels.size, 0.0);
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
