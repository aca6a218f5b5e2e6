//! How far several observers agree who drew the same thing on one picture.

use crate::config::Regions;
use crate::kind::Instances;
use crate::ledger::{Defect, Ledger};
use crate::regions::{Marked, Reading, read_mask};
use gmai_imaging::Mask;

/// What the masks of all observers of one picture give.
pub(crate) struct Agreed {
    /// The first observer's regions; every observer's mask counts as used.
    pub(crate) marked: Marked,
    /// Dice coefficient of each pair of observers.
    pub(crate) dice: Vec<f64>,
}

/// Masks of one thing by several observers, each on the whole picture. The error is a defect of the picture's annotation: a mask that
/// cannot be read, or two that differ more than `least_dice` allows; the coefficients measured so far come with it.
pub(crate) fn from_observers(
    rules: &Regions,
    files: &[String],
    (instances, least_dice): (Instances, f64),
    reading: Reading,
    ledger: &mut Ledger,
) -> Result<Agreed, (Defect, Vec<f64>)> {
    let mut masks = Vec::with_capacity(files.len());
    for file in files {
        masks.push(read_mask(file, reading).map_err(|defect| (defect, Vec::new()))?);
    }
    let mut all = Vec::new();
    let mut worst: Option<(f64, [usize; 2])> = None;
    for first in 0..masks.len() {
        for second in first + 1..masks.len() {
            let pair = dice(&masks[first], &masks[second]);
            all.push(pair);
            if worst.is_none_or(|(least, _)| pair < least) {
                worst = Some((pair, [first, second]));
            }
        }
    }
    if let Some((least, [first, second])) = worst.filter(|(least, _)| *least < least_dice) {
        let reason =
            format!("two observers agree with a Dice coefficient of {least:.3}, below least_dice = {least_dice}");
        let field = format!("{} and {}", files[first], files[second]);
        let remedy = "let a third observer decide, or lower `least_dice`";
        return Err((Defect::new(&files[0], field, reason, remedy), all));
    }
    let mut marked = Marked::default();
    if let Some(first) = masks.first() {
        marked.add_mask(rules, first, instances, ledger);
    }
    if !marked.regions.is_empty() {
        marked.num_used = files.len() as u64;
    } else {
        let others = files.len().saturating_sub(1) as u64;
        ledger.skip(crate::ledger::Of::Annotations, crate::regions::TOO_SMALL, others);
    }
    Ok(Agreed { marked, dice: all })
}

/// Twice what is common by the sum of both; masks are of one size and not both empty.
fn dice(one: &Mask, other: &Mask) -> f64 {
    let common = one.inside.iter().zip(&other.inside).filter(|(one, other)| **one && **other).count();
    2.0 * common as f64 / (one.num_pixels() + other.num_pixels()).max(1) as f64
}
