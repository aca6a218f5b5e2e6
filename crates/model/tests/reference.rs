//! The network against tensors of the reference implementation (`$GMAI_SHARED/golden`, or `../shared/golden`).
//!
//! Tolerance 2e-4 absolute in f32: sums run in another order than PyTorch's.
#![allow(clippy::unwrap_used)]

use burn::tensor::Tensor;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::weights::{OwnedTensor, load_tensors};
use gmai_model::{GmaiVl, KvCache, device};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const TOLERANCE: f32 = 2e-4;

/// Folders of `golden` that hold a checkpoint with vectors; empty (and said so) without the shared data.
fn checkpoints() -> Vec<PathBuf> {
    let shared = std::env::var_os("GMAI_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(shared.join("golden")) else {
        eprintln!("skipped: no shared data; set GMAI_SHARED");
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("vectors.safetensors").exists()).collect();
    folders.sort();
    folders
}

struct Reference {
    model: GmaiVl,
    vectors: BTreeMap<String, OwnedTensor>,
}

impl Reference {
    fn open(folder: &Path) -> Reference {
        Reference {
            model: GmaiVl::from_folder(folder, &device::cpu()).unwrap(),
            vectors: load_tensors(&folder.join("vectors.safetensors")).unwrap(),
        }
    }

    fn get(&self, name: &str) -> &OwnedTensor {
        &self.vectors[name]
    }

    /// Ids with each image token expanded.
    fn sequence(&self, ids: &[f32]) -> Vec<u32> {
        let image = self.model.config.image_token_index;
        let tokens = self.model.config.num_image_tokens();
        ids.iter().flat_map(|&id| vec![id as u32; if id as u32 == image { tokens } else { 1 }]).collect()
    }

    fn assert_close(&self, name: &str, got: Vec<f32>) {
        let want = &self.get(name).values;
        assert_eq!(want.len(), got.len(), "{name}");
        let worst = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= TOLERANCE, "{name}: largest difference {worst}");
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn vision_states_and_image_features_equal_the_reference() {
    for folder in checkpoints() {
        let reference = Reference::open(&folder);
        let model = &reference.model;
        let patches = model.patches(&reference.get("one.pixel_values").values);
        let vision = &model.vision_tower.vision_model;
        let mut state = vision.embed(patches.clone());
        reference.assert_close("one.vision_hidden.0", values(state.clone()));
        for (index, block) in vision.encoder.layers.iter().enumerate() {
            state = block.forward(state);
            reference.assert_close(&format!("one.vision_hidden.{}", index + 1), values(state.clone()));
        }
        reference.assert_close("one.image_features", values(model.image_features(patches)));
    }
}

#[test]
fn logits_equal_the_reference_with_and_without_an_image() {
    for folder in checkpoints() {
        let reference = Reference::open(&folder);
        let model = &reference.model;
        let rows = TokenRows::from_sequences(&[reference.sequence(&reference.get("one.input_ids").values)]);
        let features = model.image_features(model.patches(&reference.get("one.pixel_values").values));
        reference.assert_close("one.logits", values(model.forward(&rows, Some(features)).unwrap()));
        let rows = TokenRows::from_sequences(&[reference.sequence(&reference.get("text.input_ids").values)]);
        reference.assert_close("text.logits", values(model.forward(&rows, None).unwrap()));
    }
}

#[test]
fn cached_decoding_equals_decoding_everything() {
    for folder in checkpoints() {
        let reference = Reference::open(&folder);
        let model = &reference.model;
        let sequence = reference.sequence(&reference.get("text.input_ids").values);
        let rows = TokenRows::from_sequences(std::slice::from_ref(&sequence));
        let whole = values(model.decode(&rows, model.embed(&rows, None).unwrap()));
        let mut cache = KvCache::new(model.config.text_config.num_hidden_layers);
        let mut pieces = Vec::new();
        for piece in [&sequence[..3], &sequence[3..4], &sequence[4..]] {
            let rows = TokenRows::from_sequences(&[piece.to_vec()]);
            pieces.extend(values(model.decode_cached(model.embed(&rows, None).unwrap(), &mut cache)));
        }
        let worst = whole.iter().zip(&pieces).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }
}
