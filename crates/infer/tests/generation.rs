//! Generation on random small models: with the cache as without, in a batch as alone, and what a user is promised of an answer.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.
#![recursion_limit = "256"]

use burn::tensor::Tensor;
use gmai_infer::Engine;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::layers::PADDING;
use gmai_model::{Config, GmaiVl, KvCache, device};
use gmai_processor::{ImageConfig, Processor, ProcessorConfig, train_tokenizer};
use gmai_schema::{Answer, ChatRequest, FinishReason, Responder, ResponderError, Rgb8, Sampling, Turn};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::path::Path;

const NUM_IMAGE_TOKENS: usize = 4;

fn processor() -> Processor {
    let corpus =
        ["user\nassistant\nWhich modality is shown? This is a CT image.", "这张图像属于哪种模态？这是一张磁共振图像。"];
    let texts = corpus.iter().cycle().take(6).map(|text| text.to_string());
    let tokenizer = train_tokenizer(texts, 380, &mut |_| {}).unwrap();
    Processor::new(tokenizer, ImageConfig::clip(28), ProcessorConfig::new(NUM_IMAGE_TOKENS)).unwrap()
}

/// A small model of a shape that `seed` decides; dynamic NTK scaling sets in after `positions` tokens.
fn model(seed: u64, positions: usize, processor: &Processor) -> GmaiVl {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |choices: &[usize]| choices[rng.next_u32() as usize % choices.len()];
    let (kv_heads, groups, head) = (pick(&[1, 2]), pick(&[1, 2, 3]), pick(&[8, 16]));
    let heads = kv_heads * groups;
    let config = serde_json::json!({
        "model_type": "enhanced_llava",
        "image_token_index": processor.image_token_id(),
        "vision_config": {
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14
        },
        "text_config": {
            "model_type": "internlm2",
            "vocab_size": processor.vocab_size(), "hidden_size": heads * head, "intermediate_size": pick(&[40, 96]),
            "num_hidden_layers": pick(&[1, 2, 3]), "num_attention_heads": heads, "num_key_value_heads": kv_heads,
            "max_position_embeddings": positions, "rope_scaling": { "type": "dynamic", "factor": 2.0 },
            // Wider than a fresh model's weights, so that the likeliest token is far from the second.
            "initializer_range": 0.3
        }
    });
    let config: Config = serde_json::from_value(config).unwrap();
    GmaiVl::new(config, seed, &device::cpu()).unwrap()
}

fn ids(seed: u64, count: usize, vocabulary: usize) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xabc);
    (0..count).map(|_| rng.next_u32() % (vocabulary as u32 - 1)).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Logits after the last of `ids`, everything computed in one pass.
fn without_cache(model: &GmaiVl, ids: &[u32]) -> Vec<f32> {
    let logits = model.forward(&TokenRows::from_sequences(&[ids.to_vec()]), None).unwrap();
    values(logits.narrow(1, ids.len() - 1, 1))
}

/// Logits after the last of `ids`, which follow those in `cache`.
fn with_cache(model: &GmaiVl, ids: &[u32], cache: &mut KvCache) -> Vec<f32> {
    let rows = TokenRows::from_sequences(&[ids.to_vec()]);
    let hidden = model.decode_cached(model.embed(&rows, None).unwrap(), cache);
    let [_, tokens, width] = hidden.dims();
    values(model.language_model.logits(hidden.narrow(1, tokens - 1, 1).reshape([1, width])))
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn likeliest(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

#[test]
fn the_cache_changes_nothing_also_where_dynamic_scaling_sets_in() {
    let processor = processor();
    for seed in 0..6 {
        let model = model(seed, 24, &processor);
        let mut cache = KvCache::new(model.config.text_config.num_hidden_layers);
        let mut sequence = ids(seed, 12, processor.vocab_size());
        let (first, second) = sequence.split_at(7);
        with_cache(&model, first, &mut cache);
        let mut cached = with_cache(&model, second, &mut cache);
        while sequence.len() < 34 {
            let whole = without_cache(&model, &sequence);
            let worst = largest_difference(&whole, &cached);
            assert!(worst < 2e-4, "seed {seed}, {} tokens: {worst}", sequence.len());
            let token = likeliest(&whole) as u32;
            assert_eq!(token, likeliest(&cached) as u32);
            sequence.push(token);
            cached = with_cache(&model, &[token], &mut cache);
        }
    }
}

#[test]
fn a_sequence_in_a_padded_batch_has_the_logits_it_has_alone() {
    let processor = processor();
    for seed in 0..6 {
        let model = model(seed, 64, &processor);
        let sequences: Vec<Vec<u32>> =
            [9, 17, 5].iter().enumerate().map(|(row, &n)| ids(seed + row as u64, n, processor.vocab_size())).collect();
        let longest = 17;
        let mut rows = TokenRows::from_sequences(&sequences);
        for row in 0..rows.input_ids.len() {
            rows.input_ids[row].resize(longest, processor.pad_token_id());
            rows.positions[row].resize(longest, 0);
            rows.samples[row].resize(longest, PADDING);
        }
        let batch = model.forward(&rows, None).unwrap();
        for (row, sequence) in sequences.iter().enumerate() {
            let alone = model.forward(&TokenRows::from_sequences(std::slice::from_ref(sequence)), None).unwrap();
            let within = batch.clone().narrow(0, row, 1).narrow(1, 0, sequence.len());
            let worst = largest_difference(&values(alone), &values(within));
            assert!(worst < 1e-4, "seed {seed}, row {row}: {worst}");
        }
    }
}

/// A model folder with a random model that takes `positions` tokens before scaling, twice as many in all.
fn folder(seed: u64, positions: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let processor = processor();
    model(seed, positions, &processor).save(folder.path()).unwrap();
    processor.save(folder.path()).unwrap();
    folder
}

fn engine(folder: &Path) -> Engine {
    Engine::open(folder).unwrap()
}

fn picture(shade: u8) -> Rgb8 {
    Rgb8::filled(30, 20, [shade, 90, 200 - shade])
}

fn question(text: &str, shade: u8, max_tokens: usize) -> ChatRequest {
    ChatRequest {
        turns: vec![Turn::human(format!("<image>\n{text}"))],
        images: vec![picture(shade)],
        sampling: Sampling::greedy(max_tokens),
        ..ChatRequest::default()
    }
}

fn ask(engine: &mut Engine, request: &ChatRequest) -> Answer {
    engine.respond(request, &mut |_| {}).unwrap()
}

#[test]
fn further_questions_about_a_picture_encode_and_read_it_once_and_answer_the_same() {
    let folder = folder(1, 512);
    let mut warm = engine(folder.path());
    let requests = [question("Which organ?", 10, 12), question("Which modality is shown?", 10, 12)];
    ask(&mut warm, &requests[0]);
    let before = warm.work_done();
    let second = ask(&mut warm, &requests[1]);
    let after = warm.work_done();
    assert_eq!((before.num_pictures, after.num_pictures), (1, 1));
    let read = after.num_prompt_tokens - before.num_prompt_tokens;
    assert!(read < before.num_prompt_tokens - NUM_IMAGE_TOKENS, "{read} of {}", before.num_prompt_tokens);
    // Bit-equal to an engine that never saw the first question.
    assert_eq!(second, ask(&mut engine(folder.path()), &requests[1]));
    assert_eq!(ask(&mut warm, &question("Which organ?", 11, 3)).checkpoint, second.checkpoint);
    assert_eq!(warm.work_done().num_pictures, 2);
}

#[test]
fn asking_together_is_asking_one_by_one_and_seeds_belong_to_requests() {
    let folder = folder(2, 512);
    let requests: Vec<ChatRequest> = (0..4)
        .map(|index| {
            let mut request = question(["Which organ?", "哪种模态？"][index % 2], 20 + index as u8 % 2, 16);
            request.sampling.temperature = 1.5;
            request.sampling.seed = index as u64;
            request
        })
        .collect();
    let together: Vec<Answer> = engine(folder.path()).respond_all(&requests).into_iter().map(Result::unwrap).collect();
    for (request, answer) in requests.iter().zip(&together).rev() {
        assert_eq!(ask(&mut engine(folder.path()), request), *answer);
    }
    let mut other = requests[0].clone();
    other.sampling.seed = 99;
    assert_ne!(ask(&mut engine(folder.path()), &other).text, together[0].text);
}

#[test]
fn many_requests_of_every_kind_together_are_each_what_they_are_alone() {
    // Dynamic scaling sets in within the replies of some, replies end at different times, more wait than are written side by side.
    for seed in [11, 12] {
        let folder = folder(seed, 40);
        let mut requests: Vec<ChatRequest> = (0..40)
            .map(|index: usize| {
                let mut request = question(["Which organ?", "哪种模态？"][index % 2], index as u8 % 3, 1 + index % 23);
                request.sampling.temperature = [0.0, 1.2][index / 2 % 2];
                request.sampling.seed = index as u64;
                request.options =
                    if index.is_multiple_of(5) { vec!["CT".to_owned(), "MR".to_owned()] } else { Vec::new() };
                request.top_log_probabilities = index.is_multiple_of(7).then_some(2);
                request
            })
            .collect();
        requests[3].sampling.max_tokens = 0;
        requests[8].sampling.top_p = 7.0;
        requests[9].turns = vec![Turn::human("No picture stands here.".to_owned())];
        requests[10].turns.clear();
        let together = engine(folder.path()).respond_all(&requests);
        assert_eq!(together.iter().filter(|answer| answer.is_err()).count(), 3);
        let mut alone = engine(folder.path());
        for (index, (request, answer)) in requests.iter().zip(together).enumerate() {
            match (alone.respond(request, &mut |_| {}), answer) {
                (Ok(alone), Ok(together)) => assert_eq!(alone, together, "request {index}"),
                (Err(alone), Err(together)) => assert_eq!(alone.to_string(), together.to_string()),
                _ => panic!("request {index} is answered one way and refused the other"),
            }
        }
    }
}

#[test]
fn streamed_pieces_are_whole_characters_and_add_up_to_the_text() {
    let folder = folder(3, 512);
    let mut engine = engine(folder.path());
    for seed in 0..8 {
        let mut request = question("这张图像", 5, 60);
        request.sampling = Sampling { temperature: 2.0, seed, ..request.sampling };
        let mut pieces = Vec::new();
        let answer = engine.respond(&request, &mut |text| pieces.push(text.to_owned())).unwrap();
        assert_eq!(pieces.concat(), answer.text);
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
    }
}

#[test]
fn a_stop_text_ends_the_reply_and_nothing_of_it_is_shown() {
    let folder = folder(4, 512);
    let mut engine = engine(folder.path());
    let mut request = question("Which organ?", 5, 40);
    request.sampling = Sampling { temperature: 1.0, seed: 4, ..request.sampling };
    let whole = ask(&mut engine, &request).text;
    let characters: Vec<char> = whole.chars().collect();
    assert!(characters.len() > 12, "{whole:?}");
    let stop: String = characters[8..11].iter().collect();
    request.stop = vec!["never written".to_owned(), stop.clone()];
    let mut shown = String::new();
    let answer = engine.respond(&request, &mut |text| shown.push_str(text)).unwrap();
    assert_eq!(answer.text, whole[..whole.find(&stop).unwrap()]);
    assert_eq!((shown, answer.finish), (answer.text.clone(), FinishReason::Stop));
}

#[test]
fn token_likelihoods_are_of_the_models_own_distribution() {
    let folder = folder(5, 512);
    let mut engine = engine(folder.path());
    let mut request = question("Which organ?", 5, 6);
    request.top_log_probabilities = Some(3);
    let greedy = ask(&mut engine, &request);
    assert_eq!(greedy.tokens.len(), greedy.num_tokens);
    for token in &greedy.tokens {
        assert_eq!(token.top.len(), 3);
        assert!(token.top.windows(2).all(|pair| pair[0].log_probability >= pair[1].log_probability));
        assert_eq!(token.chosen, token.top[0]);
    }
    let sum: f64 = greedy.tokens.iter().map(|token| f64::from(token.chosen.log_probability)).sum();
    assert!((sum - greedy.log_probability).abs() < 1e-6);
    // Every probability of one place together: 1.
    request.top_log_probabilities = Some(usize::MAX);
    request.sampling.temperature = 0.1;
    let all: f64 =
        ask(&mut engine, &request).tokens[0].top.iter().map(|token| f64::from(token.log_probability).exp()).sum();
    assert!((all - 1.0).abs() < 1e-5, "{all}");
}

#[test]
fn ids_of_the_generation_config_end_a_reply() {
    let folder = folder(6, 512);
    let mut request = question("Which organ?", 5, 10);
    request.top_log_probabilities = Some(0);
    let free = ask(&mut engine(folder.path()), &request);
    assert!(free.tokens.len() > 3);
    let third = free.tokens[2].chosen.id;
    let first_place = free.tokens.iter().position(|token| token.chosen.id == third).unwrap();
    std::fs::write(folder.path().join("generation_config.json"), format!("{{\"eos_token_id\": [7, {third}]}}"))
        .unwrap();
    let ended = ask(&mut engine(folder.path()), &request);
    assert_eq!((ended.finish, ended.num_tokens), (FinishReason::Stop, first_place + 1));
}

#[test]
fn a_prompt_beyond_the_model_is_refused_with_both_numbers_and_a_reply_ends_at_the_limit() {
    let folder = folder(7, 40);
    let mut engine = engine(folder.path());
    assert_eq!(engine.longest_sequence(), 80);
    let long = question(&"organ ".repeat(200), 5, 4);
    let Err(ResponderError::Refused { reason }) = engine.respond(&long, &mut |_| {}) else { panic!("not refused") };
    assert!(reason.contains("80") && reason.contains("tokens"), "{reason}");
    let mut request = question("Which organ?", 5, 500);
    request.sampling = Sampling { temperature: 1.0, seed: 1, ..request.sampling };
    let answer = ask(&mut engine, &request);
    assert!(answer.num_tokens < 80);
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let folder = folder(8, 64);
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["image_token_index"] = serde_json::json!(1);
    std::fs::write(&path, config.to_string()).unwrap();
    let error = Engine::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("image_token_index is 1"), "{error}");
}
