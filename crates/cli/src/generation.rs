//! How an answer is written, as typed: the checkpoint's own settings, changed by what the user says.

use crate::output::Output;
use anyhow::Result;
use clap::Args;
use gmai_infer::Defaults;
use gmai_schema::{Sampling, WrittenToken};

/// Tokens to write when neither the user nor the checkpoint says how many.
const MAX_TOKENS: usize = 200;

/// Arguments of commands that write answers.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Writing (defaults come from the checkpoint's generation_config.json)")]
pub struct GenerationArguments {
    /// The most tokens to write.
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// 0 takes the likeliest token each time; higher is more varied.
    #[arg(long, value_name = "T")]
    pub temperature: Option<f32>,
    /// Draw among this many likeliest tokens; 0: among all.
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Draw among the likeliest tokens whose probabilities sum to this; 1: among all.
    #[arg(long, value_name = "P")]
    pub top_p: Option<f32>,
    /// Draw among tokens at least this share as likely as the likeliest; 0: among all.
    #[arg(long, value_name = "P")]
    pub min_p: Option<f32>,
    /// Makes tokens that were there before less likely; 1: does not.
    #[arg(long, value_name = "X")]
    pub repetition_penalty: Option<f32>,
    /// Never write a run of this many tokens a second time; 0: may.
    #[arg(long, value_name = "N")]
    pub no_repeat_ngram_size: Option<usize>,
    /// Seed of the draw when the temperature is above 0: same seed, same text.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// A text that ends the answer; it is not shown. May be given several times.
    #[arg(long = "stop", value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Show the log-probability of each token, and this many likeliest ones at its place.
    #[arg(long, value_name = "N")]
    pub logprobs: Option<usize>,
}

impl GenerationArguments {
    /// The settings: what is typed, else what the checkpoint says.
    pub fn sampling(&self, defaults: &Defaults) -> Sampling {
        let given = &defaults.sampling;
        let max_tokens = if defaults.names_max_tokens { given.max_tokens } else { MAX_TOKENS };
        Sampling {
            max_tokens: self.max_tokens.unwrap_or(max_tokens),
            repetition_penalty: self.repetition_penalty.unwrap_or(given.repetition_penalty),
            no_repeat_ngram_size: self.no_repeat_ngram_size.unwrap_or(given.no_repeat_ngram_size),
            temperature: self.temperature.unwrap_or(given.temperature),
            top_k: self.top_k.unwrap_or(given.top_k),
            top_p: self.top_p.unwrap_or(given.top_p),
            min_p: self.min_p.unwrap_or(given.min_p),
            seed: self.seed,
        }
    }
}

/// One line for each token: what was written, how likely it was, and what else was.
pub fn show_tokens(tokens: &[WrittenToken], output: Output) -> Result<()> {
    for token in tokens {
        let others = token.top.iter().map(|other| format!("{:?} {:.3}", other.text, other.log_probability));
        let others = others.collect::<Vec<_>>().join("  ");
        output.line(format!("  {:>8.3} {:?}  | {others}", token.chosen.log_probability, token.chosen.text))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_counts_before_what_the_checkpoint_says() {
        let sampling = Sampling { temperature: 0.8, top_k: 50, max_tokens: 9, ..Sampling::default() };
        let mut defaults = Defaults { sampling, ..Defaults::default() };
        let typed = GenerationArguments { top_k: Some(3), seed: 5, ..GenerationArguments::default() };
        let got = typed.sampling(&defaults);
        assert_eq!((got.temperature, got.top_k, got.seed, got.max_tokens), (0.8, 3, 5, MAX_TOKENS));
        defaults.names_max_tokens = true;
        assert_eq!(typed.sampling(&defaults).max_tokens, 9);
    }
}
