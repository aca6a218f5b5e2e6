//! Which texts are asked for about a record.

use super::options::Options;
use crate::instruct::dice::Dice;
use crate::verify::is_nameable;
use gmai_schema::{Form, Language, Record};

/// One text to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) form: Form,
    pub(crate) language: Language,
    /// Index of the region that a region's description is about.
    pub(crate) region: Option<usize>,
    /// Seed of the model's draws.
    pub(crate) seed: u64,
}

/// The texts that are asked for about `record`, in a fixed order. Nothing is asked about a record of which nothing is known.
pub(crate) fn plan(record: &Record, options: &Options) -> Vec<Wanted> {
    let mut chosen = Dice::new(options.seed, &record.id, "author", 0);
    let is_known = record.modality.is_some() || !record.labels.is_empty() || !record.regions.is_empty();
    if !is_known || !chosen.chance(options.share) {
        return Vec::new();
    }
    let per_record = options.per_record;
    let mut wanted = Vec::new();
    for (form, count) in [
        (Form::ImageCaption, per_record.image_captions),
        (Form::RegionCaption, per_record.region_captions.min(record.regions.len())),
        (Form::Instruction, per_record.instructions),
        (Form::Conversation, per_record.conversations),
    ] {
        let mut regions: Vec<usize> = (0..record.regions.len()).collect();
        Dice::new(options.seed, &record.id, "author/regions", 0).shuffle(&mut regions);
        for copy in 0..count {
            let mut dice = Dice::new(options.seed, &record.id, &format!("author/{}", form.key()), copy);
            let region = regions.get(copy).copied().filter(|_| form == Form::RegionCaption);
            let drawn = draw_language(options, &mut dice);
            let is_fit = is_nameable(record, region, drawn, &options.japanese);
            let language = if is_fit { drawn } else { Language::En };
            let seed = dice.below(i32::MAX as usize) as u64; // Some endpoints take 32 bits.
            wanted.push(Wanted { form, language, region, seed });
        }
    }
    wanted
}

fn draw_language(options: &Options, dice: &mut Dice) -> Language {
    let mut left = 1.0f32;
    for (language, share) in &options.languages {
        if *share > 0.0 && (*share >= left - 1e-4 || dice.chance(share / left)) {
            return *language;
        }
        left -= share;
    }
    Language::En
}
