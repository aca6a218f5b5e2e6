//! Kinds of folders with questions, reports and conversations.

use super::Patterns;
use crate::pattern::Pattern;
use gmai_schema::Language;
use serde::Deserialize;

/// `[source.kind.qa_json]`: a JSON list of objects, or one object per line. An object's other texts are fields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QaJson {
    /// The pictures, e.g. `images/{stem}.jpg`.
    pub images: Patterns,
    /// The JSON files.
    pub files: Vec<String>,
    /// Key of the picture's name.
    pub image_key: String,
    /// Folder that the picture's name is relative to; the root when absent.
    pub image_folder: Option<String>,
    /// Key of the question.
    pub question_key: String,
    /// Key of the answer.
    pub answer_key: String,
    /// Key of the source's own kind of question.
    pub kind_key: Option<String>,
    /// Language of questions and answers.
    pub language: Language,
    /// Key whose value tells the official split.
    pub split_key: Option<String>,
    /// Texts with which the value of `split_key` begins when the question belongs to the official test split.
    #[serde(default)]
    pub test_prefixes: Vec<String>,
}

/// `[source.kind.text_report]`, `fhir`, `hl7v2`, `ccda` and `bioc`: reports, with or without the pictures that they are about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// The report files, e.g. `reports/{stem}.txt`.
    pub files: Patterns,
    /// The pictures of a report, e.g. `images/{stem}.png`; without it the reports are texts of their own.
    pub images: Option<Pattern>,
}

/// `[source.kind.report_table]`: a table (CSV, TSV, JSON) with a report in each row.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportTable {
    /// The tables.
    pub files: Vec<String>,
    /// Column with the text of the report.
    pub text: String,
    /// The pictures of a report, made of the row's columns, e.g. `images/{image}`; without it the reports are texts of their own.
    pub images: Option<Pattern>,
}

/// `[source.kind.conversations]`: LLaVA, ShareGPT or OpenAI `messages` in JSON or JSON lines, told apart by their keys.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversations {
    /// The JSON files.
    pub files: Patterns,
    /// Folder that the paths of pictures are relative to; the root when absent.
    pub image_folder: Option<String>,
    /// Key of the source's own kind of conversation.
    pub kind_key: Option<String>,
}
