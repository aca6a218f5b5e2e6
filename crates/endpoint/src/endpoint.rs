//! The endpoint as a responder: looked up, asked, asked again, written down.

use crate::failure::Failure;
use crate::ledger::{Ledger, Line, Outcome};
use crate::reply::Reply;
use crate::request::{self, Dialect, JsonMode};
use crate::settings::{ApiKey, Settings};
use crate::transport::Transport;
use crate::{Error, Result, patience};
use gmai_schema::{Answer, ChatRequest, Responder, ResponderError};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the slots of `respond_all` hold.
type Slot = Mutex<Option<std::result::Result<Answer, ResponderError>>>;

/// A model behind an OpenAI-compatible address.
#[derive(Debug)]
pub struct Endpoint {
    settings: Settings,
    transport: Transport,
    ledger: Option<Mutex<Ledger>>,
    dialect: Mutex<Dialect>,
}

/// What an endpoint's ledger adds up to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// Calls that were sent, earlier runs included.
    pub num_asked: u64,
    /// Calls that were answered.
    pub num_answered: u64,
    /// What they cost, with what was possibly charged for lost answers.
    pub cost: f64,
}

impl Endpoint {
    /// An endpoint that remembers nothing between runs.
    pub fn new(settings: Settings, key: Option<ApiKey>) -> Result<Endpoint> {
        if settings.budget.is_some() {
            let reason = "a budget needs a ledger, or nobody knows what was spent".to_string();
            return Err(Error::Setting { field: "budget", reason });
        }
        Endpoint::build(settings, key)
    }

    fn build(settings: Settings, key: Option<ApiKey>) -> Result<Endpoint> {
        settings.check()?;
        let transport = Transport::new(&settings, key);
        Ok(Endpoint { settings, transport, ledger: None, dialect: Mutex::default() })
    }

    /// An endpoint that writes every call into the ledger at `path` and answers from it what was answered before.
    pub fn with_ledger(settings: Settings, key: Option<ApiKey>, path: &Path) -> Result<Endpoint> {
        let endpoint = Endpoint::build(settings, key)?;
        Ok(Endpoint { ledger: Some(Mutex::new(Ledger::open(path)?)), ..endpoint })
    }

    /// What was asked and spent so far; nothing without a ledger.
    pub fn totals(&self) -> Option<Totals> {
        let ledger = self.ledger.as_ref()?.lock().ok()?;
        Some(Totals { num_asked: ledger.num_asked(), num_answered: ledger.num_answered(), cost: ledger.committed() })
    }

    fn failed(&self, reason: impl std::fmt::Display) -> ResponderError {
        ResponderError::Failed { checkpoint: self.settings.identity(), reason: reason.to_string() }
    }

    /// Runs `change` on the ledger, where there is one.
    fn with<T>(
        &self,
        change: impl FnOnce(&mut Ledger) -> std::result::Result<T, ResponderError>,
    ) -> std::result::Result<Option<T>, ResponderError> {
        let Some(ledger) = &self.ledger else { return Ok(None) };
        let mut ledger =
            ledger.lock().map_err(|_| self.failed("the ledger was left half-written by another thread"))?;
        change(&mut ledger).map(Some)
    }

    fn ask(&self, asked: &ChatRequest, on_text: &mut dyn FnMut(&str)) -> std::result::Result<Answer, ResponderError> {
        let key = request::key(&self.settings.model, asked);
        if let Some(Some(reply)) = self.with(|ledger| Ok(ledger.reply(&key).cloned()))? {
            on_text(&reply.text);
            return Ok(self.answer(reply));
        }
        let expected = self.expected_cost(asked);
        let seed = u64::from_str_radix(&key[..16], 16).unwrap_or_default();
        let mut failures = 0;
        loop {
            let dialect = self.dialect.lock().map(|dialect| *dialect).unwrap_or_default();
            let result = self.attempt(asked, &key, expected, dialect, on_text)?;
            let failure = match result {
                Ok(reply) => return Ok(self.answer(reply)),
                Err(failure) => failure,
            };
            if self.learn(&failure, asked, dialect) {
                continue; // The same request in the endpoint's own words, at once.
            }
            failures += 1;
            if !failure.is_passing() || failures > self.settings.max_retries {
                return Err(self.given_up(&failure, failures));
            }
            std::thread::sleep(patience::wait(&self.settings, &failure, failures, seed));
        }
    }

    /// One exchange, noted before and after.
    fn attempt(
        &self,
        asked: &ChatRequest,
        key: &str,
        expected_cost: f64,
        dialect: Dialect,
        on_text: &mut dyn FnMut(&str),
    ) -> std::result::Result<std::result::Result<Reply, Failure>, ResponderError> {
        let body = self.body(asked, dialect)?;
        let attempt = self.with(|ledger| {
            if let Some(budget) = self.settings.budget.filter(|budget| ledger.committed() + expected_cost > *budget) {
                let reason =
                    format!("budget: {budget} would be exceeded, {:.4} is spent or under way", ledger.committed());
                return Err(ResponderError::Refused { reason });
            }
            let attempt = ledger.next_attempt(key);
            let outcome = Outcome::Asked { expected_cost };
            ledger.note(Line { key: key.to_string(), attempt, outcome }).map_err(|error| self.failed(error))?;
            Ok(attempt)
        })?;
        // A reply that may have to be begun anew is passed on when it is whole.
        let is_live = self.settings.stream && self.settings.max_retries == 0;
        let result = if is_live {
            self.transport.exchange(&body, key, true, on_text)
        } else {
            self.transport.exchange(&body, key, self.settings.stream, &mut |_| {})
        };
        let outcome = match &result {
            Ok(reply) => {
                let cost = reply.usage.map_or(expected_cost, |usage| {
                    self.settings.price.of(usage.prompt_tokens, usage.completion_tokens)
                });
                Outcome::Answered { model: self.settings.identity(), reply: reply.clone(), cost }
            }
            Err(failure) => Outcome::Failed {
                reason: failure.to_string(),
                cost: if failure.may_be_charged() { expected_cost } else { 0.0 },
            },
        };
        if let Some(attempt) = attempt {
            let line = Line { key: key.to_string(), attempt, outcome };
            self.with(|ledger| ledger.note(line).map_err(|error| self.failed(error)))?;
        }
        if let (Ok(reply), false) = (&result, is_live) {
            on_text(&reply.text);
        }
        Ok(result)
    }

    fn body(&self, asked: &ChatRequest, dialect: Dialect) -> std::result::Result<Vec<u8>, ResponderError> {
        let mut body = request::body(&self.settings.model, asked, dialect)?;
        if self.settings.stream {
            body["stream"] = true.into();
            if !dialect.streams_without_usage {
                body["stream_options"] = serde_json::json!({"include_usage": true});
            }
        }
        serde_json::to_vec(&body).map_err(|error| self.failed(error))
    }

    /// What a call costs at most, as far as that can be told beforehand.
    fn expected_cost(&self, asked: &ChatRequest) -> f64 {
        let prompt = request::expected_prompt_tokens(asked, self.settings.image_tokens);
        self.settings.price.of(prompt, asked.sampling.max_tokens as u64)
    }

    /// Notes what the endpoint does not know, when that is why it refused what was `sent`; whether there is something new to try.
    fn learn(&self, failure: &Failure, asked: &ChatRequest, sent: Dialect) -> bool {
        let Ok(mut dialect) = self.dialect.lock() else { return false };
        let complaint = matches!(failure, Failure::Status { status: 400..=499 | 501, .. });
        if complaint && *dialect != sent {
            return true; // Another thread has learned meanwhile.
        }
        let before = *dialect;
        if failure.complains_of("max_completion_tokens") {
            dialect.names_completion_tokens = true;
        }
        if self.settings.stream && failure.complains_of("stream_options") {
            dialect.streams_without_usage = true;
        }
        let about_json = ["response_format", "json_schema", "json_object", "guided"];
        if asked.reply_schema.is_some() && about_json.iter().any(|field| failure.complains_of(field)) {
            dialect.json = match before.json {
                JsonMode::Schema => JsonMode::Object,
                JsonMode::Object | JsonMode::PromptAlone => JsonMode::PromptAlone,
            };
        }
        *dialect != before
    }

    fn given_up(&self, failure: &Failure, attempts: u32) -> ResponderError {
        match failure {
            Failure::Status { status: 400 | 413 | 415 | 422, .. } => {
                ResponderError::Refused { reason: failure.to_string() }
            }
            Failure::Status { status: 401 | 403, .. } => {
                self.failed(format!("{failure}; set the variable that api_key_variable names to a valid key"))
            }
            _ => self.failed(format!("{failure} (attempts: {attempts})")),
        }
    }

    fn answer(&self, reply: Reply) -> Answer {
        let told: f64 = reply.tokens.iter().map(|token| f64::from(token.chosen.log_probability)).sum();
        Answer {
            num_tokens: reply.usage.map_or(reply.tokens.len(), |usage| usage.completion_tokens as usize),
            log_probability: told, // 0 where the endpoint tells no likelihoods.
            text: reply.text,
            tokens: reply.tokens,
            options: Vec::new(),
            finish: reply.finish,
            checkpoint: self.settings.identity(),
        }
    }
}

impl Responder for Endpoint {
    fn respond(
        &mut self,
        request: &ChatRequest,
        on_text: &mut dyn FnMut(&str),
    ) -> std::result::Result<Answer, ResponderError> {
        self.ask(request, on_text)
    }

    /// At most `concurrency` calls are under way at once. Equal requests are asked once.
    fn respond_all(&mut self, requests: &[ChatRequest]) -> Vec<std::result::Result<Answer, ResponderError>> {
        let mut firsts: HashMap<String, usize> = HashMap::new();
        let same: Vec<usize> = (0..requests.len())
            .map(|index| *firsts.entry(request::key(&self.settings.model, &requests[index])).or_insert(index))
            .collect();
        let distinct: Vec<usize> = (0..requests.len()).filter(|index| same[*index] == *index).collect();
        let next = AtomicUsize::new(0);
        let slots: Vec<Slot> = requests.iter().map(|_| Mutex::new(None)).collect();
        let this = &*self;
        std::thread::scope(|scope| {
            for _ in 0..this.settings.concurrency.min(distinct.len()) {
                scope.spawn(|| {
                    while let Some(index) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = this.ask(&requests[*index], &mut |_| {});
                        *slots[*index].lock().expect("no thread panics while it holds a slot") = Some(result);
                    }
                });
            }
        });
        let result = |index: usize| {
            let slot = slots[index].lock().expect("no thread panics while it holds a slot");
            match slot.as_ref().expect("every distinct request was asked") {
                Ok(answer) => Ok(answer.clone()),
                Err(ResponderError::Refused { reason }) => Err(ResponderError::Refused { reason: reason.clone() }),
                Err(ResponderError::Failed { reason, .. }) => Err(this.failed(reason)),
                Err(other) => Err(this.failed(other)),
            }
        };
        same.into_iter().map(result).collect()
    }
}
