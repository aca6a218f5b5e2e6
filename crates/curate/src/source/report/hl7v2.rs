//! HL7 v2: results (ORU) and documents (MDM): what OBX segments say. PID gives the patient's identifier, nothing else of it is read.

use super::{Outcome, Parsed, ReportText};
use crate::ledger::Defect;
use gmai_schema::{Measurement, SectionKind, Term};
use std::collections::BTreeMap;

/// Marks of withdrawn or missing results in OBX-11 (table 0085): deleted, wrong, cannot be obtained.
const WITHDRAWN: [&str; 3] = ["D", "W", "X"];

pub(in crate::source) fn parse(file: &str, text: &str) -> Result<Vec<Outcome>, Defect> {
    let mut messages: Vec<Vec<&str>> = Vec::new();
    for line in text.split(['\r', '\n']).map(str::trim_end).filter(|line| !line.trim().is_empty()) {
        let is_wrapper = ["FHS", "BHS", "BTS", "FTS"].iter().any(|name| line.starts_with(name));
        if line.starts_with("MSH") {
            messages.push(Vec::new());
        } else if is_wrapper {
            continue;
        }
        match messages.last_mut() {
            Some(message) => message.push(line),
            None => {
                let reason = "the file does not begin with a segment MSH";
                return Err(Defect::new(file, "line 1", reason, "give HL7 v2 messages"));
            }
        }
    }
    let several = messages.len() > 1;
    let read = |(index, segments): (usize, &Vec<&str>)| {
        let place = if several { format!("message {}", index + 1) } else { String::new() };
        message(place, segments)
    };
    messages
        .iter()
        .enumerate()
        .map(read)
        .collect::<Result<_, String>>()
        .map_err(|reason| Defect::new(file, "MSH", reason, "export the messages again"))
}

/// The characters that separate parts, as MSH-1 and MSH-2 name them.
#[derive(Clone, Copy)]
struct Delimiters {
    field: char,
    component: char,
    repetition: char,
    escape: char,
    subcomponent: char,
}

impl Delimiters {
    fn of(header: &str) -> Result<Delimiters, String> {
        let mut letters = header.chars().skip(3);
        let mut next = || letters.next().ok_or("the header is too short to name its delimiters".to_string());
        Ok(Delimiters {
            field: next()?,
            component: next()?,
            repetition: next()?,
            escape: next()?,
            subcomponent: next()?,
        })
    }

    /// Field `number` of a segment, counted as the standard does (of MSH from the separator on).
    fn field<'a>(&self, segment: &'a str, number: usize) -> &'a str {
        segment.split(self.field).nth(number).unwrap_or_default()
    }

    /// Component `number`, from 1, of the first repetition, unescaped.
    fn component(&self, field: &str, number: usize) -> String {
        let first = field.split(self.repetition).next().unwrap_or_default();
        self.unescaped(first.split(self.component).nth(number - 1).unwrap_or_default()).trim().to_string()
    }

    /// Escape sequences as what they stand for (chapter 2.7); unknown ones are left out.
    fn unescaped(&self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        let mut parts = text.split(self.escape);
        plain.push_str(parts.next().unwrap_or_default());
        while let Some(code) = parts.next() {
            match code {
                "F" => plain.push(self.field),
                "S" => plain.push(self.component),
                "R" => plain.push(self.repetition),
                "E" => plain.push(self.escape),
                "T" => plain.push(self.subcomponent),
                ".br" | ".sp" | "X0A" | "X0D" | "X0D0A" => plain.push('\n'),
                _ => {}
            }
            plain.push_str(parts.next().unwrap_or_default());
        }
        plain
    }
}

fn message(place: String, segments: &[&str]) -> Result<Outcome, String> {
    let delimiters = Delimiters::of(segments.first().copied().unwrap_or_default())?;
    // MSH-1 is the separator itself, so that MSH-9 is the ninth piece counted from zero less one.
    let kind = delimiters.component(delimiters.field(segments[0], 8), 1);
    if !matches!(kind.as_str(), "ORU" | "MDM" | "OUL") {
        return Ok(Outcome::Skip(format!("an HL7 message of type {kind} is no report")));
    }
    let mut gathered = Gathered { delimiters, lines: Vec::new(), measurements: Vec::new() };
    let mut fields = BTreeMap::new();
    let mut patient = None;
    for segment in segments {
        match segment.split(delimiters.field).next() {
            Some("PID") => {
                patient = Some(delimiters.component(delimiters.field(segment, 3), 1)).filter(|id| !id.is_empty());
            }
            Some("OBR") => {
                let procedure = gathered.name(delimiters.field(segment, 4));
                fields.entry("procedure".to_string()).or_insert(procedure);
            }
            Some("OBX") => gathered.observation(segment),
            Some("NTE") => gathered.note(delimiters.field(segment, 3)),
            _ => {}
        }
    }
    let report = gathered.report();
    Ok(Outcome::of(Parsed { place, report, measurements: gathered.measurements, fields, patient }))
}

/// What the segments of a message say.
struct Gathered {
    delimiters: Delimiters,
    /// Text by the section that its observation names.
    lines: Vec<(Option<SectionKind>, String)>,
    measurements: Vec<Measurement>,
}

impl Gathered {
    /// The name of a coded element: its text, else its code.
    fn name(&self, field: &str) -> String {
        let text = self.delimiters.component(field, 2);
        if text.is_empty() { self.delimiters.component(field, 1) } else { text }
    }

    fn observation(&mut self, segment: &str) {
        let field = |number| self.delimiters.field(segment, number);
        let raw = field(5);
        if raw.is_empty() || WITHDRAWN.contains(&field(11)) {
            return;
        }
        let name = self.name(field(3));
        match field(2) {
            "NM" => {
                let value = self.delimiters.component(raw, 1);
                // Several repetitions are several numbers: which one is meant cannot be told.
                if !raw.contains(self.delimiters.repetition) && value.parse::<f64>().is_ok() && !name.is_empty() {
                    let unit = self.delimiters.component(field(6), 1);
                    self.measurements.push(Measurement {
                        name: Term::english(name),
                        value,
                        unit,
                        site: None,
                        finding: None,
                    });
                }
            }
            "TX" | "FT" | "ST" => {
                let kind = SectionKind::from_word(&name);
                let lines = raw.split(self.delimiters.repetition).map(|line| self.delimiters.unescaped(line));
                self.lines.extend(lines.map(|line| (kind, line)).collect::<Vec<_>>());
            }
            "CE" | "CWE" | "CNE" => {
                let value = self.name(raw);
                if !name.is_empty() && !value.is_empty() {
                    self.lines.push((Some(SectionKind::Results), format!("{name}: {value}")));
                }
            }
            _ => {} // Pointers, files, dates, names.
        }
    }

    fn note(&mut self, field: &str) {
        let text = self.delimiters.unescaped(field);
        if !text.trim().is_empty() {
            self.lines.push((Some(SectionKind::Comment), text.trim().to_string()));
        }
    }

    /// The texts by section; free text is searched for titles.
    fn report(&self) -> Option<ReportText> {
        if self.lines.is_empty() {
            return None;
        }
        if self.lines.iter().all(|(kind, _)| kind.is_none()) {
            let text: Vec<&str> = self.lines.iter().map(|(_, line)| line.as_str()).collect();
            return Some(ReportText::of(&text.join("\n")));
        }
        let mut sections: Vec<(String, String)> = Vec::new();
        for (kind, line) in &self.lines {
            let title = kind.map_or("", |kind| kind.name(gmai_schema::Language::En));
            match sections.iter_mut().find(|(known, _)| known == title) {
                Some((_, text)) => {
                    text.push('\n');
                    text.push_str(line);
                }
                None => sections.push((title.to_string(), line.clone())),
            }
        }
        Some(ReportText::of_sections(sections))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn one(text: &str) -> Parsed {
        match parse("a.hl7", text).unwrap().remove(0) {
            Outcome::Report(parsed) => *parsed,
            Outcome::Skip(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn numbers_texts_and_codes_are_read() {
        let parsed = one(
            "MSH|^~\\&|A|B|||2014||ORU^R01|1|T|2.5\rPID|1||4711^^^MR||DUCK^DONALD\rOBR|1|||24317-0^Hemogram^LN\r\
            OBX|1|NM|11273-0^ERYTHROCYTES^LN||4.06|tera.l-1||N|||F|||20141006\rOBX|2|NM|1-1^VOID^LN||||||||I\r\
            OBX|3|CWE|625-4^Bacteria^LN||27268008^Salmonella^SCT||||||F\rOBX|4|NM|9^GONE^LN||7|g|||||D|D\rNTE|1||No antibodies \\T\\ no cells",
        );
        assert_eq!(parsed.measurements.len(), 1);
        assert_eq!(
            (parsed.measurements[0].name.en.as_str(), parsed.measurements[0].quantity()),
            ("ERYTHROCYTES", "4.06 tera.l-1".into())
        );
        let report = parsed.report.unwrap();
        assert_eq!(report.sections[0].text, "Bacteria: Salmonella");
        assert_eq!(report.sections[1].text, "No antibodies & no cells");
        assert_eq!((parsed.patient.as_deref(), parsed.fields["procedure"].as_str()), (Some("4711"), "Hemogram"));
        assert!(!report.text.contains("DUCK"));
    }

    #[test]
    fn text_reports_are_split_at_their_titles() {
        let parsed = one(
            "MSH|^~\\&|A||||2014||MDM^T02|1\nOBX|1|TX|1^Body||FINDINGS: clear.||||||F\nOBX|2|FT|1^Body||IMPRESSION:\\.br\\normal||||||F",
        );
        let sections = parsed.report.unwrap().sections;
        assert_eq!((sections[0].text.as_str(), sections[1].text.as_str()), ("clear.", "normal"));
        let named = one(
            "MSH|^~\\&|A||||2014||ORU^R01|1\nOBX|1|TX|1^Findings||clear||||||F\nOBX|2|TX|1^Impression||normal||||||F",
        );
        assert_eq!(named.report.unwrap().sections.len(), 2);
    }

    #[test]
    fn several_messages_and_other_types() {
        let outcomes = parse(
            "a.hl7",
            "MSH|^~\\&|A||||2014||ADT^A01|1\nPID|1\nMSH|^~\\&|A||||2014||ORU^R01|1\nOBX|1|TX|1^x||hello||||||F\n",
        )
        .unwrap();
        assert!(matches!(&outcomes[0], Outcome::Skip(reason) if reason.contains("ADT")));
        assert!(matches!(&outcomes[1], Outcome::Report(parsed) if parsed.place == "message 2"));
        assert!(parse("a.hl7", "PID|1").is_err() && parse("a.hl7", "MSH").is_err());
    }
}
