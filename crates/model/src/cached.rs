//! Passes over new tokens of sequences whose earlier tokens are in a key-value cache.
//!
//! Shapes: B sequences, T new tokens, D width.

use crate::GmaiVl;
use crate::config::RopeScaling;
use crate::decoder::{cached_context, head_groups, rotary_angles};
use crate::host::{self, HostBlock, HostDecoder, Room, SequenceRows, View};
use crate::kv_cache::KvCache;
use burn::tensor::Tensor;

impl GmaiVl {
    /// New tokens `[1, T, D]` of a sequence whose earlier tokens are in `cache`, through all blocks.
    ///
    /// Gives what [`GmaiVl::decode`] gives for the whole sequence. Beyond `max_position_embeddings`, dynamic NTK scaling takes another rotary base
    /// for every length, and with it other keys and values for all earlier tokens in all blocks: they are computed anew, so each
    /// token beyond costs a pass over the whole sequence.
    pub fn decode_cached(&self, x: Tensor<3>, cache: &mut KvCache) -> Tensor<3> {
        let tokens = x.dims()[1];
        let mut x = x;
        if self.has_dynamic_positions() {
            let all = cache.remember(x.clone());
            if cache.num_tokens() > 0 && all.dims()[1] > self.config.text_config.max_position_embeddings {
                cache.restart();
                x = all;
            }
        }
        let passed = x.dims()[1];
        x = match self.host_blocks(&x) {
            Some(blocks) => self.host_pass(&blocks, x, &mut [&mut *cache]),
            None => self.composed_pass(x, cache),
        };
        cache.advance(passed);
        x.narrow(1, passed - tokens, tokens)
    }

    /// The next token `[B, 1, D]` of several sequences, each with its own cache, through all blocks: the weights are read once for all.
    ///
    /// Each sequence gets what [`GmaiVl::decode_cached`] gives it alone, on the CPU bit for bit.
    pub fn decode_together(&self, x: Tensor<3>, caches: &mut [&mut KvCache]) -> Tensor<3> {
        assert_eq!(x.dims()[..2], [caches.len(), 1], "one token of each sequence");
        let limit = self.config.text_config.max_position_embeddings;
        // Sequences whose rotary base changes are read anew, each by itself.
        let changes = self.has_dynamic_positions() && caches.iter().any(|cache| cache.num_tokens() + 1 > limit);
        let blocks = self.host_blocks(&x).filter(|_| !changes);
        let Some(blocks) = blocks else {
            let row = |index: usize| x.clone().narrow(0, index, 1);
            let rows = caches.iter_mut().enumerate().map(|(index, cache)| self.decode_cached(row(index), cache));
            return Tensor::cat(rows.collect(), 0);
        };
        if self.has_dynamic_positions() {
            for (index, cache) in caches.iter_mut().enumerate() {
                cache.remember(x.clone().narrow(0, index, 1));
            }
        }
        let pieces = caches.chunks_mut(host::FEW_ROWS).enumerate().map(|(index, caches)| {
            let x = x.clone().narrow(0, index * host::FEW_ROWS, caches.len());
            let hidden = self.host_pass(&blocks, x, caches);
            caches.iter_mut().for_each(|cache| cache.advance(1));
            hidden
        });
        let mut pieces: Vec<Tensor<3>> = pieces.collect();
        if pieces.len() == 1 { pieces.remove(0) } else { Tensor::cat(pieces, 0) }
    }

    fn has_dynamic_positions(&self) -> bool {
        matches!(self.config.text_config.rope_scaling, Some(RopeScaling::Dynamic { .. }))
    }

    /// The blocks as slices, where `x` and all parameters are f32 in this process's memory and nothing is recorded.
    fn host_blocks(&self, x: &Tensor<3>) -> Option<Vec<HostBlock>> {
        View::of(x)?;
        self.language_model.model.layers.iter().map(|block| block.host()).collect()
    }

    /// `[B, T, D]`, one sequence a row.
    fn host_pass(&self, blocks: &[HostBlock], x: Tensor<3>, caches: &mut [&mut KvCache]) -> Tensor<3> {
        let shape @ [_, tokens, _] = x.dims();
        let config = &self.config.text_config;
        let mut rotary = crate::fused::Rotary { cos: Vec::new(), sin: Vec::new() };
        for cache in caches.iter() {
            let positions: Vec<usize> = (cache.num_tokens()..cache.num_tokens() + tokens).collect();
            let own: crate::fused::Rotary = rotary_angles(config, &[positions], cache.num_tokens() + tokens).into();
            rotary.cos.extend(own.cos);
            rotary.sin.extend(own.sin);
        }
        let context = HostDecoder { groups: head_groups(config), head_dim: config.head_dim, rotary };
        let mut rows = View::of(&x).expect("seen by host_blocks").values().to_vec();
        drop(x);
        let mut room = Room::default();
        for (index, block) in blocks.iter().enumerate() {
            let mut sequences: Vec<SequenceRows<'_>> = caches
                .iter_mut()
                .map(|cache| SequenceRows { num_rows: tokens, segments: &mut cache.layers[index].segments })
                .collect();
            block.forward(&mut rows, &context, &mut sequences, &mut room);
        }
        host::tensor(rows, shape)
    }

    /// `[1, T, D]` through blocks composed of burn operations.
    fn composed_pass(&self, mut x: Tensor<3>, cache: &mut KvCache) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let context = cached_context(&self.config.text_config, batch, cache.num_tokens(), tokens, self.device());
        for (block, layer) in self.language_model.model.layers.iter().zip(&mut cache.layers) {
            x = block.forward(x, &context, Some(layer));
        }
        x
    }
}
