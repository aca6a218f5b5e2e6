//! Model folders and requests that do not fit: refused when the folder is opened or the question asked, with the cause by name.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.
#![recursion_limit = "256"]

use gmai_infer::Engine;
use gmai_model::weights::{load_tensors, save_tensors};
use gmai_model::{GmaiVl, device};
use gmai_processor::{ImageConfig, Processor, ProcessorConfig, train_tokenizer};
use gmai_schema::{ChatRequest, Responder, ResponderError, Rgb8, Sampling, Turn};
use serde_json::{Value, json};
use std::path::Path;

const NUM_IMAGE_TOKENS: usize = 4;

fn processor() -> Processor {
    let texts = ["user\nassistant\nWhich modality is shown? This is a CT image."].iter().cycle().take(6);
    let tokenizer = train_tokenizer(texts.map(|text| text.to_string()), 340, &mut |_| {}).unwrap();
    Processor::new(tokenizer, ImageConfig::clip(28), ProcessorConfig::new(NUM_IMAGE_TOKENS)).unwrap()
}

/// A model folder that works.
fn sound() -> tempfile::TempDir {
    let processor = processor();
    let config = json!({
        "model_type": "llava",
        "image_token_index": processor.image_token_id(),
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14
        },
        "text_config": {
            "model_type": "llama", "vocab_size": processor.vocab_size(), "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 48
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let model = GmaiVl::new(serde_json::from_value(config).unwrap(), 1, &device::cpu()).unwrap();
    model.save(folder.path()).unwrap();
    processor.save(folder.path()).unwrap();
    folder
}

fn not_opened(folder: &Path) -> String {
    Engine::open(folder).err().unwrap().to_string()
}

/// A question with so many markers and pictures.
fn question(text: &str, markers: usize, pictures: usize) -> ChatRequest {
    ChatRequest {
        turns: vec![Turn::human(format!("{}{text}", "<image>\n".repeat(markers)))],
        images: vec![Rgb8::filled(20, 30, [9, 90, 200]); pictures],
        sampling: Sampling::greedy(3),
        ..ChatRequest::default()
    }
}

fn refused(folder: &Path, request: &ChatRequest) -> String {
    match Engine::open(folder).unwrap().respond(request, &mut |_| {}) {
        Err(ResponderError::Refused { reason }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_sound_folder_answers() {
    let folder = sound();
    let answer = Engine::open(folder.path()).unwrap().respond(&question("Which organ?", 1, 1), &mut |_| {});
    assert!(answer.unwrap().num_tokens > 0);
}

#[test]
fn a_vocabulary_smaller_than_an_id_is_refused_with_both_numbers() {
    let folder = sound();
    let vocab_size = processor().vocab_size();
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let mut late = tokenizer["added_tokens"][0].clone();
    late["id"] = json!(vocab_size);
    late["content"] = json!("zebra");
    late["special"] = json!(false);
    tokenizer["added_tokens"].as_array_mut().unwrap().push(late);
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    let reason = refused(folder.path(), &question("Which organ of the zebra?", 1, 1));
    assert!(reason.contains(&format!("id {vocab_size}")), "{reason}");
    assert!(reason.contains(&format!("vocabulary has {vocab_size} (text_config.vocab_size)")), "{reason}");
}

#[test]
fn another_number_of_pictures_than_of_image_tokens_is_refused_with_both_numbers() {
    let folder = sound();
    for (markers, pictures) in [(1, 0), (0, 1), (2, 1), (1, 3)] {
        let reason = refused(folder.path(), &question("Which organ?", markers, pictures));
        let numbers = [markers, pictures].map(|number| number.to_string());
        assert!(reason.contains("image") && numbers.iter().all(|number| reason.contains(number)), "{reason}");
    }
}

#[test]
fn a_prompt_beyond_the_models_positions_is_refused_with_both_numbers() {
    let folder = sound();
    let reason = refused(folder.path(), &question(&"organ ".repeat(60), 1, 1));
    assert!(reason.contains("48") && reason.contains("tokens") && reason.contains("shorten the text"), "{reason}");
    // Six pictures alone would fit, not with the words between them.
    let reason = refused(folder.path(), &question(&"organ ".repeat(10), 6, 6));
    assert!(reason.contains("fewer images"), "{reason}");
}

#[test]
fn an_image_token_outside_the_embedding_is_refused() {
    let folder = sound();
    edit(folder.path(), |config| config["image_token_index"] = json!(100_000));
    let message = not_opened(folder.path());
    assert!(message.contains("image_token_index = 100000") && message.contains("vocab_size"), "{message}");
}

#[test]
fn a_config_without_a_field_is_refused_with_its_name() {
    for field in ["text_config", "vision_config", "model_type"] {
        let folder = sound();
        edit(folder.path(), |config| {
            config.as_object_mut().unwrap().remove(field);
        });
        let message = not_opened(folder.path());
        assert!(message.contains("config.json") && message.contains(field), "{message}");
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_name() {
    let folder = sound();
    let path = folder.path().join("model.safetensors");
    let mut tensors = load_tensors(&path).unwrap();
    let (name, tensor) = tensors.iter_mut().find(|(name, _)| name.contains("up_proj")).unwrap();
    let name = name.clone();
    tensor.values[3] = f32::NAN;
    save_tensors(&tensors, &path).unwrap();
    let message = not_opened(folder.path());
    assert!(message.contains("NaN") && message.contains(&name), "{message}");
}

#[test]
fn weights_that_overflow_are_told_instead_of_an_answer() {
    let folder = sound();
    let path = folder.path().join("model.safetensors");
    let mut tensors = load_tensors(&path).unwrap();
    for (name, tensor) in &mut tensors {
        if name.contains("lm_head") {
            tensor.values.iter_mut().enumerate().for_each(|(i, value)| *value = if i % 2 == 0 { 3e38 } else { -3e38 });
        }
    }
    save_tensors(&tensors, &path).unwrap();
    let Err(error) = Engine::open(folder.path()).unwrap().respond(&question("Which organ?", 1, 1), &mut |_| {}) else {
        panic!("answered from numbers that are none")
    };
    assert!(error.to_string().contains("not numbers"), "{error}");
}

#[test]
fn a_template_that_loops_for_ever_is_refused_by_name() {
    for template in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ] {
        let folder = sound();
        std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
        let message = not_opened(folder.path());
        assert!(message.contains("chat_template"), "{message}");
    }
}

fn edit(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}
