//! How much faster replies are written side by side than one after another: `replies_together MODEL_FOLDER [REPLIES] [TOKENS]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![recursion_limit = "256"]

use gmai_infer::Engine;
use gmai_schema::{ChatRequest, Responder, Rgb8, Sampling, Turn};
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("usage: replies_together MODEL_FOLDER [REPLIES] [TOKENS]");
    let mut number = |default: usize| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (replies, tokens) = (number(16), number(32));
    let mut engine = Engine::open(std::path::Path::new(&folder)).unwrap();
    // Different questions about one picture: its features and the prompt's beginning are read once in both ways of asking.
    let question = |index: usize| ChatRequest {
        turns: vec![Turn::human(format!("<image>\nWhat is shown? ({index})"))],
        images: vec![Rgb8::filled(64, 64, [90, 120, 30])],
        sampling: Sampling::greedy(tokens),
        ..ChatRequest::default()
    };
    let requests: Vec<ChatRequest> = (0..replies).map(question).collect();
    engine.respond(&requests[0], &mut |_| {}).unwrap();
    for round in 1..=3 {
        let started = Instant::now();
        let alone: Vec<_> = requests.iter().map(|request| engine.respond(request, &mut |_| {}).unwrap()).collect();
        let one_by_one = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let together: Vec<_> = engine.respond_all(&requests).into_iter().map(Result::unwrap).collect();
        let side_by_side = started.elapsed().as_secs_f64();
        assert_eq!(alone, together, "the same answers");
        let written: usize = together.iter().map(|answer| answer.num_tokens).sum();
        println!(
            "round {round}: {written} tokens, one by one {one_by_one:.2} s, side by side {side_by_side:.2} s: {:.2} times as fast",
            one_by_one / side_by_side
        );
    }
}
