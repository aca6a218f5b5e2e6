//! Random small plans of every family, for tests that must hold for all of them.
#![allow(dead_code, clippy::unwrap_used)] // Each test file takes what it needs; in a test a panic is the report.

use burn::tensor::Tensor;
use gmai_model::{GmaiVl, device};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Layout of the whole and decoder.
const FAMILIES: [(&str, &str); 5] = [
    ("enhanced_llava", "internlm2"),
    ("enhanced_llava", "llama"),
    ("llava", "llama"),
    ("llava", "mistral"),
    ("llava", "qwen2"),
];

/// Ids below this are words in every plan, or the image token.
pub const WORDS: u32 = 40;

/// Tokens after which dynamic scaling sets in, and after which Llama 3 scaling counts frequencies as low.
pub const SHORT: usize = 12;

/// Any supported plan with small sizes. `round` goes through the families, everything else is drawn.
pub fn plan(round: usize, rng: &mut ChaCha8Rng) -> Value {
    let mut pick = |count: usize| rng.random_range(0..count);
    let (model_type, text_type) = FAMILIES[round % FAMILIES.len()];
    let (kv_heads, groups, head_dim) = (1 + pick(3), 1 + pick(3), 2 * (2 + pick(4)));
    let heads = kv_heads * groups;
    let scaling = [
        Value::Null,
        json!({"type": "linear", "factor": 2.0}),
        json!({"type": "dynamic", "factor": 2.0}),
        json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": SHORT}),
    ][pick(4)]
    .clone();
    let positions = if scaling["type"] == "dynamic" { SHORT } else { 64 };
    let vision_heads = 1 + pick(4);
    let layers = 1 + pick(3);
    let activations = ["silu", "gelu", "gelu_pytorch_tanh", "quick_gelu"];
    let mut text = json!({
        "model_type": text_type, "vocab_size": WORDS as usize + pick(20), "hidden_size": heads * head_dim,
        "intermediate_size": 8 + pick(20), "num_hidden_layers": 1 + pick(2), "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "max_position_embeddings": positions, "rope_theta": ([10000.0, 500000.0][pick(2)]),
        "rope_scaling": scaling, "rms_norm_eps": ([1e-6, 1e-5][pick(2)]), "hidden_act": (activations[pick(4)]),
        "bias": pick(2) == 0, "attention_bias": pick(2) == 0, "mlp_bias": pick(2) == 0, "sliding_window": null,
        "tie_word_embeddings": pick(2) == 0, "initializer_range": 0.3,
    });
    if text_type != "internlm2" && pick(3) == 0 {
        // Heads that do not fill the hidden size.
        text["head_dim"] = json!(head_dim + 2);
    }
    json!({
        "model_type": model_type,
        "image_token_index": pick(WORDS as usize),
        // Any hidden state, counted from either end.
        "vision_feature_layer": pick(2 * layers + 2) as i64 - layers as i64 - 1,
        "vision_feature_select_strategy": (["default", "full"][pick(2)]),
        "projector_hidden_act": (["gelu", "gelu_pytorch_tanh"][pick(2)]),
        "multimodal_projector_bias": pick(2) == 0,
        "torch_dtype": (["float32", "float16", "bfloat16"][pick(3)]),
        "vision_config": {
            "model_type": (["clip_vision_model", "siglip_vision_model"][pick(2)]),
            "hidden_size": 4 * vision_heads, "intermediate_size": 4 + pick(20), "num_hidden_layers": layers,
            "num_attention_heads": vision_heads, "patch_size": 4, "image_size": 8 + pick(6),
            "hidden_act": (["quick_gelu", "gelu", "gelu_pytorch_tanh"][pick(3)]), "vision_use_head": pick(2) == 0,
        },
        "text_config": text,
    })
}

/// A model of a plan, its weights drawn from `seed`.
pub fn fresh(config: &Value, seed: u64) -> GmaiVl {
    let config = serde_json::from_value(config.clone()).unwrap_or_else(|error| panic!("{error}: {config}"));
    GmaiVl::new(config, seed, &device::cpu()).unwrap()
}

/// Words with `num_pictures` pictures among them, in ids.
pub fn sequence(model: &GmaiVl, num_words: usize, num_pictures: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let image = model.config.image_token_index;
    let mut ids = Vec::new();
    for place in 0..num_words {
        if place > 0 && place <= num_pictures {
            ids.extend(vec![image; model.config.num_image_tokens()]);
        }
        ids.push((image + rng.random_range(1..WORDS)) % WORDS);
    }
    ids
}

/// Image features of so many random pictures; `None` of none.
pub fn pictures(model: &GmaiVl, count: usize, rng: &mut ChaCha8Rng) -> Option<Tensor<3>> {
    let size = model.config.vision_config.image_size;
    let pixels: Vec<f32> = (0..count * 3 * size * size).map(|_| rng.random_range(-2.0..2.0)).collect();
    (count > 0).then(|| model.image_features(model.checked_patches(&pixels).unwrap()))
}

/// The numbers of a tensor, whatever their format.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}

/// The largest difference as a share of the largest value.
pub fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let scale = a.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
    assert!(scale.is_finite());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale
}
