//! Reads the repository the way its rules speak of it; the rules themselves stand in `tests/rules`.
//!
//! ```text
//! workspace.rs  crates, their manifests, every file that belongs to the repository
//! source.rs     one Rust file: its code without comments, without text in quotes, without tests
//! map.rs        the file map of ARCHITECTURE.md
//! ```
//! Nothing else in the workspace depends on this crate.

pub mod map;
pub mod source;
pub mod workspace;

pub use map::FileMap;
pub use source::Source;
pub use workspace::{Manifest, Workspace};
