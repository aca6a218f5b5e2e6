//! How well the checks tell good texts from bad ones: over the records of all shared sets and made-up ones.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod phrasing;
mod planted;
mod texts;
mod world;

use gmai_curate::verify::{Checker, Draft, Lengths, Rule};
use gmai_schema::{Form, Language, Record};
use planted::plant;
use std::collections::BTreeMap;
use texts::{Draw, Half, Text};
use world::Source;

/// Records of a source that texts are written about.
const RECORDS: usize = 60;

/// What must at least be caught, and may at most be refused.
const LEAST_CAUGHT: f64 = 0.95;
const MOST_REFUSED: f64 = 0.02;

/// Counts of one half.
#[derive(Default)]
struct Tally {
    good: u64,
    refused: u64,
    planted: BTreeMap<(Rule, Language), [u64; 3]>,
    by_source: BTreeMap<String, [u64; 4]>,
}

impl Tally {
    fn caught(&self) -> (u64, u64) {
        let sum = |place: usize| self.planted.values().map(|counts| counts[place]).sum();
        (sum(1), sum(0))
    }
}

fn measure(sources: &[Source], half: Half, show: usize) -> Tally {
    let mut tally = Tally::default();
    let (mut shown_good, mut shown_bad) = (0, 0);
    for source in sources {
        let none = BTreeMap::new();
        let checker = Checker { facts: &source.facts, japanese: &none, lengths: Lengths::default() };
        let account = tally.by_source.entry(source.facts.name.clone()).or_default();
        for record in source.records.iter() {
            for language in [Language::En, Language::Zh] {
                let mut draw = Draw::new(&[&record.id, language.key()]);
                for text in written(record, source, half, language, &mut draw) {
                    let found = check(&checker, record, &text);
                    tally.good += 1;
                    account[0] += 1;
                    if let Some(violation) = found.first() {
                        tally.refused += 1;
                        account[1] += 1;
                        if shown_good < show {
                            shown_good += 1;
                            println!("REFUSED {}: {violation}\n    {}", source.facts.name, text.sentences.join(" "));
                        }
                        continue; // What is refused already cannot show whether a plant is caught.
                    }
                    for planted in plant(&text, record, &source.facts, half, &mut draw) {
                        let found = check(&checker, record, &planted.text);
                        let counts = tally.planted.entry((planted.rule, language)).or_default();
                        counts[0] += 1;
                        account[2] += 1;
                        counts[1] += u64::from(!found.is_empty());
                        account[3] += u64::from(!found.is_empty());
                        counts[2] += u64::from(found.iter().any(|violation| violation.rule == planted.rule));
                        if found.is_empty() && shown_bad < show {
                            shown_bad += 1;
                            let text = planted.text.sentences.join(" ");
                            println!(
                                "MISSED {} {}: {}",
                                source.facts.name,
                                planted.rule.key(),
                                text.chars().take(600).collect::<String>()
                            );
                        }
                    }
                }
            }
        }
    }
    tally
}

fn written(record: &Record, source: &Source, half: Half, language: Language, draw: &mut Draw) -> Vec<Text> {
    let mut texts: Vec<Text> = Vec::new();
    texts.extend(texts::caption(record, &source.facts, half, language, draw));
    if !record.regions.is_empty() {
        let index = draw.below(record.regions.len());
        texts.extend(texts::region(record, index, half, language, draw));
    }
    texts.extend(texts::answer(record, &source.facts, half, language, draw));
    texts
}

fn check(checker: &Checker, record: &Record, text: &Text) -> Vec<gmai_curate::verify::Violation> {
    let exchanges = text.exchanges();
    let draft = Draft { form: text.form, language: text.language, region: text.region, exchanges: &exchanges };
    checker.check(record, &draft)
}

fn report(title: &str, tally: &Tally) {
    let (caught, planted) = tally.caught();
    println!("== {title}");
    println!(
        "good texts refused: {} of {} ({:.2} %); planted contradictions caught: {caught} of {planted} ({:.2} %)",
        tally.refused,
        tally.good,
        100.0 * tally.refused as f64 / tally.good as f64,
        100.0 * caught as f64 / planted as f64
    );
    for ((rule, language), [all, caught, named]) in &tally.planted {
        println!("  {:17} {} caught {caught:5} of {all:5}, by this rule {named:5}", rule.key(), language.key());
    }
    for (source, [good, refused, planted, caught]) in &tally.by_source {
        println!("  {source:20} refused {refused:4} of {good:5}, caught {caught:6} of {planted:6}");
    }
}

fn hold(tally: &Tally) {
    let (caught, planted) = tally.caught();
    assert!(tally.good > 100 && planted > 1000, "{} good texts, {planted} planted", tally.good);
    let share = caught as f64 / planted as f64;
    assert!(share >= LEAST_CAUGHT, "{:.2} % of planted contradictions are caught", 100.0 * share);
    let refused = tally.refused as f64 / tally.good as f64;
    assert!(refused <= MOST_REFUSED, "{:.2} % of good texts are refused", 100.0 * refused);
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::Format) {
        let of_rule = tally.planted.iter().filter(|((planted, _), _)| *planted == rule);
        let (all, caught) = of_rule.fold((0, 0), |(all, caught), (_, counts)| (all + counts[0], caught + counts[1]));
        assert!(all > 0, "nothing of rule {} was planted", rule.key());
        assert!(caught as f64 / all as f64 >= 0.9, "{}: {caught} of {all} caught", rule.key());
    }
}

/// Every second source, the made-up ones included.
fn half_of(sources: Vec<Source>, half: Half) -> Vec<Source> {
    let wanted = if half == Half::Development { 0 } else { 1 };
    sources.into_iter().enumerate().filter(|(index, _)| index % 2 == wanted).map(|(_, source)| source).collect()
}

fn shown() -> usize {
    std::env::var("GMAI_SHOW").ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[test]
fn made_up_records() {
    for half in [Half::Development, Half::HeldOut] {
        let tally = measure(&world::made_up(RECORDS), half, if half == Half::Development { shown() } else { 0 });
        report(&format!("made-up records, {half:?} phrasings"), &tally);
        hold(&tally);
    }
}

#[test]
fn records_of_the_shared_sets() {
    let Some(shared) = world::shared() else {
        eprintln!("skipped: no shared data; set GMAI_SHARED to the folder that holds data/");
        return;
    };
    for half in [Half::Development, Half::HeldOut] {
        let mut sources = world::open_data(&shared, RECORDS);
        sources.extend(world::made_up(RECORDS));
        let sources = half_of(sources, half);
        let tally = measure(&sources, half, shown());
        report(&format!("shared sets, {half:?} half of sources and phrasings"), &tally);
        hold(&tally);
    }
}

#[test]
fn what_templates_write_passes() {
    let Some(shared) = world::shared() else {
        eprintln!("skipped: no shared data; set GMAI_SHARED to the folder that holds data/");
        return;
    };
    let none = BTreeMap::new();
    let (mut all, mut refused) = (0u64, 0u64);
    for source in world::open_data(&shared, RECORDS) {
        let checker = Checker { facts: &source.facts, japanese: &none, lengths: Lengths { least: 5, most: 4000 } };
        for record in &source.records {
            let options = gmai_curate::instruct::Options::default();
            for conversation in gmai_curate::instruct::conversations(record, &source.facts, &options) {
                let is_prose = matches!(conversation.form, Form::ImageCaption | Form::RegionCaption);
                if !is_prose || conversation.generator == "source" {
                    continue;
                }
                let region =
                    record.regions.iter().position(|region| conversation.boxes.first() == Some(&region.bounds));
                let text = Text {
                    form: conversation.form,
                    language: conversation.language,
                    region,
                    sentences: vec![conversation.turns[1].value.clone()],
                    question: String::new(),
                };
                let found = check(&checker, record, &text);
                all += 1;
                if let Some(violation) = found.first() {
                    refused += 1;
                    if refused as usize <= shown() {
                        println!("REFUSED {}: {violation}\n    {}", source.facts.name, text.sentences[0]);
                    }
                }
            }
        }
    }
    println!("descriptions by templates refused: {refused} of {all}");
    assert!(all > 100 && refused as f64 / all as f64 <= MOST_REFUSED, "{refused} of {all}");
}
