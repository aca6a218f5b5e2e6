//! The whole network: pictures and token ids to logits.
//!
//! Shapes: B rows, T tokens, I images, N image tokens each, D language width, V vocabulary.

use crate::clip_vit::{VisionTower, patches};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::initialise::Initialiser;
use crate::internlm2::{InternLm2, TokenContext, cached_context, packed_context};
use crate::kv_cache::KvCache;
use crate::parameter::parameters;
use crate::projector::Projector;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// GMAI-VL under the checkpoint's names.
#[derive(Debug, Clone)]
pub struct GmaiVl {
    /// Pictures to patch features.
    pub vision_tower: VisionTower,
    /// Patch features to image tokens.
    pub multi_modal_projector: Projector,
    /// Tokens to logits.
    pub language_model: InternLm2,
    /// What the modules were built from.
    pub config: Config,
    device: Device,
}
parameters!(GmaiVl { vision_tower, multi_modal_projector, language_model });

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
        config.check()?;
        let init = Initialiser::new(seed, device);
        Ok(GmaiVl {
            vision_tower: VisionTower::new("vision_tower", &config.vision_config, &init),
            multi_modal_projector: Projector::new("multi_modal_projector", &config, &init),
            language_model: InternLm2::new("language_model", &config.text_config, &init),
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
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// Drops the class token when the config says so: `[I, N + 1, D]` to the rows that the projector reads.
    pub fn select_features(&self, hidden: Tensor<3>) -> Tensor<3> {
        if self.config.vision_feature_select_strategy == "full" {
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

    /// For each token row of `[B * T]`, which row of `[token embeddings; image features]` stands there.
    ///
    /// Refused when the ids reserve another number of image tokens than `num_features` rows.
    pub fn splice_index(&self, rows: &TokenRows, num_features: usize) -> Result<Vec<i32>> {
        let [batch, tokens] = rows.dims();
        let image_token = self.config.image_token_index;
        let mut next_feature = batch * tokens;
        let index: Vec<i32> = rows
            .input_ids
            .iter()
            .flatten()
            .enumerate()
            .map(|(position, &id)| {
                if id == image_token {
                    next_feature += 1;
                    (next_feature - 1) as i32
                } else {
                    position as i32
                }
            })
            .collect();
        let reserved = next_feature - batch * tokens;
        if reserved == num_features {
            Ok(index)
        } else {
            Err(Error::ImageTokenMismatch { reserved, given: num_features })
        }
    }

    /// Token ids as a tensor `[B, T]`.
    pub fn ids(&self, rows: &TokenRows) -> Tensor<2, Int> {
        let values: Vec<i32> = rows.input_ids.iter().flatten().map(|&id| id as i32).collect();
        Tensor::from_data(TensorData::new(values, rows.dims()), &self.device)
    }

    /// Embeds ids and puts image features `[I, N, D]` in their places: `[B, T, D]`.
    pub fn embed(&self, rows: &TokenRows, image_features: Option<Tensor<3>>) -> Result<Tensor<3>> {
        let [batch, tokens] = rows.dims();
        let embedded = self.language_model.model.tok_embeddings.forward(self.ids(rows));
        let num_features = image_features.as_ref().map_or(0, |features| features.dims()[0] * features.dims()[1]);
        let index = self.splice_index(rows, num_features)?;
        let Some(features) = image_features else { return Ok(embedded) };
        Ok(splice(embedded, features, index, [batch, tokens], &self.device))
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
        packed_context(&self.config.text_config, rows, &self.device)
    }

    /// New tokens `[B, T, D]` of sequences whose earlier tokens are in `cache`, through all blocks.
    ///
    /// Gives what [`GmaiVl::decode`] gives for the whole sequence. Beyond `max_position_embeddings`, dynamic NTK scaling takes another rotary base
    /// for every length, and with it other keys and values for all earlier tokens in all blocks: they are computed anew, so each
    /// token beyond costs a pass over the whole sequence.
    pub fn decode_cached(&self, x: Tensor<3>, cache: &mut KvCache) -> Tensor<3> {
        let tokens = x.dims()[1];
        let text = &self.config.text_config;
        let mut x = x;
        if text.rope_scaling.as_ref().is_some_and(|scaling| scaling.kind == "dynamic") {
            let all = cache.remember(x.clone());
            if cache.num_tokens() > 0 && all.dims()[1] > text.max_position_embeddings {
                cache.restart();
                x = all;
            }
        }
        let [batch, passed, _] = x.dims();
        let context = cached_context(text, batch, cache.num_tokens(), passed, &self.device);
        for (block, layer) in self.language_model.model.layers.iter().zip(&mut cache.layers) {
            x = block.forward(x, &context, Some(layer));
        }
        cache.advance(passed);
        x.narrow(1, passed - tokens, tokens)
    }

    /// Logits `[B, T, V]` of every position.
    pub fn forward(&self, rows: &TokenRows, image_features: Option<Tensor<3>>) -> Result<Tensor<3>> {
        let [batch, tokens] = rows.dims();
        let hidden = self.decode(rows, self.embed(rows, image_features)?);
        let width = hidden.dims()[2];
        let logits = self.language_model.logits(hidden.reshape([batch * tokens, width]));
        let vocabulary = logits.dims()[1];
        Ok(logits.reshape([batch, tokens, vocabulary]))
    }
}

/// Rows `index` of `[embedded; features]`, as `[B, T, D]`.
pub fn splice(
    embedded: Tensor<3>,
    features: Tensor<3>,
    index: Vec<i32>,
    [batch, tokens]: [usize; 2],
    device: &Device,
) -> Tensor<3> {
    let width = embedded.dims()[2];
    let [images, per_image, _] = features.dims();
    let source =
        Tensor::cat(vec![embedded.reshape([batch * tokens, width]), features.reshape([images * per_image, width])], 0);
    let index: Tensor<1, Int> = Tensor::from_data(TensorData::new(index, [batch * tokens]), device);
    source.select(0, index).reshape([batch, tokens, width])
}
