//! Reports by their titles: `FINDINGS:`, `Impression:`, `## Conclusion`, `【检查所见】`, `Hallazgos:`.
//!
//! Only words of the vocabulary are titles: what else looks like one stays part of the text.

use gmai_schema::{Section, SectionKind};

/// Longer text before a colon is a sentence.
const MAX_TITLE_LETTERS: usize = 48;

/// The sections of a report; none when it has no title.
pub(super) fn split(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = vec![Section { kind: None, title: String::new(), text: String::new() }];
    for line in text.lines() {
        let mut rest = line;
        if let Some(title) = at_start(rest) {
            sections.push(title.section());
            rest = &rest[title.end..];
        }
        while let Some((start, title)) = inside(rest) {
            append(&mut sections, &rest[..start]);
            sections.push(title.section());
            rest = &rest[title.end..];
        }
        append(&mut sections, rest);
    }
    for section in &mut sections {
        section.text = section.text.trim().to_string();
    }
    sections.retain(|section| !section.text.is_empty());
    if sections.iter().all(|section| section.kind.is_none()) { Vec::new() } else { sections }
}

fn append(sections: &mut [Section], text: &str) {
    if let Some(last) = sections.last_mut() {
        last.text.push_str(text.trim());
        last.text.push('\n');
    }
}

/// A title and where the text behind it begins.
struct Title {
    kind: SectionKind,
    title: String,
    end: usize,
}

impl Title {
    fn section(&self) -> Section {
        Section { kind: Some(self.kind), title: self.title.clone(), text: String::new() }
    }
}

fn known(title: &str, end: usize) -> Option<Title> {
    let title = title.trim().trim_matches(['*', '#', '_', '-', '=']).trim();
    if title.is_empty() || title.chars().count() > MAX_TITLE_LETTERS {
        return None;
    }
    SectionKind::from_word(title).map(|kind| Title { kind, title: title.to_string(), end })
}

/// A title at the start of a line: before a colon, in brackets, or alone on the line.
fn at_start(line: &str) -> Option<Title> {
    let indent = line.len() - line.trim_start().len();
    let text = &line[indent..];
    for (open, close) in [('【', '】'), ('[', ']'), ('〔', '〕')] {
        if let Some(inner) = text.strip_prefix(open)
            && let Some(length) = inner.find(close)
        {
            let mut end = indent + open.len_utf8() + length + close.len_utf8();
            end += line[end..].len() - line[end..].trim_start_matches([':', '\u{ff1a}', ' ']).len();
            return known(&inner[..length], end);
        }
    }
    match text.char_indices().find(|(_, letter)| matches!(letter, ':' | '\u{ff1a}')) {
        // `**Findings:** text`: the marks behind the colon belong to the title.
        Some((place, colon)) => {
            let mut end = indent + place + colon.len_utf8();
            let behind = &line[end..];
            if behind.starts_with("**") {
                end += 2;
            }
            known(&text[..place], end)
        }
        None => known(text, line.len()),
    }
}

/// A title within a line: in capitals, or in Chinese, before a colon. The place is where the title begins.
fn inside(line: &str) -> Option<(usize, Title)> {
    for (place, colon) in line.char_indices().filter(|(_, letter)| matches!(letter, ':' | '\u{ff1a}')) {
        let before = &line[..place];
        let is_han = |letter: char| ('\u{4e00}'..='\u{9fff}').contains(&letter);
        let capitals = |letter: char| letter.is_uppercase() || letter == ' ';
        let belongs: &dyn Fn(char) -> bool =
            if before.chars().next_back().is_some_and(is_han) { &is_han } else { &capitals };
        let start = before.char_indices().rev().find(|(_, letter)| !belongs(*letter));
        let start = start.map_or(0, |(place, letter)| place + letter.len_utf8());
        // The words before the title may be capitals too: the longest known ending is the title.
        let run = &before[start..];
        let starts = run.char_indices().map(|(offset, _)| offset);
        let word_start = |offset: &usize| {
            *offset == 0 || is_han(run[*offset..].chars().next().unwrap_or(' ')) || run[..*offset].ends_with(' ')
        };
        for offset in starts.filter(word_start) {
            if run[offset..].trim().chars().count() < 2 {
                continue;
            }
            if let Some(title) = known(&run[offset..], place + colon.len_utf8()) {
                return Some((start + offset, title));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(Option<SectionKind>, String)> {
        split(text).into_iter().map(|section| (section.kind, section.text)).collect()
    }

    fn pair(kind: SectionKind, text: &str) -> (Option<SectionKind>, String) {
        (Some(kind), text.to_string())
    }

    #[test]
    fn english_titles_in_every_usual_spelling() {
        let findings_and_impression =
            [pair(SectionKind::Findings, "Clear lungs.\nNormal heart."), pair(SectionKind::Impression, "No change.")];
        for text in [
            "FINDINGS:\nClear lungs.\nNormal heart.\n\nIMPRESSION: No change.",
            "Findings: Clear lungs.\nNormal heart.\nImpression:\nNo change.",
            "## Findings\nClear lungs.\nNormal heart.\n## Conclusion\nNo change.",
            "**Findings:** Clear lungs.\nNormal heart.\n**Impression**\nNo change.",
        ] {
            assert_eq!(parts(text), findings_and_impression, "{text}");
        }
        let one_line = "FINDINGS: Clear lungs. IMPRESSION: No change.";
        assert_eq!(
            parts(one_line),
            [pair(SectionKind::Findings, "Clear lungs."), pair(SectionKind::Impression, "No change.")]
        );
    }

    #[test]
    fn chinese_and_spanish_titles() {
        let expected = [pair(SectionKind::Findings, "双肺清晰。"), pair(SectionKind::Impression, "未见异常。")];
        assert_eq!(parts("检查所见：双肺清晰。\n诊断意见：未见异常。"), expected);
        assert_eq!(parts("【影像所见】双肺清晰。\n【影像诊断】\n未见异常。"), expected);
        assert_eq!(parts("检查所见：双肺清晰。诊断意见：未见异常。"), expected);
        let spanish = parts("Motivo de consulta: dolor.\nHallazgos: normal.\nJuicio clínico: sano.");
        let kinds: Vec<_> = spanish.iter().map(|(kind, _)| kind.expect("known")).collect();
        assert_eq!(kinds, [SectionKind::Indication, SectionKind::Findings, SectionKind::Impression]);
    }

    #[test]
    fn text_before_the_first_title_is_kept_apart() {
        let text = "Chest X-ray, two views.\nFindings: at 7:34 p.m. heart: stable. CHEST: clear.";
        let sections = split(text);
        assert_eq!((sections[0].kind, sections[0].text.as_str()), (None, "Chest X-ray, two views."));
        assert_eq!(sections[1].text, "at 7:34 p.m. heart: stable. CHEST: clear.");
        assert_eq!(split("1. Stable mild cardiomegaly. 2. Clear lungs."), Vec::new());
        assert_eq!(split("Heart: normal.\nLungs: clear."), Vec::new(), "organs are no sections");
    }
}
