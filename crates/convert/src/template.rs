//! Chat templates that take a message's content as text, and also as a list of texts and images, as transformers' processors and vLLM give it.

/// Stands before a template that only takes text: turns each list into a text with `<image>` and a line break for each image.
const FLATTEN: &str = "{%- set flat = namespace(messages=[]) -%}{%- for message in messages -%}\
{%- if message['content'] is string -%}{%- set flat.messages = flat.messages + [message] -%}\
{%- else -%}{%- set parts = namespace(text='') -%}{%- for part in message['content'] -%}\
{%- if part['type'] == 'image' -%}{%- set parts.text = parts.text + '<image>\\n' -%}\
{%- elif part['type'] == 'text' -%}{%- set parts.text = parts.text + part['text'] -%}{%- endif -%}{%- endfor -%}\
{%- set flat.messages = flat.messages + [{'role': message['role'], 'content': parts.text}] -%}{%- endif -%}{%- endfor -%}\
{%- set messages = flat.messages -%}";

/// The template of InternLM2, as published but for the beginning-of-text token.
const INTERNLM2: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// The template without the beginning-of-text token, where it is InternLM2's: GMAI-VL is trained without it, and answered without it here.
pub fn as_trained(source: &str) -> &str {
    let Some(rest) = source.trim().strip_prefix("{{ bos_token }}") else { return source };
    // A line break inside Jinja's quotes and a written `\n` mean the same; published files have either.
    if rest.replace("\\n", "\n") == INTERNLM2 { rest } else { source }
}

/// The template for text and lists. One that reads the parts of a message itself is left as it is.
pub fn for_lists(source: &str) -> String {
    let reads_parts = source.contains("['type']") || source.contains("[\"type\"]") || source.contains(".type");
    if reads_parts { source.to_owned() } else { format!("{FLATTEN}{source}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_template_loses_its_first_token_and_others_keep_it() {
        let published = format!("{{{{ bos_token }}}}{}", INTERNLM2.replace('\n', "\\n"));
        assert_eq!(as_trained(&published), INTERNLM2.replace('\n', "\\n"));
        assert_eq!(as_trained("{{ bos_token }}{{ messages }}"), "{{ bos_token }}{{ messages }}");
    }

    #[test]
    fn a_template_that_reads_parts_is_left_alone() {
        let source = "{% if part['type'] == 'image' %}<image>{% endif %}";
        assert_eq!(for_lists(source), source);
        assert!(for_lists(INTERNLM2).ends_with(INTERNLM2));
        assert_eq!(for_lists(&for_lists(INTERNLM2)), for_lists(INTERNLM2));
    }
}
