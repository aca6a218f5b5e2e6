//! Times forward and backward of one decoder block and its pieces: `cargo run --release -p gmai-model --example block_speed`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use burn::tensor::Tensor;
use gmai_model::decoder::{DecoderBlock, TokenContext};
use gmai_model::fused::packed_attention;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::initialise::Initialiser;
use gmai_model::layers::{attention, packed_causal_mask};
use gmai_model::{GmaiVl, Parameters, device};
use std::time::Instant;

fn time(name: &str, mut run: impl FnMut()) {
    run();
    let started = Instant::now();
    for _ in 0..5 {
        run();
    }
    println!("{name}: {:.1} ms", started.elapsed().as_secs_f64() * 200.0);
}

fn main() {
    let device = device::cpu();
    let text = include_str!("../../../configs/model/tiny.json");
    let mut config: gmai_model::Config = serde_json::from_str(text).unwrap();
    config.text_config.hidden_size = 192;
    config.text_config.intermediate_size = 512;
    config.text_config.num_attention_heads = 6;
    config.text_config.head_dim = 32;
    let model = GmaiVl::new(config, 1, &device).unwrap();
    let init = Initialiser::new(2, &device);
    let (rows, tokens) = (8, 256);
    let x: Tensor<3> = init.normal("x", [rows, tokens, 192], 1.0);
    let samples: Vec<Vec<u32>> = vec![(0..tokens as u32).map(|t| t / 100).collect(); rows];
    let positions = vec![(0..tokens).collect::<Vec<usize>>(); rows];
    let branches = vec![vec![0; tokens]; rows];
    let packed_rows =
        TokenRows { samples: samples.clone(), branches: branches.clone(), positions, ..TokenRows::default() };
    let context = gmai_model::decoder::packed_context(&model.config.text_config, &packed_rows, &device);
    let DecoderBlock::InternLm2(block) = model.language_model.model.layers[0].clone() else { return };
    time("block forward", || {
        block.forward(x.clone(), &context, None).into_data();
    });
    time("block forward + backward", || {
        let tracked = block.tracked();
        let leaf = x.clone().autodiff().require_grad();
        let y = tracked.forward(leaf.clone(), &context, None);
        let mut taken = y.sum().backward();
        leaf.grad_remove(&mut taken).unwrap().into_data();
    });
    let packed: Tensor<2> = init.normal("packed", [rows * tokens, 320], 1.0);
    let TokenContext::Fused(layout) = &context else { return };
    time("attention forward", || {
        packed_attention(packed.clone(), layout.clone()).into_data();
    });
    time("attention forward + backward", || {
        let leaf = packed.clone().autodiff().require_grad();
        let mut taken = packed_attention(leaf.clone(), layout.clone()).sum().backward();
        leaf.grad_remove(&mut taken).unwrap().into_data();
    });
    // The same attention composed of burn operations, dense over each row with a mask.
    let mask = packed_causal_mask(&samples, &branches, &device);
    let heads = |name: &str, count: usize| init.normal::<4>(name, [rows, count, tokens, 32], 1.0);
    let (q, k, v) = (heads("q", 6), heads("k", 2), heads("v", 2));
    time("composed attention forward + backward", || {
        let leaf = |x: &Tensor<4>| x.clone().autodiff().require_grad();
        let (q, k, v) = (leaf(&q), leaf(&k), leaf(&v));
        let mut taken = attention(q.clone(), k, v, Some(&mask)).sum().backward();
        q.grad_remove(&mut taken).unwrap().into_data();
    });
    let feed_forward = block.feed_forward.clone();
    time("feed forward, forward", || {
        feed_forward.forward(x.clone()).into_data();
    });
    time("feed forward, forward + backward", || {
        let tracked = feed_forward.tracked();
        let leaf = x.clone().autodiff().require_grad();
        let mut taken = tracked.forward(leaf.clone()).sum().backward();
        leaf.grad_remove(&mut taken).unwrap().into_data();
    });
    let ffn = block.feed_forward.clone();
    let linear = ffn.w1.clone();
    time("linear forward + backward", || {
        let tracked = linear.tracked();
        let leaf = x.clone().autodiff().require_grad();
        let mut taken = tracked.forward(leaf.clone()).sum().backward();
        leaf.grad_remove(&mut taken).unwrap().into_data();
    });
    let norm = block.ffn_norm.clone();
    time("rms norm forward + backward", || {
        let tracked = norm.tracked();
        let leaf = x.clone().autodiff().require_grad();
        let mut taken = tracked.forward(leaf.clone()).sum().backward();
        leaf.grad_remove(&mut taken).unwrap().into_data();
    });
}
