//! A summary for the terminal and as CSV.

use crate::interval::Interval;
use crate::summary::{Caution, Row, Summary};

/// The summary as aligned tables, scores in per cent.
pub fn summary_text(summary: &Summary) -> String {
    let mut text = format!(
        "{} questions from {} patients; scores in %, with 95 % intervals by patient\n\n",
        summary.num_questions, summary.num_patients
    );
    push_table(&mut text, "overall", &summary.overall);
    for table in &summary.tables {
        push_table(&mut text, &format!("by {}", table.dimension.key()), &table.rows);
    }
    text.push_str(
        "chance: a blind draw. majority: always the answer most frequent in training. blank: the same model before grey \
         pictures.\ngain: real minus blank, paired by question. unread: no answer could be read, counted as wrong.\n",
    );
    text
}

const HEAD: [&str; 11] =
    ["", "measure", "n", "patients", "score", "chance", "majority", "blank", "gain", "unread", "care"];

fn push_table(text: &mut String, title: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let mut lines = vec![HEAD.map(String::from)];
    lines[0][0] = title.to_string();
    lines.extend(rows.iter().map(cells));
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|column| lines.iter().map(|line| width(&line[column])).max().unwrap_or(0)).collect();
    for line in &lines {
        let mut row = String::new();
        for (column, cell) in line.iter().enumerate() {
            let padding = " ".repeat(widths[column] - width(cell));
            let left_aligned = matches!(column, 0 | 1 | 10);
            let (before, after) = if left_aligned { ("", padding.as_str()) } else { (padding.as_str(), "") };
            row.push_str(before);
            row.push_str(cell);
            row.push_str(after);
            row.push_str("  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text.push('\n');
}

fn cells(row: &Row) -> [String; 11] {
    [
        row.group.clone(),
        row.measure.name().to_string(),
        row.num_questions.to_string(),
        row.num_patients.to_string(),
        interval_text(&row.score),
        percent(row.chance),
        row.majority.map_or("-".to_string(), percent),
        row.blank.as_ref().map_or("-".to_string(), interval_text),
        row.gain.as_ref().map_or("-".to_string(), gain_text),
        row.num_unparsed.to_string(),
        cautions_text(&row.cautions),
    ]
}

/// A share in per cent with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// `81.2 [77.0, 85.1]`.
pub(crate) fn interval_text(interval: &Interval) -> String {
    format!("{} [{}, {}]", percent(interval.estimate), percent(interval.low), percent(interval.high))
}

/// As [`interval_text`], with the sign of each number.
pub(crate) fn gain_text(interval: &Interval) -> String {
    let [estimate, low, high] = [interval.estimate, interval.low, interval.high].map(|value| 100.0 * value);
    format!("{estimate:+.1} [{low:+.1}, {high:+.1}]")
}

pub(crate) fn cautions_text(cautions: &[Caution]) -> String {
    cautions.iter().map(|caution| caution.text()).collect::<Vec<_>>().join("; ")
}

/// Columns that a terminal gives to a text: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{2E80}' { 2 } else { 1 }).sum()
}

/// The summary as CSV (RFC 4180), one line a row, shares as fractions.
pub fn summary_csv(summary: &Summary) -> String {
    let mut csv = String::from(
        "table,group,measure,num_questions,num_patients,num_unparsed,num_refused,num_missing,score,score_low,score_high,\
         method,chance,majority,blank,blank_low,blank_high,gain,gain_low,gain_high,cautions\r\n",
    );
    let tables = summary.tables.iter().map(|table| (table.dimension.key(), &table.rows));
    for (name, rows) in std::iter::once(("overall", &summary.overall)).chain(tables) {
        for row in rows {
            let line: Vec<String> = csv_fields(name, row).iter().map(|field| csv_quoted(field)).collect();
            csv.push_str(&line.join(","));
            csv.push_str("\r\n");
        }
    }
    csv
}

fn csv_fields(table: &str, row: &Row) -> Vec<String> {
    let method = match row.score.method {
        crate::interval::Method::Wilson => "wilson",
        crate::interval::Method::ClusterBootstrap => "cluster_bootstrap",
        crate::interval::Method::WilsonOverPatients => "wilson_over_patients",
    };
    let mut fields = vec![table.to_string(), row.group.clone(), row.measure.key().to_string()];
    fields.extend(
        [row.num_questions, row.num_patients, row.num_unparsed, row.num_refused, row.num_missing]
            .map(|n| n.to_string()),
    );
    fields.extend(ends(Some(&row.score)));
    fields.extend([method.to_string(), row.chance.to_string(), row.majority.map_or(String::new(), |m| m.to_string())]);
    fields.extend(ends(row.blank.as_ref()));
    fields.extend(ends(row.gain.as_ref()));
    fields.push(cautions_text(&row.cautions));
    fields
}

fn ends(interval: Option<&Interval>) -> [String; 3] {
    interval.map_or_else(Default::default, |interval| {
        [interval.estimate, interval.low, interval.high].map(|value| value.to_string())
    })
}

fn csv_quoted(field: &str) -> String {
    // A leading "=", "+", "-" or "@" would run as a formula in a spreadsheet; numbers may keep their sign.
    let formula = field.starts_with(['=', '+', '-', '@']) && field.parse::<f64>().is_err();
    let field = if formula { format!("'{field}") } else { field.to_string() };
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::MajorityAnswers;
    use crate::score::score;
    use crate::score::tests::{choice, reply};
    use crate::summary::summarise;
    use gmai_schema::Question;

    fn summary() -> Summary {
        let questions: Vec<Question> = (0..4)
            .map(|i| Question { source: "x, \"y\"".into(), ..choice(&format!("q{i}"), &["肝", "心"], 0) })
            .collect();
        let replies: Vec<_> = questions.iter().map(|question| reply(question, "A", &[-0.1, -2.0])).collect();
        summarise(&questions, &score(&questions, &replies), &[], &MajorityAnswers::default())
    }

    #[test]
    fn every_row_shows_n_and_interval() {
        let text = summary_text(&summary());
        assert!(text.contains("all closed questions  accuracy, likeliest option  4"), "{text}");
        assert!(text.contains("100.0 [51.0, 100.0]") && text.contains("fewer than 50 questions"), "{text}");
    }

    #[test]
    fn csv_quotes_commas_and_quotes_and_has_equal_columns() {
        let csv = summary_csv(&summary());
        assert!(csv.contains("source,\"x, \"\"y\"\"\",choice_likelihood,4,4,0,0,0,1,"), "{csv}");
        let head = csv.lines().next().unwrap_or_default().matches(',').count();
        let overall = csv.lines().nth(1).unwrap_or_default();
        assert_eq!(overall.matches(',').count(), head);
    }

    #[test]
    fn text_from_data_never_becomes_a_formula() {
        assert_eq!(csv_quoted("=1+1"), "'=1+1");
        assert_eq!(csv_quoted("-0.25"), "-0.25");
    }
}
