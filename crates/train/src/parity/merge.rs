//! The reference's own way of putting image features into rows of text, with what it does to padded batches.
//!
//! Both the GMAI-VL release (9f81a15) and transformers 4.46.3 expand an image token inside the model
//! (`_merge_input_ids_with_image_features`). Each row gets room for as many image tokens as the row with most pictures. Where a
//! row has fewer, so many places stay over; the reference leaves out the *first* places that hold no text. In a batch padded on
//! the left that is the padding. In a batch padded on the right it is the room of the row's first pictures: their features then
//! stand behind the text, in the padding. A row of such a batch therefore reads other input than the same row alone.
//!
//! Training here puts every picture where its token stands ([`crate::batch::collate`]). This module exists to compute what the
//! reference computed, so that its numbers can be compared: places that the reference masks take part in nothing, so a row is its
//! unmasked places in order, which attend, count their positions and are scored as they do in the reference.

use crate::batch::{BatchCounts, PackedBatch, Target};
use crate::error::{Error, Result};
use burn::tensor::{Tensor, TensorData};
use gmai_model::decoder::{TokenContext, composed_context};
use gmai_model::gmai_vl::{BLANK, TokenRows};
use gmai_model::layers::{PADDING, packed_causal_mask};
use gmai_model::{Config, Error as ModelError, GmaiVl};

/// Rows as a user gives them to the reference: image tokens may stand for whole pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenRows {
    /// `[B][T]`
    pub input_ids: Vec<Vec<u32>>,
    /// False at padding. `[B][T]`
    pub attended: Vec<Vec<bool>>,
    /// What each token should be, or the ignored value. `[B][T]`
    pub labels: Vec<Vec<i64>>,
}

/// Rows as the reference's decoder sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedRows {
    /// Places of a row, unmasked ones in order. `[B][places]`
    pub rows: Vec<Vec<Place>>,
    /// Places of a row, masked ones too.
    pub length: usize,
}

/// One unmasked place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Where it stands in the merged row.
    pub index: usize,
    /// A token id, the image token for a row of features, or [`BLANK`] for a zero embedding.
    pub id: u32,
    /// What this token should be.
    pub label: i64,
}

impl MergedRows {
    /// Merges as the reference does; `num_images` pictures belong to all rows together, in order.
    ///
    /// # Errors
    /// Another number of pictures than of image tokens.
    pub fn new(given: &GivenRows, num_images: usize, config: &Config) -> Result<MergedRows> {
        let is_image = |id: &&u32| **id == config.image_token_index;
        let reserved = given.input_ids.iter().flatten().filter(is_image).count();
        let per_image = config.num_image_tokens();
        if num_images == 0 || (reserved == num_images * per_image && per_image > 1) {
            return Ok(MergedRows::as_given(given)); // Nothing to merge, or expanded before (newer processors).
        }
        if reserved != num_images {
            return Err(Error::Model(ModelError::ImageTokenMismatch { reserved, given: num_images }));
        }
        let most = given.input_ids.iter().map(|row| row.iter().filter(is_image).count()).max().unwrap_or(0);
        let tokens = given.input_ids.first().map_or(0, Vec::len);
        let length = most * (per_image - 1) + tokens;
        let padded_right = given.input_ids.iter().any(|row| row.last().copied() == config.pad_token_id);
        let padding = if padded_right { Side::Right } else { Side::Left };
        let rows = given.input_ids.iter().zip(&given.attended).zip(&given.labels);
        let rows = rows.map(|((ids, attended), labels)| merge_row(ids, attended, labels, length, padding, config));
        Ok(MergedRows { rows: rows.collect(), length })
    }

    fn as_given(given: &GivenRows) -> MergedRows {
        let row = |((ids, attended), labels): ((&Vec<u32>, &Vec<bool>), &Vec<i64>)| {
            let places = ids.iter().zip(labels).enumerate().map(|(index, (&id, &label))| Place { index, id, label });
            places.zip(attended).filter(|(_, attended)| **attended).map(|(place, _)| place).collect()
        };
        let length = given.input_ids.first().map_or(0, Vec::len);
        MergedRows { rows: given.input_ids.iter().zip(&given.attended).zip(&given.labels).map(row).collect(), length }
    }

    /// The rows without masked places, ready for the network.
    pub fn batch(&self, pixel_values: Vec<f32>, config: &Config) -> MergedBatch {
        let mut sequences: Vec<Sequence> = Vec::new();
        for row in &self.rows {
            let position = |index: usize| (row[index].id, index);
            let tokens = (0..row.len()).map(position).collect();
            sequences.push(Sequence { tokens, targets: Vec::new(), ends_unseen: false });
        }
        for (row_index, row) in self.rows.iter().enumerate() {
            for (index, place) in row.iter().enumerate() {
                if place.label == config.ignore_index || place.index == 0 {
                    continue;
                }
                let label = place.label as u32;
                if index > 0 && row[index - 1].index + 1 == place.index {
                    sequences[row_index].targets.push((index - 1, label));
                } else {
                    // The reference scores this token from the masked place before it: a zero embedding at position 1 that
                    // sees all unmasked places before and not itself. Features never stand before such a place.
                    let mut tokens: Vec<(u32, usize)> = (0..index).map(|index| (row[index].id, index)).collect();
                    tokens.push((BLANK, 1));
                    sequences.push(Sequence { tokens, targets: vec![(index, label)], ends_unseen: true });
                }
            }
        }
        let unseen =
            |(row, sequence): (usize, &Sequence)| sequence.ends_unseen.then(|| (row, sequence.tokens.len() - 1));
        let unseen = sequences.iter().enumerate().filter_map(unseen).collect();
        MergedBatch { packed: packed(&sequences, pixel_values), unseen }
    }

    /// Marks the unmasked places. `[B * length]`
    pub fn mask(&self) -> Vec<bool> {
        let mut mask = vec![false; self.rows.len() * self.length];
        for (row_index, row) in self.rows.iter().enumerate() {
            row.iter().for_each(|place| mask[row_index * self.length + place.index] = true);
        }
        mask
    }
}

/// Merged rows ready for the network.
#[derive(Debug, Clone)]
pub struct MergedBatch {
    /// Rows, targets and pictures.
    pub packed: PackedBatch,
    /// Row and token of masked places that are scored from: nobody sees them, themselves included.
    unseen: Vec<(usize, usize)>,
}

impl MergedBatch {
    /// Which tokens see each other.
    pub fn context(&self, model: &GmaiVl) -> TokenContext {
        let rows = &self.packed.rows;
        if self.unseen.is_empty() {
            return model.context(rows);
        }
        let mut context = composed_context(&model.config.text_config, rows, model.device());
        if let TokenContext::Composed(composed) = &mut context {
            let [batch, tokens] = rows.dims();
            let mut hidden: Vec<bool> =
                packed_causal_mask(&rows.samples, &rows.branches, model.device()).into_data().iter::<bool>().collect();
            for &(row, token) in &self.unseen {
                hidden[(row * tokens + token) * tokens + token] = true;
            }
            let data = TensorData::new(hidden, [batch, 1, tokens, tokens]);
            composed.mask = Some(Tensor::from_data(data, model.device()));
        }
        context
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

fn merge_row(
    ids: &[u32],
    attended: &[bool],
    labels: &[i64],
    length: usize,
    padding: Side,
    config: &Config,
) -> Vec<Place> {
    let per_image = config.num_image_tokens();
    let widths = ids.iter().map(|id| if *id == config.image_token_index { per_image } else { 1 });
    let own_length: usize = widths.clone().sum();
    let spare = length - own_length;
    let mut next = if padding == Side::Left { spare } else { 0 };
    let mut text: Vec<Option<(Place, bool)>> = vec![None; length];
    for (token, width) in widths.enumerate() {
        next += width;
        let (id, index) = (ids[token], next - 1);
        if id == config.image_token_index {
            continue;
        }
        // The padding token embeds as zero, also where it is an ordinary end of a text.
        let embedded = if Some(id) == config.pad_token_id { BLANK } else { id };
        text[index] = Some((Place { index, id: embedded, label: labels[token] }, attended[token]));
    }
    let mut skipped = 0;
    let mut places = Vec::with_capacity(own_length);
    for (index, place) in text.into_iter().enumerate() {
        match place {
            Some((place, true)) => places.push(place),
            Some((_, false)) => (),
            None if skipped < spare => skipped += 1,
            None => places.push(Place { index, id: config.image_token_index, label: config.ignore_index }),
        }
    }
    places
}

struct Sequence {
    /// Ids with their positions.
    tokens: Vec<(u32, usize)>,
    /// Tokens with what should follow.
    targets: Vec<(usize, u32)>,
    /// Whether the last token is a masked place.
    ends_unseen: bool,
}

/// One row per sequence, padded to the longest.
fn packed(sequences: &[Sequence], pixel_values: Vec<f32>) -> PackedBatch {
    let tokens = sequences.iter().map(|sequence| sequence.tokens.len()).max().unwrap_or(0);
    let mut rows = TokenRows::default();
    let mut targets = Vec::new();
    for (row_index, sequence) in sequences.iter().enumerate() {
        let padded = |values: Vec<u32>, filler: u32| {
            let mut values = values;
            values.resize(tokens, filler);
            values
        };
        rows.input_ids.push(padded(sequence.tokens.iter().map(|(id, _)| *id).collect(), BLANK));
        rows.samples.push(padded(vec![0; sequence.tokens.len()], PADDING));
        rows.branches.push(vec![0; tokens]);
        let mut positions: Vec<usize> = sequence.tokens.iter().map(|(_, position)| *position).collect();
        positions.resize(tokens, 0);
        rows.positions.push(positions);
        let place = |&(token, label): &(usize, u32)| Target { position: row_index * tokens + token, label };
        targets.extend(sequence.targets.iter().map(place));
    }
    PackedBatch { rows, targets, pixel_values, counts: BatchCounts::default() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const IMAGE: u32 = 320;
    const PAD: u32 = 2;

    /// Four image tokens per picture.
    fn config() -> Config {
        let mut config: Config = serde_json::from_str(include_str!("../../../../configs/model/tiny.json")).unwrap();
        config.vision_config.image_size = 28;
        config.pad_token_id = Some(PAD);
        config
    }

    fn given(rows: &[&[u32]]) -> GivenRows {
        GivenRows {
            input_ids: rows.iter().map(|row| row.to_vec()).collect(),
            attended: rows.iter().map(|row| row.iter().map(|id| *id != PAD).collect()).collect(),
            labels: rows.iter().map(|row| row.iter().map(|id| i64::from(*id)).collect()).collect(),
        }
    }

    fn places(row: &[Place]) -> Vec<(usize, u32)> {
        row.iter().map(|place| (place.index, place.id)).collect()
    }

    #[test]
    fn a_row_alone_has_its_picture_at_its_token() {
        let merged = MergedRows::new(&given(&[&[5, IMAGE, 6]]), 1, &config()).unwrap();
        assert_eq!(places(&merged.rows[0]), [(0, 5), (1, IMAGE), (2, IMAGE), (3, IMAGE), (4, IMAGE), (5, 6)]);
    }

    #[test]
    fn in_a_batch_padded_right_features_of_rows_with_fewer_pictures_slip_into_the_padding() {
        let rows = given(&[&[5, IMAGE, 6, 7, PAD], &[5, IMAGE, IMAGE, 6, 7]]);
        let merged = MergedRows::new(&rows, 3, &config()).unwrap();
        assert_eq!(merged.length, 11);
        // Three places to spare: the first three of the picture's four, so features 1 to 3 stand behind the padding token.
        assert_eq!(places(&merged.rows[0]), [(0, 5), (4, IMAGE), (5, 6), (6, 7), (8, IMAGE), (9, IMAGE), (10, IMAGE)]);
        let batch = merged.batch(Vec::new(), &config()).packed;
        assert_eq!(batch.rows.positions[0][..7], [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn in_a_batch_padded_left_every_picture_is_at_its_token() {
        let rows = given(&[&[PAD, 5, IMAGE, 6], &[5, IMAGE, IMAGE, 6]]);
        let merged = MergedRows::new(&rows, 3, &config()).unwrap();
        assert_eq!(places(&merged.rows[0])[..2], [(4, 5), (5, IMAGE)]);
        assert_eq!(merged.rows[0].len(), 6);
    }

    #[test]
    fn a_token_behind_a_masked_place_is_scored_from_there() {
        let rows = given(&[&[5, IMAGE, 6, PAD, PAD], &[5, IMAGE, IMAGE, IMAGE, 6]]);
        let config = config();
        let batch = MergedRows::new(&rows, 4, &config).unwrap().batch(Vec::new(), &config).packed;
        // Row 0: all four places of its picture are masked, so token 6 is predicted from a blank that sees token 5.
        assert_eq!(batch.rows.input_ids[2][..2], [5, BLANK]);
        assert_eq!(batch.rows.positions[2][..2], [0, 1]);
        let tokens = batch.rows.dims()[1];
        assert!(batch.targets.contains(&Target { position: 2 * tokens + 1, label: 6 }));
    }

    #[test]
    fn picture_and_token_counts_must_agree() {
        let error = MergedRows::new(&given(&[&[5, IMAGE, 6]]), 2, &config()).unwrap_err().to_string();
        assert_eq!(error, "prompt reserves 1 image tokens, images give 2");
    }
}
