//! Jinja as transformers sets it up for chat templates: block trimming, loop controls, Python's methods, and its own helpers.

use crate::error::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, ErrorKind, Value};
use serde::Serialize;

/// The template's name inside its environment.
pub(crate) const NAME: &str = "chat_template";
/// Steps a template may take per rendering: a template of the longest conversations takes a few thousand.
const MAX_STEPS: u64 = 200_000;
/// The day that templates are told it is: the one that Llama's template names where it is told none. With today's, the same question would
/// have another prompt tomorrow.
const TODAY: Day = Day { year: 2024, month: 7, day: 26 };

type Rendered<T> = std::result::Result<T, minijinja::Error>;

/// Compiles a template.
pub(crate) fn compile(source: &str) -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Rendered<Value> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| TODAY.written(&format));
    environment.add_filter("tojson", to_json);
    environment.add_template_owned(NAME, without_generation_tags(source)).map_err(failed)?;
    Ok(environment)
}

/// What minijinja says, as this crate's error.
pub(crate) fn failed(source: minijinja::Error) -> Error {
    let reason = match source.kind() {
        ErrorKind::OutOfFuel => format!("takes more than {MAX_STEPS} steps; it must not loop without end"),
        _ => format!("{source:#}"),
    };
    Error::ChatTemplate { reason }
}

/// As Python's `json.dumps(value, ensure_ascii=False, indent=indent)`: nothing is escaped for HTML.
fn to_json(value: &Value, options: Kwargs) -> Rendered<String> {
    let indent: Option<usize> = options.get("indent")?;
    let failed = |error: serde_json::Error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string());
    let mut bytes = Vec::new();
    match indent {
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, PythonFormatter)),
        Some(width) => {
            let indent = " ".repeat(width.min(16));
            let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        }
    }
    .map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Python's separators: `, ` and `: `.
struct PythonFormatter;

impl serde_json::ser::Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// A day of the calendar.
struct Day {
    year: u32,
    month: u32,
    day: u32,
}

impl Day {
    /// As Python's `strftime`, for the codes of a date; the time is midnight.
    fn written(&self, format: &str) -> Rendered<String> {
        const MONTHS: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let month = MONTHS[self.month as usize - 1];
        let mut out = String::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                out.push(character);
                continue;
            }
            match characters.next() {
                Some('Y') => out += &self.year.to_string(),
                Some('y') => out += &format!("{:02}", self.year % 100),
                Some('m') => out += &format!("{:02}", self.month),
                Some('d') => out += &format!("{:02}", self.day),
                Some('B') => out += month,
                Some('b' | 'h') => out += &month[..3],
                Some('F') => out += &format!("{}-{:02}-{:02}", self.year, self.month, self.day),
                Some('A') => out += "Friday",
                Some('a') => out += "Fri",
                Some('H' | 'M' | 'S') => out += "00",
                Some('%') => out.push('%'),
                other => {
                    let code = other.map(String::from).unwrap_or_default();
                    let message =
                        format!("strftime_now: %{code} is not supported; %Y %y %m %d %B %b %F %A %a %H %M %S are");
                    return Err(minijinja::Error::new(ErrorKind::InvalidOperation, message));
                }
            }
        }
        Ok(out)
    }
}

/// Puts a plain block in the place of `{% generation %}`: transformers' own tag for what is learned, which Jinja does not know.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + length + 2];
        let word = tag.trim_matches(['{', '%', '}', '-', '+', ' ', '\t', '\n', '\r']);
        out.push_str(&rest[..start]);
        match word {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> Result<String> {
        let environment = compile(source)?;
        environment.get_template(NAME).and_then(|template| template.render(())).map_err(failed)
    }

    #[test]
    fn helpers_are_those_of_transformers() {
        assert_eq!(rendered("{{ strftime_now('%d %b %Y') }}").expect("a date"), "26 Jul 2024");
        let json = rendered("{{ {'a': [1, '<é>'], 'b': none} | tojson }}").expect("a value");
        assert_eq!(json, "{\"a\": [1, \"<é>\"], \"b\": null}");
        assert_eq!(rendered("{{ [1] | tojson(indent=2) }}").expect("a value"), "[\n  1\n]");
        assert_eq!(
            rendered("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}")
                .expect("a loop"),
            "01"
        );
        assert_eq!(rendered("{{ ' a b '.strip().split(' ')[-1] }}").expect("Python's methods"), "b");
    }

    #[test]
    fn endless_templates_and_raised_exceptions_say_why() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        for (source, named) in
            [(endless, "steps"), ("{{ raise_exception('no tools') }}", "no tools"), ("{{ strftime_now('%Q') }}", "%Q")]
        {
            let error = rendered(source).expect_err(named);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
