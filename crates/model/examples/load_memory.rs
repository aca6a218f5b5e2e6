//! Peak memory and time of loading a 2 GB checkpoint of brain floats, each load in a process of its own:
//! `cargo run --release -p gmai-model --example load_memory -- FOLDER` (the checkpoint is made in FOLDER if it is not there).
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use gmai_model::weights::Precision;
use gmai_model::{GmaiVl, Parameters, device};
use std::path::Path;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [folder] => {
            if !Path::new(folder).join("model.safetensors").exists() {
                make(Path::new(folder));
            }
            for precision in ["bf16", "f32"] {
                let program = std::env::current_exe().unwrap();
                std::process::Command::new(program).args([folder, precision]).status().unwrap();
            }
        }
        [folder, precision] => load(Path::new(folder), precision),
        _ => println!("usage: load_memory FOLDER"),
    }
}

/// About 1.07 billion parameters: a decoder of 16 blocks of width 2048 and a CLIP ViT-L.
fn make(folder: &Path) {
    let text = include_str!("../../../configs/model/tiny.json");
    let mut config: serde_json::Value = serde_json::from_str(text).unwrap();
    config["torch_dtype"] = "bfloat16".into();
    for (key, size) in
        [("vocab_size", 32000), ("hidden_size", 2048), ("intermediate_size", 4608), ("num_hidden_layers", 16)]
    {
        config["text_config"][key] = size.into();
    }
    config["text_config"]["num_attention_heads"] = 16.into();
    config["text_config"]["num_key_value_heads"] = 8.into();
    for (key, size) in
        [("hidden_size", 1024), ("intermediate_size", 4096), ("num_hidden_layers", 24), ("image_size", 336)]
    {
        config["vision_config"][key] = size.into();
    }
    config["vision_config"]["num_attention_heads"] = 16.into();
    std::fs::create_dir_all(folder).unwrap();
    let mut model = GmaiVl::shapes_only(serde_json::from_value(config).unwrap(), &device::cpu()).unwrap();
    model.visit_parameters("", &mut |_, mut parameter| {
        let values = (0..parameter.num_values()).map(|index| (index % 251) as f32 * 1e-4).collect();
        parameter.set(values, &device::cpu());
    });
    model.save(folder).unwrap();
}

fn load(folder: &Path, precision: &str) {
    let (precision, width) = if precision == "bf16" { (Precision::Bf16, 2) } else { (Precision::F32, 4) };
    let before = status("VmRSS:");
    let started = Instant::now();
    let model = GmaiVl::from_folder_as(folder, precision, &device::cpu()).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let weights = (model.num_parameters() * width) as f64 / 1e6;
    let peak = (status("VmHWM:") - before) * 1.024e-3;
    println!("{precision:?}: weights {weights:.0} MB, peak {peak:.0} MB ({:.3} times), {seconds:.1} s", peak / weights);
}

/// A line of this process's status, in KiB; 0 where the system has none.
fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}
