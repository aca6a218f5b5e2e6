//! Ctrl-C: training writes a checkpoint first; everything else stops at once, as its files are whole at any time.

use anyhow::Result;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status after Ctrl-C, as shells have it: 128 + SIGINT.
const EXIT_STATUS: i32 = 130;

static TRAINING: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C; to be called once.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        let asked_before = ASKED.swap(true, Ordering::SeqCst);
        if asked_before || !TRAINING.load(Ordering::SeqCst) {
            std::process::exit(EXIT_STATUS);
        }
        eprintln!("\nwriting a checkpoint after this step; press Ctrl-C again to stop at once");
    })?;
    Ok(())
}

/// While this lives, the first Ctrl-C is only noted.
#[derive(Debug)]
pub struct Patience;

impl Patience {
    /// From now on Ctrl-C is noted.
    pub fn begin() -> Patience {
        TRAINING.store(true, Ordering::SeqCst);
        Patience
    }

    /// Whether Ctrl-C was pressed.
    pub fn is_over(&self) -> bool {
        ASKED.load(Ordering::SeqCst)
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        TRAINING.store(false, Ordering::SeqCst);
    }
}
