//! BioC: a collection of documents with passages; what annotations name becomes the fields `terms` and `negated`.

use super::xml::{self, Element};
use super::{Outcome, Parsed, ReportText};
use crate::ledger::Defect;
use std::collections::{BTreeMap, BTreeSet};

pub(in crate::source) fn parse(file: &str, text: &str) -> Result<Vec<Outcome>, Defect> {
    let root = xml::parse(file, text)?;
    if root.name != "collection" {
        let reason = format!("the file is no BioC collection: its element is <{}>", root.name);
        return Err(Defect::new(file, "file", reason, "give BioC XML"));
    }
    Ok(root.all("document").enumerate().map(|(index, document)| read(document, index)).collect())
}

fn infon(element: &Element, keys: &[&str]) -> Option<String> {
    let found = element.all("infon").find(|infon| infon.attribute("key").is_some_and(|key| keys.contains(&key)))?;
    Some(found.text().trim().to_string())
}

fn read(document: &Element, index: usize) -> Outcome {
    let mut titled = Vec::new();
    let mut texts = Vec::new();
    let (mut terms, mut negated) = (BTreeSet::new(), BTreeSet::new());
    for passage in document.all("passage") {
        // A passage's text, or that of its sentences.
        let text = match passage.first("text") {
            Some(text) => text.text(),
            None => passage
                .all("sentence")
                .filter_map(|sentence| sentence.first("text"))
                .map(Element::text)
                .collect::<Vec<_>>()
                .join(" "),
        };
        titled.push((infon(passage, &["section_type", "section", "title", "type"]).unwrap_or_default(), text.clone()));
        texts.push(text);
        passage.visit(&mut |element| {
            if element.name == "annotation"
                && let Some(term) = infon(element, &["term", "preferred_name", "name"])
            {
                let is_negated = infon(element, &["neg", "negation", "negated"])
                    .is_some_and(|value| value.eq_ignore_ascii_case("true"));
                let set = if is_negated { &mut negated } else { &mut terms };
                set.insert(term);
            }
        });
    }
    let by_title = ReportText::of_sections(titled);
    let report = if by_title.sections.is_empty() { ReportText::of(&texts.join("\n")) } else { by_title };
    let joined = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join("|");
    let id = document.first("id").map(|id| id.text().trim().to_string()).unwrap_or_default();
    let fields = BTreeMap::from([
        ("id".to_string(), id),
        ("terms".to_string(), joined(terms)),
        ("negated".to_string(), joined(negated)),
    ]);
    let place = format!("document {}", index + 1);
    Outcome::of(Parsed { place, report: Some(report), measurements: Vec::new(), fields, patient: None })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gmai_schema::SectionKind;

    #[test]
    fn documents_are_reports_of_their_own() {
        let xml = "<collection><document><id>7</id><passage><infon key='type'>impression</infon><text>Stable chest.</text>
            <annotation id='1'><infon key='term'>Effusion</infon></annotation>
            <annotation id='2'><infon key='neg'>True</infon><infon key='term'>Pneumothorax</infon></annotation></passage></document>
            <document><id>8</id><passage><text>findings: clear.\nimpression: normal.</text></passage></document></collection>";
        let outcomes = parse("a.xml", xml).unwrap();
        let reports: Vec<&Parsed> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Report(parsed) => parsed.as_ref(),
                Outcome::Skip(reason) => panic!("{reason}"),
            })
            .collect();
        assert_eq!(reports[0].report.as_ref().unwrap().sections[0].kind, Some(SectionKind::Impression));
        assert_eq!(
            (reports[0].fields["terms"].as_str(), reports[0].fields["negated"].as_str()),
            ("Effusion", "Pneumothorax")
        );
        assert_eq!(reports[1].report.as_ref().unwrap().sections.len(), 2);
        assert_eq!(reports[1].place, "document 2");
        assert!(parse("a.xml", "<html/>").is_err());
    }
}
