//! The whole network: pictures and token ids to logits.
//!
//! Shapes: B rows, T tokens, I images, N image tokens each, D language width, V vocabulary.

use crate::checkpoint::StoredForm;
use crate::config::{Config, FeatureSelect};
use crate::decoder::{LanguageModel, TokenContext, composed_context, packed_context};
use crate::error::{Error, Result};
use crate::initialise::Initialiser;
use crate::layers::PADDING;
use crate::parameter::parameters;
use crate::projector::Projector;
use crate::vision::{VisionTower, patches};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use std::sync::Arc;

/// The network under the checkpoint's names: GMAI-VL, or a LLaVA of the same plan.
#[derive(Debug, Clone)]
pub struct GmaiVl {
    /// Pictures to patch features.
    pub vision_tower: VisionTower,
    /// Patch features to image tokens.
    pub multi_modal_projector: Projector,
    /// Tokens to logits.
    pub language_model: LanguageModel,
    /// What the modules were built from.
    pub config: Config,
    /// How it is saved.
    pub(crate) form: Arc<StoredForm>,
    device: Device,
}
parameters!(GmaiVl { vision_tower, multi_modal_projector, language_model });

/// Id of a place whose embedding is zero: what the reference's merge puts where the padding token stands.
pub const BLANK: u32 = u32::MAX;

/// A batch of token rows, all of one length.
#[derive(Debug, Clone, Default)]
pub struct TokenRows {
    /// Ids, image tokens expanded. `[B][T]`
    pub input_ids: Vec<Vec<u32>>,
    /// Position of each token in its own sample. `[B][T]`
    pub positions: Vec<Vec<usize>>,
    /// Number of the sample each token belongs to. `[B][T]`
    pub samples: Vec<Vec<u32>>,
    /// Branch of the sample each token belongs to: a token sees earlier ones of its own branch and of branch 0, the shared beginning. `[B][T]`
    pub branches: Vec<Vec<u32>>,
}

impl TokenRows {
    /// One row per sequence, each its own sample; all must have the same length.
    pub fn from_sequences(sequences: &[Vec<u32>]) -> TokenRows {
        TokenRows {
            input_ids: sequences.to_vec(),
            positions: sequences.iter().map(|ids| (0..ids.len()).collect()).collect(),
            samples: sequences.iter().map(|ids| vec![0; ids.len()]).collect(),
            branches: sequences.iter().map(|ids| vec![0; ids.len()]).collect(),
        }
    }

    /// Rows and tokens per row.
    pub fn dims(&self) -> [usize; 2] {
        [self.input_ids.len(), self.input_ids.first().map_or(0, Vec::len)]
    }
}

impl GmaiVl {
    /// Fresh weights drawn from `seed`.
    pub fn new(config: Config, seed: u64, device: &Device) -> Result<GmaiVl> {
        GmaiVl::build(config, &Initialiser::new(seed, device), device)
    }

    /// Parameters that have shapes and names and take no memory: for loading, and for counting.
    pub fn shapes_only(config: Config, device: &Device) -> Result<GmaiVl> {
        GmaiVl::build(config, &Initialiser::shapes_only(device), device)
    }

    fn build(config: Config, init: &Initialiser, device: &Device) -> Result<GmaiVl> {
        config.check()?;
        Ok(GmaiVl {
            vision_tower: VisionTower::new("vision_tower", &config.vision_config, init),
            multi_modal_projector: Projector::new("multi_modal_projector", &config, init),
            language_model: LanguageModel::new("language_model", &config.text_config, init),
            form: Arc::default(),
            device: device.clone(),
            config,
        })
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Normalised pictures, each `[3, size, size]`, to patches `[I, N, P]`.
    pub fn patches(&self, pixel_values: &[f32]) -> Tensor<3> {
        let vision = &self.config.vision_config;
        let picture = 3 * vision.image_size * vision.image_size;
        let mut values = Vec::with_capacity(pixel_values.len());
        for pixels in pixel_values.chunks_exact(picture) {
            patches(pixels, vision.image_size, vision.patch_size, &mut values);
        }
        let shape = [pixel_values.len() / picture, vision.num_patches(), vision.patch_width()];
        Tensor::<3>::from_data(TensorData::new(values, shape), &self.device).cast(self.dtype())
    }

    /// [`GmaiVl::patches`] of pixel values from outside: refused when they are no whole pictures of the config's size.
    pub fn checked_patches(&self, pixel_values: &[f32]) -> Result<Tensor<3>> {
        let size = self.config.vision_config.image_size;
        if pixel_values.len().is_multiple_of(3 * size * size) {
            Ok(self.patches(pixel_values))
        } else {
            Err(Error::PixelCount { values: pixel_values.len(), size })
        }
    }

    /// Number format of the parameters.
    fn dtype(&self) -> DType {
        self.language_model.model.tok_embeddings.weight.dtype()
    }

    /// Drops the first row (CLIP's class token) when the config says so: `[I, R, D]` to the rows that the projector reads.
    pub fn select_features(&self, hidden: Tensor<3>) -> Tensor<3> {
        if self.config.vision_feature_select_strategy == FeatureSelect::Full {
            return hidden;
        }
        let rows = hidden.dims()[1];
        hidden.narrow(1, 1, rows - 1)
    }

    /// Patches `[I, N, P]` to image tokens `[I, N, D]`.
    pub fn image_features(&self, patches: Tensor<3>) -> Tensor<3> {
        let hidden = self.vision_tower.vision_model.forward(patches, self.config.num_vision_blocks());
        self.multi_modal_projector.forward(self.select_features(hidden))
    }

    /// What stands at each place of the rows.
    ///
    /// # Errors
    /// Ids without a row in the embedding; ids that reserve another number of image tokens than `num_features` rows.
    pub fn splice(&self, rows: &TokenRows, num_features: usize) -> Result<Splice> {
        let dims @ [batch, tokens] = rows.dims();
        let image_token = self.config.image_token_index;
        let vocab_size = self.config.text_config.vocab_size;
        let first_feature = batch * tokens;
        let blank = (first_feature + num_features) as i32;
        let mut splice = Splice { index: Vec::with_capacity(batch * tokens), dims, num_features, has_blanks: false };
        let mut reserved = 0;
        for (position, &id) in rows.input_ids.iter().flatten().enumerate() {
            if id == image_token {
                splice.index.push((first_feature + reserved) as i32);
                reserved += 1;
            } else if id == BLANK {
                splice.index.push(blank);
                splice.has_blanks = true;
            } else if (id as usize) < vocab_size {
                splice.index.push(position as i32);
            } else {
                return Err(Error::TokenOutsideVocabulary { id, vocab_size });
            }
        }
        if reserved == num_features {
            Ok(splice)
        } else {
            Err(Error::ImageTokenMismatch { reserved, given: num_features })
        }
    }

    /// Token ids as a tensor `[B, T]`; places without an id of their own read row 0 and are replaced by [`Splice::apply`].
    pub fn ids(&self, rows: &TokenRows) -> Tensor<2, Int> {
        let id = |id: u32| if id == BLANK { 0 } else { id as i32 };
        let values: Vec<i32> = rows.input_ids.iter().flatten().map(|&value| id(value)).collect();
        Tensor::from_data(TensorData::new(values, rows.dims()), &self.device)
    }

    /// Embeds ids and puts image features `[I, N, D]` in their places: `[B, T, D]`.
    pub fn embed(&self, rows: &TokenRows, image_features: Option<Tensor<3>>) -> Result<Tensor<3>> {
        let num_features = image_features.as_ref().map_or(0, |features| features.dims()[0] * features.dims()[1]);
        let splice = self.splice(rows, num_features)?;
        let embedded = self.language_model.model.tok_embeddings.forward(self.ids(rows));
        Ok(splice.apply(embedded, image_features))
    }

    /// Refuses a sequence that is longer than [`crate::TextConfig::max_tokens`] allows.
    pub fn check_length(&self, rows: &TokenRows) -> Result<()> {
        let text = &self.config.text_config;
        let Some(limit) = text.max_tokens() else { return Ok(()) };
        let places = rows.positions.iter().flatten().zip(rows.samples.iter().flatten());
        let tokens =
            places.filter(|(_, sample)| **sample != PADDING).map(|(position, _)| position + 1).max().unwrap_or(0);
        if tokens <= limit {
            return Ok(());
        }
        let setting = match text.sliding_window {
            Some(window) if window == limit => "text_config.sliding_window, which the file leaves at its default",
            _ => "text_config.max_position_embeddings, without dynamic rope_scaling",
        };
        Err(Error::SequenceTooLong { tokens, limit, setting })
    }

    /// Embedded rows `[B, T, D]` through all blocks, without a cache.
    pub fn decode(&self, rows: &TokenRows, mut x: Tensor<3>) -> Tensor<3> {
        let context = self.context(rows);
        for block in &self.language_model.model.layers {
            x = block.forward(x, &context, None);
        }
        x
    }

    /// Positions and visibility of packed rows, shared by all blocks.
    pub fn context(&self, rows: &TokenRows) -> TokenContext {
        let of = if self.dtype() == DType::F32 { packed_context } else { composed_context };
        of(&self.config.text_config, rows, &self.device)
    }

    /// Logits `[B, T, V]` of every position.
    ///
    /// # Errors
    /// A sequence beyond the model's maximum; ids or image features that do not fit ([`GmaiVl::splice`]).
    pub fn forward(&self, rows: &TokenRows, image_features: Option<Tensor<3>>) -> Result<Tensor<3>> {
        let [batch, tokens] = rows.dims();
        self.check_length(rows)?;
        let hidden = self.decode(rows, self.embed(rows, image_features)?);
        let width = hidden.dims()[2];
        let logits = self.language_model.logits(hidden.reshape([batch * tokens, width]));
        let vocabulary = logits.dims()[1];
        Ok(logits.reshape([batch, tokens, vocabulary]))
    }
}

/// For each place of the rows, which row of `[token embeddings; image features; zero]` stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    index: Vec<i32>,
    dims: [usize; 2],
    num_features: usize,
    has_blanks: bool,
}

impl Splice {
    /// Token embeddings `[B, T, D]` and features `[I, N, D]` to what the decoder reads, `[B, T, D]`.
    pub fn apply(self, embedded: Tensor<3>, features: Option<Tensor<3>>) -> Tensor<3> {
        if features.is_none() && !self.has_blanks {
            return embedded;
        }
        let ([batch, tokens], [_, _, width]) = (self.dims, embedded.dims());
        let device = embedded.device();
        let blank = Tensor::zeros([1, width], (&device, embedded.dtype()));
        let mut source = vec![embedded.reshape([batch * tokens, width])];
        source.extend(features.map(|features| features.reshape([self.num_features, width])));
        if self.has_blanks {
            source.push(blank);
        }
        let index: Tensor<1, Int> = Tensor::from_data(TensorData::new(self.index, [batch * tokens]), &device);
        Tensor::cat(source, 0).select(0, index).reshape([batch, tokens, width])
    }
}
