//! Checkpoint folders on disk: what is kept when they are loaded and saved, and what is refused.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Tensor, TensorData};
use gmai_model::gmai_vl::TokenRows;
use gmai_model::weights::{OwnedTensor, Precision, load_tensors, save_tensors};
use gmai_model::{Config, GmaiVl, Parameters, device};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn tiny_json() -> Value {
    serde_json::from_str(include_str!("../../../configs/model/tiny.json")).unwrap()
}

fn fresh(config: &Value, seed: u64) -> GmaiVl {
    GmaiVl::new(serde_json::from_value(config.clone()).unwrap(), seed, &device::cpu()).unwrap()
}

/// A folder with the tiny model in it, and its name in errors.
fn saved(config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fresh(config, 3).save(folder.path()).unwrap();
    folder
}

fn refused(folder: &Path) -> String {
    GmaiVl::from_folder(folder, &device::cpu()).expect_err("refused").to_string()
}

fn rewrite(folder: &Path, change: impl FnOnce(&mut BTreeMap<String, OwnedTensor>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = load_tensors(&path).unwrap();
    change(&mut tensors);
    save_tensors(&tensors, &path).unwrap();
}

fn set(config: &mut Value, part: &str, key: &str, value: Value) {
    config[part][key] = value;
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}

/// Logits of a row with one picture and some text, without a cache.
fn logits(model: &GmaiVl) -> Vec<f32> {
    let size = model.config.vision_config.image_size;
    let pixels: Vec<f32> = (0..3 * size * size).map(|index| (index as f32 * 0.37).sin()).collect();
    let features = model.image_features(model.checked_patches(&pixels).unwrap());
    values(model.forward(&TokenRows::from_sequences(&[sequence(model)]), Some(features)).unwrap())
}

/// A row with one picture.
fn sequence(model: &GmaiVl) -> Vec<u32> {
    let image = model.config.image_token_index;
    let text = (0..9).map(|index| (index * 7 + 1) % 40).filter(|id| *id != image);
    let mut ids: Vec<u32> = text.collect();
    ids.splice(2..2, vec![image; model.config.num_image_tokens()]);
    ids
}

#[test]
fn brain_floats_in_memory_answer_nearly_as_f32() {
    let mut config = tiny_json();
    config["torch_dtype"] = json!("bfloat16");
    let folder = saved(&config);
    let single = GmaiVl::from_folder(folder.path(), &device::cpu()).unwrap();
    let brain = GmaiVl::from_folder_as(folder.path(), Precision::Bf16, &device::cpu()).unwrap();
    let (single, brain) = (logits(&single), logits(&brain));
    let scale = single.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let worst = single.iter().zip(&brain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 0.05 * scale, "{worst} of {scale}");
}

#[test]
fn files_beside_the_weights_and_unknown_keys_survive() {
    let mut config = tiny_json();
    config["mystery"] = json!({"deep": [1, 2]});
    let folder = saved(&tiny_json());
    let text = format!("{config:#}  \n\n");
    std::fs::write(folder.path().join("config.json"), &text).unwrap();
    std::fs::write(folder.path().join("generation_config.json"), "{}").unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), "{ }").unwrap();
    let out = tempfile::tempdir().unwrap();
    GmaiVl::from_folder(folder.path(), &device::cpu()).unwrap().save(out.path()).unwrap();
    assert_eq!(std::fs::read_to_string(out.path().join("config.json")).unwrap(), text);
    assert_eq!(std::fs::read_to_string(out.path().join("tokenizer.json")).unwrap(), "{ }");
    assert!(out.path().join("generation_config.json").exists());
}

#[test]
fn a_trained_half_precision_checkpoint_is_stored_in_f32() {
    let mut config = tiny_json();
    config["torch_dtype"] = json!("bfloat16");
    let folder = saved(&config);
    let mut model = GmaiVl::from_folder(folder.path(), &device::cpu()).unwrap();
    model.store_as_f32();
    model.visit_parameters("", &mut |_, mut parameter| {
        let values = parameter.to_vec().iter().map(|value| value + 1e-6).collect();
        parameter.set(values, &device::cpu());
    });
    let out = tempfile::tempdir().unwrap();
    model.save(out.path()).unwrap();
    assert_eq!(logits(&GmaiVl::from_folder(out.path(), &device::cpu()).unwrap()), logits(&model));
    assert_eq!(Config::from_folder(out.path()).unwrap().torch_dtype, "float32");
}

#[test]
fn missing_unexpected_and_misshapen_tensors_are_listed_together() {
    let folder = saved(&tiny_json());
    rewrite(folder.path(), |tensors| {
        tensors.remove("language_model.model.norm.weight");
        let odd = OwnedTensor { shape: vec![2], values: vec![0.0; 2] };
        tensors.insert("language_model.surplus".to_owned(), odd.clone());
        tensors.insert("multi_modal_projector.linear_1.bias".to_owned(), odd);
    });
    let message = refused(folder.path());
    for part in [
        "missing [\"language_model.model.norm.weight\"]",
        "unexpected [\"language_model.surplus\"]",
        "linear_1.bias: wanted [64], found [2]",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_name() {
    for value in [f32::NAN, f32::INFINITY] {
        let folder = saved(&tiny_json());
        rewrite(folder.path(), |tensors| tensors.get_mut("language_model.output.weight").unwrap().values[7] = value);
        let message = refused(folder.path());
        assert!(message.contains("NaN or infinite") && message.contains("language_model.output.weight"), "{message}");
    }
}

#[test]
fn damaged_files_are_refused_by_name() {
    let folder = saved(&tiny_json());
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let message = refused(folder.path());
        assert!(message.contains("model.safetensors") && message.contains("copy it again"), "{length}: {message}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(refused(folder.path()).contains("model.safetensors"));
    std::fs::write(folder.path().join("model.safetensors.index.json"), r#"{"weight_map": {"a": "../b.safetensors"}}"#)
        .unwrap();
    assert!(refused(folder.path()).contains("outside the folder"));
}

#[test]
fn a_missing_shard_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fresh(&tiny_json(), 1).save_sharded(folder.path(), 100_000).unwrap();
    let names =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let second = names.into_iter().find(|name| name.starts_with("model-00002-of-")).unwrap();
    std::fs::remove_file(folder.path().join(&second)).unwrap();
    assert!(refused(folder.path()).contains(&second));
}

#[test]
fn a_config_without_a_field_is_refused_with_its_name() {
    for (part, key) in [
        ("", "model_type"),
        ("", "text_config"),
        ("", "vision_config"),
        ("", "image_token_index"),
        ("text_config", "hidden_size"),
        ("text_config", "vocab_size"),
        ("text_config", "num_hidden_layers"),
        ("text_config", "num_key_value_heads"),
        ("vision_config", "hidden_size"),
        ("vision_config", "num_hidden_layers"),
        ("vision_config", "intermediate_size"),
    ] {
        let folder = saved(&tiny_json());
        let mut config = tiny_json();
        let object = if part.is_empty() { &mut config } else { &mut config[part] };
        object.as_object_mut().unwrap().remove(key);
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let message = refused(folder.path());
        assert!(message.contains(key), "{key}: {message}");
    }
}

#[test]
fn settings_beyond_the_network_are_refused_by_name() {
    for (part, key, value) in [
        ("text_config", "rope_scaling", json!({"type": "yarn", "factor": 2.0})),
        ("text_config", "model_type", json!("gemma")),
        ("vision_config", "model_type", json!("dinov2")),
        ("vision_config", "hidden_act", json!("mish")),
        ("vision_config", "num_channels", json!(1)),
    ] {
        let folder = saved(&tiny_json());
        let mut config = tiny_json();
        set(&mut config, part, key, value);
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let message = refused(folder.path());
        assert!(message.contains(&format!("{part}.{key}")) && message.contains("config.json"), "{message}");
    }
}

#[test]
fn an_image_token_outside_the_embedding_is_refused() {
    let mut config = tiny_json();
    config["image_token_index"] = json!(328);
    let error = GmaiVl::new(serde_json::from_value(config).unwrap(), 1, &device::cpu()).err().unwrap().to_string();
    assert!(error.contains("image_token_index = 328") && error.contains("vocab_size"), "{error}");
}

#[test]
fn ids_and_pictures_that_do_not_fit_are_refused() {
    let model = fresh(&tiny_json(), 1);
    let text = |ids: Vec<u32>| model.forward(&TokenRows::from_sequences(&[ids]), None).err().unwrap().to_string();
    assert!(text(vec![5, 328]).contains("token id 328 lies outside the vocabulary of 328"));
    assert_eq!(text(vec![5, 320]), "prompt reserves 1 image tokens, images give 0");
    let rows = TokenRows::from_sequences(&[vec![5, 6]]);
    let features = Tensor::from_data(TensorData::zeros::<f32, _>([1, 16, 64]), model.device());
    let error = model.forward(&rows, Some(features)).err().unwrap().to_string();
    assert_eq!(error, "prompt reserves 0 image tokens, images give 16");
    assert!(model.checked_patches(&[0.0; 100]).err().unwrap().to_string().contains("3 x 56 x 56"));
}

#[test]
fn a_sequence_beyond_the_maximum_is_refused_with_both_numbers() {
    let mut config = tiny_json();
    config["text_config"]["max_position_embeddings"] = json!(8);
    let ids = TokenRows::from_sequences(&[(0..9).collect()]);
    let stretched = fresh(&config, 1);
    assert!(stretched.forward(&ids, None).is_ok(), "dynamic scaling takes any length");
    config["text_config"]["rope_scaling"] = Value::Null;
    let error = fresh(&config, 1).forward(&ids, None).err().unwrap().to_string();
    assert!(
        error.contains("9 tokens") && error.contains("at most 8") && error.contains("max_position_embeddings"),
        "{error}"
    );
}

#[test]
fn a_stored_copy_of_a_tied_head_must_equal_the_embedding() {
    let mut config = tiny_json();
    config["text_config"]["tie_word_embeddings"] = json!(true);
    let folder = saved(&config);
    rewrite(folder.path(), |tensors| {
        let table = tensors["language_model.model.tok_embeddings.weight"].clone();
        tensors.insert("language_model.output.weight".to_owned(), table);
    });
    let out = tempfile::tempdir().unwrap();
    GmaiVl::from_folder(folder.path(), &device::cpu()).unwrap().save(out.path()).unwrap();
    let read = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert_eq!(read(folder.path()), read(out.path()));
    rewrite(folder.path(), |tensors| tensors.get_mut("language_model.output.weight").unwrap().values[0] += 1.0);
    assert!(refused(folder.path()).contains("tie_word_embeddings"));
}

#[test]
fn a_mapped_checkpoint_answers_the_same_and_its_files_stay_as_they_are() {
    let folder = saved(&tiny_json());
    let path = folder.path().join("model.safetensors");
    let before = std::fs::read(&path).unwrap();
    let copied = GmaiVl::from_folder(folder.path(), &device::cpu()).unwrap();
    let (mut mapped, identity) = GmaiVl::map_folder(folder.path(), &device::cpu()).unwrap();
    assert_eq!(logits(&mapped), logits(&copied));
    // Another division into files, the same network.
    let shards = tempfile::tempdir().unwrap();
    fresh(&tiny_json(), 3).save_sharded(shards.path(), 200_000).unwrap();
    assert!(shards.path().join("model.safetensors.index.json").exists());
    assert_eq!(GmaiVl::map_folder(shards.path(), &device::cpu()).unwrap().1, identity);
    // Saved over itself while it is mapped, and changed in place: neither reaches the file before it is saved.
    mapped.save(folder.path()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let table = &mut mapped.language_model.model.tok_embeddings.weight;
    *table = table.clone() * 0.0 + 1.0;
    assert_ne!(logits(&mapped), logits(&copied));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    mapped.save(folder.path()).unwrap();
    assert_ne!(GmaiVl::map_folder(folder.path(), &device::cpu()).unwrap().1, identity);
}

#[test]
fn a_mapped_checkpoint_with_values_out_of_place_or_no_numbers_is_read_or_refused() {
    let folder = saved(&tiny_json());
    let path = folder.path().join("model.safetensors");
    let whole = GmaiVl::from_folder(folder.path(), &device::cpu()).unwrap();
    // One byte more in the header: no value is aligned any more.
    let bytes = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) + 1;
    let shifted =
        [&header.to_le_bytes()[..], &bytes[8..7 + header as usize], b" ", &bytes[7 + header as usize..]].concat();
    std::fs::write(&path, shifted).unwrap();
    let (mapped, _) = GmaiVl::map_folder(folder.path(), &device::cpu()).unwrap();
    assert_eq!(logits(&mapped), logits(&whole));
    rewrite(folder.path(), |tensors| {
        tensors.get_mut("language_model.output.weight").unwrap().values[5] = f32::NEG_INFINITY;
    });
    let error = GmaiVl::map_folder(folder.path(), &device::cpu()).expect_err("refused").to_string();
    assert!(error.contains("language_model.output.weight"), "{error}");
}
