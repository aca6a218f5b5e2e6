//! Which of llama.cpp's built-in pre-tokenizers a byte-level `tokenizer.json` means: they are known by name there, by their pattern here.

use serde_json::Value;

/// Patterns of published tokenizers and llama.cpp's names for what cuts text in the same way.
const PATTERNS: [(&str, &str); 3] = [
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "llama-bpe",
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen2",
    ),
    (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", "gpt-2"),
];

/// Whether the tokenizer spells text in bytes written as characters (GPT-2's way).
pub fn is_byte_level(tokenizer: &Value) -> bool {
    steps(&tokenizer["pre_tokenizer"]).iter().any(|step| step["type"] == "ByteLevel")
}

/// llama.cpp's name of the pre-tokenizer; otherwise the pattern that it does not have.
pub fn name(tokenizer: &Value) -> Result<&'static str, String> {
    let steps = steps(&tokenizer["pre_tokenizer"]);
    let splits: Vec<&str> = steps
        .iter()
        .filter(|step| step["type"] == "Split")
        .filter_map(|step| step["pattern"]["Regex"].as_str().or_else(|| step["pattern"]["String"].as_str()))
        .collect();
    match splits.as_slice() {
        [] if !steps.iter().any(|step| step["type"] == "Digits") => Ok("gpt-2"),
        [pattern] => {
            let found = PATTERNS.iter().find(|(known, _)| known == pattern);
            found.map(|(_, name)| *name).ok_or_else(|| (*pattern).to_owned())
        }
        patterns => Err(patterns.join(" then ")),
    }
}

/// The steps of a sequence, or the one step.
fn steps(pre_tokenizer: &Value) -> Vec<&Value> {
    match pre_tokenizer["pretokenizers"].as_array() {
        Some(steps) => steps.iter().collect(),
        None => vec![pre_tokenizer],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn published_patterns_have_names_and_others_are_told() {
        let byte_level = json!({ "type": "ByteLevel" });
        let with = |pattern: &str| {
            let split = json!({ "type": "Split", "pattern": { "Regex": pattern } });
            json!({ "pre_tokenizer": { "type": "Sequence", "pretokenizers": [split, byte_level] } })
        };
        for (pattern, expected) in PATTERNS {
            assert_eq!(name(&with(pattern)), Ok(expected));
        }
        assert_eq!(name(&with("x+")), Err("x+".to_owned()));
        assert_eq!(name(&json!({ "pre_tokenizer": byte_level })), Ok("gpt-2"));
        assert!(is_byte_level(&with("x")) && !is_byte_level(&json!({ "pre_tokenizer": null })));
    }
}
