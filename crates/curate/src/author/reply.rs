//! What a model replied, as questions and answers.

use crate::verify::{Exchange, Rule, Violation};
use gmai_schema::Form;
use serde_json::Value;

/// Places in a reply where a JSON value is looked for.
const MAX_STARTS: usize = 50;

/// Most questions that are taken from one reply.
const MAX_PAIRS: usize = 12;

/// Reads a reply: the JSON value that was asked for, bare, in a code fence or amid prose. A description may also be plain text.
pub(crate) fn read(form: Form, text: &str) -> Result<Vec<Exchange>, Violation> {
    // What a model thinks aloud before it answers is no part of the answer.
    let text = text.rsplit_once("</think>").map_or(text, |(_, answer)| answer).trim();
    let is_description = matches!(form, Form::ImageCaption | Form::RegionCaption);
    let found = values(text).find_map(|value| if is_description { caption(&value) } else { pairs(&value) });
    match found {
        Some(exchanges) => Ok(exchanges),
        None if is_description && !text.is_empty() && !text.contains(['{', '}', '[', ']']) => {
            Ok(vec![Exchange { question: String::new(), answer: text.to_string() }])
        }
        None => {
            let shape = if is_description {
                r#"{"caption": "..."}"#
            } else {
                r#"{"pairs": [{"question": "...", "answer": "..."}]}"#
            };
            let start: String = text.chars().take(40).collect();
            Err(Violation::new(Rule::Format, start, format!("is not of the form {shape}")))
        }
    }
}

/// Every JSON object and list that begins somewhere in the text, the outermost first.
fn values(text: &str) -> impl Iterator<Item = Value> {
    let starts = text.match_indices(['{', '[']).take(MAX_STARTS);
    starts.filter_map(|(start, _)| serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>().next()?.ok())
}

fn caption(value: &Value) -> Option<Vec<Exchange>> {
    let object = value.as_object()?;
    let text = ["caption", "description", "text"].iter().find_map(|key| object.get(*key)?.as_str())?;
    Some(vec![Exchange { question: String::new(), answer: text.trim().to_string() }])
}

fn pairs(value: &Value) -> Option<Vec<Exchange>> {
    let list = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(object) => match object.values().find_map(Value::as_array) {
            Some(list) => list.iter().collect(),
            None => vec![value],
        },
        _ => return None,
    };
    let pair = |value: &Value| -> Option<Exchange> {
        let part = |names: [&str; 2]| {
            names.iter().find_map(|name| value.get(*name)?.as_str()).map(|text| text.trim().to_string())
        };
        Some(Exchange { question: part(["question", "q"])?, answer: part(["answer", "a"])? })
    };
    let pairs: Vec<Exchange> = list.into_iter().take(MAX_PAIRS).map(pair).collect::<Option<_>>()?;
    (!pairs.is_empty()).then_some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_found_in_what_models_write() {
        for text in [
            r#"{"caption": "A lung."}"#,
            "```json\n{\"caption\": \"A lung.\"}\n```",
            "Here you are: {\"caption\":\"A lung.\"} I hope {it} helps.",
            "<think>{\"caption\": \"no\"}</think>{\"caption\": \"A lung.\"}",
            "A lung.",
        ] {
            assert_eq!(read(Form::ImageCaption, text).expect("a caption")[0].answer, "A lung.", "{text}");
        }
        for text in [
            r#"{"pairs":[{"question":"What?","answer":"This."}]}"#,
            r#"[{"question":"What?","answer":"This."}]"#,
            r#"{"question":"What?","answer":"This."}"#,
        ] {
            assert_eq!(read(Form::Instruction, text).expect("pairs")[0].question, "What?", "{text}");
        }
    }

    #[test]
    fn other_things_break_the_format() {
        for text in ["", "{\"caption\": ", "{\"label\": \"x\"}", "[1, 2]"] {
            assert_eq!(read(Form::RegionCaption, text).expect_err("no caption").rule, Rule::Format, "{text}");
        }
        assert!(read(Form::Conversation, "A plain text.").is_err());
        assert!(read(Form::Conversation, r#"{"pairs":[{"question":"What?"}]}"#).is_err());
    }
}
