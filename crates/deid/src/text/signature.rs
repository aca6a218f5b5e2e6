//! Signature blocks of Spanish letters: after "Remitido por" stand people, departments, addresses, and nothing else.

use super::names::is_stop;
use super::rules::lexicon;
use super::{Kind, Span, compiled};
use regex::Regex;
use std::collections::HashSet;

/// Longest block in bytes.
const MAX_BLOCK: usize = 900;

/// Words of addresses and departments that stay although they are capitalised. Lower case.
const STAY: &[&str] = &[
    "dr",
    "dra",
    "dres",
    "don",
    "doña",
    "sr",
    "sra",
    "prof",
    "servicio",
    "unidad",
    "departamento",
    "sección",
    "seccion",
    "e-mail",
    "email",
    "mail",
    "correo",
    "electrónico",
    "electronico",
    "tel",
    "teléfono",
    "telefono",
    "tlf",
    "tlfno",
    "tfno",
    "fax",
    "españa",
    "méxico",
    "mexico",
    "colombia",
    "argentina",
    "chile",
    "perú",
    "cuba",
    "venezuela",
    "brasil",
    "ecuador",
    "uci",
    "autor",
    "ext",
    "cp",
];

/// Words that belong to what surrounds them.
const PARTICLES: &[&str] = &[
    "de", "del", "la", "las", "los", "el", "y", "i", "e", "en", "d", "da", "do", "dos", "s/n", "esc", "n", "no", "nº",
    "º", "km", "edf", "der", "izq", "dcha",
];

const FACILITY: &[&str] = &[
    "hospital",
    "clínica",
    "clinica",
    "centro",
    "complejo",
    "fundació",
    "fundación",
    "fundacion",
    "instituto",
    "residencia",
    "universidad",
    "universitario",
];

pub(super) struct Signature {
    start: Regex,
    places: HashSet<&'static str>,
    place: Regex,
}

impl Signature {
    pub(super) fn new() -> Signature {
        let places = lexicon(include_str!("lexicon/spanish_places.txt"));
        let mut longest: Vec<String> = places.iter().map(|place| regex::escape(place)).collect();
        longest.sort_by_key(|place| std::cmp::Reverse(place.len()));
        Signature {
            start: compiled(
                r"(?i)\b(?:remitid[oa] por|r[e]?sponsable(?: cl[ií]nico| m[eé]dico)?|correspondencia(?: a)?|direcci[oó]n para correspondencia|autor para correspondencia)[ \t]*:[ \t]*",
            ),
            place: compiled(&format!(r"(?i)\b(?:{})\b", longest.join("|"))),
            places: places.into_iter().collect(),
        }
    }

    /// Everything in a block that is neither a department nor ordinary words, and towns anywhere.
    pub(super) fn spans(&self, text: &str) -> Vec<Span> {
        let mut spans: Vec<Span> = self.start.find_iter(text).flat_map(|start| self.block(text, start.end())).collect();
        // A town is a place only with its capital letter: "granada" is also a fruit.
        let towns = self.place.find_iter(text).filter(|town| town.as_str().starts_with(char::is_uppercase));
        spans.extend(towns.map(|town| Span { start: town.start(), end: town.end(), kind: Kind::Place }));
        spans
    }

    fn block(&self, text: &str, start: usize) -> Vec<Span> {
        let rest = &text[start..];
        let end = rest.find('\n').unwrap_or(rest.len()).min(MAX_BLOCK);
        let end = (0..=end).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
        let mut spans: Vec<Span> = Vec::new();
        let mut open = false;
        let mut is_first = true;
        for word in rest[..end].split_inclusive(|letter: char| letter.is_whitespace() || ",;()".contains(letter)) {
            let at = start + (word.as_ptr() as usize - rest.as_ptr() as usize);
            let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
            let lower = bare.to_lowercase();
            let marked = bare.starts_with(|letter: char| letter.is_uppercase() || letter.is_ascii_digit());
            if bare.is_empty() {
                open &= !word.contains(['(', ')']);
                continue;
            }
            if PARTICLES.contains(&lower.as_str()) {
                continue;
            }
            if STAY.contains(&lower.as_str()) || (is_stop(bare) && !FACILITY.contains(&lower.as_str())) {
                open = false;
                is_first &= lower.starts_with("dr");
            } else if marked {
                let begin = at + (bare.as_ptr() as usize - word.as_ptr() as usize);
                let facility = FACILITY.contains(&lower.as_str());
                let postal = bare.len() >= 5 && bare.bytes().all(|byte| byte.is_ascii_digit());
                match spans.last_mut() {
                    Some(last) if open && !(facility && last.kind != Kind::Hospital) && !postal => {
                        last.end = begin + bare.len()
                    }
                    _ => spans.push(Span {
                        start: begin,
                        end: begin + bare.len(),
                        kind: self.kind(&lower, is_first, facility, postal),
                    }),
                }
                open = true;
                is_first = false;
            } else {
                open = false;
            }
            // A full stop or a bracket ends a part, a comma does not: streets have commas.
            let sentence_ends = word.trim_end().ends_with('.') && bare.chars().count() > 3;
            open &= !(sentence_ends || word.contains(['(', ')']));
        }
        spans
    }

    fn kind(&self, word: &str, is_first: bool, facility: bool, postal: bool) -> Kind {
        match () {
            () if facility => Kind::Hospital,
            () if postal || self.places.contains(word) => Kind::Place,
            () if is_first => Kind::Name,
            () => Kind::Address,
        }
    }
}
