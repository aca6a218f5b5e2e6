//! Whole folders there and back, what is refused, and the GGUF files read again.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use gmai_convert::{Checkpoint, Error, Layout, Outtype, to_gguf, to_hugging_face};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Stored values: number format, shape, bytes.
type Bytes = (safetensors::Dtype, Vec<usize>, Vec<u8>);

/// Checkpoint folders of the shared data; empty (and said so) without it.
fn golden() -> Vec<PathBuf> {
    let shared = std::env::var_os("GMAI_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(shared.join("golden")) else {
        eprintln!("skipped: no shared data; set GMAI_SHARED");
        return Vec::new();
    };
    let folders = entries.map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.join("config.json").is_file()).collect();
    folders.sort();
    folders
}

/// A small InternLM2 checkpoint whose values count up, in bf16, in two files.
fn made(folder: &Path) -> Value {
    let config = json!({
        "model_type": "enhanced_llava", "architectures": ["LlavaForConditionalGeneration"], "image_token_index": 39,
        "auto_map": { "AutoConfig": "code.Config" }, "torch_dtype": "bfloat16",
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 3, "num_attention_heads": 2,
            "image_size": 4, "patch_size": 2
        },
        "text_config": {
            "model_type": "internlm2", "bias": true, "vocab_size": 40, "hidden_size": 32, "intermediate_size": 12, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 5000.0,
            "rope_scaling": { "type": "linear", "factor": 2.0 }
        }
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    // The shapes come from the crate itself: what is tested here is where values go.
    std::fs::write(folder.join("model.safetensors.index.json"), r#"{"weight_map": {}}"#).unwrap();
    let shapes = gmai_convert::shapes::Shapes::read(&Checkpoint::open(folder).unwrap()).unwrap();
    let mut files: [BTreeMap<String, Vec<usize>>; 2] = Default::default();
    let mut weight_map = BTreeMap::new();
    for (name, shape) in shapes.tensors() {
        let file = usize::from(name.contains("layers.1"));
        weight_map.insert(name.clone(), [first, second][file]);
        files[file].insert(name, shape);
    }
    let mut next = 0_u16;
    for (file, tensors) in [first, second].iter().zip(&files) {
        let data: BTreeMap<&String, Vec<u8>> = tensors
            .iter()
            .map(|(name, shape)| {
                let count = shape.iter().product::<usize>();
                let mut number = || {
                    next = (next + 1) % 0x3f00; // Bits of positive finite numbers.
                    next.to_le_bytes()
                };
                (name, (0..count).flat_map(|_| number()).collect())
            })
            .collect();
        let views = tensors.iter().map(|(name, shape)| {
            (name, safetensors::tensor::TensorView::new(safetensors::Dtype::BF16, shape.clone(), &data[name]).unwrap())
        });
        safetensors::serialize_to_file(views, None, &folder.join(file)).unwrap();
    }
    let index = json!({ "metadata": {}, "weight_map": weight_map });
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    config
}

fn tensors(folder: &Path) -> BTreeMap<String, Bytes> {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let read = |name: &str| {
        let tensor = checkpoint.tensor(name).unwrap();
        (name.to_owned(), (tensor.dtype, tensor.shape.to_vec(), tensor.bytes.to_vec()))
    };
    checkpoint.names().map(read).collect()
}

fn config(folder: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap()
}

#[test]
fn there_and_back_is_bit_equal_and_keeps_format_and_files() {
    let folder = TempDir::new().unwrap();
    let config_before = made(folder.path());
    let (llava, back) = (folder.path().join("llava"), folder.path().join("back"));
    to_hugging_face(folder.path(), Layout::HfLlava, &llava).unwrap();
    to_hugging_face(&llava, Layout::EnhancedLlava, &back).unwrap();
    assert_eq!(tensors(folder.path()), tensors(&back));
    assert_eq!(Checkpoint::open(&llava).unwrap().file_names().len(), 2);
    let text = &config(&back)["text_config"];
    for (key, value) in config_before["text_config"].as_object().unwrap() {
        assert_eq!(&text[key], value, "{key}");
    }
    let there = config(&llava);
    assert_eq!((&there["model_type"], &there["text_config"]["model_type"]), (&json!("llava"), &json!("llama")));
    assert_eq!(there["text_config"]["attention_bias"], true);
    assert_eq!(there["image_seq_length"], 4);
    assert!(there.get("auto_map").is_none());
}

#[test]
fn queries_keys_and_values_come_from_their_places_in_the_packed_rows() {
    let folder = TempDir::new().unwrap();
    made(folder.path());
    let llava = folder.path().join("llava");
    to_hugging_face(folder.path(), Layout::HfLlava, &llava).unwrap();
    let (before, after) = (tensors(folder.path()), tensors(&llava));
    let row = |tensors: &BTreeMap<String, Bytes>, name: &str, row: usize| {
        let (_, shape, bytes) = &tensors[&format!("language_model.model.layers.1.{name}.weight")];
        let width = 2 * shape[1];
        bytes[row * width..(row + 1) * width].to_vec()
    };
    let packed = |index| row(&before, "attention.wqkv", index);
    // Two groups of two queries, a key and a value, eight rows each.
    for (projection, place, expected) in [
        ("q_proj", 0, 0),
        ("q_proj", 15, 15),
        ("k_proj", 0, 16),
        ("v_proj", 7, 31),
        ("q_proj", 16, 32),
        ("k_proj", 8, 48),
        ("v_proj", 8, 56),
    ] {
        assert_eq!(row(&after, &format!("self_attn.{projection}"), place), packed(expected), "{projection} {place}");
    }
}

#[test]
fn reference_checkpoints_go_there_and_back() {
    for folder in golden() {
        let out = TempDir::new().unwrap();
        let text = config(&folder)["text_config"]["model_type"].as_str().unwrap().to_owned();
        let [first, second] = if text == "internlm2" {
            [Layout::HfLlava, Layout::EnhancedLlava]
        } else {
            [Layout::EnhancedLlava, Layout::HfLlava]
        };
        let (there, back) = (out.path().join("there"), out.path().join("back"));
        let converted = to_hugging_face(&folder, first, &there);
        if !["internlm2", "llama"].contains(&text.as_str()) {
            assert!(converted.unwrap_err().to_string().contains(&text), "{}", folder.display());
            continue;
        }
        to_hugging_face(&there, second, &back).unwrap();
        assert_eq!(tensors(&folder), tensors(&back), "{}", folder.display());
    }
}

#[test]
fn tensors_that_do_not_fit_are_all_named() {
    let folder = TempDir::new().unwrap();
    let mut config = made(folder.path());
    config["text_config"]["num_hidden_layers"] = json!(3);
    config["vision_config"]["num_hidden_layers"] = json!(2);
    config["text_config"]["vocab_size"] = json!(41);
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let error = to_hugging_face(folder.path(), Layout::HfLlava, &folder.path().join("out")).unwrap_err();
    let Error::Tensors { missing, unexpected, misshapen, .. } = error else { panic!("{error}") };
    assert!(missing.contains(&"language_model.model.layers.2.attention.wqkv.weight".to_owned()));
    assert!(unexpected.contains(&"vision_tower.vision_model.encoder.layers.2.mlp.fc1.bias".to_owned()));
    assert_eq!(misshapen.len(), 2, "{misshapen:?}");
    assert!(!folder.path().join("out").exists());
}

#[test]
fn settings_that_the_target_lacks_are_refused_by_name() {
    for (field, value, layout, needle) in [
        ("vision_feature_select_strategy", json!("full"), None, "vision_feature_select_strategy"),
        ("vision_feature_layer", json!([-2, -5]), None, "vision_feature_layer"),
        ("projector_hidden_act", json!("relu"), None, "projector_hidden_act"),
        ("model_type", json!("llava_next"), Some(Layout::HfLlava), "model_type"),
    ] {
        let folder = TempDir::new().unwrap();
        let mut config = made(folder.path());
        config[field] = value;
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let out = folder.path().join("out");
        let error = match layout {
            Some(layout) => to_hugging_face(folder.path(), layout, &out).unwrap_err(),
            None => to_gguf(folder.path(), Outtype::F16, "made", &out).unwrap_err(),
        };
        assert!(error.to_string().contains(needle), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn truncated_files_are_refused_by_name() {
    let folder = TempDir::new().unwrap();
    made(folder.path());
    let path = folder.path().join("model-00002-of-00002.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = to_hugging_face(folder.path(), Layout::HfLlava, &folder.path().join("out")).unwrap_err();
        assert!(error.to_string().contains("model-00002-of-00002.safetensors"), "{error}");
    }
}

/// A GGUF file read back: keys as text, tensors with type number and bytes.
struct Read {
    keys: BTreeMap<String, String>,
    tensors: BTreeMap<String, (u32, Vec<u64>, usize)>,
    data: Vec<u8>,
}

impl Read {
    fn open(path: &Path) -> Read {
        let bytes = std::fs::read(path).unwrap();
        let mut at = 0;
        let mut take = |count: usize| {
            at += count;
            bytes[at - count..at].to_vec()
        };
        assert_eq!(take(8), b"GGUF\x03\0\0\0");
        let u64_of = |bytes: Vec<u8>| u64::from_le_bytes(bytes.try_into().unwrap());
        let u32_of = |bytes: Vec<u8>| u32::from_le_bytes(bytes.try_into().unwrap());
        let (num_tensors, num_keys) = (u64_of(take(8)), u64_of(take(8)));
        let text = |take: &mut dyn FnMut(usize) -> Vec<u8>| {
            let length = u64_of(take(8)) as usize;
            String::from_utf8(take(length)).unwrap()
        };
        let mut keys = BTreeMap::new();
        for _ in 0..num_keys {
            let key = text(&mut take);
            let kind = u32_of(take(4));
            let single = |kind: u32, take: &mut dyn FnMut(usize) -> Vec<u8>| match kind {
                4 | 5 => u32_of(take(4)).to_string(),
                6 => f32::from_bits(u32_of(take(4))).to_string(),
                7 => (take(1)[0] == 1).to_string(),
                8 => text(take),
                kind => panic!("{key}: type {kind}"),
            };
            let value = if kind == 9 {
                let (kind, length) = (u32_of(take(4)), u64_of(take(8)));
                (0..length).map(|_| single(kind, &mut take)).collect::<Vec<_>>().join(" ")
            } else {
                single(kind, &mut take)
            };
            keys.insert(key, value);
        }
        let mut tensors = BTreeMap::new();
        for _ in 0..num_tensors {
            let name = text(&mut take);
            let rank = u32_of(take(4));
            let shape = (0..rank).map(|_| u64_of(take(8))).collect();
            let kind = u32_of(take(4));
            tensors.insert(name, (kind, shape, u64_of(take(8)) as usize));
        }
        let data = bytes[at.next_multiple_of(32)..].to_vec();
        Read { keys, tensors, data }
    }

    fn floats(&self, name: &str, count: usize) -> Vec<f32> {
        let (kind, _, offset) = &self.tensors[name];
        assert_eq!(*kind, 0, "{name}");
        let bytes = &self.data[*offset..offset + 4 * count];
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

#[test]
fn gguf_files_hold_the_sizes_and_the_rows_in_llama_cpps_order() {
    let folder = TempDir::new().unwrap();
    made(folder.path());
    let out = folder.path().join("gguf");
    let converted = to_gguf(folder.path(), Outtype::F32, "made", &out).unwrap();
    assert_eq!(converted.files, [out.join("made-f32.gguf"), out.join("mmproj-made-f32.gguf")]);
    let language = Read::open(&out.join("made-f32.gguf"));
    for (key, value) in [
        ("general.architecture", "llama"),
        ("llama.block_count", "2"),
        ("llama.attention.head_count", "4"),
        ("llama.attention.head_count_kv", "2"),
        ("llama.rope.freq_base", "5000"),
        ("llama.rope.scaling.type", "linear"),
        ("llama.rope.scaling.factor", "2"),
        ("llama.context_length", "64"),
    ] {
        assert_eq!(language.keys[key], value, "{key}");
    }
    // Key-value head 1 has its key in rows 48 to 55 of wqkv; neighbours in llama.cpp are half a head apart here.
    let (_, _, stored) = &tensors(folder.path())["language_model.model.layers.1.attention.wqkv.bias"];
    let bias: Vec<f32> =
        stored.chunks_exact(2).map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16)).collect();
    let expected = [48, 52, 49, 53, 50, 54, 51, 55].map(|row| bias[row]);
    assert_eq!(language.floats("blk.1.attn_k.bias", 16)[8..], expected);
    let vision = Read::open(&out.join("mmproj-made-f32.gguf"));
    assert_eq!(vision.keys["clip.vision.feature_layer"], "2");
    assert_eq!(vision.keys["clip.vision.block_count"], "3");
    assert_eq!(vision.tensors["v.patch_embd.weight"].1, [2, 2, 3, 8]);
    assert!(!vision.tensors.contains_key("v.post_ln.weight"));
    // What clip.cpp before May 2025 needs: a description, and the first matrix (8 to 12) under the second's name.
    assert!(vision.keys.contains_key("general.description"));
    assert_eq!(vision.tensors["v.blk.0.ffn_down.weight"].1, [8, 12]);
    assert_eq!(vision.tensors["v.blk.0.ffn_up.weight"].1, [12, 8]);
}

#[test]
fn reference_checkpoints_become_gguf_files_of_every_type() {
    for folder in golden() {
        for outtype in [Outtype::F32, Outtype::F16, Outtype::Q8_0] {
            let out = TempDir::new().unwrap();
            let converted = to_gguf(&folder, outtype, "reference", &out.path().join("gguf")).unwrap();
            let tensors: usize = converted.files.iter().map(|file| Read::open(file).tensors.len()).sum();
            assert_eq!(tensors, converted.num_tensors);
        }
    }
}

#[test]
fn a_tokenizer_json_becomes_tokens_with_types_and_scores_by_merge() {
    let folder = TempDir::new().unwrap();
    let mut config = made(folder.path());
    config["text_config"]["vocab_size"] = json!(40);
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "a", "b", "ab", "▁", "▁ab"];
    let vocab: BTreeMap<&str, usize> = tokens.iter().enumerate().map(|(id, text)| (*text, id)).collect();
    let special = |id: usize| json!({ "id": id, "content": tokens[id], "special": true });
    let tokenizer = json!({
        "added_tokens": [special(0), special(1), special(2), { "id": 39, "content": "<image>", "special": true }],
        "normalizer": { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }, "pre_tokenizer": null,
        "model": { "type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "vocab": vocab, "merges": ["a b", ["▁", "ab"]] }
    });
    let tokenizer_config =
        json!({ "bos_token": "<s>", "eos_token": { "content": "</s>" }, "chat_template": "{{ messages }}" });
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), tokenizer_config.to_string()).unwrap();
    let out = folder.path().join("gguf");
    to_gguf(folder.path(), Outtype::F16, "made", &out).unwrap();
    let keys = Read::open(&out.join("made-f16.gguf")).keys;
    assert_eq!(keys["tokenizer.ggml.model"], "llama");
    assert!(keys["tokenizer.ggml.tokens"].starts_with("<unk> <s> </s> <0x0A> a b ab ▁ ▁ab [PAD9]"));
    assert!(keys["tokenizer.ggml.tokens"].ends_with("[PAD38] <image>"));
    assert!(keys["tokenizer.ggml.token_type"].starts_with("2 3 3 6 1 1 1 1 1 5"));
    assert!(keys["tokenizer.ggml.scores"].contains("-0 -1000000 -1 "), "{}", keys["tokenizer.ggml.scores"]);
    assert_eq!((&*keys["tokenizer.ggml.bos_token_id"], &*keys["tokenizer.ggml.eos_token_id"]), ("1", "2"));
    assert_eq!(keys["tokenizer.ggml.add_space_prefix"], "false");
    assert_eq!(keys["tokenizer.ggml.add_bos_token"], "false"); // The template writes none.
    assert_eq!(keys["tokenizer.chat_template"], "{{ messages }}");
}
