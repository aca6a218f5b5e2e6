//! Asking a model every question of a benchmark; can be interrupted and taken up again.

use crate::error::{Error, Result};
use crate::reply::{Control, Reply, ReplyKey, ReplyStore, image_sha256, prompt_sha256};
use gmai_schema::conversation::{IMAGE_MARKER, open_form};
use gmai_schema::{
    Answer, ChatRequest, FinishReason, Language, Progress, Question, Quiz, Responder, ResponderError, Rgb8, Sampling,
    Turn,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// A question together with its pictures.
#[derive(Debug, Clone)]
pub struct Item {
    /// The question.
    pub question: Question,
    /// One picture per `<image>` of the prompt, in order.
    pub images: Vec<Rgb8>,
}

/// How questions with a closed set of answers are asked. Open questions are always answered by writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The likelihood of each letter, or of yes and no.
    Likelihood,
    /// The model writes, the letter is read from its text.
    Generated,
    /// Both, stored in one reply.
    Both,
}

/// How a run is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    /// What the model sees.
    pub control: Control,
    /// How closed questions are asked.
    pub mode: Mode,
    /// Questions handed to the model at once, at least 1.
    pub batch_size: usize,
    /// Most tokens written for a letter or a yes.
    pub closed_max_tokens: usize,
    /// Most tokens written for an open answer.
    pub open_max_tokens: usize,
    /// Identity of the weights, where it is known beforehand. Otherwise a resumed run asks one question to learn it.
    pub checkpoint: Option<String>,
    /// Questions in all, for the progress bar; 0 when unknown.
    pub num_items: u64,
}

impl RunOptions {
    /// Both protocols, batches of 8, up to 8 tokens for closed and 48 for open answers.
    pub fn new(control: Control) -> RunOptions {
        RunOptions {
            control,
            mode: Mode::Both,
            batch_size: 8,
            closed_max_tokens: 8,
            open_max_tokens: 48,
            checkpoint: None,
            num_items: 0,
        }
    }
}

/// An item that was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Question id; `item <n>` (from 1) when the item could not even be read.
    pub id: String,
    /// Why, with the remedy.
    pub reason: String,
}

/// What came of a run. `questions` and `skipped` add up to the items given.
#[derive(Debug, Clone)]
pub struct Run {
    /// Every question that was put, in item order.
    pub questions: Vec<Question>,
    /// Its replies, in the same order.
    pub replies: Vec<Reply>,
    /// Items that could not be put.
    pub skipped: Vec<Skipped>,
    /// Replies taken from the file.
    pub num_reused: usize,
    /// Unreadable lines of the file; their questions were asked again.
    pub num_damaged: usize,
    /// Identity of the weights; `None` when there was no question.
    pub checkpoint: Option<String>,
}

/// Puts every question to `responder` and stores each reply in `out` (usually [`Control::file_name`] in the run's folder).
///
/// Replies already in `out` for the same question, prompt, pictures, settings and weights are taken from there; a torn last
/// line is dropped. Each batch is on disk before the next is asked. Items that are errors, repeat an id or have another
/// number of pictures than the prompt has `<image>` markers are skipped, counted and named.
///
/// # Errors
/// The file cannot be used, or the model fails. A request that the model refuses is a stored outcome, not an error.
pub fn ask<E: std::fmt::Display>(
    items: impl Iterator<Item = std::result::Result<Item, E>>,
    responder: &mut dyn Responder,
    options: &RunOptions,
    out: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Run> {
    if options.batch_size == 0 {
        return Err(Error::Option { field: "batch_size", value: 0, rule: "at least 1" });
    }
    let mut asker = Asker {
        store: ReplyStore::open(out)?,
        checkpoint: options.checkpoint.clone(),
        responder,
        options,
        waiting: Vec::new(),
        slots: Vec::new(),
        num_reused: 0,
    };
    let mut skipped = Vec::new();
    let mut questions = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, item) in items.enumerate() {
        match check(item, index, &mut ids) {
            Ok(item) => {
                questions.push(item.question.clone());
                asker.put(item)?;
            }
            Err(reason) => skipped.push(reason),
        }
        on_progress(progress(options, (questions.len() + skipped.len()) as u64));
    }
    asker.flush()?;
    let replies: Vec<Reply> = asker.slots.into_iter().flatten().collect();
    on_progress(Progress { total: options.num_items.max(1), done: options.num_items.max(1), ..progress(options, 0) });
    Ok(Run {
        questions,
        replies,
        skipped,
        num_reused: asker.num_reused,
        num_damaged: asker.store.num_damaged,
        checkpoint: asker.checkpoint,
    })
}

fn progress(options: &RunOptions, done: u64) -> Progress {
    let phase = match options.control {
        Control::Real => "ask the model",
        Control::Blank => "ask with blank pictures",
    };
    Progress { phase: phase.to_string(), done, total: options.num_items, note: String::new() }
}

fn check<E: std::fmt::Display>(
    item: std::result::Result<Item, E>,
    index: usize,
    ids: &mut BTreeSet<String>,
) -> std::result::Result<Item, Skipped> {
    let item = match item {
        Ok(item) => item,
        Err(reason) => return Err(Skipped { id: format!("item {}", index + 1), reason: reason.to_string() }),
    };
    let skip = |reason: String| Err(Skipped { id: item.question.id.clone(), reason });
    let markers = item.question.prompt.matches(IMAGE_MARKER).count();
    if markers != item.images.len() {
        return skip(format!(
            "prompt has {markers} {IMAGE_MARKER} markers, the item has {} pictures",
            item.images.len()
        ));
    }
    if let Quiz::MultipleChoice { options, answer } = &item.question.quiz
        && (options.len() < 2 || options.len() > 26 || *answer >= options.len())
    {
        return skip(format!(
            "option {answer} of {} is right; 2 to 26 options are needed, the answer among them",
            options.len()
        ));
    }
    if !ids.insert(item.question.id.clone()) {
        return skip("a second question with this id; ids must be unique in a benchmark".to_string());
    }
    Ok(item)
}

/// The replies whose likelihood is asked: option texts, or yes and no in the question's language; none for open questions.
///
/// Options of multiple choice are weighed as answers to the bare question ([`stem`]), the cloze formulation of OLMES (arXiv 2406.08446):
/// it tells what a model knows before it has learned to work with letters. The lettered form is asked beside it, by generation.
pub fn option_texts(question: &Question) -> Vec<String> {
    match (&question.quiz, question.language) {
        (Quiz::MultipleChoice { options, .. }, _) => options.clone(),
        (Quiz::YesNo { .. }, Language::En) => vec!["Yes".to_string(), "No".to_string()],
        (Quiz::YesNo { .. }, Language::Zh) => vec!["是".to_string(), "否".to_string()],
        (Quiz::YesNo { .. }, Language::Ja) => vec!["はい".to_string(), "いいえ".to_string()],
        (Quiz::Open { .. }, _) => Vec::new(),
    }
}

/// The prompt of a multiple-choice question as an open one: its options are left out and a short answer is asked for. Other prompts stay as they are.
pub fn stem(question: &Question) -> String {
    let Quiz::MultipleChoice { options, .. } = &question.quiz else { return question.prompt.clone() };
    open_form(&question.prompt, options, question.language)
}

/// A question waiting for the model, with the place its reply belongs to.
struct Waiting {
    slot: usize,
    key: ReplyKey,
    request: ChatRequest,
}

struct Asker<'a> {
    store: ReplyStore,
    checkpoint: Option<String>,
    responder: &'a mut dyn Responder,
    options: &'a RunOptions,
    waiting: Vec<Waiting>,
    slots: Vec<Option<Reply>>,
    num_reused: usize,
}

impl Asker<'_> {
    fn put(&mut self, item: Item) -> Result<()> {
        let request = self.request(&item.question, item.images);
        let key = ReplyKey {
            question: item.question.id,
            control: self.options.control,
            prompt_sha256: prompt_sha256(&item.question.prompt),
            image_sha256: request.images.iter().map(image_sha256).collect(),
            settings: settings(&request),
            checkpoint: self.checkpoint.clone().unwrap_or_default(),
        };
        let stored = self.checkpoint.is_some().then(|| self.store.get(&key)).flatten().cloned();
        if stored.is_some() {
            self.num_reused += 1;
            self.slots.push(stored);
            return Ok(());
        }
        self.waiting.push(Waiting { slot: self.slots.len(), key, request });
        self.slots.push(None);
        // While stored replies wait for the name of the weights, one question is enough to learn it.
        let probing = self.checkpoint.is_none() && !self.store.is_empty();
        if probing || self.waiting.len() >= self.options.batch_size { self.flush() } else { Ok(()) }
    }

    fn request(&self, question: &Question, images: Vec<Rgb8>) -> ChatRequest {
        let choices = option_texts(question);
        let max_tokens = match (choices.is_empty(), self.options.mode) {
            (true, _) => self.options.open_max_tokens,
            (false, Mode::Likelihood) => 0,
            (false, Mode::Generated | Mode::Both) => self.options.closed_max_tokens,
        };
        let options = if self.options.mode == Mode::Generated { Vec::new() } else { choices };
        ChatRequest {
            turns: vec![Turn::human(&question.prompt)],
            images: images.into_iter().map(|image| self.options.control.apply(image)).collect(),
            option_turns: (!options.is_empty()).then(|| vec![Turn::human(stem(question))]),
            options,
            sampling: Sampling::greedy(max_tokens),
            ..ChatRequest::default()
        }
    }

    /// Asks all that waits and stores the replies. What came before a failure is stored too.
    fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let (places, requests): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|waiting| ((waiting.slot, waiting.key), waiting.request)).unzip();
        let answers = self.responder.respond_all(&requests);
        if answers.len() != requests.len() {
            return Err(Error::AnswerCount { asked: requests.len(), given: answers.len() });
        }
        self.learn_checkpoint(&answers);
        let mut slots = Vec::new();
        let mut replies = Vec::new();
        let mut failure = None;
        for ((slot, key), (answer, request)) in places.into_iter().zip(answers.into_iter().zip(&requests)) {
            match self.reply(key, answer, request) {
                Ok(reply) => {
                    slots.push(slot);
                    replies.push(reply);
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let fresh = self.store.append(replies)?;
        for (slot, reply) in slots.into_iter().zip(fresh) {
            self.slots[slot] = Some(reply);
        }
        failure.map_or(Ok(()), Err)
    }

    fn learn_checkpoint(&mut self, answers: &[std::result::Result<Answer, ResponderError>]) {
        if self.checkpoint.is_none() {
            self.checkpoint = answers.iter().flatten().map(|answer| answer.checkpoint.clone()).next();
        }
    }

    fn reply(
        &self,
        key: ReplyKey,
        answer: std::result::Result<Answer, ResponderError>,
        request: &ChatRequest,
    ) -> Result<Reply> {
        let expected = self.checkpoint.clone().unwrap_or_default();
        let answer = match answer {
            Ok(answer) => answer,
            Err(ResponderError::Refused { reason }) => return Ok(without_answer(key, expected, reason)),
            Err(source) => return Err(Error::Responder { id: key.question, source }),
        };
        if answer.checkpoint != expected {
            return Err(Error::CheckpointChanged { id: key.question, expected, given: answer.checkpoint });
        }
        let given: Vec<&str> = answer.options.iter().map(|option| option.text.as_str()).collect();
        if given != request.options {
            let reason = format!("likelihoods for {given:?} came back, {:?} were asked", request.options);
            return Ok(without_answer(key, expected, reason));
        }
        let reply = Reply {
            text: answer.text,
            num_tokens: answer.num_tokens,
            log_probability: answer.log_probability,
            options: answer.options,
            finish: answer.finish,
            ..without_answer(key, expected.clone(), String::new())
        };
        if !reply.is_finite() {
            let reason = "the model gave a likelihood that is not a finite number".to_string();
            return Ok(without_answer(reply.key(), expected, reason));
        }
        Ok(Reply { refused: None, ..reply })
    }
}

fn without_answer(key: ReplyKey, checkpoint: String, reason: String) -> Reply {
    Reply {
        question: key.question,
        control: key.control,
        prompt_sha256: key.prompt_sha256,
        image_sha256: key.image_sha256,
        settings: key.settings,
        checkpoint,
        text: String::new(),
        num_tokens: 0,
        log_probability: 0.0,
        options: Vec::new(),
        finish: FinishReason::NotAsked,
        refused: Some(reason),
    }
}

fn settings(request: &ChatRequest) -> String {
    format!(
        "options={} max_tokens={} temperature={}",
        request.options.join(","),
        request.sampling.max_tokens,
        request.sampling.temperature
    )
}
