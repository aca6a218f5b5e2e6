//! Asking, storing, resuming and scoring with scripted models.

#![allow(clippy::unwrap_used)]

use gmai_eval::summary::{ALL_CLOSED, ALL_OPEN};
use gmai_eval::{
    Control, Item, MajorityAnswers, Measure, Mode, Outcome, Run, RunOptions, Summary, ask, read_replies, score,
    summarise,
};
use gmai_schema::{
    Answer, ChatRequest, FinishReason, Language, Modality, OptionLikelihood, Question, Quiz, Responder, ResponderError,
    Rgb8, Task,
};
use std::collections::BTreeMap;
use std::path::Path;

/// A model that does as its script says and counts what it is asked.
struct Scripted<F> {
    script: F,
    checkpoint: String,
    num_requests: usize,
}

impl<F: FnMut(&ChatRequest) -> Result<String, ResponderError>> Scripted<F> {
    fn new(script: F) -> Scripted<F> {
        Scripted { script, checkpoint: "scripted-1".to_string(), num_requests: 0 }
    }
}

impl<F: FnMut(&ChatRequest) -> Result<String, ResponderError>> Responder for Scripted<F> {
    fn respond(&mut self, request: &ChatRequest, _: &mut dyn FnMut(&str)) -> Result<Answer, ResponderError> {
        self.num_requests += 1;
        let text = (self.script)(request)?;
        let num_options = request.options.len() as f64;
        // The script answers multiple choice with a letter; the options come as texts.
        let likelihood = |(index, option): (usize, &String)| {
            let letter = char::from(b'A' + index as u8).to_string();
            let probability = if *option == text || letter == text { 0.7 } else { 0.3 / (num_options - 1.0) };
            OptionLikelihood { text: option.clone(), log_probability: probability.ln(), num_tokens: 2, probability }
        };
        let options = request.options.iter().enumerate().map(likelihood).collect();
        let written = request.sampling.max_tokens > 0;
        Ok(Answer {
            text: if written { text } else { String::new() },
            num_tokens: 2,
            log_probability: -0.1,
            tokens: Vec::new(),
            options,
            finish: if written { FinishReason::Stop } else { FinishReason::NotAsked },
            checkpoint: self.checkpoint.clone(),
        })
    }
}

/// Fifteen questions: nine of multiple choice (three right at each letter), four of yes or no in two languages, two open.
fn questions() -> Vec<Question> {
    let kinds = (0..15).map(|index| match index {
        0..9 => Quiz::MultipleChoice { options: ["cat", "dog", "cow"].map(String::from).to_vec(), answer: index % 3 },
        9..13 => Quiz::YesNo { answer: index % 2 == 0 },
        _ => Quiz::Open { answers: vec!["left lung".to_string()] },
    });
    kinds
        .enumerate()
        .map(|(index, quiz)| Question {
            id: format!("q{index:02}"),
            prompt: format!("<image>\nquestion {index:02}"),
            language: if matches!(index, 11 | 12) { Language::Zh } else { Language::En },
            quiz,
            attribute: "animal".to_string(),
            source: "zoo".to_string(),
            task: Task::DiseaseDiagnosis,
            modality: Some(Modality::XRay),
            patient: format!("patient {}", index / 2),
        })
        .collect()
}

/// The colour of a picture tells its question, so that a blank picture tells nothing.
fn items() -> impl Iterator<Item = Result<Item, String>> {
    questions()
        .into_iter()
        .enumerate()
        .map(|(index, question)| Ok(Item { question, images: vec![Rgb8::filled(6, 4, [index as u8, 200, 50])] }))
}

fn right_text(question: &Question) -> String {
    match (&question.quiz, question.language) {
        (Quiz::MultipleChoice { answer, .. }, _) => ["A", "B", "C"][*answer].to_string(),
        (Quiz::YesNo { answer }, Language::En | Language::Ja) => if *answer { "Yes" } else { "No" }.to_string(),
        (Quiz::YesNo { answer }, Language::Zh) => if *answer { "是" } else { "否" }.to_string(),
        (Quiz::Open { answers }, _) => answers[0].clone(),
    }
}

/// Answers from the picture's colour alone; before a grey picture it says "A".
fn seeing(request: &ChatRequest) -> Result<String, ResponderError> {
    let [red, green, _] = request.images[0].pixel(0, 0);
    let known = questions();
    Ok(if green == 200 { right_text(&known[red as usize]) } else { "A".to_string() })
}

fn run(responder: &mut dyn Responder, control: Control, out: &Path) -> Run {
    let options = RunOptions { batch_size: 4, num_items: 15, ..RunOptions::new(control) };
    ask(items(), responder, &options, out, &mut |_| {}).unwrap()
}

fn summary_of(real: &Run, blank: Option<&Run>) -> Summary {
    let verdicts = score(&real.questions, &real.replies);
    let blank = blank.map_or_else(Vec::new, |run| score(&run.questions, &run.replies));
    summarise(&real.questions, &verdicts, &blank, &MajorityAnswers::default())
}

fn accuracy(summary: &Summary, measure: Measure) -> f64 {
    summary.overall_row(ALL_CLOSED, measure).unwrap().score.estimate
}

#[test]
fn options_are_weighed_after_the_bare_question() {
    let mut question = questions().remove(0);
    question.prompt = "<image>\nWhich animal?\nA. cat\nB. dog\nC. cow\nAnswer with a letter.".to_string();
    assert_eq!(gmai_eval::run::stem(&question), "<image>\nWhich animal? Answer with a short phrase.");
    assert_eq!(gmai_eval::run::option_texts(&question), ["cat", "dog", "cow"]);
}

#[test]
fn a_perfect_model_scores_one_by_every_measure() {
    let folder = tempfile::tempdir().unwrap();
    let mut responder = Scripted::new(seeing);
    let real = run(&mut responder, Control::Real, &folder.path().join("replies-real.jsonl"));
    let summary = summary_of(&real, None);
    assert_eq!((real.questions.len(), real.replies.len(), real.skipped.len()), (15, 15, 0));
    for measure in [Measure::ChoiceLikelihood, Measure::ChoiceGenerated] {
        assert_eq!(accuracy(&summary, measure), 1.0);
    }
    for measure in [Measure::OpenExact, Measure::OpenTokenF1] {
        assert_eq!(summary.overall_row(ALL_OPEN, measure).unwrap().score.estimate, 1.0);
    }
}

#[test]
fn a_model_that_always_says_a_scores_the_share_of_a() {
    let folder = tempfile::tempdir().unwrap();
    let mut responder = Scripted::new(|_: &ChatRequest| Ok("A".to_string()));
    let real = run(&mut responder, Control::Real, &folder.path().join("replies.jsonl"));
    let summary = summary_of(&real, None);
    let row = summary.row(gmai_eval::Dimension::Kind, "multiple_choice", Measure::ChoiceGenerated).unwrap();
    assert!((row.score.estimate - 1.0 / 3.0).abs() < 1e-12);
    // "A" is no answer to a yes-or-no question: unread, counted as wrong.
    let row = summary.row(gmai_eval::Dimension::Kind, "yes_no", Measure::ChoiceGenerated).unwrap();
    assert_eq!((row.num_unparsed, row.score.estimate), (4, 0.0));
}

#[test]
fn the_blank_control_hides_the_picture_and_the_gain_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut sizes = Vec::new();
    let mut responder = Scripted::new(|request: &ChatRequest| {
        sizes.push((request.images[0].width(), request.images[0].height(), request.images[0].pixel(5, 3)));
        seeing(request)
    });
    let real = run(&mut responder, Control::Real, &folder.path().join(Control::Real.file_name()));
    let blank = run(&mut responder, Control::Blank, &folder.path().join(Control::Blank.file_name()));
    let summary = summary_of(&real, Some(&blank));
    let row = summary.row(gmai_eval::Dimension::Kind, "multiple_choice", Measure::ChoiceLikelihood).unwrap();
    assert!((row.gain.unwrap().estimate - 2.0 / 3.0).abs() < 1e-12);
    assert!(row.gain.unwrap().low > 0.0);
    assert_eq!(sizes.last(), Some(&(6, 4, [128; 3])));
    assert_ne!(real.replies[0].image_sha256, blank.replies[0].image_sha256);
}

#[test]
fn an_interrupted_run_goes_on_and_ends_as_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.jsonl");
    let uninterrupted = run(&mut Scripted::new(seeing), Control::Real, &whole);
    let bytes = std::fs::read(&whole).unwrap();
    let line_ends: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    let torn = folder.path().join("torn.jsonl");
    std::fs::write(&torn, &bytes[..line_ends[6] + 40]).unwrap(); // Seven replies and a piece of the eighth.

    let mut responder = Scripted::new(seeing);
    let resumed = run(&mut responder, Control::Real, &torn);
    // One request to learn which weights answer, then the eight that are missing.
    assert_eq!((responder.num_requests, resumed.num_reused), (9, 6));
    assert_eq!(resumed.replies, uninterrupted.replies);
    assert_eq!(std::fs::read(&torn).unwrap(), bytes);

    let mut responder = Scripted::new(seeing);
    let options = RunOptions { checkpoint: Some("scripted-1".into()), ..RunOptions::new(Control::Real) };
    let again = ask(items(), &mut responder, &options, &torn, &mut |_| {}).unwrap();
    assert_eq!((responder.num_requests, again.num_reused), (0, 15));
}

#[test]
fn other_weights_other_prompts_and_other_settings_are_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("replies.jsonl");
    run(&mut Scripted::new(seeing), Control::Real, &out);
    let mut other = Scripted { checkpoint: "scripted-2".to_string(), ..Scripted::new(seeing) };
    let replies = run(&mut other, Control::Real, &out).replies;
    assert!(other.num_requests == 15 && replies.iter().all(|reply| reply.checkpoint == "scripted-2"));
    assert_eq!(read_replies(&out).unwrap().len(), 30);

    let mut responder = Scripted::new(seeing);
    let options = RunOptions { mode: Mode::Likelihood, ..RunOptions::new(Control::Real) };
    let replies = ask(items(), &mut responder, &options, &out, &mut |_| {}).unwrap().replies;
    assert_eq!(responder.num_requests, 13); // The two open questions are asked the same way in every mode: reused.
    assert!(replies[..13].iter().all(|reply| reply.finish == FinishReason::NotAsked));
    let verdicts = score(&questions(), &replies);
    assert_eq!(verdicts.len(), 15); // One protocol for closed questions, one verdict each.
}

#[test]
fn batch_size_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for batch_size in [1, 4, 100] {
        let out = folder.path().join(format!("{batch_size}.jsonl"));
        let options = RunOptions { batch_size, ..RunOptions::new(Control::Real) };
        ask(items(), &mut Scripted::new(seeing), &options, &out, &mut |_| {}).unwrap();
        files.push(std::fs::read(out).unwrap());
    }
    assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn what_cannot_be_asked_is_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut given: Vec<Result<Item, String>> = items().collect();
    given[1] = Err("shard 0, row 1: truncated PNG".to_string());
    let repeated = given[0].clone();
    given.push(repeated);
    if let Ok(item) = &mut given[2] {
        item.images.clear();
    }
    if let Ok(item) = &mut given[3] {
        item.question.quiz = Quiz::MultipleChoice { options: vec!["cat".into()], answer: 4 };
    }
    let options = RunOptions::new(Control::Real);
    let mut responder = Scripted::new(seeing);
    let run = ask(given.into_iter(), &mut responder, &options, &folder.path().join("r.jsonl"), &mut |_| {}).unwrap();
    assert_eq!((run.questions.len(), run.replies.len()), (12, 12));
    let named: BTreeMap<&str, &str> =
        run.skipped.iter().map(|skipped| (skipped.id.as_str(), skipped.reason.as_str())).collect();
    assert_eq!(named.keys().copied().collect::<Vec<_>>(), ["item 2", "q00", "q02", "q03"]);
    assert!(named["q02"].contains("1 <image> markers") && named["item 2"].contains("truncated"));
}

#[test]
fn refusals_are_stored_failures_stop_and_both_keep_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("replies.jsonl");
    let mut failing = Scripted::new(|request: &ChatRequest| match request.turns[0].value.as_str() {
        "<image>\nquestion 02" => Err(ResponderError::Refused { reason: "too long".to_string() }),
        "<image>\nquestion 06" => {
            Err(ResponderError::Failed { checkpoint: "scripted-1".to_string(), reason: "out of memory".to_string() })
        }
        _ => seeing(request),
    });
    let options = RunOptions { batch_size: 4, ..RunOptions::new(Control::Real) };
    let error = ask(items(), &mut failing, &options, &out, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("q06") && error.to_string().contains("out of memory"), "{error}");
    assert_eq!(read_replies(&out).unwrap().len(), 6);

    let whole = run(&mut Scripted::new(seeing), Control::Real, &out);
    let verdicts = score(&whole.questions, &whole.replies);
    assert!(
        verdicts.iter().filter(|verdict| verdict.question == "q02").all(|verdict| verdict.outcome == Outcome::Refused)
    );
    assert_eq!(whole.replies.len(), 15);
}

#[test]
fn weights_that_change_within_a_run_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = RunOptions { checkpoint: Some("expected".into()), ..RunOptions::new(Control::Real) };
    let result = ask(items(), &mut Scripted::new(seeing), &options, &folder.path().join("r.jsonl"), &mut |_| {});
    assert!(result.unwrap_err().to_string().contains("expected expected"));
}

#[test]
fn hostile_reply_files_are_counted_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("replies.jsonl");
    std::fs::write(&out, b"not json\n{\"question\": 3}\n\xff\xfe\n[[[[").unwrap();
    let run = run(&mut Scripted::new(seeing), Control::Real, &out);
    assert_eq!((run.num_damaged, run.replies.len()), (3, 15));
    assert!(read_replies(&out).unwrap_err().to_string().contains("line 1"));
}

#[test]
fn two_runs_never_write_to_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("replies.jsonl");
    let inner = out.clone();
    let mut responder = Scripted::new(move |request: &ChatRequest| {
        let second = ask(items(), &mut Scripted::new(seeing), &RunOptions::new(Control::Real), &inner, &mut |_| {});
        assert!(second.unwrap_err().to_string().contains("another run"));
        seeing(request)
    });
    run(&mut responder, Control::Real, &out);
}
