//! Where files from outside are decoded: in processes of this same program, unless the user says otherwise.

use anyhow::{Context, Result};
use clap::Args;
use gmai_imaging::{Decoder, Limits, WorkerOptions};

/// The hidden command that makes this program a decoding process.
pub const WORKER_COMMAND: &str = "decode-worker";

/// How files from outside are decoded.
#[derive(Debug, Clone, Args)]
pub struct DecodingArguments {
    /// Decode images in this process: a little faster, and only for files that can be trusted.
    #[arg(long, help_heading = "Decoding")]
    pub in_process: bool,
    /// Memory of each decoding process, in MiB; volumes that need more by their size have more.
    #[arg(long, default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u64).range(64..), help_heading = "Decoding")]
    pub decode_memory: u64,
    /// Processor time for one file, in seconds; large volumes have more.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Decoding")]
    pub decode_seconds: u64,
}

impl DecodingArguments {
    /// The decoder that is asked for. What the system lacks to confine its processes is told on standard error.
    pub fn decoder(&self) -> Result<Decoder> {
        if self.in_process {
            return Ok(Decoder::in_process(Limits::default()));
        }
        let program = std::env::current_exe().context("this program cannot be found; try --in-process")?;
        let options = WorkerOptions {
            memory_bytes: self.decode_memory << 20,
            cpu_seconds: self.decode_seconds,
            ..WorkerOptions::new(program, vec![WORKER_COMMAND.into()])
        };
        let decoder = Decoder::with_workers(options, Limits::default()).context("try --in-process")?;
        for note in decoder.notes() {
            eprintln!("note: {note}");
        }
        Ok(decoder)
    }
}
