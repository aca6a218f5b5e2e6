//! Questions shown with their pictures in the report: which ones, and how.

use crate::error::{Error, Result};
use crate::group::Dimension;
use crate::normalise::normalise;
use crate::reply::Reply;
use crate::score::{Outcome, Protocol, Verdict};
use crate::text::percent;
use base64::Engine;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Question, Quiz, Rgb8};
use image::ImageEncoder;
use std::collections::BTreeMap;

/// A question shown with its pictures.
#[derive(Debug, Clone)]
pub struct Example {
    /// The question.
    pub question: Question,
    /// Its pictures, as the model saw them before resizing.
    pub images: Vec<Rgb8>,
    /// What the model said; `None` when it was not asked.
    pub reply: Option<Reply>,
    /// How that was judged.
    pub verdict: Verdict,
}

/// Ids of up to `count` questions worth showing: half wrong, half right where there are enough of both, one attribute
/// after the other. The same verdicts give the same ids.
pub fn pick_examples(questions: &[Question], verdicts: &[Verdict], count: usize) -> Vec<String> {
    let mut first: BTreeMap<&str, &Verdict> = BTreeMap::new();
    for verdict in verdicts {
        let kept = first.entry(&verdict.question).or_insert(verdict);
        if verdict.protocol < kept.protocol {
            *kept = verdict;
        }
    }
    let of_outcome = |right: bool| -> Vec<&str> {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for question in questions {
            let verdict = first.get(question.id.as_str()).filter(|verdict| verdict.outcome != Outcome::Missing);
            if verdict.is_some_and(|verdict| (verdict.outcome == Outcome::Right) == right) {
                groups.entry(Dimension::Attribute.group(question)).or_default().push(&question.id);
            }
        }
        let longest = groups.values().map(Vec::len).max().unwrap_or(0);
        (0..longest).flat_map(|round| groups.values().filter_map(move |ids| ids.get(round).copied())).collect()
    };
    let (wrong, right) = (of_outcome(false), of_outcome(true));
    let num_wrong = wrong.len().min((count / 2).max(count.saturating_sub(right.len())));
    let num_right = right.len().min(count - num_wrong);
    wrong[..num_wrong].iter().chain(&right[..num_right]).map(|id| id.to_string()).collect()
}

/// An example as the page shows it.
pub(crate) struct ExampleView {
    pub id: String,
    pub is_right: bool,
    pub pictures: Vec<String>,
    pub prompt: String,
    pub right: String,
    pub given: String,
    pub written: Option<String>,
    pub options: Vec<OptionView>,
    pub place: String,
}

/// An option with its probability.
pub(crate) struct OptionView {
    pub text: String,
    pub percent: String,
    pub is_right: bool,
}

impl ExampleView {
    pub(crate) fn new(example: &Example) -> Result<ExampleView> {
        let question = &example.question;
        let reply = example.reply.as_ref();
        let pictures = example
            .images
            .iter()
            .map(|image| thumbnail(image).map_err(|source| Error::Picture { id: question.id.clone(), source }))
            .collect::<Result<Vec<_>>>()?;
        let modality = question.modality.map_or("modality not stated", |modality| modality.key());
        Ok(ExampleView {
            id: question.id.clone(),
            is_right: example.verdict.outcome == Outcome::Right,
            pictures,
            prompt: question.prompt.replace(IMAGE_MARKER, "").trim().to_string(),
            right: right_answer(&question.quiz),
            given: given_answer(&example.verdict),
            written: reply.map(|reply| reply.text.trim().to_string()).filter(|text| !text.is_empty()),
            options: reply.map_or_else(Vec::new, |reply| option_views(question, reply)),
            place: format!("{} · {} · {modality} · {}", question.source, question.attribute, question.language.key()),
        })
    }
}

fn right_answer(quiz: &Quiz) -> String {
    match quiz {
        Quiz::MultipleChoice { options, answer } => options.get(*answer).cloned().unwrap_or_default(),
        Quiz::YesNo { answer } => if *answer { "yes" } else { "no" }.to_string(),
        Quiz::Open { answers } => answers.join(" / "),
    }
}

fn given_answer(verdict: &Verdict) -> String {
    let protocol = match verdict.protocol {
        Protocol::Likelihood => "likeliest",
        Protocol::Generated => "written",
    };
    match (&verdict.answer, verdict.outcome) {
        (Some(answer), _) => match verdict.token_f1.filter(|_| !normalise(answer).is_empty()) {
            Some(f1) => format!("{answer} ({protocol}, token F1 {f1:.2})"),
            None => format!("{answer} ({protocol})"),
        },
        (None, Outcome::Refused) => "refused".to_string(),
        (None, Outcome::Missing) => "no reply".to_string(),
        (None, _) => format!("unread ({protocol})"),
    }
}

fn option_views(question: &Question, reply: &Reply) -> Vec<OptionView> {
    let right = match &question.quiz {
        Quiz::MultipleChoice { answer, .. } => Some(*answer),
        Quiz::YesNo { answer } => Some(usize::from(!answer)),
        Quiz::Open { .. } => None,
    };
    let views = reply.options.iter().enumerate().map(|(index, option)| {
        let text = match &question.quiz {
            Quiz::MultipleChoice { options, .. } => {
                format!("{}. {}", option.text, options.get(index).map_or("", |text| text))
            }
            _ => option.text.clone(),
        };
        OptionView { text, percent: percent(option.probability), is_right: right == Some(index) }
    });
    views.collect()
}

/// Longest side of an example picture, in pixels.
pub const THUMBNAIL: u32 = 192;

/// The picture as a data URL.
fn thumbnail(image: &Rgb8) -> std::result::Result<String, image::ImageError> {
    let (width, height) = (image.width(), image.height());
    let scale = (f64::from(THUMBNAIL) / f64::from(width.max(height))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let full = image::RgbImage::from_raw(width, height, image.pixels().to_vec());
    let full = full.unwrap_or_else(|| image::RgbImage::new(1, 1)); // Rgb8 has checked the number of bytes.
    let small = image::imageops::thumbnail(&full, side(width), side(height));
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png).write_image(
        small.as_raw(),
        small.width(),
        small.height(),
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::reply::Control;
    use crate::score::tests::choice;

    #[test]
    fn thumbnails_keep_the_shape() {
        let url = thumbnail(&Rgb8::filled(400, 100, [1, 2, 3])).unwrap();
        let png = base64::engine::general_purpose::STANDARD.decode(url.split(',').nth(1).unwrap()).unwrap();
        let decoded = image::load_from_memory(&png).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (192, 48));
    }

    #[test]
    fn examples_are_half_wrong_and_from_every_attribute() {
        let questions: Vec<Question> = (0..40)
            .map(|i| Question { attribute: format!("a{}", i % 2), ..choice(&format!("q{i:02}"), &["x", "y"], 0) })
            .collect();
        let verdicts: Vec<Verdict> = questions
            .iter()
            .enumerate()
            .map(|(i, question)| Verdict {
                question: question.id.clone(),
                control: Control::Real,
                protocol: Protocol::Likelihood,
                outcome: if i < 37 { Outcome::Right } else { Outcome::Wrong },
                answer: None,
                token_f1: None,
                probability: None,
            })
            .collect();
        let picked = pick_examples(&questions, &verdicts, 8);
        assert_eq!(picked, ["q38", "q37", "q39", "q00", "q01", "q02", "q03", "q04"]);
        assert_eq!(pick_examples(&questions, &verdicts, 0), Vec::<String>::new());
    }
}
