//! How far a long step has come: library functions report it, the program draws it.

/// One report of progress. Reports of one phase come in order; `done == total` ends the phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, in a few words, e.g. `read mednist`.
    pub phase: String,
    /// Units finished.
    pub done: u64,
    /// Units in all; 0 when unknown.
    pub total: u64,
    /// What a reader wants to see beside the bar, e.g. `loss 2.31`; may be empty.
    pub note: String,
}
