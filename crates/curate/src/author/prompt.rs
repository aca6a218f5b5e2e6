//! The prompt templates: shipped in `configs/author/`, replaced one by one by files of the user.

use super::facts::{corners, facts, own_name, plain};
use super::options::Options;
use super::plan::Wanted;
use crate::verify::{Violation, region_start};
use crate::{Error, Result};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Form, Language, Record, Role, SourceFacts, Turn};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};
use std::path::Path;

/// Steps that a template may take.
const MAX_STEPS: u64 = 200_000;

/// The largest template file.
const MAX_TEMPLATE_BYTES: u64 = 1 << 20;

/// Name and shipped text of every template.
const SHIPPED: [(&str, &str); 6] = [
    ("system", include_str!("../../../../configs/author/system.jinja")),
    ("image_caption", include_str!("../../../../configs/author/image_caption.jinja")),
    ("region_caption", include_str!("../../../../configs/author/region_caption.jinja")),
    ("instruction", include_str!("../../../../configs/author/instruction.jinja")),
    ("conversation", include_str!("../../../../configs/author/conversation.jinja")),
    ("correction", include_str!("../../../../configs/author/correction.jinja")),
];

/// The templates of a run.
pub(crate) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// The shipped templates, each replaced by `<folder>/<name>.jinja` where that exists.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Templates> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(MAX_STEPS));
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let syntax =
            syntax.map_err(|error| Error::Template { name: "syntax".to_string(), reason: format!("{error:#}") })?;
        environment.set_syntax(syntax);
        for (name, shipped) in SHIPPED {
            let path = folder.map(|folder| folder.join(format!("{name}.jinja")));
            let own = path.as_ref().filter(|path| path.is_file());
            let text = match own {
                Some(path) => {
                    let bytes = std::fs::metadata(path).map_err(Error::io(path))?.len();
                    if bytes > MAX_TEMPLATE_BYTES {
                        return Err(Error::Template {
                            name: path.display().to_string(),
                            reason: format!("{bytes} bytes are too many"),
                        });
                    }
                    std::fs::read_to_string(path).map_err(Error::io(path))?
                }
                None => shipped.to_string(),
            };
            let told = own.map_or(name.to_string(), |path| path.display().to_string());
            let failed = |error: minijinja::Error| Error::Template { name: told, reason: format!("{error:#}") };
            environment.add_template_owned(name, text).map_err(failed)?;
        }
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Error::Template {
                name: folder.display().to_string(),
                reason: "is no folder; author.templates names it".into(),
            });
        }
        Ok(Templates { environment })
    }

    fn render(&self, name: &str, values: minijinja::Value) -> Result<String> {
        let failed = |error: minijinja::Error| Error::Template { name: name.to_string(), reason: format!("{error:#}") };
        Ok(self
            .environment
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(failed)?
            .trim()
            .to_string())
    }

    /// The turns that ask for a text.
    pub(crate) fn prompt(
        &self,
        record: &Record,
        source: &SourceFacts,
        wanted: &Wanted,
        options: &Options,
    ) -> Result<Vec<Turn>> {
        let region = wanted.region.and_then(|index| record.regions.get(index));
        let terms: Vec<String> = record
            .labels
            .iter()
            .map(|label| &label.value)
            .chain(region.map(|region| &region.term))
            .filter_map(|term| own_name(term, wanted.language, options))
            .map(|name| plain(name, options).replace(['<', '>'], ""))
            .collect();
        let name = |region: &gmai_schema::Region| {
            plain(own_name(&region.term, wanted.language, options).unwrap_or(&region.term.en), options)
                .replace(['<', '>'], "")
        };
        let values = context! {
            facts => facts(record, source, wanted.language, options),
            language => language_name(wanted.language),
            start => region_start(wanted.language),
            sentences => if wanted.form == Form::RegionCaption { "two to four" } else { "two to six" },
            pairs => options.pairs,
            terms => terms.join(", "),
            region => region.map(|region| context! { name => name(region), box => corners(&region.bounds).to_string() }),
        };
        let text = self.render(wanted.form.key(), values)?;
        if text.matches(IMAGE_MARKER).count() != 1 {
            let reason = format!("must show the image once, by `{IMAGE_MARKER}`");
            return Err(Error::Template { name: wanted.form.key().to_string(), reason });
        }
        let system = self.render("system", context! { language => language_name(wanted.language) })?;
        Ok(vec![Turn { from: Role::System, value: system }, Turn::human(text)])
    }

    /// What is said after a text that broke rules.
    pub(crate) fn correction(&self, violations: &[Violation], language: Language) -> Result<String> {
        let listed: Vec<_> = violations
            .iter()
            .take(8)
            .map(|violation| context! { rule => violation.rule.key(), words => violation.words.replace(['<', '>'], ""), reason => &violation.reason })
            .collect();
        self.render("correction", context! { violations => listed, language => language_name(language) })
    }
}

fn language_name(language: Language) -> &'static str {
    match language {
        Language::En => "English",
        Language::Zh => "Chinese (simplified characters)",
        Language::Ja => "Japanese",
    }
}

/// The JSON schema of a reply.
pub(crate) fn reply_schema(form: Form) -> String {
    let text = serde_json::json!({"type": "string"});
    let schema = match form {
        Form::Instruction | Form::Conversation => {
            let pair = serde_json::json!({
                "type": "object", "properties": {"question": text, "answer": text}, "required": ["question", "answer"],
                "additionalProperties": false,
            });
            serde_json::json!({
                "type": "object", "properties": {"pairs": {"type": "array", "items": pair}}, "required": ["pairs"],
                "additionalProperties": false,
            })
        }
        _ => serde_json::json!({
            "type": "object", "properties": {"caption": text}, "required": ["caption"], "additionalProperties": false,
        }),
    };
    schema.to_string()
}
