//! Names of people by lexicon, cut at words that are no names, and found again where they are repeated.

use super::rules::{expanded, lexicon};
use super::{Kind, Span, compiled, is_word};
use regex::Regex;
use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

/// Words at which a name has ended: departments, facilities, fields of forms, what stands around names in letters. Lower case.
const STOPS: &[&str] = &[
    "servicio",
    "unidad",
    "departamento",
    "sección",
    "seccion",
    "área",
    "area",
    "hospital",
    "hosp",
    "clínica",
    "clinica",
    "centro",
    "complejo",
    "instituto",
    "fundación",
    "fundacion",
    "universidad",
    "facultad",
    "medicina",
    "cirugía",
    "cirugia",
    "urgencias",
    "pediatría",
    "correo",
    "email",
    "e-mail",
    "mail",
    "tel",
    "teléfono",
    "telefono",
    "tlf",
    "fax",
    "calle",
    "avda",
    "avenida",
    "plaza",
    "paseo",
    "carretera",
    "nº",
    "ncol",
    "nºcol",
    "col",
    "edad",
    "sexo",
    "nhc",
    "fecha",
    "informe",
    "historia",
    "paciente",
    "motivo",
    "diagnóstico",
    "residencia",
    "interna",
    "intensiva",
    "general",
    "médica",
    "medica",
    "digestivo",
    "aparato",
    "consulta",
    "planta",
    "jefe",
    "médico",
    "medico",
    "adjunto",
    "residente",
    "department",
    "dept",
    "division",
    "unit",
    "clinic",
    "center",
    "centre",
    "medical",
    "service",
    "university",
    "phone",
    "home",
    "address",
    "date",
    "dob",
    "mrn",
    "age",
    "sex",
    "male",
    "female",
    "admit",
    "admission",
    "discharge",
    "history",
    "physician",
    "attending",
    "hospital's",
    "patient",
    "orthopedics",
    "cardiology",
    "radiology",
    "oncology",
    "surgery",
    "medicine",
    "emergency",
    "primary",
    "care",
    "street",
    "avenue",
    "road",
    "status",
    "diagnosis",
    "procedure",
    "exam",
    "findings",
    "impression",
    "indication",
    "comparison",
    "technique",
    "report",
    "hemodynamics",
    "the",
    "this",
    "el",
    "él",
    "ella",
    "en",
    "tras",
    "se",
    "con",
    "por",
    "para",
    "no",
    "ante",
    "al",
    "una",
    "un",
    "and",
    "with",
    "on",
    "in",
    "at",
    "for",
    "from",
    "mri",
    "ct",
    "us",
    "pet",
    "ecg",
    "tac",
    "rm",
    "eco",
    "post",
    "follow",
    "return",
    "visit",
    "appointment",
    "am",
    "pm",
    "outpatient",
    "inpatient",
    "hemodiálisis",
    "plástica",
    "quemados",
    "neurocirugía",
    "nutrición",
    "pediátrica",
    "patológica",
    "anatomía",
    "críticos",
    "cuidados",
    "reanimación",
    "dolor",
    "tratamiento",
    "universitaria",
    "grandes",
    "maxilofacial",
    "oral",
    "bucal",
    "md",
    "rn",
    "np",
    "phd",
    "pa-c",
    "none",
    "unknown",
    "normal",
    "yes",
    "consult",
    "note",
    "was",
    "is",
    "has",
    "who",
    "she",
    "he",
    "reports",
    "denies",
    "electronically",
];

/// Endings of departments and of the people who work there.
const STOP_ENDINGS: &[&str] = &[
    "logía", "logia", "ología", "iatría", "iatria", "ología.", "tomía", "ología,", "ology", "iatrics", "ography",
    "opathy", "itis",
];

/// Words before a name that make it the name of a disease, a sign or a technique.
const EPONYM_BEFORE: &[&str] = &[
    "síndrome",
    "sindrome",
    "enfermedad",
    "técnica",
    "tecnica",
    "signo",
    "signos",
    "test",
    "prueba",
    "maniobra",
    "clasificación",
    "clasificacion",
    "escala",
    "criterios",
    "método",
    "metodo",
    "linfoma",
    "sarcoma",
    "tumor",
    "fascia",
    "saco",
    "virus",
    "tipo",
    "según",
    "bacilo",
    "tinción",
    "catéter",
    "sonda",
    "operación",
    "úlcera",
    "esófago",
    "anemia",
    "gen",
    "syndrome",
    "disease",
    "sign",
    "score",
    "scale",
    "lymphoma",
    "criteria",
    "classification",
    "catheter",
    "procedure",
    "modified",
];

/// Words after a name that do the same.
const EPONYM_AFTER: &[&str] = &[
    "syndrome",
    "disease",
    "sign",
    "score",
    "scale",
    "lymphoma",
    "sarcoma",
    "criteria",
    "classification",
    "catheter",
    "procedure",
    "test",
    "maneuver",
    "manoeuvre",
    "reflex",
    "phenomenon",
    "tumor",
    "tumour",
    "stage",
    "grade",
    "lesion",
    "hernia",
    "technique",
    "method",
    "stain",
    "virus",
    "index",
    "nodes",
];

/// Whether a word ends a name that stands before it.
pub(super) fn is_stop(word: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| STOPS.iter().copied().collect());
    let lower = word.to_lowercase();
    let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
    SET.contains(bare) || STOP_ENDINGS.iter().any(|ending| bare.len() > ending.len() + 2 && bare.ends_with(ending))
}

/// Ends a name before the first word that is none; false when nothing is left.
pub(super) fn cut(text: &str, span: &mut Span) -> bool {
    let inner = &text[span.start..span.end];
    let mut end = 0;
    for word in inner.split_inclusive(char::is_whitespace) {
        if is_stop(word.trim()) {
            break;
        }
        end += word.len();
    }
    span.end = span.start + inner[..end].trim_end().len();
    text[span.start..span.end].chars().any(char::is_alphabetic)
}

/// Finds names by their words.
pub(super) struct Names {
    given: HashSet<&'static str>,
    family: HashSet<&'static str>,
    sequence: Regex,
    reversed: Regex,
}

impl Names {
    pub(super) fn new() -> Names {
        let set = |texts: [&'static str; 2]| texts.into_iter().flat_map(lexicon).collect();
        Names {
            given: set([include_str!("lexicon/english_given.txt"), include_str!("lexicon/spanish_given.txt")]),
            family: set([include_str!("lexicon/english_family.txt"), include_str!("lexicon/spanish_family.txt")]),
            reversed: compiled(r"\b(\p{Lu}{2,}(?:['\-]\p{Lu}+)?), ?(\p{Lu}{2,})(?:[ \t]\p{Lu}\b\.?)?"),
            sequence: compiled(&expanded(
                r"{CAP}(?:[ \t]+\p{Lu}\b\.?)?(?:,?[ \t]+(?:(?:de|del|la|las|los|y|i|da|do|dos|van|von|der)[ \t]+)*{CAP}){1,5}",
            )),
        }
    }

    /// A known given name followed by a capitalised word that is a known family name, or by two capitalised words.
    pub(super) fn spans(&self, text: &str) -> Vec<Span> {
        let found = self.sequence.find_iter(text).filter_map(|found| {
            let words: Vec<(usize, &str)> = words_of(found.as_str()).collect();
            let is_name = |set: &HashSet<&str>, word: &str| {
                let lower = word.to_lowercase();
                set.contains(lower.as_str()) || lower.split('-').any(|part| part.len() > 2 && set.contains(part))
            };
            let first = words.iter().position(|(_, word)| is_name(&self.given, word) && !is_stop(word))?;
            let rest = || words[first + 1..].iter().take_while(|(_, word)| !is_stop(word));
            let families = rest().filter(|(_, word)| is_name(&self.family, word)).count();
            if families == 0 {
                return None;
            }
            let start = found.start() + words[first].0;
            let (at, last) = rest().last()?;
            let end = found.start() + at + last.len();
            (!is_eponym(text, start, end)).then_some(Span { start, end, kind: Kind::Name })
        });
        found.chain(self.reversed(text)).collect()
    }

    /// `SMITH, JOHN`: in capitals, one of the words known.
    fn reversed<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Span> + 't {
        let is_name = |family: &str, given: &str| {
            let (family, given) = (family.to_lowercase(), given.to_lowercase());
            let known = self.given.contains(given.as_str()) || self.family.contains(family.as_str());
            known && given.len() >= 3 && !is_stop(&family) && !is_stop(&given)
        };
        let found = self.reversed.captures_iter(text).filter(move |found| is_name(&found[1], &found[2]));
        found.map(|found| {
            let whole = found.get(0).expect("group 0 is the match");
            Span { start: whole.start(), end: whole.end(), kind: Kind::Name }
        })
    }
}

fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |letter: char| letter.is_alphanumeric() || "'’-".contains(letter);
    text.split(move |letter: char| !is_part(letter))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// Whether the words around a name make it a disease, a sign or a technique.
fn is_eponym(text: &str, start: usize, end: usize) -> bool {
    let last_words = text[..start].split_whitespace().rev().take(3).map(|word| word.to_lowercase());
    let before = last_words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_string());
    let mut before = before.take_while(|word| !word.is_empty());
    let named = before.next();
    let particle = named.as_deref().is_some_and(|word| matches!(word, "de" | "del" | "la"));
    let named = if particle { before.next() } else { named };
    if named.is_some_and(|word| EPONYM_BEFORE.contains(&word.as_str())) {
        return true;
    }
    let next = text[end..].split_whitespace().next().unwrap_or_default().to_lowercase();
    EPONYM_AFTER.contains(&next.trim_matches(|c: char| !c.is_alphanumeric()))
}

/// Words of names that were found, wherever else they stand in the text.
pub(super) fn repeated(text: &str, spans: &[Span]) -> Vec<Span> {
    let mut words = BTreeSet::new();
    for span in spans.iter().filter(|span| span.kind == Kind::Name) {
        let inner = &text[span.start..span.end];
        for (_, word) in words_of(inner) {
            let letters = word.chars().count();
            let wide = inner.chars().all(|letter| u32::from(letter) >= 0x2E80);
            let capital = word.chars().next().is_some_and(char::is_uppercase);
            if (wide && letters >= 2)
                || (capital && letters >= 4 && !is_stop(word) && !COMMON.contains(&word.to_lowercase().as_str()))
            {
                words.insert(word);
            }
        }
    }
    let mut again = Vec::new();
    for word in words.into_iter().take(2000) {
        for (start, _) in text.match_indices(word) {
            let end = start + word.len();
            if is_word(text, start, end) && !is_eponym(text, start, end) {
                again.push(Span { start, end, kind: Kind::Name });
            }
        }
    }
    again
}

/// Words that are names and much else: repeated, they say nothing.
const COMMON: &[&str] = &[
    "santa", "cruz", "blanco", "rojo", "luna", "rosa", "costa", "mayor", "bueno", "sierra", "campo", "nuevo", "gran",
    "real", "general", "long", "young", "white", "black", "brown", "green", "will", "mark", "gray", "grey", "small",
    "best", "july", "june", "april", "august", "dolor", "dolores", "lateral", "right", "left", "upper", "lower",
    "chest", "head", "cabeza", "mano", "caso", "clinical", "march", "summer", "rivera", "delgado",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        Names::new().spans(text).into_iter().map(|span| text[span.start..span.end].to_string()).collect()
    }

    #[test]
    fn names_are_found_by_their_words() {
        assert_eq!(found("Seen by María García López today"), ["María García López"]);
        assert_eq!(found("We met John Smith Cardiology"), ["John Smith"]);
    }

    #[test]
    fn eponyms_are_no_people() {
        assert!(found("síndrome de Douglas Smith").is_empty());
        assert!(found("a positive Austin Taylor sign").is_empty());
    }

    #[test]
    fn a_name_ends_before_a_department() {
        let text = "Marrupe González Oncología Médica";
        let mut span = Span { start: 0, end: text.len(), kind: Kind::Name };
        assert!(cut(text, &mut span));
        assert_eq!(&text[span.start..span.end], "Marrupe González");
    }
}
