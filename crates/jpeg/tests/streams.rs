//! Small streams of every kind against what libjpeg-turbo and CharLS decode from them (`streams/make.py` made them), and damaged ones.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use gmai_jpeg::{Error, Result, Samples, decode, decode_jpeg_ls, decode_samples};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

const MAX_PIXELS: u64 = 1 << 16;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams")
}

fn decode_named(name: &str, bytes: &[u8], max_pixels: u64) -> Result<Samples> {
    if name.ends_with(".jls") { decode_jpeg_ls(bytes, max_pixels) } else { decode_samples(bytes, max_pixels) }
}

/// Name, and what the reference decoder gives: columns, rows, channels, hash.
fn streams() -> Vec<(String, [String; 4])> {
    let expected = std::fs::read_to_string(folder().join("expected.txt")).unwrap();
    let line = |line: &str| {
        let [name, width, height, channels, sha256] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (name.to_string(), [width, height, channels, sha256].map(str::to_string))
    };
    let streams: Vec<_> = expected.lines().map(line).collect();
    assert!(streams.len() > 30);
    streams
}

#[test]
fn every_kind_of_stream_has_the_samples_that_the_reference_decodes() {
    for (name, expected) in streams() {
        let bytes = std::fs::read(folder().join(&name)).unwrap();
        let samples = decode_named(&name, &bytes, MAX_PIXELS).unwrap_or_else(|error| panic!("{name}: {error}"));
        let words: Vec<u8> = samples.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let sha256: String = Sha256::digest(&words).iter().map(|byte| format!("{byte:02x}")).collect();
        let found = [samples.width.to_string(), samples.height.to_string(), samples.channels.to_string(), sha256];
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn streams_that_end_too_early_are_refused() {
    for (name, _) in streams() {
        let bytes = std::fs::read(folder().join(&name)).unwrap();
        for end in 0..bytes.len() {
            assert!(decode_named(&name, &bytes[..end], MAX_PIXELS).is_err(), "{name}: {end} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn damaged_streams_are_errors_or_samples_and_never_a_panic() {
    let mut state = 11u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (name, _) in streams() {
        let bytes = std::fs::read(folder().join(&name)).unwrap();
        for _ in 0..400 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random(4) {
                let at = random(damaged.len());
                damaged[at] = random(256) as u8;
            }
            if let Ok(samples) = decode_named(&name, &damaged, MAX_PIXELS) {
                let pixels = samples.width as usize * samples.height as usize;
                assert_eq!(samples.values.len(), pixels * usize::from(samples.channels), "{name}");
            }
        }
    }
}

#[test]
fn sizes_beyond_the_limit_are_refused_before_anything_is_decoded() {
    for name in ["lossless_p1_16.jpg", "grey12_q95.jpg", "grey16_near0.jls"] {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        let error = decode_named(name, &bytes, 100).unwrap_err();
        assert_eq!(error, Error::TooLarge { pixels: 37 * 23, max_pixels: 100 }, "{name}");
    }
}

#[test]
fn a_picture_is_not_made_of_samples_deeper_than_a_byte() {
    for (name, word) in [("lossless_p1_8.jpg", "lossless"), ("grey12_q95.jpg", "12")] {
        let error = decode(&std::fs::read(folder().join(name)).unwrap(), MAX_PIXELS).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { .. }) && error.to_string().contains(word), "{error}");
    }
}
