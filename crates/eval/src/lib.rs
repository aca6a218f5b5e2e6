//! Benchmarks: a model is asked, its replies are stored, judged, summed up with intervals, and shown.
//!
//! ```text
//! ask         items -> Responder -> replies-<control>.jsonl    run.rs, reply.rs
//! score       questions + replies -> verdicts                  score.rs, extract.rs, normalise.rs, metric/
//! summarise   verdicts + baselines -> Summary                  summary.rs, group.rs, baseline.rs, interval.rs
//! show        Summary -> terminal, CSV, one HTML page          text.rs, report.rs, example.rs, plot.rs
//! ```
//! Replies and verdicts are apart: a reply is stored once and can be judged again without the model.
//! Every score stands beside its number of questions, a 95 % interval, the number unread, and three baselines:
//! chance, the most frequent training answer, and the same model before a blank picture.

pub mod baseline;
pub mod error;
pub mod example;
pub mod extract;
pub mod group;
pub mod interval;
mod jsonl;
pub mod metric;
pub mod normalise;
mod plot;
pub mod reply;
pub mod report;
pub mod run;
pub mod score;
pub mod summary;
pub mod text;

pub use baseline::{MajorityAnswers, chance};
pub use error::{Error, Result};
pub use example::{Example, pick_examples};
pub use extract::Extracted;
pub use group::Dimension;
pub use interval::{Interval, Method};
pub use jsonl::{read_questions, read_verdicts, write_questions, write_verdicts};
pub use reply::{Control, Reply, read_replies};
pub use report::{Curve, CurvePoint, Fact, FactTable, ReportInput, report_html};
pub use run::{Item, Mode, Run, RunOptions, Skipped, ask};
pub use score::{Outcome, Protocol, Verdict, score};
pub use summary::{Caution, Measure, Row, Summary, Table, compare, summarise};
pub use text::{summary_csv, summary_text};
