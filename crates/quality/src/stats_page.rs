//! The distributions as one HTML page, as a published data card has them: key numbers, figures, samples, sources with licences.

use crate::html::{data_url, escape, head, number, shortened};
use crate::stats::{Stats, by_size};
use crate::{Result, figure};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Department, Language, Modality, Role, Split, Task};
use gmai_shard::{Reader, Sample};
use std::collections::BTreeMap;

/// Samples shown of each source.
const SAMPLES_PER_SOURCE: usize = 2;
/// Sources with samples; a page of hundreds of sources must stay readable.
const MAX_SAMPLE_SOURCES: usize = 40;
/// Longer side of a sample's picture in pixels.
const SAMPLE_SIDE: u32 = 320;
/// Characters shown of a question or an answer.
const MAX_TEXT: usize = 320;
/// Attributes whose balance is drawn.
const MAX_BALANCES: usize = 60;

/// A few rows of every source, with pictures, different forms first.
///
/// # Errors
/// A damaged dataset.
pub fn samples(reader: &Reader) -> Result<Vec<Sample>> {
    let mut chosen: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for sample in
        reader.samples(Split::Train).chain(reader.samples(Split::Validation)).chain(reader.samples(Split::Test))
    {
        let sample = sample?;
        let source = &sample.conversation.source;
        if sample.images.is_empty() || (chosen.len() >= MAX_SAMPLE_SOURCES && !chosen.contains_key(source)) {
            continue;
        }
        let own = chosen.entry(source.clone()).or_default();
        let conversation = &sample.conversation;
        let is_new = own.iter().all(|other| {
            other.conversation.form != conversation.form && other.conversation.record != conversation.record
        });
        if own.len() < SAMPLES_PER_SOURCE && is_new {
            own.push(sample);
        }
    }
    let order = |sample: &Sample| {
        reader.manifest().sources.iter().position(|source| source.facts.name == sample.conversation.source)
    };
    let mut samples: Vec<Sample> = chosen.into_values().flatten().collect();
    samples.sort_by_key(order);
    Ok(samples)
}

/// The page. It loads nothing from elsewhere.
///
/// # Errors
/// A figure that cannot be drawn.
pub fn stats_html(stats: &Stats, samples: &[Sample]) -> Result<String> {
    let mut page = head(&format!("{}: dataset", stats.name));
    page += &format!(
        "<h1>{}</h1><p class=\"soft\">Image-text pairs for a medical vision-language model</p>",
        escape(&stats.name)
    );
    page += &facts(stats);
    page += "<h2>What the data are about</h2><div class=\"figures\">";
    for (title, mut counts) in stats.distributions().into_iter().filter(|(title, _)| *title != "Source") {
        counts.iter_mut().for_each(|(key, _)| *key = word(title, key));
        let svg = match title {
            "Modality" | "Department" | "Clinical task" => {
                figure::areas(title, &counts)? + &figure::bars(title, &counts)?
            }
            _ => figure::bars(title, &counts)?,
        };
        page += &card(title, &svg);
    }
    page += &card("Source", &figure::bars("Source", &by_size(&stats.source))?);
    page += "</div><h2>Size of texts and pictures</h2><div class=\"figures\">";
    let numbers = |counts: &BTreeMap<u64, u64>, one: &str| -> Vec<(String, u64)> {
        counts.iter().map(|(key, count)| (format!("{key} {one}"), *count)).collect()
    };
    page += &card("Questions with answers per pair", &figure::bars("Turns", &numbers(&stats.turns, "turns"))?);
    page +=
        &card("Pictures per pair", &figure::bars("Pictures per pair", &numbers(&stats.pictures_per_row, "pictures"))?);
    let spreads = [
        ("Question length, characters", Some(&stats.question_characters)),
        ("Answer length, characters", Some(&stats.answer_characters)),
        ("Tokens per pair, without picture tokens", stats.tokens.as_ref()),
        ("Longer side of pictures, pixels", Some(&stats.longer_side)),
        ("Pairs per patient", Some(&stats.rows_per_patient)),
    ];
    for (title, spread) in spreads.into_iter().filter_map(|(title, spread)| Some((title, spread?))) {
        page += &card(title, &figure::histogram(title, spread)?);
    }
    page += &card("Picture sizes", &figure::bars("Picture sizes", &by_size(&stats.sizes))?);
    page += "</div>";
    if !stats.balance.is_empty() {
        page += "<h2>Class balance, by image</h2><div class=\"figures\">";
        for balance in stats.balance.iter().take(MAX_BALANCES) {
            let title = format!("{}: {}", balance.source, balance.attribute.replace('_', " "));
            page += &card(&title, &figure::bars(&title, &by_size(&balance.values))?);
        }
        page += "</div>";
    }
    page += &gallery(samples);
    page += &sources(stats);
    Ok(page + "</body></html>\n")
}

/// The vocabulary's English name of a key; other keys stay.
fn word(title: &str, key: &str) -> String {
    let name = match title {
        "Modality" => Modality::from_key(key).map(|member| member.name(Language::En)),
        "Department" => Department::from_key(key).map(|member| member.name(Language::En)),
        "Clinical task" => Task::from_key(key).map(|member| member.name(Language::En)),
        "Language" => Language::ALL.iter().find(|member| member.key() == key).map(|member| match member {
            Language::En => "English",
            Language::Zh => "Chinese",
            Language::Ja => "Japanese",
        }),
        _ => None,
    };
    name.unwrap_or(key).to_string()
}

fn card(title: &str, svg: &str) -> String {
    format!("<section class=\"figure\"><h3>{}</h3>{svg}</section>", escape(title))
}

fn facts(stats: &Stats) -> String {
    let mut text = String::from("<section class=\"facts\" aria-label=\"Key numbers\">");
    let known = |counts: &BTreeMap<String, u64>| counts.keys().filter(|key| *key != "not stated").count() as u64;
    for (value, what) in [
        (stats.rows, "image-text pairs"),
        (stats.pictures, "pictures"),
        (stats.patients, "patients or studies"),
        (stats.sources.len() as u64, "sources"),
        (known(&stats.modality), "modalities"),
        (known(&stats.department), "departments"),
        (known(&stats.clinical_task), "clinical tasks"),
        (known(&stats.language), "languages"),
    ] {
        text += &format!("<div class=\"fact\"><strong>{}</strong>{what}</div>", number(value));
    }
    text + "</section>"
}

fn gallery(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let mut text = String::from("<h2>Samples</h2><div class=\"gallery\">");
    for sample in samples {
        let conversation = &sample.conversation;
        let picture = sample.images.first().and_then(|image| data_url(&image.decode().ok()?, SAMPLE_SIDE));
        let said = |role: Role| {
            let turn = conversation.turns.iter().find(|turn| turn.from == role);
            turn.map_or_else(String::new, |turn| shortened(turn.value.replace(IMAGE_MARKER, "").trim(), MAX_TEXT))
        };
        text += "<article class=\"item\">";
        if let Some(url) = picture {
            text += &format!("<img loading=\"lazy\" alt=\"sample of {}\" src=\"{url}\">", escape(&conversation.source));
        }
        text += &format!(
            "<p class=\"soft\">{} · {}</p><p>{}</p><p><strong>{}</strong></p></article>",
            escape(&conversation.source),
            conversation.form.key().replace('_', " "),
            escape(&said(Role::Human)),
            escape(&said(Role::Assistant))
        );
    }
    text + "</div>"
}

fn sources(stats: &Stats) -> String {
    let mut text = String::from(
        "<h2>Sources and licences</h2><div class=\"scroll\"><table><tr><th>source</th><th>licence</th><th class=\"n\">pairs</th>\
         <th class=\"n\">pictures</th><th class=\"n\">patients or studies</th></tr>",
    );
    for source in &stats.sources {
        text += &format!(
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&source.name),
            escape(&source.licence),
            number(source.rows),
            number(source.pictures),
            number(source.patients)
        );
    }
    text + "</table></div><p class=\"soft\">Balance counts annotated images, everything else counts pairs unless it says otherwise. Not for use in care.</p>"
}
