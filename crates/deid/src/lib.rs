//! De-identification: DICOM headers, other files, report texts, text burned into pictures; and a report of what may remain.
//!
//! ```text
//! profile.rs  what is asked for           key.rs   the project's secret: pseudonyms, UIDs, date shifts; how it is destroyed
//! dicom/      PS3.15 Annex E              text/    identifiers in report texts        picture/  text in pixels
//! file/       PNG, JPEG, TIFF, NIfTI      run.rs   a folder in, a folder out          residual.rs, report.rs  what remains
//! ```
//! What is promised and what is not stands in `docs/deid.md`. The same file, profile and key give the same bytes.

mod date;
pub mod dicom;
mod error;
pub mod file;
mod key;
pub mod picture;
mod profile;
mod report;
pub mod residual;
mod run;
pub mod text;

pub use error::{Error, Result};
pub use key::{Key, KeyFile, forget};
pub use profile::{BurnedIn, Code, Profile, ProfileOption, Replacement, STANDARD};
pub use report::{FlaggedPicture, PictureCounts, Report, ResidualCheck};
pub use run::{Job, run};
