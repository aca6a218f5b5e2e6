//! Recall and precision on gold spans in BRAT form: `GMAI_SHARED=../shared cargo run --release -p gmai-deid --example meddocan -- report`.
//!
//! `develop` looks at the half of the documents the rules were written with, `report` at the other half: by the first byte of the SHA-256
//! of the file's name, even or odd. A gold span is found when each of its letters and digits lies in a found span, of whatever kind.
//! A found span is right when it touches a gold span of any kind.

use gmai_deid::text::{Finder, Known, Span};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Kinds that name a person by themselves or lead to their door.
const DIRECT: [&str; 17] = [
    "NOMBRE_SUJETO_ASISTENCIA",
    "NOMBRE_PERSONAL_SANITARIO",
    "ID_SUJETO_ASISTENCIA",
    "ID_ASEGURAMIENTO",
    "ID_TITULACION_PERSONAL_SANITARIO",
    "ID_CONTACTO_ASISTENCIAL",
    "ID_EMPLEO_PERSONAL_SANITARIO",
    "FECHAS",
    "NUMERO_TELEFONO",
    "NUMERO_FAX",
    "CORREO_ELECTRONICO",
    "URL_WEB",
    "DIREC_PROT_INTERNET",
    "CALLE",
    "TERRITORIO",
    "HOSPITAL",
    "CENTRO_SALUD",
];

struct Gold {
    kind: String,
    start: usize,
    end: usize,
}

#[derive(Default)]
struct Score {
    gold: u64,
    found: u64,
}

fn main() {
    let shared =
        std::env::var_os("GMAI_SHARED").map(PathBuf::from).expect("GMAI_SHARED names the folder of shared data");
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "report".into());
    let listing = std::env::args().any(|argument| argument == "--misses");
    let mut files = Vec::new();
    collect(&shared.join("data/phi-notes-es-meddocan"), &mut files);
    files.retain(|path| in_half(path, &wanted));
    let finder = Finder::new();
    let (mut scores, mut given, mut right) =
        (BTreeMap::<String, Score>::new(), BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
    for path in &files {
        let text = std::fs::read_to_string(path).expect("a text");
        let gold = gold_of(path, &text);
        let spans = finder.find(&text, &Known::default());
        for span in &gold {
            let score = scores.entry(span.kind.clone()).or_default();
            score.gold += 1;
            if covered(&text, span, &spans) {
                score.found += 1;
            } else if listing && DIRECT.contains(&span.kind.as_str()) {
                println!("missed {}: {:?}", span.kind, around(&text, span.start, span.end));
            }
        }
        for span in &spans {
            *given.entry(span.kind.key()).or_default() += 1;
            if gold.iter().any(|gold| gold.start < span.end && span.start < gold.end) {
                *right.entry(span.kind.key()).or_default() += 1;
            } else if listing {
                println!("false {}: {:?}", span.kind.key(), around(&text, span.start, span.end));
            }
        }
    }
    print(&wanted, files.len(), &scores, &given, &right);
}

fn print(
    half: &str,
    files: usize,
    scores: &BTreeMap<String, Score>,
    given: &BTreeMap<&str, u64>,
    right: &BTreeMap<&str, u64>,
) {
    println!("{files} documents ({half} half)");
    let share = |part: u64, all: u64| if all == 0 { 1.0 } else { part as f64 / all as f64 };
    for (kind, score) in scores {
        let direct = if DIRECT.contains(&kind.as_str()) {
            ""
        } else {
            " (no direct identifier; kept on purpose unless it is an age above 89)"
        };
        println!("recall {:.3}  {}/{} {kind}{direct}", share(score.found, score.gold), score.found, score.gold);
    }
    let sum = |pick: &dyn Fn(&Score) -> u64| {
        scores.iter().filter(|(kind, _)| DIRECT.contains(&kind.as_str())).map(|(_, score)| pick(score)).sum::<u64>()
    };
    let (found, gold) = (sum(&|score| score.found), sum(&|score| score.gold));
    println!("direct identifiers: recall {:.4} ({found}/{gold})", share(found, gold));
    for (kind, count) in given {
        let right = right.get(kind).copied().unwrap_or(0);
        println!("precision {:.3}  {right}/{count} {kind}", share(right, *count));
    }
    let (right, given) = (right.values().sum::<u64>(), given.values().sum::<u64>());
    println!("all spans: precision {:.4} ({right}/{given})", share(right, given));
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "txt") && path.with_extension("ann").exists() {
            files.push(path);
        }
    }
}

fn in_half(path: &Path, half: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let even = Sha256::digest(name.as_bytes())[0].is_multiple_of(2);
    match half {
        "develop" => even,
        "report" => !even,
        _ => true,
    }
}

/// Gold spans, with offsets turned from characters into bytes.
fn gold_of(path: &Path, text: &str) -> Vec<Gold> {
    let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    places.push(text.len());
    let annotations = std::fs::read_to_string(path.with_extension("ann")).expect("annotations");
    let spans = annotations.lines().filter(|line| line.starts_with('T')).filter_map(|line| {
        let facts: Vec<&str> = line.split('\t').nth(1)?.split_whitespace().collect();
        let number = |text: &str| text.parse::<usize>().ok();
        let (start, end) = (number(facts.get(1)?)?, number(facts.last()?)?);
        Some(Gold { kind: facts[0].to_string(), start: *places.get(start)?, end: *places.get(end)? })
    });
    spans.collect()
}

fn covered(text: &str, gold: &Gold, spans: &[Span]) -> bool {
    let letters = text[gold.start..gold.end].char_indices().filter(|(_, letter)| letter.is_alphanumeric());
    letters.map(|(at, _)| gold.start + at).all(|at| spans.iter().any(|span| span.start <= at && at < span.end))
}

fn around(text: &str, start: usize, end: usize) -> String {
    let before: String = text[..start].chars().rev().take(25).collect::<Vec<_>>().into_iter().rev().collect();
    let after: String = text[end..].chars().take(15).collect();
    format!("{before}>>{}<<{after}", &text[start..end])
}
