//! Recall and precision on gold spans in BRAT form: `GMAI_SHARED=../shared cargo run --release -p gmai-deid --example meddocan -- report`.
//!
//! `develop` looks at the half of the documents the rules were written with, `report` at the other half: by the first byte of the SHA-256
//! of the file's name, even or odd. What counts as found stands in `tests/gold/mod.rs`.
#![allow(clippy::print_stdout)]

#[path = "../tests/gold/mod.rs"]
mod gold;

use gmai_deid::text::Finder;
use gold::{Gold, Marked, Score};
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

fn main() {
    let shared =
        std::env::var_os("GMAI_SHARED").map(PathBuf::from).expect("GMAI_SHARED names the folder of shared data");
    let half = std::env::args().nth(1).unwrap_or_else(|| "report".into());
    let listing = std::env::args().any(|argument| argument == "--misses");
    let mut files = Vec::new();
    collect(&shared.join("data/phi-notes-es-meddocan"), &mut files);
    let texts: Vec<Marked> =
        files.iter().map(|path| document(path)).filter(|text| gold::in_half(&text.id, &half)).collect();
    let score = Score::of(&Finder::new(), &texts);
    println!("{} documents ({half} half)", score.num_texts);
    score.print(|kind| DIRECT.contains(&kind));
    if listing {
        score.errors.iter().for_each(|line| println!("{line}"));
    }
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

/// A document with its gold spans, their offsets turned from characters into bytes.
fn document(path: &Path) -> Marked {
    let text = std::fs::read_to_string(path).expect("a text");
    let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    places.push(text.len());
    let annotations = std::fs::read_to_string(path.with_extension("ann")).expect("annotations");
    let spans = annotations.lines().filter(|line| line.starts_with('T')).filter_map(|line| {
        let facts: Vec<&str> = line.split('\t').nth(1)?.split_whitespace().collect();
        let number = |text: &str| text.parse::<usize>().ok();
        let (start, end) = (number(facts.get(1)?)?, number(facts.last()?)?);
        Some(Gold { kind: facts[0].to_string(), start: *places.get(start)?, end: *places.get(end)? })
    });
    let gold = spans.collect();
    Marked { id: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text, gold }
}
