//! C-CDA: the sections of a clinical document with their texts, and the quantities among their entries.

use super::xml::{self, Element, Node};
use super::{Outcome, Parsed, ReportText};
use crate::ledger::Defect;
use gmai_schema::{Measurement, SectionKind, Term};
use std::collections::BTreeMap;

/// Links and pictures inside a text hold addresses, which may name studies and patients.
const WITHOUT_TEXT: [&str; 3] = ["linkHtml", "renderMultiMedia", "footnoteRef"];

pub(in crate::source) fn parse(file: &str, text: &str) -> Result<Vec<Outcome>, Defect> {
    let root = xml::parse(file, text)?;
    if root.name != "ClinicalDocument" {
        let reason = format!("the file is no clinical document: its element is <{}>", root.name);
        return Err(Defect::new(file, "file", reason, "give C-CDA documents"));
    }
    let body = root.first("component").and_then(|component| component.first("structuredBody"));
    let Some(body) = body else {
        return Ok(vec![Outcome::Skip("a clinical document without structured body".to_string())]);
    };
    let (mut sections, mut measurements) = (Vec::new(), Vec::new());
    for section in body.all("component").flat_map(|component| component.all("section")) {
        add_section(section, &mut sections, &mut measurements);
    }
    let mut fields = BTreeMap::new();
    let display = |element: &Element| element.attribute("displayName").map(str::to_string);
    fields.extend(root.first("title").map(|title| ("title".to_string(), title.text().trim().to_string())));
    fields.extend(root.first("code").and_then(display).map(|code| ("code".to_string(), code)));
    let patient = root
        .first("recordTarget")
        .and_then(|target| target.first("patientRole"))
        .and_then(|role| role.first("id"))
        .and_then(|id| id.attribute("extension").or_else(|| id.attribute("root")))
        .map(str::to_string);
    let report = Some(ReportText::of_sections(sections));
    Ok(vec![Outcome::of(Parsed { place: String::new(), report, measurements, fields, patient })])
}

fn add_section(section: &Element, sections: &mut Vec<(String, String)>, measurements: &mut Vec<Measurement>) {
    let code = section.first("code").and_then(|code| code.attribute("displayName"));
    let title = section.first("title").map(|title| title.text().trim().to_string());
    let title = title.filter(|title| !title.is_empty()).or(code.map(str::to_string)).unwrap_or_default();
    if let Some(text) = section.first("text") {
        let text = narrative(text, &title);
        sections.push((title, text));
    }
    for entry in section.all("entry") {
        entry.visit(&mut |element| measurements.extend(quantity(element)));
    }
    for inner in section.all("component").flat_map(|component| component.all("section")) {
        add_section(inner, sections, measurements);
    }
}

/// An observation whose value is a physical quantity.
fn quantity(element: &Element) -> Option<Measurement> {
    let value = element.first("value").filter(|value| value.attribute("type") == Some("PQ"))?;
    let name = element.first("code")?.attribute("displayName")?.trim();
    let number = value.attribute("value").filter(|number| number.trim().parse::<f64>().is_ok())?;
    let unit = value.attribute("unit").filter(|unit| *unit != "1").unwrap_or_default();
    let site = element.first("targetSiteCode").and_then(|site| site.attribute("displayName"));
    Some(Measurement {
        name: Term::english(name),
        value: number.trim().to_string(),
        unit: unit.to_string(),
        site: site.map(Term::english),
        finding: None,
    })
}

/// The text of a section: paragraphs, rows and list items on lines of their own, blanks joined. Captions that repeat the section's
/// title, and those without text, are left out.
fn narrative(text: &Element, title: &str) -> String {
    let mut lines = String::new();
    write_lines(text, &mut lines);
    let kind = SectionKind::from_word(title);
    let of_caption = |line: &str| line.split_once(": ").and_then(|(caption, _)| SectionKind::from_word(caption));
    let without_title = |line: &str| match line.split_once(": ") {
        Some((_, text)) if kind.is_some() && of_caption(line) == kind => text.to_string(),
        _ => line.to_string(),
    };
    let clean = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = lines.lines().map(clean).filter(|line| !line.is_empty() && !line.ends_with(':'));
    lines.map(|line| without_title(&line)).collect::<Vec<_>>().join("\n")
}

fn write_lines(element: &Element, lines: &mut String) {
    for node in &element.children {
        match node {
            // Line ends inside running text are no paragraphs.
            Node::Text(text) => lines.push_str(&text.replace(['\n', '\r'], " ")),
            Node::Element(inner) if WITHOUT_TEXT.contains(&inner.name.as_str()) => {}
            Node::Element(inner) => {
                let is_block = matches!(inner.name.as_str(), "paragraph" | "tr" | "item" | "list" | "table" | "br");
                if is_block {
                    lines.push('\n');
                }
                write_lines(inner, lines);
                match inner.name.as_str() {
                    "td" | "th" => lines.push_str("  "),
                    "caption" => lines.push_str(": "),
                    _ if is_block => lines.push('\n'),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_quantities_are_read() {
        let xml = r#"<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="x"><title>Chest</title>
          <recordTarget><patientRole><id extension="12345" root="2.16"/></patientRole></recordTarget>
          <component><structuredBody><component><section><code displayName="Findings"/><title>Findings</title><text>
            <paragraph><caption>Finding</caption><content>Round density
               of 45mm, seen 2005-03-29.</content></paragraph><paragraph><caption>Source</caption><linkHtml href="http://a/studyUID=1">WADO</linkHtml></paragraph></text>
            <entry><observation><code displayName="Nodule size"/><value xsi:type="PQ" value="45" unit="mm"/></observation></entry></section></component>
            <component><section><title>Impressions</title><text>Follow up.</text></section></component></structuredBody></component></ClinicalDocument>"#;
        let outcomes = parse("a.xml", xml).unwrap();
        let [Outcome::Report(parsed)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        let sections = &parsed.report.as_ref().unwrap().sections;
        assert_eq!(sections[0].text, "Round density of 45mm, seen [date].");
        assert_eq!((sections[1].kind, sections[1].text.as_str()), (Some(SectionKind::Impression), "Follow up."));
        assert_eq!(parsed.measurements[0].quantity(), "45 mm");
        assert_eq!((parsed.patient.as_deref(), parsed.fields["title"].as_str()), (Some("12345"), "Chest"));
    }

    #[test]
    fn other_documents_are_refused() {
        assert!(parse("a.xml", "<html/>").unwrap_err().reason.contains("<html>"));
        assert!(matches!(parse("a.xml", "<ClinicalDocument/>").unwrap()[..], [Outcome::Skip(_)]));
    }
}
