//! Samples of every source for a person or a model to score, and what their scores mean (paper, supplement part 4).
//!
//! Five levels, 1 the best; 30 random pairs of a source; a source passes when the mean of its scores is at most 3.

use crate::{Error, Result};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Conversation, Role, Split};
use gmai_shard::{Reader, Sample};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;

/// Pairs of a source that are judged, as in the paper.
pub const PER_SOURCE: usize = 30;

/// Mean score up to which a source passes, as in the paper.
pub const PASS: f64 = 3.0;

/// What each level means; the paper names accuracy, clarity, completeness and relevance without printing the levels' texts.
pub const LEVELS: [&str; 5] = [
    "right, clear and complete for this picture",
    "right; small flaws of wording or completeness",
    "mostly right; something relevant is missing or vague",
    "partly wrong, or hardly about this picture",
    "wrong, misleading, unreadable, or not a medical picture",
];

/// The score of one pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Id of the pair.
    pub id: String,
    /// 1 (best) to 5 (worst).
    pub score: u8,
    /// What the reviewer remarks.
    #[serde(default)]
    pub comments: String,
}

/// What a reviewer saves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreFile {
    /// Name of the dataset.
    pub dataset: String,
    /// Who scored: a person's mark or a model's name.
    pub reviewer: String,
    /// The scores.
    pub scores: Vec<Score>,
}

/// How a source came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The source.
    pub source: String,
    /// Scores given.
    pub scores: u64,
    /// Pairs that were scored.
    pub pairs: u64,
    /// Pairs that were to be scored.
    pub expected: u64,
    /// Mean score, each pair counted once.
    pub mean: f64,
    /// Standard error of the mean over pairs; absent for fewer than two.
    pub standard_error: Option<f64>,
    /// Pairs by score 1 to 5, each pair's scores averaged and rounded.
    pub by_level: [u64; 5],
    /// Whether the mean is at most 3.
    pub passes: bool,
}

/// What all scores say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Every source that has a score, in the dataset's order.
    pub verdicts: Vec<Verdict>,
    /// Sources that do not pass: leave them out of the curate config.
    pub excluded: Vec<String>,
    /// Sources without any score.
    pub not_scored: Vec<String>,
    /// Who scored.
    pub reviewers: Vec<String>,
}

/// A place in the order of drawing: the smallest hashes are drawn.
fn lot(seed: u64, id: &str) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(id);
    u64::from_le_bytes(hasher.finalize()[..8].try_into().expect("a hash has 32 bytes"))
}

/// Ids of `per_source` random pairs of every source; the same seed draws the same ones.
///
/// # Errors
/// A damaged dataset.
pub fn draw(reader: &Reader, per_source: usize, seed: u64) -> Result<BTreeMap<String, Vec<String>>> {
    let mut heaps: BTreeMap<String, BinaryHeap<(u64, String)>> = BTreeMap::new();
    for sample in Split::ALL.into_iter().flat_map(|split| reader.samples(split)) {
        let Conversation { id, source, .. } = sample?.conversation;
        let heap = heaps.entry(source).or_default();
        heap.push((lot(seed, &id), id));
        if heap.len() > per_source {
            heap.pop();
        }
    }
    let ids = |heap: BinaryHeap<(u64, String)>| heap.into_sorted_vec().into_iter().map(|(_, id)| id).collect();
    Ok(heaps.into_iter().map(|(source, heap)| (source, ids(heap))).collect())
}

/// The rows with these ids, by source, in the order of the draw.
///
/// # Errors
/// A damaged dataset.
pub fn drawn_rows(reader: &Reader, drawn: &BTreeMap<String, Vec<String>>) -> Result<Vec<Sample>> {
    let places: BTreeMap<&str, (usize, usize)> = drawn
        .iter()
        .flat_map(|(source, ids)| {
            let place = reader
                .manifest()
                .sources
                .iter()
                .position(|summary| summary.facts.name == *source)
                .unwrap_or(usize::MAX);
            ids.iter().enumerate().map(move |(index, id)| (id.as_str(), (place, index)))
        })
        .collect();
    let mut rows: Vec<((usize, usize), Sample)> = Vec::new();
    for sample in Split::ALL.into_iter().flat_map(|split| reader.samples(split)) {
        let sample = sample?;
        if let Some(place) = places.get(sample.conversation.id.as_str()) {
            rows.push((*place, sample));
        }
    }
    rows.sort_by_key(|(place, _)| *place);
    Ok(rows.into_iter().map(|(_, sample)| sample).collect())
}

/// What a row says beyond its text, for a reviewer.
pub(crate) fn facts(conversation: &Conversation) -> String {
    let labels: Vec<String> =
        conversation.labels.iter().map(|label| format!("{}: {}", label.attribute, label.value.en)).collect();
    let modality = conversation.modality.map_or("not stated", |modality| modality.key());
    format!("modality: {modality}; department: {}; {}", conversation.department, labels.join("; "))
}

/// The rubric in words.
pub(crate) fn rubric() -> String {
    let levels = LEVELS.iter().enumerate().map(|(index, level)| format!("{}: {level}", index + 1));
    levels.collect::<Vec<_>>().join("\n")
}

/// A request to a model to score a row, in the form of OpenAI's batch files; `custom_id` is the row's id.
pub fn request(sample: &Sample, model: &str) -> Value {
    use base64::Engine;
    let conversation = &sample.conversation;
    let said = |turn: &gmai_schema::Turn| {
        let who = if turn.from == Role::Assistant { "Answer" } else { "Question" };
        format!("{who}: {}", turn.value.replace(IMAGE_MARKER, "").trim())
    };
    let text: Vec<String> = conversation.turns.iter().map(said).collect();
    let prompt = format!(
        "You are a medical imaging expert who judges training data. Judge the accuracy, clarity and completeness of the text and its relevance \
         to the picture, given what the annotation says.\nLevels:\n{}\nAnnotation: {}\n\n{}\n\n\
         Reply with JSON only: {{\"score\": 1 to 5, \"comments\": \"one sentence\"}}",
        rubric(),
        facts(conversation),
        text.join("\n")
    );
    let picture = |image: &gmai_shard::EncodedImage| {
        let kind = if image.path.ends_with(".png") { "png" } else { "jpeg" };
        let data = base64::engine::general_purpose::STANDARD.encode(&image.bytes);
        json!({"type": "image_url", "image_url": {"url": format!("data:image/{kind};base64,{data}")}})
    };
    let content: Vec<Value> =
        sample.images.iter().map(picture).chain([json!({"type": "text", "text": prompt})]).collect();
    json!({
        "custom_id": conversation.id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": model, "temperature": 0, "messages": [{"role": "user", "content": content}]},
    })
}

/// Reads scores: a file that the review page saved, or a model's replies as a batch file gives them.
///
/// # Errors
/// A file that is neither, a score outside 1 to 5, a reply without a score; by row.
pub fn read_scores(path: &Path) -> Result<ScoreFile> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let file = match serde_json::from_str::<ScoreFile>(&text) {
        Ok(file) => file,
        Err(error) => read_replies(path, &text)?.ok_or_else(|| {
            Error::bad_file(
                path,
                "JSON",
                format!("{error}; give the file that the review page saved, or a model's replies as JSONL"),
            )
        })?,
    };
    for score in &file.scores {
        if !(1..=5).contains(&score.score) {
            return Err(Error::bad_file(
                path,
                format!("score of {}", score.id),
                format!("{} is not one of 1 to 5", score.score),
            ));
        }
    }
    Ok(file)
}

/// Replies of a batch: `{custom_id, response: {body: {choices: [{message: {content}}]}}}`, one a line. `None` when the text is something else.
fn read_replies(path: &Path, text: &str) -> Result<Option<ScoreFile>> {
    let mut file = ScoreFile { dataset: String::new(), reviewer: String::new(), scores: Vec::new() };
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return Ok(None) };
        let Some(id) = value.get("custom_id").and_then(Value::as_str) else { return Ok(None) };
        let body = &value["response"]["body"];
        let refused = |reason: &str| {
            Error::bad_file(
                path,
                format!("line {}, {id}", index + 1),
                format!("{reason}; ask again, or remove the line"),
            )
        };
        let content = body["choices"][0]["message"]["content"].as_str().ok_or_else(|| refused("no reply"))?;
        let (from, to) = content.find('{').zip(content.rfind('}')).ok_or_else(|| refused("the reply is no JSON"))?;
        let reply: Value = serde_json::from_str(content.get(from..=to).unwrap_or_default())
            .map_err(|_| refused("the reply is no JSON"))?;
        let score = reply["score"]
            .as_u64()
            .and_then(|score| u8::try_from(score).ok())
            .ok_or_else(|| refused("no whole `score`"))?;
        let comments = reply["comments"].as_str().unwrap_or_default().to_string();
        file.scores.push(Score { id: id.to_string(), score, comments });
        if let Some(model) = body["model"].as_str() {
            file.reviewer = model.to_string();
        }
    }
    Ok((!file.scores.is_empty()).then_some(file))
}

/// Judges the sources by all scores together.
///
/// # Errors
/// A damaged dataset, a score for a row that the dataset does not have, two scores of one reviewer for one row.
pub fn judge(reader: &Reader, files: &[ScoreFile], per_source: usize) -> Result<Outcome> {
    let mut by_row: BTreeMap<&str, BTreeMap<&str, u8>> = BTreeMap::new();
    for file in files {
        for score in &file.scores {
            let earlier = by_row.entry(&score.id).or_default().insert(&file.reviewer, score.score);
            if earlier.is_some_and(|earlier| earlier != score.score) {
                let reason = "the same reviewer gives it two scores; keep one".to_string();
                return Err(Error::bad_file(
                    reader.folder(),
                    format!("row {}, reviewer `{}`", score.id, file.reviewer),
                    reason,
                ));
            }
        }
    }
    let (mut means, mut num_scores): (BTreeMap<String, Vec<f64>>, BTreeMap<String, u64>) = Default::default();
    let mut found = 0;
    for sample in Split::ALL.into_iter().flat_map(|split| reader.samples(split)) {
        let Conversation { id, source, .. } = sample?.conversation;
        if let Some(scores) = by_row.get(id.as_str()) {
            found += 1;
            let sum: f64 = scores.values().map(|score| f64::from(*score)).sum();
            means.entry(source.clone()).or_default().push(sum / scores.len() as f64);
            *num_scores.entry(source).or_default() += scores.len() as u64;
        }
    }
    if found < by_row.len() {
        let reason = format!(
            "{} of {} scored rows are not in this dataset; score a sheet of this dataset",
            by_row.len() - found,
            by_row.len()
        );
        return Err(Error::bad_file(reader.folder(), "scores", reason));
    }
    let rows = &reader.manifest().counts.source;
    let names: Vec<&String> = reader
        .manifest()
        .sources
        .iter()
        .map(|source| &source.facts.name)
        .filter(|name| rows.contains_key(*name))
        .collect();
    let verdict = |name: &&String| {
        let means = means.get(*name)?;
        let expected = rows[*name].min(per_source as u64);
        Some(verdict(name, means, num_scores[*name], expected))
    };
    let verdicts: Vec<Verdict> = names.iter().filter_map(verdict).collect();
    let excluded = verdicts.iter().filter(|verdict| !verdict.passes).map(|verdict| verdict.source.clone()).collect();
    let not_scored = names.into_iter().filter(|name| !means.contains_key(*name)).cloned().collect();
    let mut reviewers: Vec<String> = files.iter().map(|file| file.reviewer.clone()).collect();
    reviewers.sort();
    reviewers.dedup();
    Ok(Outcome { verdicts, excluded, not_scored, reviewers })
}

fn verdict(source: &str, means: &[f64], scores: u64, expected: u64) -> Verdict {
    let count = means.len() as f64;
    let mean = means.iter().sum::<f64>() / count;
    let variance = means.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let mut by_level = [0; 5];
    for value in means {
        by_level[(value.round() as usize).clamp(1, 5) - 1] += 1;
    }
    Verdict {
        source: source.to_string(),
        scores,
        pairs: means.len() as u64,
        expected,
        mean,
        standard_error: (means.len() > 1).then(|| (variance / count).sqrt()),
        by_level,
        passes: mean <= PASS,
    }
}

impl Outcome {
    /// The outcome as lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "scored by {}; 1 is best, a source passes at a mean of {PASS} or less",
            self.reviewers.join(", ")
        )];
        for verdict in &self.verdicts {
            let error = verdict.standard_error.map_or_else(String::new, |error| format!(" ± {:.2}", 1.96 * error));
            let word = if verdict.passes { "passes" } else { "FAILS" };
            let missing = match verdict.pairs < verdict.expected {
                true => format!(", {} pairs not scored", verdict.expected - verdict.pairs),
                false => String::new(),
            };
            lines.push(format!(
                "  {}: {word}, mean {:.2}{error} over {} pairs{missing}",
                verdict.source, verdict.mean, verdict.pairs
            ));
        }
        if !self.not_scored.is_empty() {
            lines.push(format!("not scored: {}", self.not_scored.join(", ")));
        }
        if !self.excluded.is_empty() {
            lines.push(format!(
                "excluded: {}; remove these sources from the curate config, or mend their texts",
                self.excluded.join(", ")
            ));
        }
        lines
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn three_passes_and_more_fails() {
        let passing = verdict("a", &[2.0, 4.0, 3.0], 3, 30);
        assert!(passing.passes && passing.mean == 3.0 && passing.by_level == [0, 1, 1, 1, 0]);
        assert!((passing.standard_error.unwrap() - (1.0_f64 / 3.0).sqrt()).abs() < 1e-9);
        let failing = verdict("b", &[3.5], 2, 30);
        assert!(!failing.passes && failing.standard_error.is_none());
    }

    #[test]
    fn scores_of_people_and_models_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.json");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(r#"{"dataset": "d", "reviewer": "AB", "scores": [{"id": "x", "score": 2, "comments": ""}]}"#);
        assert_eq!(read_scores(&path).unwrap().scores[0].score, 2);
        let reply = r#"{"custom_id":"x","response":{"body":{"model":"judge","choices":[{"message":{"content":"```json\n{\"score\": 4, \"comments\": \"vague\"}\n```"}}]}}}"#;
        write(reply);
        let read = read_scores(&path).unwrap();
        assert_eq!(
            (read.reviewer.as_str(), read.scores[0].score, read.scores[0].comments.as_str()),
            ("judge", 4, "vague")
        );
        write(&reply.replace("4", "9"));
        assert!(read_scores(&path).unwrap_err().to_string().contains("9 is not one of"));
        write(&reply.replace("score", "skore"));
        assert!(read_scores(&path).unwrap_err().to_string().contains("line 1, x"));
        write("nonsense");
        assert!(read_scores(&path).is_err());
    }
}
