//! The command line: every command with its options, its help and an example.

use crate::dataset::args::DatasetCommand;
use crate::decoding::{DecodingArguments, WORKER_COMMAND};
use crate::generation::GenerationArguments;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Medical datasets in; a trained, measured, answering vision-language model out.
#[derive(Debug, Parser)]
#[command(name = "gmai", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Begin with `gmai quickstart`: it runs the whole chain on made-up scans within minutes.")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Write the result as one JSON document to standard output; progress stays on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// Threads for reading, rendering and training; the default is one per core.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole chain on made-up scans: dataset, training, evaluation, report, one answer.
    Quickstart(QuickstartArguments),
    /// Say what lies in a folder: formats, modalities, annotations, identifiers at risk, and what can be made of it.
    Inventory(InventoryArguments),
    /// Take out of files what tells who the patients are, or forget who they were.
    #[command(subcommand)]
    Deid(DeidCommand),
    /// Turn annotated datasets into image-text pairs.
    Curate(CurateArguments),
    /// Check, count, look at or review a dataset folder; export it to other formats, import them.
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Train a model as a recipe says.
    Train(TrainArguments),
    /// Train models that differ in their stages and compare them on the same questions.
    Ablation(AblationArguments),
    /// Ask a model a dataset's questions, judge the answers, write the report.
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Ask a model about an image.
    Chat(ChatArguments),
    /// Make or look at a model folder.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Say what this machine offers: cores, memory, disk, devices, data. Nothing is sent anywhere.
    #[command(after_help = "Example:\n  gmai doctor --json")]
    Doctor,
    /// Decode what is sent through standard input: started by the other commands, of no use by itself.
    #[command(name = WORKER_COMMAND, hide = true)]
    DecodeWorker,
}

/// Arguments of `gmai quickstart`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gmai quickstart --out out/quickstart")]
pub struct QuickstartArguments {
    /// Folder for everything that is made; must be new or an earlier quickstart's.
    #[arg(long, default_value = "out/quickstart", value_name = "DIR")]
    pub out: PathBuf,
    /// Seed of the made-up scans.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// Arguments of `gmai inventory`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  gmai inventory hospital/export --out out/inventory\n  gmai inventory hospital/export.zip --unpack out/unpacked --out out/inventory\n\nWith --out: inventory.html, and draft.toml as a start for `gmai curate`."
)]
pub struct InventoryArguments {
    /// Folder to look through, or a zip, tar or tar.gz file (with --unpack).
    #[arg(value_name = "DIR|ARCHIVE")]
    pub folder: PathBuf,
    /// Folder for inventory.html, inventory.json and draft.toml; nothing is written without it.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Unpack the archives that are found, each into a folder of its own below this one, and look through them as well.
    #[arg(long, value_name = "DIR")]
    pub unpack: Option<PathBuf>,
    /// Images that are decoded; of more, evenly spread ones of each folder, and headers of the others. 0: headers alone.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    pub max_decoded: u64,
    /// Where images are decoded.
    #[command(flatten)]
    pub decoding: DecodingArguments,
}

/// Commands of de-identification.
#[derive(Debug, Subcommand)]
pub enum DeidCommand {
    /// Write a folder again without identifiers: DICOM headers, other picture files, report texts, burned-in text; with a report of what may remain.
    Run(DeidRunArguments),
    /// Write one report text to standard output with tags in place of identifiers.
    #[command(after_help = "Example:\n  gmai deid text report.txt --key project.key")]
    Text {
        /// The text; standard input when absent.
        file: Option<PathBuf>,
        /// Key file; made when it does not exist.
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
    },
    /// Destroy a key file: nothing that was made with it can be led back to a patient any more.
    #[command(after_help = "Example:\n  gmai deid forget project.key")]
    Forget {
        /// The key file.
        #[arg(value_name = "KEYFILE")]
        key: PathBuf,
    },
}

/// Arguments of `gmai deid run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  gmai deid run hospital/export --out out/clean --key project.key --option retain_modified_dates --option clean_descriptors\n\nThe key file leads back to the patients: keep it apart from the output. Without options all dates, characteristics and texts go."
)]
pub struct DeidRunArguments {
    /// Folder to read.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Folder to make; must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Key file: pseudonyms, new UIDs and date shifts come from it. Made when it does not exist.
    #[arg(long, value_name = "KEYFILE")]
    pub key: PathBuf,
    /// TOML file with `options`, `replacement` and `burned_in`.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// An option of DICOM PS3.15 E.3, e.g. `retain_modified_dates`. May be given several times.
    #[arg(long = "option", value_name = "NAME")]
    pub options: Vec<String>,
    /// What identifiers in texts are replaced by; the default is tag.
    #[arg(long, value_name = "STYLE")]
    pub replacement: Option<ReplacementName>,
    /// What happens to pictures in which something looks written; the default is quarantine.
    #[arg(long, value_name = "ACTION")]
    pub burned_in: Option<BurnedInName>,
    /// Private list of all input files with what became of them, readable by its owner alone.
    #[arg(long, value_name = "FILE")]
    pub worklist: Option<PathBuf>,
}

/// What identifiers in texts are replaced by, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReplacementName {
    /// `[NAME]`, `[DATE]`.
    Tag,
    /// Made-up values of the same kind.
    Surrogate,
    /// Underscores.
    Blank,
}

impl From<ReplacementName> for gmai_deid::Replacement {
    fn from(name: ReplacementName) -> gmai_deid::Replacement {
        match name {
            ReplacementName::Tag => gmai_deid::Replacement::Tag,
            ReplacementName::Surrogate => gmai_deid::Replacement::Surrogate,
            ReplacementName::Blank => gmai_deid::Replacement::Blank,
        }
    }
}

/// What happens to pictures with burned-in text, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BurnedInName {
    /// They are left out and listed.
    Quarantine,
    /// The text is painted over where that is possible, else as quarantine.
    Blank,
    /// They are written as they are, and listed.
    Flag,
}

impl From<BurnedInName> for gmai_deid::BurnedIn {
    fn from(name: BurnedInName) -> gmai_deid::BurnedIn {
        match name {
            BurnedInName::Quarantine => gmai_deid::BurnedIn::Quarantine,
            BurnedInName::Blank => gmai_deid::BurnedIn::Blank,
            BurnedInName::Flag => gmai_deid::BurnedIn::Flag,
        }
    }
}

/// Arguments of `gmai curate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  GMAI_SHARED=../shared gmai curate configs/curate/open_data.toml --out out/open-data\n\n${NAME} in a source's root stands for the environment variable NAME."
)]
pub struct CurateArguments {
    /// The TOML file that lists the sources.
    pub config: PathBuf,
    /// Dataset folder to make. A finished one of the same config and inputs is left as it is.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace one value of the config, e.g. `dataset.seed=3`. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Say how many calls, tokens and how much money [author] of the config will take; nothing is asked and nothing is made.
    #[arg(long)]
    pub author_dry_run: bool,
    /// File of every call to the endpoint of [author] and its reply; what stands there is not asked again. Default: author.jsonl in DIR.
    #[arg(long, value_name = "FILE")]
    pub author_ledger: Option<PathBuf>,
    /// Refuse sources whose licence forbids this use: non-commercial, redistributable, commercial, or a TOML file.
    #[arg(long, value_name = "POLICY")]
    pub licence_policy: Option<String>,
    /// Where images are decoded.
    #[command(flatten)]
    pub decoding: DecodingArguments,
}

/// A part of a dataset, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SplitName {
    /// For fitting parameters.
    Train,
    /// For choosing settings.
    Validation,
    /// For reporting.
    Test,
}

impl SplitName {
    /// The split that is meant.
    pub fn split(self) -> gmai_schema::Split {
        match self {
            SplitName::Train => gmai_schema::Split::Train,
            SplitName::Validation => gmai_schema::Split::Validation,
            SplitName::Test => gmai_schema::Split::Test,
        }
    }
}

/// Arguments of `gmai train`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gmai train configs/recipe/small.toml --data out/open-data --out runs/small\n  gmai train configs/recipe/small.toml --data out/open-data --out runs/small --resume\n\nCtrl-C writes a checkpoint and stops; a second one stops at once."
)]
pub struct TrainArguments {
    /// The TOML file of the run: model and stages.
    pub recipe: PathBuf,
    /// Dataset folder that `gmai curate` made.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Run folder to make: recipe, events, checkpoints, and the finished model in `model`.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on from the newest whole checkpoint in the run folder.
    #[arg(long)]
    pub resume: bool,
    /// Only these stages of the recipe, in its order, e.g. `shallow_alignment,instruction_tuning`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub stages: Vec<String>,
    /// Replace one value of the recipe, e.g. `seed=3` or `stage.0.epochs=2`. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Arguments of `gmai ablation`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  gmai ablation configs/recipe/ablation.toml --data out/open-data --out runs/ablation\n\nThe same command goes on where it was stopped."
)]
pub struct AblationArguments {
    /// The TOML file: a recipe, and rows of stages.
    pub config: PathBuf,
    /// Dataset folder that `gmai curate` made.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder for models, replies and the table.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Ask at most this many questions of each source, spread evenly; all by default.
    #[arg(long, value_name = "N")]
    pub per_source: Option<usize>,
}

/// Commands of the evaluation.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Ask the questions, store every reply, then score and report. Goes on where it was stopped.
    Run(EvalRunArguments),
    /// Judge stored replies again; nothing is asked.
    #[command(after_help = "Example:\n  gmai eval score out/eval")]
    Score {
        /// Folder that `gmai eval run` made.
        folder: PathBuf,
    },
    /// Write report.html again from stored replies and scores.
    #[command(after_help = "Example:\n  gmai eval report out/eval --run runs/small")]
    Report {
        /// Folder that `gmai eval run` made.
        folder: PathBuf,
        /// Run folder of `gmai train`, for the loss curves.
        #[arg(long, value_name = "DIR")]
        run: Option<PathBuf>,
    },
}

/// Arguments of `gmai eval run`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gmai eval run --model runs/small --data out/open-data --out out/eval")]
pub struct EvalRunArguments {
    /// Model folder, or a run folder of `gmai train`: then its newest checkpoint.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Dataset folder.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder for replies, scores and the report.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Which part of the dataset to ask.
    #[arg(long, default_value = "test")]
    pub split: SplitName,
    /// Ask at most this many questions of each source, spread evenly; all by default.
    #[arg(long, value_name = "N")]
    pub per_source: Option<usize>,
    /// Questions asked at once.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub batch: usize,
    /// Run folder of `gmai train`, for the loss curves in the report.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
}

/// Arguments of `gmai chat`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gmai chat --model runs/small --image chest.png \"What does this image show?\"\n  gmai chat --model runs/small --image brain.nii.gz --slice coronal:40 \"Which organ is this?\" --option brain --option liver\n  gmai chat --model runs/small --image chest.png --temperature 0.7 --top-p 0.9 --seed 3 --stop \"Question:\" \"Describe the lungs.\"\n  gmai chat --model runs/small --image chest.png --logprobs 3 --json \"Is there an effusion?\""
)]
pub struct ChatArguments {
    /// Model folder, or a run folder of `gmai train`: then its newest checkpoint.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// PNG, JPEG, TIFF, DICOM or NIfTI file, or the folder of one DICOM series. May be given several times.
    #[arg(long = "image", value_name = "FILE")]
    pub images: Vec<PathBuf>,
    /// Slice of a volume, e.g. `axial:12`; the default is the middle axial one.
    #[arg(long, value_name = "AXIS:INDEX")]
    pub slice: Option<String>,
    /// Values shown black and white, e.g. `-160:240` Hounsfield units; the default is the 0.5th to the 99.5th percentile.
    #[arg(long, value_name = "LOW:HIGH", allow_hyphen_values = true)]
    pub window: Option<String>,
    /// An answer to choose from; its probability is shown. May be given several times.
    #[arg(long = "option", value_name = "TEXT")]
    pub options: Vec<String>,
    /// The question.
    pub text: String,
    /// How the answer is written.
    #[command(flatten)]
    pub generation: GenerationArguments,
    /// Where images are decoded.
    #[command(flatten)]
    pub decoding: DecodingArguments,
}

/// A layout that models are converted to, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConvertTo {
    /// Hugging Face LLaVA with Llama text.
    HfLlava,
    /// GMAI-VL's own: enhanced_llava with InternLM2 text.
    EnhancedLlava,
    /// llama.cpp: language model and mmproj.
    Gguf,
}

/// A number format of GGUF files, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConvertOuttype {
    /// 4 bytes a value.
    F32,
    /// 2 bytes a value.
    F16,
    /// 34 bytes for 32 values.
    #[value(name = "q8_0")]
    Q8_0,
}

/// Commands on a model folder.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Make a model folder with fresh weights.
    #[command(
        after_help = "Example:\n  gmai model init configs/model/small.json --tokenizer runs/small --out out/fresh"
    )]
    Init {
        /// The architecture: a checkpoint's config.json.
        config: PathBuf,
        /// Folder with the tokenizer and the processor's settings, e.g. another model's.
        #[arg(long, value_name = "DIR")]
        tokenizer: PathBuf,
        /// Model folder to make.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Seed of the weights.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Write a model in another layout: for transformers, vLLM, SGLang, llama.cpp, or back to GMAI-VL's own.
    #[command(
        after_help = "Examples:\n  gmai model convert --to hf-llava runs/small --out out/llava\n  gmai model convert --to enhanced-llava out/llava --out out/back\n  gmai model convert --to gguf --outtype q8_0 runs/small --out out/gguf\n\nhf-llava: a plain LlavaForConditionalGeneration with Llama text; no code is downloaded or run to load it.\ngguf: two files, the language model and mmproj: llama-mtmd-cli -m NAME-q8_0.gguf --mmproj mmproj-NAME-q8_0.gguf --image FILE"
    )]
    Convert {
        /// The model folder, or a run folder of `gmai train`: then its newest checkpoint.
        folder: PathBuf,
        /// The layout to write.
        #[arg(long, value_name = "LAYOUT")]
        to: ConvertTo,
        /// Number format of the large tensors in GGUF files; small ones stay exact. Other layouts keep the format of the checkpoint.
        #[arg(long, default_value = "f16", value_name = "TYPE")]
        outtype: ConvertOuttype,
        /// Name of the model, and of the GGUF files; the default is the name of the folder.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Folder to make.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Compare a checkpoint with the reference's numbers beside it; exit code 1 if one is out of tolerance.
    ///
    /// The folder holds config.json, the weights, vectors.safetensors (inputs and outputs of the reference implementation) and
    /// vectors.json (settings of its training stages).
    #[command(after_help = "Example:\n  gmai model parity checkpoints/gmai_vl_tiny --out own.safetensors")]
    Parity {
        /// The checkpoint folder.
        folder: PathBuf,
        /// File for the tensors computed here, under the names of vectors.safetensors.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say what a model folder holds: sizes, parameters by part, image tokens.
    #[command(after_help = "Example:\n  gmai model info runs/small")]
    Info {
        /// The model folder, or a run folder of `gmai train`: then its newest checkpoint.
        folder: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_that_does_something_shows_an_example() {
        fn without_example(command: &clap::Command, missing: &mut Vec<String>) {
            let mut inner =
                command.get_subcommands().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set()).peekable();
            if inner.peek().is_none() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                if !help.contains("Example") {
                    missing.push(command.get_name().to_string());
                }
            }
            inner.for_each(|command| without_example(command, missing));
        }
        let mut missing = Vec::new();
        without_example(&Arguments::command(), &mut missing);
        assert!(missing.is_empty(), "{missing:?}");
    }
}
