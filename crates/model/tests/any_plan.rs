//! What must hold for every supported plan: the cache changes nothing, neither do neighbours in a batch, and a folder is saved as it was loaded.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod plans;

use burn::tensor::Tensor;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::layers::PADDING;
use gmai_model::{GmaiVl, KvCache, device};
use plans::{difference, fresh, pictures, plan, sequence, values};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::path::Path;

/// Rounding of float32 through a few blocks, of the largest value.
const ROUNDING: f32 = 1e-4;

/// Draws; each family has a fifth of them.
const ROUNDS: usize = 60;

#[test]
fn any_plan_decodes_with_a_cache_as_without() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for round in 0..ROUNDS {
        let config = plan(round, &mut rng);
        let model = fresh(&config, round as u64);
        let num_pictures = round % 3;
        let ids = sequence(&model, 9, num_pictures, &mut rng);
        let features = pictures(&model, num_pictures, &mut rng);
        // The beginning with all pictures in one piece, the rest word by word.
        let image = model.config.image_token_index;
        let start = ids.iter().rposition(|id| *id == image).map_or(3, |last| last + 1);
        let mut cache = KvCache::new(model.config.text_config.num_hidden_layers);
        let mut cached = read(&model, &ids[..start], features.clone(), &mut cache);
        for end in start..=ids.len() {
            // Dynamic scaling takes another base for every length: what counts is the last place of each.
            let rows = TokenRows::from_sequences(&[ids[..end].to_vec()]);
            let whole = values(model.forward(&rows, features.clone()).unwrap());
            let last = model.config.text_config.vocab_size;
            let worst = difference(&whole[whole.len() - last..], &cached[cached.len() - last..]);
            assert!(worst < ROUNDING, "round {round}, {end} tokens: {worst}; {config}");
            if let Some(id) = ids.get(end) {
                cached = read(&model, &[*id], None, &mut cache);
            }
        }
    }
}

#[test]
fn a_cache_that_was_cloned_goes_two_ways() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    for round in 0..20 {
        let config = plan(round, &mut rng);
        let model = fresh(&config, round as u64);
        let common = sequence(&model, 7, 0, &mut rng);
        let mut cache = KvCache::new(model.config.text_config.num_hidden_layers);
        read(&model, &common, None, &mut cache);
        let ways = [sequence(&model, 6, 0, &mut rng), sequence(&model, 5, 0, &mut rng)];
        let mut caches = [cache.clone(), cache];
        // In turns, so that one could disturb the other.
        let mut found: [Vec<f32>; 2] = Default::default();
        for step in 0..5 {
            for ((way, cache), found) in ways.iter().zip(&mut caches).zip(&mut found) {
                *found = read(&model, &way[step..=step], None, cache);
            }
        }
        for (way, found) in ways.iter().zip(&found) {
            let ids = [&common[..], &way[..5]].concat();
            let whole = values(model.forward(&TokenRows::from_sequences(&[ids]), None).unwrap());
            let last = &whole[whole.len() - found.len()..];
            assert!(difference(last, found) < ROUNDING, "round {round}; {config}");
        }
    }
}

/// Logits of every one of `ids`, which follow those in `cache`.
fn read(model: &GmaiVl, ids: &[u32], features: Option<Tensor<3>>, cache: &mut KvCache) -> Vec<f32> {
    let rows = TokenRows::from_sequences(&[ids.to_vec()]);
    let hidden = model.decode_cached(model.embed(&rows, features).unwrap(), cache);
    let [_, tokens, width] = hidden.dims();
    values(model.language_model.logits(hidden.reshape([tokens, width])))
}

/// Where the padding of a short row stands.
#[derive(Debug, Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// Rows of one length; `padding` fills the short ones.
fn padded(sequences: &[Vec<u32>], padding: u32, side: Side) -> TokenRows {
    let longest = sequences.iter().map(Vec::len).max().unwrap();
    let mut rows = TokenRows::from_sequences(sequences);
    for (row, ids) in sequences.iter().enumerate() {
        let missing = longest - ids.len();
        let at = if let Side::Left = side { 0 } else { ids.len() };
        rows.input_ids[row].splice(at..at, vec![padding; missing]);
        rows.positions[row].splice(at..at, vec![0; missing]);
        rows.samples[row].splice(at..at, vec![PADDING; missing]);
        rows.branches[row].splice(at..at, vec![0; missing]);
    }
    rows
}

#[test]
fn a_row_of_any_plan_has_in_a_padded_batch_the_logits_it_has_alone() {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    for round in 0..ROUNDS {
        let config = plan(round, &mut rng);
        let model = fresh(&config, round as u64);
        // Dynamic scaling takes its base from the longest row of a batch, as the reference does: rows are alone there up to the border.
        let is_dynamic = config["text_config"]["rope_scaling"]["type"] == "dynamic";
        let counts = if is_dynamic { [0, 0, 0] } else { [1, 0, 2] };
        let words = [5, 8, 3];
        let sequences: Vec<Vec<u32>> =
            words.iter().zip(counts).map(|(words, pictures)| sequence(&model, *words, pictures, &mut rng)).collect();
        let features: Vec<_> = counts.iter().map(|count| pictures(&model, *count, &mut rng)).collect();
        let together: Vec<_> = features.iter().flatten().cloned().collect();
        let together = (!together.is_empty()).then(|| Tensor::cat(together, 0));
        let padding = (model.config.image_token_index + 1) % plans::WORDS;
        for side in [Side::Left, Side::Right] {
            let rows = padded(&sequences, padding, side);
            let batch = model.forward(&rows, together.clone()).unwrap();
            for (row, ids) in sequences.iter().enumerate() {
                let alone = model.forward(&TokenRows::from_sequences(std::slice::from_ref(ids)), features[row].clone());
                let start = if let Side::Left = side { rows.dims()[1] - ids.len() } else { 0 };
                let within = batch.clone().narrow(0, row, 1).narrow(1, start, ids.len());
                let worst = difference(&values(alone.unwrap()), &values(within));
                assert!(worst < ROUNDING, "round {round}, row {row}, {side:?}: {worst}; {config}");
            }
        }
    }
}

#[test]
fn any_plan_is_saved_and_loaded_bit_equal() {
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    for round in 0..ROUNDS {
        let config = plan(round, &mut rng);
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Half of them in shards.
        let shard_bytes = if round % 2 == 0 { usize::MAX } else { 4000 };
        fresh(&config, round as u64).save_sharded(first.path(), shard_bytes).unwrap();
        let loaded = GmaiVl::from_folder(first.path(), &device::cpu()).unwrap();
        loaded.save(second.path()).unwrap();
        assert_eq!(file_names(first.path()), file_names(second.path()), "round {round}");
        for name in file_names(first.path()) {
            let read = |folder: &Path| std::fs::read(folder.join(&name)).unwrap();
            assert!(read(first.path()) == read(second.path()), "round {round}, {name}: {config}");
        }
        let again = GmaiVl::from_folder(second.path(), &device::cpu()).unwrap();
        assert_eq!(again.config, loaded.config);
        let ids = sequence(&loaded, 6, 1, &mut rng);
        let rows = TokenRows::from_sequences(&[ids]);
        let features = pictures(&loaded, 1, &mut rng);
        let logits = |model: &GmaiVl| values(model.forward(&rows, features.clone()).unwrap());
        assert_eq!(logits(&again), logits(&loaded), "round {round}");
    }
}

fn file_names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
