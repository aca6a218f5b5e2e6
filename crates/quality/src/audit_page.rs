//! What was found, with the pictures: a person sees at once whether two are copies.

use crate::audit::{Audit, BenchmarkHit, Copies, Place};
use crate::html::{data_url, escape, head, number};
use crate::licence::Judged;
use crate::near::Relation;
use gmai_schema::Rgb8;
use std::collections::BTreeMap;

/// Pairs and pictures shown of each kind; the rest is counted.
pub const MAX_SHOWN: usize = 60;
/// Longer side of a picture on the page, in pixels.
const SIDE: u32 = 256;

/// Indices of the pictures that the page shows.
pub fn shown(audit: &Audit) -> Vec<usize> {
    let pairs = audit.listed.iter().take(MAX_SHOWN).flat_map(|pair| [pair.first.index, pair.second.index]);
    let hits = audit.in_benchmark.iter().take(MAX_SHOWN).map(|hit| hit.picture.index);
    let odd = audit.flags.values().flat_map(|places| places.iter().take(MAX_SHOWN).map(|place| place.index));
    let mut all: Vec<usize> = pairs.chain(hits).chain(odd).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The page. `pictures` holds those that [`shown`] names, by index; one that is missing is shown by its name alone.
pub fn audit_html(name: &str, audit: &Audit, judged: &[Judged], pictures: &BTreeMap<usize, Rgb8>) -> String {
    let mut page = head(&format!("{name}: check"));
    page += &format!(
        "<h1>{}</h1><p class=\"soft\">What was found without a person</p><section class=\"facts\">",
        escape(name)
    );
    let pairs = |relation: Relation| audit.copies.get(&relation).copied().unwrap_or(0);
    for (value, what) in [
        (audit.pictures, "pictures"),
        (pairs(Relation::Equal), "pairs with equal pixels"),
        (pairs(Relation::Near), "pairs nearly equal"),
        (pairs(Relation::Recoloured), "pairs recoloured"),
        (pairs(Relation::Turned), "pairs turned or flipped"),
        (audit.leaks.values().sum(), "pairs across splits"),
        (audit.contradictions, "pairs with different labels"),
        (audit.in_benchmark.len() as u64, "pictures in the benchmark"),
    ] {
        page += &format!("<div class=\"fact\"><strong>{}</strong>{what}</div>", number(value));
    }
    page += "</section>";
    type Belongs = fn(&Copies) -> bool;
    let groups: [(&str, Belongs); 3] = [
        ("Copies on different sides of the split", |pair| pair.is_leak),
        ("The same picture with different labels", |pair| !pair.is_leak && pair.contradicts.is_some()),
        ("Other copies", |pair| !pair.is_leak && pair.contradicts.is_none()),
    ];
    for (title, belongs) in groups {
        let pairs: Vec<&Copies> = audit.listed.iter().filter(|pair| belongs(pair)).collect();
        let shown = audit.listed.iter().take(MAX_SHOWN).filter(|pair| belongs(pair));
        section(&mut page, title, pairs.len(), shown.map(|pair| pair_item(pair, pictures)));
    }
    let hits = audit.in_benchmark.iter().take(MAX_SHOWN).map(|hit| hit_item(hit, pictures));
    section(&mut page, "In the benchmark", audit.in_benchmark.len(), hits);
    for (flag, places) in &audit.flags {
        let items = places
            .iter()
            .take(MAX_SHOWN)
            .map(|place| format!("<article class=\"item\">{}</article>", picture(place, pictures)));
        section(&mut page, &format!("Odd: {}", flag.words()), places.len(), items);
    }
    page += &balance(audit);
    page += &licences(judged);
    page + "</body></html>\n"
}

fn section(page: &mut String, title: &str, count: usize, items: impl Iterator<Item = String>) {
    if count == 0 {
        return;
    }
    *page += &format!("<h2>{} ({})</h2><div class=\"gallery\">", escape(title), number(count as u64));
    let mut shown = 0;
    for item in items {
        *page += &item;
        shown += 1;
    }
    *page += "</div>";
    if shown < count {
        *page += &format!("<p class=\"soft\">and {} more: see --json</p>", number((count - shown) as u64));
    }
}

fn image(place: &Place, pictures: &BTreeMap<usize, Rgb8>) -> String {
    let url = pictures.get(&place.index).and_then(|picture| data_url(picture, SIDE));
    url.map_or_else(String::new, |url| {
        format!("<img loading=\"lazy\" alt=\"{}\" src=\"{url}\">", escape(&place.origin))
    })
}

fn caption(place: &Place) -> String {
    let split = place.split.map_or("", |split| split.key());
    format!("<p class=\"soft\">{} {split}<br>{}</p>", escape(&place.group), escape(&place.origin))
}

fn picture(place: &Place, pictures: &BTreeMap<usize, Rgb8>) -> String {
    image(place, pictures) + &caption(place)
}

fn pair_item(pair: &Copies, pictures: &BTreeMap<usize, Rgb8>) -> String {
    let what = if pair.relation == Relation::Turned { pair.pose.words() } else { pair.relation.words() };
    let different =
        pair.contradicts.as_ref().map_or_else(String::new, |attribute| format!(", different {}", escape(attribute)));
    format!(
        "<article class=\"item\"><div class=\"pair\">{}{}</div><p><strong>{what}</strong>{different}, correlation {:.3}</p>{}{}</article>",
        image(&pair.first, pictures),
        image(&pair.second, pictures),
        pair.correlation,
        caption(&pair.first),
        caption(&pair.second)
    )
}

fn hit_item(hit: &BenchmarkHit, pictures: &BTreeMap<usize, Rgb8>) -> String {
    let what = if hit.relation == Relation::Turned { hit.pose.words() } else { hit.relation.words() };
    format!(
        "<article class=\"item\">{}<p><strong>{what}</strong> as {}</p></article>",
        picture(&hit.picture, pictures),
        escape(&hit.benchmark)
    )
}

fn balance(audit: &Audit) -> String {
    if audit.balance.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<h2>Class balance</h2><div class=\"scroll\"><table><tr><th>source</th><th>attribute</th><th>pictures</th><th class=\"n\">most : least</th></tr>",
    );
    for line in &audit.balance {
        let values: Vec<String> =
            line.values.iter().map(|(value, count)| format!("{} {count}", escape(value))).collect();
        text += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{:.1}</td></tr>",
            escape(&line.group),
            escape(&line.attribute),
            values.join(", "),
            line.ratio
        );
    }
    text + "</table></div>"
}

fn licences(judged: &[Judged]) -> String {
    if judged.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<h2>Licences</h2><div class=\"scroll\"><table><tr><th>source</th><th>licence</th><th>read as</th><th>judged</th></tr>",
    );
    for line in judged {
        let verdict = line.refused.as_ref().map_or_else(
            || "taken".to_string(),
            |reason| format!("<span class=\"bad\">refused</span>: {}", escape(reason)),
        );
        text += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{verdict}</td></tr>",
            escape(&line.source),
            escape(&line.licence),
            escape(&line.ids.join(", "))
        );
    }
    text + "</table></div>"
}
