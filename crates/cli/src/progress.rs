//! Bars with rate and time left on a terminal; plain lines every few seconds elsewhere.

use gmai_schema::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a plain line is written.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Draws the progress reports of library functions on standard error.
#[derive(Debug)]
pub struct Bars {
    terminal: bool,
    current: Option<Phase>,
}

/// The phase that is under way.
#[derive(Debug)]
struct Phase {
    last: Progress,
    bar: Option<ProgressBar>,
    started: Instant,
    written: Instant,
}

impl Default for Bars {
    fn default() -> Bars {
        Bars { terminal: std::io::stderr().is_terminal(), current: None }
    }
}

impl Bars {
    /// Draws one report. A new phase ends the one before.
    pub fn show(&mut self, progress: Progress) {
        if self.current.as_ref().is_none_or(|phase| phase.last.phase != progress.phase) {
            self.end_phase();
            self.current = Some(Phase::begin(&progress, self.terminal));
        }
        if let Some(phase) = &mut self.current {
            phase.update(progress);
        }
    }

    /// Ends the phase that is under way: its line stays, the next report begins another.
    pub fn end_phase(&mut self) {
        let Some(phase) = self.current.take() else { return };
        if let Some(bar) = &phase.bar {
            bar.finish_and_clear();
        }
        say(&ended(&phase.last, phase.started.elapsed()));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.end_phase();
    }
}

impl Phase {
    fn begin(progress: &Progress, terminal: bool) -> Phase {
        let now = Instant::now();
        let bar = terminal.then(|| bar(progress));
        Phase { last: progress.clone(), bar, started: now, written: now }
    }

    fn update(&mut self, progress: Progress) {
        if let Some(bar) = &self.bar {
            if progress.total > 0 && bar.length() != Some(progress.total) {
                bar.set_length(progress.total);
            }
            bar.set_position(progress.done);
            bar.set_message(progress.note.clone());
        } else if self.written.elapsed() >= PLAIN_INTERVAL {
            self.written = Instant::now();
            say(&under_way(&progress, self.started.elapsed()));
        }
        self.last = progress;
    }
}

fn bar(progress: &Progress) -> ProgressBar {
    let template = match progress.total {
        0 => "{prefix:28} {spinner} {human_pos} ({per_sec}) {msg}",
        _ => "{prefix:28} [{bar:28}] {human_pos}/{human_len} {per_sec}, {eta} left {msg}",
    };
    let style = ProgressStyle::with_template(template).expect("the template names known fields").progress_chars("=> ");
    let bar = ProgressBar::new(progress.total).with_style(style).with_prefix(progress.phase.clone());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Standard error may be closed; progress is then seen by nobody and the work goes on.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A plain line of a phase that goes on.
fn under_way(progress: &Progress, elapsed: Duration) -> String {
    let rate = rate(progress.done, elapsed);
    let share = match progress.total {
        0 => format!("{}", progress.done),
        total => format!("{}/{total} ({} %)", progress.done, progress.done * 100 / total),
    };
    let left = match progress.total.checked_sub(progress.done) {
        Some(rest) if progress.total > 0 && rate > 0.0 => format!(", {} left", duration(rest as f64 / rate)),
        _ => String::new(),
    };
    format!("  {}: {share}, {}/s{left}{}", progress.phase, number(rate), note(progress))
}

/// The line that stays when a phase is over.
fn ended(progress: &Progress, elapsed: Duration) -> String {
    let whole = progress.total == 0 || progress.done == progress.total;
    let count = if whole { format!("{}", progress.done) } else { format!("{} of {}", progress.done, progress.total) };
    let rate = number(rate(progress.done, elapsed));
    format!("  {}: {count} in {}, {rate}/s{}", progress.phase, duration(elapsed.as_secs_f64()), note(progress))
}

fn note(progress: &Progress) -> String {
    if progress.note.is_empty() { String::new() } else { format!(", {}", progress.note) }
}

fn rate(done: u64, elapsed: Duration) -> f64 {
    done as f64 / elapsed.as_secs_f64().max(1e-3)
}

/// Three digits are enough to compare rates.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A duration as people say it: `0.4 s`, `12 s`, `3 min 05 s`, `1 h 02 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64, total: u64, note: &str) -> Progress {
        Progress { phase: "read mednist".to_string(), done, total, note: note.to_string() }
    }

    #[test]
    fn a_plain_line_has_share_rate_and_time_left() {
        let line = under_way(&progress(50, 200, "loss 2.31"), Duration::from_secs(5));
        assert_eq!(line, "  read mednist: 50/200 (25 %), 10.0/s, 15 s left, loss 2.31");
    }

    #[test]
    fn without_a_total_nothing_is_foretold() {
        assert_eq!(under_way(&progress(500, 0, ""), Duration::from_secs(5)), "  read mednist: 500, 100/s");
    }

    #[test]
    fn a_phase_that_was_cut_short_says_so() {
        assert_eq!(ended(&progress(20, 200, ""), Duration::from_secs(2)), "  read mednist: 20 of 200 in 2.0 s, 10.0/s");
    }

    #[test]
    fn durations_read_as_people_say_them() {
        let said = [0.42, 12.4, 185.0, 3720.0].map(duration);
        assert_eq!(said, ["0.4 s", "12 s", "3 min 05 s", "1 h 02 min"]);
    }
}
