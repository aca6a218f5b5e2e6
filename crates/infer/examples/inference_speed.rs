//! gmai behind the protocol of `bench/inference/run.py`: reads one JSON command a line, answers one JSON line.
//!
//! ```text
//! {"do": "load", "pixels": FILE, "input_ids": [..]}        one picture (f32), a prompt with places for its features
//! {"do": "outputs", "tokens": N, "out": STEM}              greedy tokens; STEM.features, .prefill and .last are f32 files
//! {"do": "time", "kind": "encode|prefill|decode", ...}     seconds of wall clock and of processor time
//! ```
//! `cargo build --release -p gmai-infer --example inference_speed`; threads by `RAYON_NUM_THREADS`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![recursion_limit = "256"]

use burn::tensor::Tensor;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::{GmaiVl, KvCache, device};
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

/// The model and what it is measured with.
struct Subject {
    model: GmaiVl,
    pixels: Vec<f32>,
    input_ids: Vec<u32>,
    features: Option<Tensor<3>>,
}

fn main() {
    let folder = std::env::args().nth(1).expect("usage: inference_speed MODEL_FOLDER");
    let started = Instant::now();
    let (model, _) = GmaiVl::map_folder(Path::new(&folder), &device::cpu()).unwrap();
    println!("{}", json!({ "name": "gmai", "load_seconds": started.elapsed().as_secs_f64() }));
    let mut subject = Subject { model, pixels: Vec::new(), input_ids: Vec::new(), features: None };
    for line in std::io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match command["do"].as_str() {
            Some("load") => subject.load(&command),
            Some("outputs") => subject.outputs(&command),
            Some("time") => subject.time(&command),
            other => panic!("no such command: {other:?}"),
        };
        println!("{answer}");
    }
}

impl Subject {
    fn load(&mut self, command: &Value) -> Value {
        let bytes = std::fs::read(command["pixels"].as_str().unwrap()).unwrap();
        self.pixels = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        self.input_ids = serde_json::from_value(command["input_ids"].clone()).unwrap();
        self.features = Some(self.encode());
        json!({})
    }

    /// Pixels of one picture to image tokens.
    fn encode(&self) -> Tensor<3> {
        self.model.image_features(self.model.checked_patches(&self.pixels).unwrap())
    }

    /// The prompt with its picture's features: logits of the last position, and the cache.
    fn prefill(&self) -> (Vec<f32>, KvCache) {
        let mut cache = KvCache::new(self.model.config.text_config.num_hidden_layers);
        let logits = self.read(&self.input_ids, self.features.clone(), &mut cache);
        (logits, cache)
    }

    fn read(&self, input_ids: &[u32], features: Option<Tensor<3>>, cache: &mut KvCache) -> Vec<f32> {
        let rows = TokenRows::from_sequences(&[input_ids.to_vec()]);
        let hidden = self.model.decode_cached(self.model.embed(&rows, features).unwrap(), cache);
        let [_, tokens, width] = hidden.dims();
        let last = hidden.narrow(1, tokens - 1, 1).reshape([1, width]);
        values(self.model.language_model.logits(last))
    }

    /// Greedy tokens, each read with the cache, and the logits after the last.
    fn decode(&self, mut logits: Vec<f32>, cache: &mut KvCache, count: usize) -> (Vec<u32>, Vec<f32>) {
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            let token = likeliest(&logits);
            tokens.push(token);
            logits = self.read(&[token], None, cache);
        }
        (tokens, logits)
    }

    fn outputs(&self, command: &Value) -> Value {
        let out = command["out"].as_str().unwrap();
        let write = |name: &str, values: &[f32]| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(format!("{out}.{name}"), bytes).unwrap();
        };
        write("features", &values(self.encode()));
        let (logits, mut cache) = self.prefill();
        write("prefill", &logits);
        let (tokens, last) = self.decode(logits, &mut cache, count(command));
        write("last", &last);
        json!({ "tokens": tokens })
    }

    fn time(&self, command: &Value) -> Value {
        match command["kind"].as_str() {
            Some("encode") => timed(|| drop(values(self.encode()))),
            Some("prefill") => timed(|| drop(self.prefill())),
            Some("decode") => {
                let (logits, mut cache) = self.prefill();
                timed(|| drop(self.decode(logits, &mut cache, count(command))))
            }
            other => panic!("nothing to time: {other:?}"),
        }
    }
}

fn timed(run: impl FnOnce()) -> Value {
    let (started, busy) = (Instant::now(), processor_seconds());
    run();
    json!({ "wall": started.elapsed().as_secs_f64(), "cpu": processor_seconds() - busy })
}

/// Processor time of all threads that still run; 0 where the system does not tell.
fn processor_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let nanoseconds = |text: String| text.split(' ').next()?.parse::<f64>().ok();
    let of = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("schedstat")).ok();
    threads.flatten().filter_map(of).filter_map(nanoseconds).sum::<f64>() * 1e-9
}

fn count(command: &Value) -> usize {
    command["tokens"].as_u64().unwrap() as usize
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn likeliest(logits: &[f32]) -> u32 {
    let better = |best: usize, index: usize| if logits[index] > logits[best] { index } else { best };
    (0..logits.len()).reduce(better).unwrap() as u32
}
