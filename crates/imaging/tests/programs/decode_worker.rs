//! A decoding process for the tests of this crate: a good one without arguments, otherwise one that misbehaves as asked.
//!
//! The bad ones say what a good one says first (version 2, no notes), then wait for a question.

use std::io::{Read, Write};
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let Some(kind) = std::env::args().nth(1) else { return gmai_imaging::serve_decode_worker() };
    let mut output = std::io::stdout();
    output.write_all(&[2, 0, 0, 0, 2, 0])?;
    output.flush()?;
    std::io::stdin().read_exact(&mut [0; 64])?;
    match kind.as_str() {
        "dies" => std::process::abort(),
        "leaves" => Ok(()),
        "hangs" => {
            std::thread::sleep(Duration::from_secs(3600));
            Ok(())
        }
        "babbles" => {
            output.write_all(&[0xA5; 4096])?;
            output.flush()
        }
        other => Err(std::io::Error::other(format!("{other} is no kind of misbehaviour"))),
    }
}
