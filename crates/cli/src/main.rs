//! `gmai`: arguments, environment, config files and wiring. What is done is done by the other crates.
//!
//! ```text
//! args.rs       every command with its options and help        environment.rs  the variables that are read
//! output.rs     results for people or as JSON                  progress.rs     bars and plain progress lines
//! overrides.rs  --set key=value                                 decoding.rs     where files from outside are decoded
//! unpacked.rs   archives in a folder                            picture.rs       an image file -> the picture a model sees
//! <command>.rs  one file per command; dataset/ has its subcommands
//! ```

mod ablation;
mod args;
mod author;
mod chat;
mod convert;
mod curate;
mod curves;
mod dataset;
mod decoding;
mod deid;
mod doctor;
mod engine;
mod environment;
mod eval;
mod generation;
mod interrupt;
mod inventory;
mod memory;
mod model;
mod output;
mod overrides;
mod picture;
mod progress;
mod questions;
mod quickstart;
mod train;
mod unpacked;

use args::{Arguments, Command};
use clap::Parser;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if matches!(arguments.command, Command::DecodeWorker) {
        // Before anything else: it confines itself, and no thread may be running then.
        return Ok(gmai_imaging::serve_decode_worker()?);
    }
    let output = if arguments.json { Output::Json } else { Output::Text };
    memory::keep_freed_blocks();
    let threads = arguments.threads.map_or(0, usize::from); // 0: one per core
    rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES).build_global()?;
    interrupt::listen()?;
    // Inside the pool: the short parallel pieces of a training step then start on this thread, without waking another for each.
    rayon::scope(|_| carry_out(&arguments.command, output))
}

/// Stack of each thread, as large as a main thread's.
const STACK_BYTES: usize = 8 << 20;

fn carry_out(command: &Command, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Quickstart(arguments) => quickstart::run(arguments, output),
        Command::Inventory(arguments) => inventory::run(arguments, output),
        Command::Deid(command) => deid::run(command, output),
        Command::Curate(arguments) => curate::run(arguments, output),
        Command::Dataset(command) => dataset::run(command, output),
        Command::Train(arguments) => train::run(arguments, output),
        Command::Ablation(arguments) => ablation::run(arguments, output),
        Command::Eval(command) => eval::run(command, output),
        Command::Chat(arguments) => chat::run(arguments, output),
        Command::Model(command) => model::run(command, output),
        Command::Doctor => doctor::run(output),
        Command::DecodeWorker => unreachable!("it ends before threads are started"),
    }
}

/// Whether standard output was closed by its reader, as `gmai ... | head` does: that is no failure.
fn reader_left(error: &anyhow::Error) -> bool {
    let broken = |io: &std::io::Error| io.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref::<std::io::Error>().is_some_and(broken)
}

/// Prints the error, then what led to it. A cause that the line above already tells is left out.
fn report(error: &anyhow::Error) {
    let mut told = error.to_string();
    eprintln!("error: {told}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !told.contains(&cause) {
            eprintln!("  because: {cause}");
            told = cause;
        }
    }
}
