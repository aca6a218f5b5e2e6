//! Ask, check, ask again with the rule's name, keep or quarantine.

use super::options::Options;
use super::plan::Wanted;
use super::prompt::{Templates, reply_schema};
use super::reply;
use crate::inputs::hash_of;
use crate::instruct::{conversation_id, main_task};
use crate::verify::{Checker, Draft, Exchange, Rule, Violation};
use crate::{Error, Result, picture};
use gmai_schema::{
    BoundingBox, ChatRequest, Conversation, Form, Language, Record, Responder, ResponderError, Rgb8, SourceFacts,
    Split, Turn,
};
use gmai_shard::{Authored, EncodedImage, Quarantined};

/// A record to be written about.
pub(crate) struct Subject<'a> {
    pub(crate) record: &'a Record,
    pub(crate) facts: &'a SourceFacts,
    pub(crate) picture: EncodedImage,
    pub(crate) wanted: Vec<Wanted>,
}

/// A model that writes, with its instructions and its account.
pub(crate) struct Author<'a> {
    pub(crate) options: &'a Options,
    pub(crate) templates: &'a Templates,
    pub(crate) responder: &'a mut dyn Responder,
    /// What became of the texts of the present source.
    pub(crate) account: Authored,
    /// Texts that never passed.
    pub(crate) quarantined: Vec<Quarantined>,
}

/// A text on its way.
struct Pending<'a> {
    subject: usize,
    record: &'a Record,
    facts: &'a SourceFacts,
    wanted: Wanted,
    turns: Vec<Turn>,
    picture: Rgb8,
}

impl<'a> Author<'a> {
    /// Writes about `subjects`; the conversations of each, in order.
    ///
    /// # Errors
    /// The model fails, a template fails, or a picture cannot be decoded.
    pub(crate) fn write(&mut self, subjects: &[Subject<'_>]) -> Result<Vec<Vec<Conversation>>> {
        let mut written: Vec<Vec<Conversation>> = subjects.iter().map(|_| Vec::new()).collect();
        let mut pending = Vec::new();
        for (index, subject) in subjects.iter().enumerate() {
            if subject.wanted.is_empty() {
                continue;
            }
            let picture = picture::fit(&subject.picture.decode()?, self.options.max_side);
            for wanted in &subject.wanted {
                let turns = self.templates.prompt(subject.record, subject.facts, wanted, self.options)?;
                let (record, facts, picture) = (subject.record, subject.facts, picture.clone());
                pending.push(Pending { subject: index, record, facts, wanted: *wanted, turns, picture });
            }
        }
        self.account.asked += pending.len() as u64;
        let mut done: Vec<(usize, usize, Vec<Conversation>)> = Vec::new();
        let mut order: Vec<usize> = (0..pending.len()).collect();
        for attempt in 1..=self.options.attempts {
            let requests: Vec<ChatRequest> = pending.iter().map(|text| self.request(text, attempt)).collect();
            let answers = self.responder.respond_all(&requests);
            drop(requests);
            let mut again = Vec::new();
            let mut again_order = Vec::new();
            for ((text, place), answer) in pending.into_iter().zip(order).zip(answers) {
                let answer = match answer {
                    Ok(answer) => answer,
                    Err(ResponderError::Refused { reason }) => {
                        self.account.unanswered += 1;
                        self.set_aside(
                            &text,
                            "unanswered",
                            &reason,
                            "see the reason; raise the budget or change the model's settings",
                        );
                        continue;
                    }
                    Err(error) => return Err(Error::Author { reason: error.to_string() }),
                };
                match self.judge(&text, &answer.text) {
                    Ok(exchanges) => {
                        self.account.passed += 1;
                        self.account.passed_at_once += u64::from(attempt == 1);
                        done.push((text.subject, place, conversations(&text, exchanges, &answer.checkpoint)));
                    }
                    Err(violations) => {
                        self.note(&violations);
                        if attempt < self.options.attempts {
                            again.push(self.corrected(text, answer.text, &violations)?);
                            again_order.push(place);
                        } else {
                            self.account.quarantined += 1;
                            let first = &violations[0];
                            let reason = format!("after {attempt} attempts: {first}");
                            self.set_aside(
                                &text,
                                first.rule.key(),
                                &reason,
                                "try another model or template; templates write about it all the same",
                            );
                        }
                    }
                }
            }
            (pending, order) = (again, again_order);
        }
        done.sort_by_key(|(_, place, _)| *place);
        for (subject, _, conversations) in done {
            let known = &mut written[subject];
            for conversation in conversations {
                if known.iter().all(|other| other.id != conversation.id) {
                    known.push(conversation);
                }
            }
        }
        Ok(written)
    }

    fn request(&self, text: &Pending, attempt: usize) -> ChatRequest {
        ChatRequest {
            turns: text.turns.clone(),
            images: vec![text.picture.clone()],
            sampling: self.options.sampling(text.wanted.seed + attempt as u64 - 1),
            reply_schema: Some(reply_schema(text.wanted.form)),
            ..ChatRequest::default()
        }
    }

    /// The text of a reply when it passes every check.
    fn judge(&self, text: &Pending, reply: &str) -> std::result::Result<Vec<Exchange>, Vec<Violation>> {
        let exchanges = reply::read(text.wanted.form, reply).map_err(|violation| vec![violation])?;
        let checker = Checker { facts: text.facts, japanese: &self.options.japanese, lengths: self.options.lengths };
        let Wanted { form, language, region, .. } = text.wanted;
        let violations = checker.check(text.record, &Draft { form, language, region, exchanges: &exchanges });
        if violations.is_empty() { Ok(exchanges) } else { Err(violations) }
    }

    /// Counts each broken rule once for a text.
    fn note(&mut self, violations: &[Violation]) {
        let broken: std::collections::BTreeSet<Rule> = violations.iter().map(|violation| violation.rule).collect();
        for rule in broken {
            *self.account.broken_rules.entry(rule.key().to_string()).or_default() += 1;
        }
    }

    fn corrected<'b>(&self, text: Pending<'b>, reply: String, violations: &[Violation]) -> Result<Pending<'b>> {
        let mut text = text;
        text.turns.truncate(2); // Only the last mistake is shown: prompts do not grow with every attempt.
        text.turns.push(Turn::assistant(reply.replace('<', "‹")));
        text.turns.push(Turn::human(self.templates.correction(violations, text.wanted.language)?));
        Ok(text)
    }

    fn set_aside(&mut self, text: &Pending, rule: &str, reason: &str, remedy: &str) {
        self.quarantined.push(Quarantined {
            source: text.record.source.clone(),
            file: text.record.provenance.file.clone(),
            field: format!("text by model, {} in {}, rule {rule}", text.wanted.form.key(), text.wanted.language.key()),
            reason: reason.to_string(),
            remedy: remedy.to_string(),
        });
    }
}

/// The conversations that a reply gives: one, or one for each question.
fn conversations(text: &Pending, exchanges: Vec<Exchange>, model: &str) -> Vec<Conversation> {
    let wanted = text.wanted;
    let prompt: Vec<&str> = text.turns.iter().map(|turn| turn.value.as_str()).collect();
    let generator = format!("model:{model}#{}", &hash_of(&prompt)[..12]);
    let groups: Vec<Vec<Exchange>> = match wanted.form {
        Form::Instruction => exchanges.into_iter().map(|exchange| vec![exchange]).collect(),
        _ => vec![exchanges],
    };
    groups.into_iter().map(|group| conversation(text, group, &generator)).collect()
}

fn conversation(text: &Pending, exchanges: Vec<Exchange>, generator: &str) -> Conversation {
    let (record, wanted) = (text.record, text.wanted);
    let region = wanted.region.and_then(|index| record.regions.get(index));
    let boxes: Vec<BoundingBox> = region.map(|region| region.bounds).into_iter().collect();
    let mut turns = Vec::with_capacity(exchanges.len() * 2);
    for (index, exchange) in exchanges.into_iter().enumerate() {
        let question = match wanted.form {
            Form::ImageCaption | Form::RegionCaption => own_question(wanted.language, boxes.first(), wanted.seed),
            _ => exchange.question,
        };
        turns.push(Turn::human(format!("{}{question}", if index == 0 { "<image>\n" } else { "" })));
        turns.push(Turn::assistant(exchange.answer));
    }
    let task = if region.is_some() { text.facts.region_task } else { main_task(record, text.facts) };
    Conversation {
        id: conversation_id(&record.id, wanted.form, None, wanted.language, &turns),
        record: record.id.clone(),
        turns,
        form: wanted.form,
        quiz: None,
        attribute: None,
        source: text.facts.name.clone(),
        task,
        modality: record.modality,
        department: record.department,
        labels: record.labels.clone(),
        boxes,
        language: wanted.language,
        patient: record.patient.clone(),
        split: Split::Train,
        generator: generator.to_string(),
        provenance: record.provenance.clone(),
    }
}

/// What a description answers.
fn own_question(language: Language, bounds: Option<&BoundingBox>, seed: u64) -> String {
    let (whole, part): (&[&str], &[&str]) = match language {
        Language::En => (
            &[
                "Please generate a detailed description of this image.",
                "Describe this medical image in detail.",
                "What does this medical image show? Give a full description.",
                "Write a caption that covers the main content of this image.",
            ],
            &[
                "Describe the area within {box} of this image.",
                "What is seen in the region {box}? Describe it.",
                "Please describe the part of the image inside {box}.",
                "Give a description of what lies within {box}.",
            ],
        ),
        Language::Zh => (
            &[
                "请详细描述这幅医学图像。",
                "请为该图像生成一段详细的描述。",
                "这幅医学图像显示了什么？请完整描述。",
                "请写一段涵盖图像主要内容的说明。",
            ],
            &[
                "请描述图像中{box}区域的内容。",
                "{box}区域内可见什么？请加以描述。",
                "请描述图中{box}范围内的部分。",
                "请对{box}内的内容作出描述。",
            ],
        ),
        Language::Ja => (
            &[
                "この医用画像を詳しく説明してください。",
                "この画像の内容を詳細に記述してください。",
                "この医用画像には何が写っていますか。全体を説明してください。",
            ],
            &[
                "画像の{box}の領域を説明してください。",
                "{box}の範囲には何が見られますか。説明してください。",
                "画像のうち{box}の内側を記述してください。",
            ],
        ),
    };
    let list = if bounds.is_some() { part } else { whole };
    let question = list[(seed % list.len() as u64) as usize];
    bounds.map_or(question.to_string(), |bounds| question.replace("{box}", &format!("<box>{bounds}</box>")))
}
