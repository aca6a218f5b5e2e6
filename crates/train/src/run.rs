//! The run: stages in order, steps in order, checkpoints in between.

use crate::batch::{ContrastiveBatch, collate, matching_facts};
use crate::checkpoint::{self, Position, TrainingState, io};
use crate::data::{Corpus, Dataset, texts};
use crate::error::{Error, Result};
use crate::events::{EventLog, StepEvent};
use crate::gradients::Gradients;
use crate::objective::{LossSum, contrastive, next_token};
use crate::optimizer::AdamW;
use crate::plan::{Schedule, StagePlan, run_hash};
use crate::recipe::{FreshLanguage, FreshModel, FreshVision, ModelSource, Objective, Recipe, Stage};
use crate::schedule::factor;
use crate::text_feature::text_features;
use gmai_model::config::{FeatureSelect, ModelType, RopeScaling, TextConfig, TextType, VisionConfig, VisionType};
use gmai_model::contrastive::ContrastiveHead;
use gmai_model::initialise::Initialiser;
use gmai_model::layers::Activation;
use gmai_model::{Config, GmaiVl, Parameters, Written, device};
use gmai_processor::{ImageConfig, Processor, ProcessorConfig, train_tokenizer};
use gmai_schema::Progress;
use gmai_shard::Reader;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What to run, on what, where to.
pub struct RunOptions {
    /// The run as written.
    pub recipe: Recipe,
    /// Dataset folder.
    pub dataset: PathBuf,
    /// Run folder: checkpoints, log and the final model are written below it.
    pub out: PathBuf,
    /// Go on from the latest checkpoint in `out`, if there is one.
    pub resume: bool,
}

/// How the caller follows a run.
pub struct Hooks<'a> {
    /// Receives progress of reading and of each stage.
    pub on_progress: &'a mut dyn FnMut(Progress),
    /// Receives each stage's plan before it starts.
    pub on_plan: &'a mut dyn FnMut(&StagePlan),
    /// Asked after each step; `true` writes a checkpoint and stops.
    pub should_stop: &'a dyn Fn() -> bool,
}

/// What a run has made.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// The final model: a Hugging Face folder.
    pub model: PathBuf,
    /// The end of each stage: folders of the same layout.
    pub stages: Vec<PathBuf>,
}

/// Carries out every stage of the recipe.
///
/// # Errors
/// Bad settings, an unreadable dataset, a full disk, a loss that is no number; what was finished stays in the last checkpoint.
pub fn run(options: &RunOptions, hooks: &mut Hooks<'_>) -> Result<RunSummary> {
    let recipe = &options.recipe;
    recipe.check()?;
    let reader = Reader::open(&options.dataset)?;
    let checkpoints = options.out.join("checkpoints");
    fs::create_dir_all(&checkpoints).map_err(io(&checkpoints))?;
    let manifest = serde_json::to_string(reader.manifest()).expect("a manifest is plain data");
    let hash = run_hash(recipe, &manifest, "");
    let found = if options.resume { checkpoint::latest(&checkpoints)? } else { None };
    let (mut state, position) = match found {
        Some((folder, position)) => {
            if position.run != hash {
                let reason = "made by another recipe or dataset".to_owned();
                return Err(Error::Checkpoint { path: folder, reason });
            }
            (checkpoint::load(&folder, &position, |model| new_head(model, 0.5, recipe.seed))?, Some(position))
        }
        None => (start(recipe, &reader, hooks)?, None),
    };
    let path = options.out.join("recipe.json");
    let text = serde_json::to_string_pretty(recipe).expect("a recipe is plain data");
    fs::write(&path, text).map_err(io(&path))?;
    let mut log = EventLog::open(&options.out, position.as_ref())?;
    let corpus = Corpus::read(&reader, &state.processor, hooks.on_progress)?;
    for index in 0..recipe.stages.len() {
        let done = match &position {
            Some(position) if position.stage_index > index || (position.stage_index == index && position.finished) => {
                continue;
            }
            Some(position) if position.stage_index == index => position.step,
            _ => 0,
        };
        let mut stage = StageRun { recipe, index, run: &hash, checkpoints: &checkpoints, log: &mut log };
        stage.carry_out(&mut state, &corpus, &reader, done, hooks)?;
    }
    finish(options, &state)
}

/// The state before the first step: a given checkpoint, or fresh weights with a tokenizer trained on the dataset.
fn start(recipe: &Recipe, reader: &Reader, hooks: &mut Hooks<'_>) -> Result<TrainingState> {
    let device = device::default_device();
    let (model, processor) = match &recipe.model {
        ModelSource::StartFrom(folder) => {
            let mut model = GmaiVl::from_folder(folder, &device)?;
            model.store_as_f32();
            let processor = Processor::from_folder(folder, model.config.num_image_tokens())?;
            (model, processor)
        }
        ModelSource::Fresh(fresh) => {
            let tokenizer = train_tokenizer(texts(reader), fresh.language.vocab_size, hooks.on_progress)?;
            let patches = (fresh.vision.image_size / fresh.vision.patch_size.max(1)).pow(2);
            let image = ImageConfig::clip(fresh.vision.image_size);
            let processor = Processor::new(tokenizer, image, ProcessorConfig::new(patches))?;
            let config = fresh.config(processor.image_token_id(), processor.vocab_size());
            (GmaiVl::new(config, recipe.seed, &device)?, processor)
        }
    };
    Ok(TrainingState { model, processor, head: None, optimizer: AdamW::default() })
}

impl FreshModel {
    /// The checkpoint configuration of these sizes; `vocab_size` counts the tokenizer's entries as trained.
    fn config(&self, image_token_index: u32, vocab_size: usize) -> Config {
        Config {
            architectures: vec!["LlavaForConditionalGeneration".to_owned()],
            model_type: ModelType::EnhancedLlava,
            ignore_index: -100,
            image_token_index,
            image_seq_length: 576,
            pad_token_id: Some(2),
            projector_hidden_act: Activation::Gelu,
            multimodal_projector_bias: true,
            vision_feature_select_strategy: FeatureSelect::Default,
            vision_feature_layer: -2,
            torch_dtype: "float32".to_owned(),
            vision_config: self.vision.config(),
            text_config: self.language.config(vocab_size),
            written: Written::default(),
        }
    }
}

impl FreshVision {
    fn config(&self) -> VisionConfig {
        VisionConfig {
            model_type: VisionType::Clip,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            image_size: self.image_size,
            patch_size: self.patch_size,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            projection_dim: self.projection_dim,
            vision_use_head: false,
        }
    }
}

impl FreshLanguage {
    fn config(&self, vocab_size: usize) -> TextConfig {
        TextConfig {
            model_type: TextType::InternLm2,
            vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
            head_dim: self.hidden_size / self.num_attention_heads.max(1),
            max_position_embeddings: self.max_position_embeddings,
            sliding_window: None,
            rms_norm_eps: 1e-5,
            rope_theta: 1_000_000.0,
            rope_scaling: Some(RopeScaling::Dynamic { factor: 2.0 }),
            hidden_act: Activation::Silu,
            qkv_bias: false,
            attention_output_bias: false,
            mlp_bias: false,
            tie_word_embeddings: false,
            bos_token_id: Some(1),
            eos_token_id: vec![2],
            pad_token_id: Some(2),
            initializer_range: 0.02,
        }
    }
}

/// One stage under way.
struct StageRun<'a> {
    recipe: &'a Recipe,
    index: usize,
    run: &'a str,
    checkpoints: &'a Path,
    log: &'a mut EventLog,
}

/// What one step computed.
struct StepResult {
    loss: LossSum,
    tokens: usize,
    image_tokens: usize,
    padding: usize,
    samples: usize,
    gradient_norm: f64,
}

impl StageRun<'_> {
    fn stage(&self) -> &Stage {
        &self.recipe.stages[self.index]
    }

    fn carry_out(
        &mut self,
        state: &mut TrainingState,
        corpus: &Corpus,
        reader: &Reader,
        done: usize,
        hooks: &mut Hooks<'_>,
    ) -> Result<()> {
        let stage = self.stage().clone();
        let dataset = corpus.select(&stage, &state.processor, self.recipe.max_length)?;
        dataset.check(reader, &stage)?;
        let schedule = Schedule::new(self.recipe, self.index, &dataset);
        let plan = self.plan(&dataset, &schedule, &state.model);
        (hooks.on_plan)(&plan);
        if done == 0 {
            state.optimizer = AdamW::default();
            let contrastive = stage.objective == Objective::Contrastive;
            state.head = contrastive.then(|| new_head(&state.model, dataset.match_rate(), self.recipe.seed));
        }
        let texts = match stage.objective {
            Objective::Contrastive => text_features(&state.model, &dataset, self.recipe.max_length, hooks.on_progress)?,
            _ => Vec::new(),
        };
        let started = Instant::now();
        let mut tokens = 0;
        for step in done..plan.num_steps {
            let result =
                self.step(state, &dataset, &schedule.steps[step], &texts, factor_at(self.recipe, step, &plan))?;
            let event = self.event(&result, step, &plan);
            if !event.loss.is_finite() {
                return Err(Error::Diverged { stage: stage.name.clone(), step: step + 1, loss: event.loss });
            }
            self.log.push(&event)?;
            tokens += result.tokens;
            (hooks.on_progress)(progress(&event, tokens as f64 / started.elapsed().as_secs_f64()));
            self.checkpoint_if_due(state, step + 1, plan.num_steps, (hooks.should_stop)())?;
        }
        state.head = None;
        state.optimizer = AdamW::default();
        checkpoint::write(self.checkpoints, state, &self.position(plan.num_steps, true, 0))?;
        checkpoint::prune(self.checkpoints, self.index, &stage.name, 0)
    }

    /// One optimizer step over `rows`, a micro-batch at a time.
    fn step(
        &self,
        state: &mut TrainingState,
        dataset: &Dataset<'_>,
        rows: &[Vec<usize>],
        texts: &[Vec<f32>],
        rate_factor: f64,
    ) -> Result<StepResult> {
        let stage = self.stage();
        let mut gradients = Gradients::default();
        let mut result = StepResult {
            loss: LossSum::default(),
            tokens: 0,
            image_tokens: 0,
            padding: 0,
            samples: 0,
            gradient_norm: 0.0,
        };
        for rows in rows.chunks(stage.micro_batch_rows.unwrap_or(stage.batch_rows)) {
            let loss = if let (Objective::Contrastive, Some(head)) = (stage.objective, &state.head) {
                let batch = contrastive_batch(rows, dataset, texts, &state.processor)?;
                result.tokens += rows.len();
                result.samples += rows.len();
                contrastive(&state.model, head, &batch, stage, &mut gradients)
            } else {
                let batch = collate(rows, dataset, &state.processor)?;
                result.tokens += batch.counts.tokens;
                result.image_tokens += batch.counts.image_tokens;
                result.padding += batch.counts.padding;
                result.samples += batch.counts.samples;
                next_token(&state.model, &batch, stage, &mut gradients)?
            };
            result.loss.sum += loss.sum;
            result.loss.count += loss.count;
        }
        // One division by all counted tokens: how rows are split into micro-batches never changes the step.
        gradients.scale(1.0 / result.loss.count.max(1) as f32);
        let config = &self.recipe.optimizer;
        result.gradient_norm = gradients.clip(config.clip_norm);
        let rate = |name: &str| stage.learning_rate_of(name).map(|rate| rate * rate_factor);
        let device = state.model.device().clone();
        let mut trained = Trained { model: &mut state.model, head: state.head.as_mut() };
        state.optimizer.step(&mut trained, &gradients, config, &rate, &device);
        Ok(result)
    }

    fn plan(&self, dataset: &Dataset<'_>, schedule: &Schedule, model: &GmaiVl) -> StagePlan {
        let stage = self.stage();
        let mut num_trainable = 0;
        let mut num_parameters = 0;
        model.clone().visit_parameters("", &mut |name, parameter| {
            num_parameters += parameter.num_values();
            if stage.learning_rate_of(name).is_some() {
                num_trainable += parameter.num_values();
            }
        });
        StagePlan {
            stage: stage.clone(),
            num_samples: dataset.examples.len(),
            skipped: dataset.skipped.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            num_steps: schedule.steps.len(),
            num_tokens: schedule.steps.iter().flatten().map(|row| tokens(row, dataset)).sum(),
            num_trainable,
            num_parameters,
        }
    }

    fn event(&self, result: &StepResult, step: usize, plan: &StagePlan) -> StepEvent {
        StepEvent {
            stage_index: self.index,
            stage: self.stage().name.clone(),
            step: step + 1,
            num_steps: plan.num_steps,
            loss: result.loss.sum / result.loss.count.max(1) as f64,
            learning_rate: self.stage().learning_rate * factor_at(self.recipe, step, plan),
            gradient_norm: result.gradient_norm,
            tokens: result.tokens,
            image_tokens: result.image_tokens,
            padding: result.padding,
            samples: result.samples,
        }
    }

    fn position(&self, step: usize, finished: bool, optimizer_steps: u32) -> Position {
        let (run, stage) = (self.run.to_owned(), self.stage().name.clone());
        Position { run, stage_index: self.index, stage, step, finished, optimizer_steps }
    }

    /// Writes a checkpoint when the interval is over or the caller wants to stop; the end of a stage is written elsewhere.
    fn checkpoint_if_due(&self, state: &TrainingState, step: usize, num_steps: usize, stop: bool) -> Result<()> {
        let config = &self.recipe.checkpoint;
        let due = config.every_steps > 0 && step.is_multiple_of(config.every_steps) && step < num_steps;
        if due || stop {
            checkpoint::write(self.checkpoints, state, &self.position(step, false, state.optimizer.num_steps()))?;
            checkpoint::prune(self.checkpoints, self.index, &self.stage().name, config.keep.max(1))?;
        }
        if stop { Err(Error::Stopped { stage: self.stage().name.clone(), step }) } else { Ok(()) }
    }
}

/// Model and contrastive head seen as one module.
struct Trained<'a> {
    model: &'a mut GmaiVl,
    head: Option<&'a mut ContrastiveHead>,
}

impl Parameters for Trained<'_> {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, gmai_model::ParameterMut<'_>)) {
        self.model.visit_parameters(name, visit);
        if let Some(head) = &mut self.head {
            head.visit_parameters(name, visit);
        }
    }
}

fn factor_at(recipe: &Recipe, step: usize, plan: &StagePlan) -> f64 {
    factor(step, plan.num_steps, recipe.optimizer.warmup_share)
}

/// Tokens of a row, a shared beginning counted once.
fn tokens(row: &[usize], dataset: &Dataset<'_>) -> usize {
    let previous = std::iter::once(None).chain(row.iter().copied().map(Some));
    row.iter().zip(previous).map(|(&sample, previous)| dataset.len_after(previous, sample)).sum()
}

fn new_head(model: &GmaiVl, match_rate: f64, seed: u64) -> ContrastiveHead {
    ContrastiveHead::new(&model.config, match_rate, &Initialiser::new(seed, model.device()))
}

fn progress(event: &StepEvent, tokens_per_second: f64) -> Progress {
    let unit = if event.image_tokens == 0 && event.padding == 0 { "samples" } else { "tokens" };
    Progress {
        phase: format!("train {}", event.stage),
        done: event.step as u64,
        total: event.num_steps as u64,
        note: format!("loss {:.3}, {tokens_per_second:.0} {unit}/s", event.loss),
    }
}

fn contrastive_batch(
    rows: &[Vec<usize>],
    dataset: &Dataset<'_>,
    texts: &[Vec<f32>],
    processor: &Processor,
) -> Result<ContrastiveBatch> {
    let samples: Vec<usize> = rows.concat();
    let mut pixel_values = Vec::new();
    for &sample in &samples {
        for &image in &dataset.examples[sample].images {
            dataset.append_pixels(image, processor, &mut pixel_values)?;
        }
    }
    let facts: Vec<&str> = samples.iter().map(|&sample| dataset.captions[sample].facts.as_str()).collect();
    let texts = samples.iter().map(|&sample| texts[sample].clone()).collect();
    Ok(ContrastiveBatch { pixel_values, texts, matches: matching_facts(&facts) })
}

/// Puts the final model beside the log, without training state.
fn finish(options: &RunOptions, state: &TrainingState) -> Result<RunSummary> {
    let partial = options.out.join(".partial-model");
    let model = options.out.join("model");
    for folder in [&partial, &model] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(io(folder))?;
        }
    }
    fs::create_dir_all(&partial).map_err(io(&partial))?;
    state.model.save(&partial)?;
    state.processor.save(&partial)?;
    fs::rename(&partial, &model).map_err(io(&model))?;
    let stage = |(index, stage): (usize, &Stage)| {
        options.out.join("checkpoints").join(format!("{:02}-{}", index + 1, stage.name))
    };
    Ok(RunSummary { model, stages: options.recipe.stages.iter().enumerate().map(stage).collect() })
}
