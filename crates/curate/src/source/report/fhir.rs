//! FHIR R4: DiagnosticReport with the Observations and ImagingStudies that it refers to, alone, in a Bundle or in `contained`.
//!
//! Narratives (`text.div`) are not read: they repeat names, addresses and dates in running text.

use super::{Outcome, Parsed, ReportText};
use crate::ledger::Defect;
use base64::Engine;
use gmai_schema::{Measurement, Term};
use serde_json::Value;
use std::collections::BTreeMap;

/// Resources of a report that are taken back or were never made.
const WITHDRAWN: [&str; 2] = ["entered-in-error", "cancelled"];

pub(in crate::source) fn parse(file: &str, text: &str) -> Result<Vec<Outcome>, Defect> {
    let root: Value = serde_json::from_str(text).map_err(|error| {
        let field = format!("line {}, column {}", error.line(), error.column());
        Defect::new(file, field, error.to_string(), "export the resource again as FHIR R4 JSON")
    })?;
    let kind = root.get("resourceType").and_then(Value::as_str);
    let Some(kind) = kind else {
        return Err(Defect::new(file, "resourceType", "the file is no FHIR resource", "give FHIR R4 JSON"));
    };
    let mut all = Resources::default();
    match kind {
        "Bundle" => {
            for entry in root.get("entry").and_then(Value::as_array).into_iter().flatten() {
                if let Some(resource) = entry.get("resource") {
                    all.add(entry.get("fullUrl").and_then(Value::as_str), resource);
                }
            }
        }
        _ => all.add(None, &root),
    }
    Ok(all.outcomes())
}

/// The resources of a file, by what refers to them.
#[derive(Default)]
struct Resources<'a> {
    by_name: BTreeMap<String, &'a Value>,
    list: Vec<&'a Value>,
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn kind(resource: &Value) -> &str {
    text(resource, "resourceType").unwrap_or("without type")
}

/// A CodeableConcept as words: its text, else the first display.
fn concept(value: Option<&Value>) -> Option<String> {
    let value = value?;
    let display = || list(value, "coding").find_map(|coding| text(coding, "display"));
    text(value, "text").or_else(display).map(str::to_string)
}

impl<'a> Resources<'a> {
    fn add(&mut self, full_url: Option<&str>, resource: &'a Value) {
        self.list.push(resource);
        if let Some(id) = text(resource, "id") {
            self.by_name.insert(format!("{}/{id}", kind(resource)), resource);
        }
        if let Some(url) = full_url {
            self.by_name.insert(url.to_string(), resource);
        }
        for contained in list(resource, "contained") {
            if let Some(id) = text(contained, "id") {
                self.by_name.insert(format!("#{id}"), contained);
            }
        }
    }

    fn referred(&self, reference: &Value) -> Option<&'a Value> {
        let name = text(reference, "reference")?;
        // A version or a server before the name does not change what it is.
        let short: Vec<&str> = name.rsplit('/').take(2).collect();
        let short = short.into_iter().rev().collect::<Vec<_>>().join("/");
        self.by_name.get(name).or_else(|| self.by_name.get(&short)).copied()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let reports: Vec<&Value> =
            self.list.iter().copied().filter(|resource| kind(resource) == "DiagnosticReport").collect();
        let several = reports.len() > 1;
        if !reports.is_empty() {
            let numbered = reports.iter().enumerate();
            return numbered
                .map(|(index, report)| self.report(report, if several { Some(index) } else { None }))
                .collect();
        }
        let observations: Vec<&Value> =
            self.list.iter().copied().filter(|resource| kind(resource) == "Observation").collect();
        if !observations.is_empty() {
            return vec![self.results(&observations)];
        }
        let kinds: Vec<&str> = self.list.iter().map(|resource| kind(resource)).collect();
        vec![Outcome::Skip(match kinds.first() {
            None => "an empty FHIR Bundle".to_string(),
            Some(&"ImagingStudy") => "a FHIR ImagingStudy without report".to_string(),
            Some(kind) => format!("a FHIR {kind} is no report"),
        })]
    }

    fn report(&self, report: &'a Value, index: Option<usize>) -> Outcome {
        if text(report, "status").is_some_and(|status| WITHDRAWN.contains(&status)) {
            return Outcome::Skip("the report is withdrawn (status)".to_string());
        }
        let results: Vec<&Value> = list(report, "result").filter_map(|reference| self.referred(reference)).collect();
        let read = Results::of(self, &results);
        let mut sections: Vec<(String, String)> = Vec::new();
        for form in list(report, "presentedForm") {
            let is_plain = text(form, "contentType").is_some_and(|kind| kind.starts_with("text/plain"));
            if let Some(data) = text(form, "data").filter(|_| is_plain)
                && let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(data)
                && let Ok(plain) = String::from_utf8(bytes)
            {
                let parts = ReportText::of(&plain);
                match parts.sections.is_empty() {
                    true => sections.push((String::new(), parts.text)),
                    false => sections.extend(parts.sections.into_iter().map(|section| (section.title, section.text))),
                }
            }
        }
        if !read.lines.is_empty() {
            sections.push(("Results".to_string(), read.lines.join("\n")));
        }
        sections.extend(text(report, "conclusion").map(|text| ("Conclusion".to_string(), text.to_string())));
        let codes: Vec<String> = list(report, "conclusionCode").filter_map(|code| concept(Some(code))).collect();
        if !codes.is_empty() {
            sections.push(("Diagnosis".to_string(), codes.join("\n")));
        }
        let mut fields = BTreeMap::new();
        let mut note = |key: &str, value: Option<String>| {
            fields.extend(value.map(|value| (key.to_string(), value)));
        };
        note("procedure", concept(report.get("code")));
        note("category", list(report, "category").find_map(|category| concept(Some(category))));
        note("status", text(report, "status").map(str::to_string));
        let studies = list(report, "imagingStudy").filter_map(|reference| self.referred(reference));
        for series in studies.flat_map(|study| list(study, "series")) {
            note("Modality", series.get("modality").and_then(|modality| text(modality, "code")).map(str::to_string));
            note("bodySite", series.get("bodySite").and_then(|site| text(site, "display")).map(str::to_string));
        }
        if sections.is_empty() && read.measurements.is_empty() {
            let reason = "the report has neither conclusion, result nor plain text; its narrative repeats identities and is not read";
            return Outcome::Skip(reason.to_string());
        }
        Outcome::of(Parsed {
            place: index.map_or(String::new(), |index| format!("report {}", index + 1)),
            report: Some(ReportText::of_sections(sections)),
            measurements: read.measurements,
            fields,
            patient: patient(report),
        })
    }

    /// Observations without a report.
    fn results(&self, observations: &[&'a Value]) -> Outcome {
        let read = Results::of(self, observations);
        let lines = (!read.lines.is_empty())
            .then(|| ReportText::of_sections(vec![("Results".to_string(), read.lines.join("\n"))]));
        let patient = observations.iter().find_map(|observation| patient(observation));
        let fields = BTreeMap::new();
        Outcome::of(Parsed { place: String::new(), report: lines, measurements: read.measurements, fields, patient })
    }
}

fn patient(resource: &Value) -> Option<String> {
    resource.get("subject").and_then(|subject| text(subject, "reference")).map(str::to_string)
}

/// Numbers and words of observations.
#[derive(Default)]
struct Results {
    measurements: Vec<Measurement>,
    lines: Vec<String>,
}

impl Results {
    fn of<'a>(resources: &Resources<'a>, observations: &[&'a Value]) -> Results {
        let mut results = Results::default();
        observations.iter().for_each(|observation| results.add(resources, observation, 0));
        results
    }

    fn add(&mut self, resources: &Resources, observation: &Value, depth: usize) {
        /// Members of members are enough for panels of panels.
        const MAX_DEPTH: usize = 4;
        if depth > MAX_DEPTH || text(observation, "status").is_some_and(|status| WITHDRAWN.contains(&status)) {
            return;
        }
        let site = concept(observation.get("bodySite"));
        self.value(observation, site.as_deref());
        for component in list(observation, "component") {
            self.value(component, site.as_deref());
        }
        for member in list(observation, "hasMember").filter_map(|reference| resources.referred(reference)) {
            self.add(resources, member, depth + 1);
        }
    }

    fn value(&mut self, observation: &Value, site: Option<&str>) {
        let Some(name) = concept(observation.get("code")) else { return };
        if let Some(quantity) = observation.get("valueQuantity") {
            let number = quantity.get("value").filter(|value| value.is_number()).map(Value::to_string);
            // With a comparator it is a bound, not a value.
            if let (Some(value), None) = (number, quantity.get("comparator")) {
                let unit = text(quantity, "unit").or_else(|| text(quantity, "code")).unwrap_or_default().to_string();
                let site = site.map(Term::english);
                self.measurements.push(Measurement { name: Term::english(name), value, unit, site, finding: None });
            }
        } else {
            let word = text(observation, "valueString").map(str::to_string);
            if let Some(word) = word.or_else(|| concept(observation.get("valueCodeableConcept"))) {
                self.lines.push(format!("{name}: {word}"));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gmai_schema::SectionKind;

    fn one(text: &str) -> Outcome {
        let mut outcomes = parse("a.json", text).unwrap();
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    const BUNDLE: &str = r##"{"resourceType": "Bundle", "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "CT head"},
          "subject": {"reference": "Patient/9"}, "effectiveDateTime": "2012-12-01", "conclusion": "Large tumor, see 2012-11-01.",
          "conclusionCode": [{"coding": [{"display": "Malignant tumor"}]}], "imagingStudy": [{"reference": "ImagingStudy/s"}],
          "result": [{"reference": "urn:uuid:2"}, {"reference": "#3"}], "contained": [{"resourceType": "Observation", "id": "3",
            "status": "final", "code": {"text": "Side"}, "valueCodeableConcept": {"coding": [{"display": "left"}]}}]}},
        {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Observation", "status": "final", "code": {"coding": [{"display": "Diameter"}]},
          "bodySite": {"text": "clivus"}, "valueQuantity": {"value": 4.10, "unit": "cm"}}},
        {"resource": {"resourceType": "ImagingStudy", "id": "s", "series": [{"modality": {"code": "CT"}}]}},
        {"resource": {"resourceType": "Patient", "id": "9", "name": [{"family": "Roel"}]}}]}"##;

    #[test]
    fn a_bundle_gives_its_report_with_results() {
        let Outcome::Report(parsed) = one(BUNDLE) else { panic!("no report") };
        let report = parsed.report.unwrap();
        let parts: Vec<_> =
            report.sections.iter().map(|section| (section.kind.unwrap(), section.text.as_str())).collect();
        assert_eq!(
            parts,
            [
                (SectionKind::Results, "Side: left"),
                (SectionKind::Impression, "Large tumor, see [date]."),
                (SectionKind::Diagnosis, "Malignant tumor"),
            ]
        );
        let measured = &parsed.measurements[0];
        assert_eq!((measured.quantity().as_str(), measured.site.as_ref().unwrap().en.as_str()), ("4.1 cm", "clivus"));
        assert_eq!((parsed.fields["Modality"].as_str(), parsed.patient.as_deref()), ("CT", Some("Patient/9")));
        assert!(!report.text.contains("Roel") && !report.text.contains("2012"));
    }

    #[test]
    fn what_is_no_report_is_skipped_by_name() {
        for (text, reason) in [
            (r#"{"resourceType": "Media"}"#, "a FHIR Media is no report"),
            (r#"{"resourceType": "ImagingStudy"}"#, "ImagingStudy without report"),
            (r#"{"resourceType": "Bundle"}"#, "empty"),
            (r#"{"resourceType": "DiagnosticReport", "text": {"div": "<p>DOB 1974</p>"}}"#, "narrative"),
            (r#"{"resourceType": "DiagnosticReport", "status": "entered-in-error", "conclusion": "x"}"#, "withdrawn"),
        ] {
            assert!(matches!(one(text), Outcome::Skip(found) if found.contains(reason)), "{text}");
        }
        assert!(parse("a.json", "{}").is_err() && parse("a.json", "{").is_err());
    }
}
