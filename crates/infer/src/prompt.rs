//! Prompts as the model has read them: image features computed once per picture, beginnings read once per picture and words before it.

use crate::bounded::Bounded;
use crate::error::{Error, Result};
use burn::tensor::Tensor;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::{GmaiVl, KvCache};
use gmai_processor::Processor;
use gmai_schema::Rgb8;
use sha2::{Digest, Sha256};

/// Image features kept for further questions about the same pictures, bytes. A ViT-L picture of LLaVA 1.5 takes 9 MB with a 7B model.
const MAX_FEATURE_BYTES: usize = 256 << 20;
/// Keys and values of prompt beginnings kept, bytes.
const MAX_PREFIX_BYTES: usize = 512 << 20;

/// A prompt that the model has read: what follows starts from here, as often as needed.
#[derive(Clone)]
pub(crate) struct Prompt {
    /// The ids, image tokens expanded.
    pub input_ids: Vec<u32>,
    /// Keys and values of those tokens.
    pub cache: KvCache,
    /// Logits of the first token of the reply.
    pub logits: Vec<f32>,
}

/// Identity of a picture: hash of its size and pixels.
type PictureKey = [u8; 32];

/// The ids up to the last image token, and the pictures in them.
type PrefixKey = (Vec<u32>, Vec<PictureKey>);

/// Pictures as the language model reads them.
pub(crate) struct Pictures {
    keys: Vec<PictureKey>,
    features: Tensor<3>, // [I, N, D]
}

/// What earlier requests left that later ones can use. Never changes an answer: hit or miss, the same pieces are computed.
pub(crate) struct PromptReader {
    features: Bounded<PictureKey, Tensor<3>>, // each [1, N, D]
    prefixes: Bounded<PrefixKey, KvCache>,
    /// Pictures that went through the vision encoder so far.
    pub num_encoded: usize,
    /// Tokens that went through the language model as prompt so far.
    pub num_read: usize,
}

impl PromptReader {
    /// Nothing kept yet.
    pub fn new() -> PromptReader {
        PromptReader {
            features: Bounded::new(MAX_FEATURE_BYTES),
            prefixes: Bounded::new(MAX_PREFIX_BYTES),
            num_encoded: 0,
            num_read: 0,
        }
    }

    /// The features of a request's pictures, each picture by itself: what else is asked at the time must not matter.
    pub fn pictures(&mut self, model: &GmaiVl, processor: &Processor, images: &[Rgb8]) -> Result<Option<Pictures>> {
        let mut keys = Vec::with_capacity(images.len());
        let mut features = Vec::with_capacity(images.len());
        for image in images {
            let key = picture_key(image);
            let kept = self.features.get(&key);
            features.push(match kept {
                Some(features) => features,
                None => self.encode(model, processor, image, key)?,
            });
            keys.push(key);
        }
        Ok((!images.is_empty()).then(|| Pictures { keys, features: Tensor::cat(features, 0) }))
    }

    fn encode(&mut self, model: &GmaiVl, processor: &Processor, image: &Rgb8, key: PictureKey) -> Result<Tensor<3>> {
        let size = processor.image_size();
        let mut pixel_values = vec![0.0; 3 * size * size];
        processor.normalize(&processor.pixels(image), &mut pixel_values)?;
        let features = model.image_features(model.patches(&pixel_values));
        self.num_encoded += 1;
        self.features.insert(key, features.clone(), features.dims().iter().product::<usize>() * size_of::<f32>());
        Ok(features)
    }

    /// Reads a prompt in two pieces: up to the last image token, which further questions about the pictures share, and the rest.
    pub fn read(&mut self, model: &GmaiVl, input_ids: Vec<u32>, pictures: Option<&Pictures>) -> Result<Prompt> {
        let vocabulary = model.config.text_config.vocab_size;
        if let Some(&id) = input_ids.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(Error::UnknownToken { id, vocabulary });
        }
        let split = match pictures {
            Some(_) => end_of_images(&input_ids, model.config.image_token_index),
            None => 0,
        };
        let mut cache = match pictures {
            Some(pictures) => self.read_prefix(model, &input_ids[..split], pictures)?,
            None => KvCache::new(model.config.text_config.num_hidden_layers),
        };
        let logits = self.pass(model, &input_ids[split..], None, &mut cache)?;
        Ok(Prompt { input_ids, cache, logits })
    }

    fn read_prefix(&mut self, model: &GmaiVl, input_ids: &[u32], pictures: &Pictures) -> Result<KvCache> {
        let key = (input_ids.to_vec(), pictures.keys.clone());
        if let Some(cache) = self.prefixes.get(&key) {
            return Ok(cache);
        }
        let mut cache = KvCache::new(model.config.text_config.num_hidden_layers);
        self.pass(model, input_ids, Some(pictures.features.clone()), &mut cache)?;
        self.prefixes.insert(key, cache.clone(), cache.num_bytes());
        Ok(cache)
    }

    /// Runs new tokens after those in `cache`; the logits after the last.
    fn pass(
        &mut self,
        model: &GmaiVl,
        input_ids: &[u32],
        features: Option<Tensor<3>>,
        cache: &mut KvCache,
    ) -> Result<Vec<f32>> {
        self.num_read += input_ids.len();
        let rows = TokenRows::from_sequences(&[input_ids.to_vec()]);
        let hidden = model.decode_cached(model.embed(&rows, features)?, cache);
        let last = hidden.dims()[1] - 1;
        Ok(token_logits(model, hidden.narrow(1, last, 1)).remove(0))
    }
}

/// The place after the last image token, but never the end of the prompt: the reply starts from at least one token.
fn end_of_images(input_ids: &[u32], image_token: u32) -> usize {
    let after = input_ids.iter().rposition(|&id| id == image_token).map_or(0, |last| last + 1);
    if after == input_ids.len() { 0 } else { after }
}

fn picture_key(image: &Rgb8) -> PictureKey {
    let mut digest = Sha256::new();
    digest.update(image.width().to_le_bytes());
    digest.update(image.height().to_le_bytes());
    digest.update(image.pixels());
    digest.finalize().into()
}

/// Logits of the next token after each position of hidden states `[B, T, D]`, one list per row and token.
pub(crate) fn token_logits(model: &GmaiVl, hidden: Tensor<3>) -> Vec<Vec<f32>> {
    let [batch, tokens, width] = hidden.dims();
    let logits = model.language_model.logits(hidden.reshape([batch * tokens, width]));
    let vocabulary = logits.dims()[1];
    let values = logits.into_data().try_to_vec::<f32>().expect("logits are f32");
    values.chunks_exact(vocabulary).map(<[f32]>::to_vec).collect()
}
