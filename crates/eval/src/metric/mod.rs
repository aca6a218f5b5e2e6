//! Measures of a single reply, each in its own file.

pub mod accuracy;
pub mod token_f1;

pub use accuracy::exact_match;
pub use token_f1::token_f1;
