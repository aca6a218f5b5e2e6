//! Zip, tar and tar.gz files from outside, unpacked into a new folder and nowhere else.
//!
//! ```text
//! unpack.rs   the new folder: finished or not there
//! zip.rs      central directory and entries, stored or deflated      tar.rs   entries, long names, gzip around them
//! name.rs     which names lie below the folder                       budget.rs   caps, counted on bytes that really came
//! ```
//! Nothing an archive says about itself is believed. Files and folders are made, never links or devices; a name that leads
//! out of the folder, too many entries, too many bytes or too great an expansion refuses the whole archive, and what was
//! unpacked until then is removed. Archives inside an archive stay as they are.

mod budget;
mod error;
mod name;
mod tar;
mod unpack;
mod zip;

pub use budget::Limits;
pub use error::{Error, Result};
pub use unpack::{Kind, LeftOut, Unpacked, sniff, unpack};
