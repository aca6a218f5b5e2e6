//! Arguments of `gmai dataset ...`.

use crate::args::SplitName;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Commands on a dataset folder.
#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Verify every shard and row; find copies, leaks, contradictions and odd pictures; judge licences.
    Check(CheckArguments),
    /// Count pairs by task, modality, department, clinical task, form, language, source and split; draw the data card.
    Stats(StatsArguments),
    /// Show conversations, and write their pictures.
    Sample(SampleArguments),
    /// Make a sheet of samples for people (or requests for a model) to score, or judge the sources by their scores.
    Review(ReviewArguments),
    /// Write a dataset in another format.
    Export(ExportArguments),
    /// Make a dataset folder from another format.
    Import(ImportArguments),
}

/// Arguments of `gmai dataset check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gmai dataset check out/open-data\n  gmai dataset check out/open-data --against benchmarks/OmniMedVQA --sheet out/check.html\n  gmai dataset check pictures/ --sheet out/check.html\n  gmai dataset check out/open-data --licence-policy redistributable\n\nA plain folder of pictures is looked at, too: parent folders stand for labels, folders called train, val or test for the split.\nExit code 1: a damaged dataset; equal pictures across splits or in a benchmark; a refused licence. With --strict, suspects as well."
)]
pub struct CheckArguments {
    /// The dataset folder, or a folder of pictures.
    pub folder: PathBuf,
    /// Pictures that must not be in the data: a folder, a dataset folder, a .tsv or .parquet file, or a list of SHA-256. May be given several times.
    #[arg(long, value_name = "PATH")]
    pub against: Vec<PathBuf>,
    /// Write the findings with their pictures to this HTML file.
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
    /// Write SHA-256 of every picture's pixels to this file, for others to check against.
    #[arg(long, value_name = "FILE")]
    pub hashes: Option<PathBuf>,
    /// Refuse sources whose licence forbids this use: non-commercial, redistributable, commercial, or a TOML file.
    #[arg(long, value_name = "POLICY")]
    pub licence_policy: Option<String>,
    /// Fail on contradictions and on nearly equal, recoloured or turned copies across splits or in a benchmark, too.
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `gmai dataset stats`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gmai dataset stats out/open-data\n  gmai dataset stats out/open-data --out out/card.html --tokenizer runs/small"
)]
pub struct StatsArguments {
    /// The dataset folder.
    pub folder: PathBuf,
    /// Write the figures and samples to this HTML file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Count tokens with the tokenizer of this model folder.
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
}

/// Arguments of `gmai dataset review`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gmai dataset review out/open-data --out out/review.html\n  gmai dataset review out/open-data --scores scores-AB.json --scores scores-CD.json\n  gmai dataset review out/open-data --requests out/requests.jsonl --model judge\n\nThe sheet's button saves the scores as a file. Scores: 1 best, 5 worst; a source passes at a mean of 3 or less.\nRequests are an OpenAI batch file; the batch's output is read by --scores."
)]
pub struct ReviewArguments {
    /// The dataset folder.
    pub folder: PathBuf,
    /// HTML sheet to write.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// File with requests to a model to write, one a line.
    #[arg(long, value_name = "FILE", requires = "model")]
    pub requests: Option<PathBuf>,
    /// Name of the model that is asked.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Scores to judge by. May be given several times.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "requests"])]
    pub scores: Vec<PathBuf>,
    /// Pairs of each source.
    #[arg(long, default_value_t = gmai_quality::review::PER_SOURCE, value_name = "N")]
    pub per_source: usize,
    /// Seed of the draw.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// A format of other programs, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// LLaVA, a JSON list per split.
    Llava,
    /// LLaVA, one object a line.
    LlavaJsonl,
    /// ShareGPT as LLaMA-Factory reads it, with dataset_info.json.
    Sharegpt,
    /// OpenAI chat messages, one object a line.
    Openai,
    /// Numbered tar files.
    Webdataset,
    /// The layout of GMAI-VL-5.5M: annotations/*.jsonl and zips of pictures.
    GmaiVl,
    /// A list file with sample_ratio over LLaVA files, and the same with InternVL's keys.
    List,
}

impl FormatName {
    /// The format that is meant.
    pub fn format(self) -> gmai_exchange::Format {
        use gmai_exchange::Format;
        match self {
            FormatName::Llava => Format::LlavaJson,
            FormatName::LlavaJsonl => Format::LlavaJsonl,
            FormatName::Sharegpt => Format::ShareGpt,
            FormatName::Openai => Format::Messages,
            FormatName::Webdataset => Format::WebDataset,
            FormatName::GmaiVl => Format::GmaiVl,
            FormatName::List => Format::List,
        }
    }
}

/// Arguments of `gmai dataset export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gmai dataset export out/open-data --to sharegpt --out out/sharegpt\n  gmai dataset export out/open-data --to webdataset --out out/tars --samples-per-shard 2000\n  gmai dataset export out/open-data --to list --out out/list --sample-ratio mednist=0.3\n\nPictures keep their bytes; the field `gmai` keeps what a format has no place for. An untouched export imports as the very same dataset."
)]
pub struct ExportArguments {
    /// The dataset folder.
    pub folder: PathBuf,
    /// The format.
    #[arg(long, value_name = "FORMAT")]
    pub to: FormatName,
    /// New folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Only these splits, e.g. `train,validation`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub splits: Vec<SplitName>,
    /// openai: put pictures into the text as data URLs.
    #[arg(long)]
    pub inline_images: bool,
    /// webdataset: samples of a tar file.
    #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub samples_per_shard: u64,
    /// gmai-vl: MiB of pictures in a zip.
    #[arg(long, default_value_t = 2_048, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub chunk_mib: u64,
    /// list: share of a source's pairs to train on. May be given several times.
    #[arg(long = "sample-ratio", value_name = "SOURCE=RATIO")]
    pub sample_ratios: Vec<String>,
    /// Refuse to export sources whose licence forbids this use: non-commercial, redistributable, commercial, or a TOML file.
    #[arg(long, value_name = "POLICY")]
    pub licence_policy: Option<String>,
}

/// Arguments of `gmai dataset import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gmai dataset import out/sharegpt --from sharegpt --out out/back\n  gmai dataset import slake/train.json --from llava --images slake/imgs --out out/slake --department oncology --licence \"CC BY-SA 4.0\"\n  gmai dataset import GMAI-VL-5.5M-OpenSource --from gmai-vl --facts facts.toml --out out/gmai-vl\n\n--facts: a TOML file with [source.\"NAME\"] tables that hold department, modality, task, language and licence."
)]
pub struct ImportArguments {
    /// File or folder in the format.
    pub source: PathBuf,
    /// The format.
    #[arg(long, value_name = "FORMAT")]
    pub from: FormatName,
    /// Dataset folder to make.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Name of the dataset; the default is the name of the imported file or folder.
    #[arg(long)]
    pub name: Option<String>,
    /// Name of the source of rows whose format names none; the default is the dataset's name.
    #[arg(long = "source", value_name = "NAME")]
    pub source_name: Option<String>,
    /// Folder that pictures are named from; the default is the imported folder.
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Licence of the data.
    #[arg(long)]
    pub licence: Option<String>,
    /// Clinical department, e.g. pulmonary_medicine. Rows of other programs need one.
    #[arg(long)]
    pub department: Option<String>,
    /// How the images were acquired, e.g. x_ray.
    #[arg(long)]
    pub modality: Option<String>,
    /// What the questions examine; question_answering where nothing is said.
    #[arg(long)]
    pub task: Option<String>,
    /// Language of all text, en or zh; read from the script where nothing is said.
    #[arg(long)]
    pub language: Option<String>,
    /// TOML file with facts by source.
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    /// Split of rows whose file names none.
    #[arg(long, default_value = "train")]
    pub split: SplitName,
    /// Put image markers before the first question of rows that have pictures and no markers.
    #[arg(long)]
    pub prepend_markers: bool,
    /// list: take only the share of rows that sample_ratio says, always the same ones.
    #[arg(long)]
    pub apply_ratio: bool,
    /// Refuse sources whose licence forbids this use: non-commercial, redistributable, commercial, or a TOML file.
    #[arg(long, value_name = "POLICY")]
    pub licence_policy: Option<String>,
}

/// Arguments of `gmai dataset sample`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gmai dataset sample out/open-data --source busi --count 3 --out out/samples")]
pub struct SampleArguments {
    /// The dataset folder.
    pub folder: PathBuf,
    /// Which part to take from.
    #[arg(long, default_value = "train")]
    pub split: SplitName,
    /// Only this source.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only this form, e.g. multiple_choice.
    #[arg(long, value_name = "FORM")]
    pub form: Option<String>,
    /// How many, spread evenly over what matches.
    #[arg(long, default_value_t = 6)]
    pub count: usize,
    /// Folder for the pictures; none are written without it.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
