//! Weight files cut short or overwritten at seeded places: refused by name, never read as something else.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod plans;

use gmai_model::{GmaiVl, Parameters, device};
use plans::{fresh, plan};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Places tried in each way of damaging a file.
const PLACES: usize = 200;

/// A checkpoint in two or more files; the path of its second, its bytes, where its data begins.
struct Sound {
    folder: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
    data_start: usize,
}

impl Sound {
    fn new(seed: u64) -> Sound {
        let folder = tempfile::tempdir().unwrap();
        let mut config = plan(seed as usize, &mut ChaCha8Rng::seed_from_u64(seed));
        // NaN has the same bytes on every four in f32.
        config["torch_dtype"] = Value::from("float32");
        fresh(&config, seed).save_sharded(folder.path(), 6000).unwrap();
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let path = names.into_iter().find(|path| path.to_str().unwrap().contains("model-00002-of-")).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let data_start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        Sound { folder, path, bytes, data_start }
    }

    fn name(&self) -> &str {
        self.path.file_name().unwrap().to_str().unwrap()
    }

    /// What is said of the folder with these bytes in the file; `None` when it is taken.
    fn with(&self, bytes: &[u8]) -> Result<Vec<f32>, String> {
        std::fs::write(&self.path, bytes).unwrap();
        weights(self.folder.path())
    }
}

fn weights(folder: &Path) -> Result<Vec<f32>, String> {
    let mut model = GmaiVl::from_folder(folder, &device::cpu()).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    model.visit_parameters("", &mut |_, parameter| all.extend(parameter.to_vec()));
    Ok(all)
}

#[test]
fn a_file_cut_short_or_with_more_at_its_end_is_refused_by_name() {
    let sound = Sound::new(0);
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for _ in 0..PLACES {
        let length = rng.random_range(0..sound.bytes.len());
        let message = sound.with(&sound.bytes[..length]).unwrap_err();
        assert!(message.contains(sound.name()) && message.contains("copy it again"), "{length}: {message}");
    }
    let longer = [&sound.bytes[..], &[0; 8]].concat();
    let message = sound.with(&longer).unwrap_err();
    assert!(message.contains(sound.name()) && message.contains("overlong"), "{message}");
    assert!(sound.with(&sound.bytes).is_ok());
}

#[test]
fn a_header_with_a_wrong_byte_is_refused_or_means_the_same() {
    let sound = Sound::new(1);
    let whole = weights(sound.folder.path()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    let mut refused = 0;
    for _ in 0..PLACES {
        let place = rng.random_range(0..sound.data_start);
        let mut bytes = sound.bytes.clone();
        bytes[place] ^= rng.random_range(1..=255_u8);
        match sound.with(&bytes) {
            // Spaces and the note on the format carry nothing.
            Ok(read) => assert!(read == whole, "byte {place}: read as other weights"),
            Err(message) => {
                refused += 1;
                // A file that reads, but not as this model's, is told by the tensors that are too many or too few.
                let folder = sound.folder.path().to_str().unwrap();
                let named = message.contains(sound.name())
                    || message.contains(folder) && (message.contains("missing [\"") || message.contains("wanted"));
                assert!(named, "byte {place}: {message}");
            }
        }
    }
    assert!(refused > PLACES * 3 / 4, "{refused}");
}

#[test]
fn values_overwritten_with_no_numbers_are_refused_with_the_tensors_name() {
    let sound = Sound::new(2);
    let header: Value = serde_json::from_slice(&sound.bytes[8..sound.data_start]).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    for _ in 0..PLACES {
        let values = (sound.bytes.len() - sound.data_start) / 4;
        let offset = 4 * rng.random_range(0..values);
        let mut bytes = sound.bytes.clone();
        bytes[sound.data_start + offset..][..4].fill(0xff);
        let message = sound.with(&bytes).unwrap_err();
        let (name, _) = header
            .as_object()
            .unwrap()
            .iter()
            .find(|(_, tensor)| {
                let of = |index: usize| tensor["data_offsets"][index].as_u64().unwrap_or(0) as usize;
                (of(0)..of(1)).contains(&offset)
            })
            .unwrap();
        assert!(message.contains("NaN") && message.contains(name), "{offset} in {name}: {message}");
    }
}
