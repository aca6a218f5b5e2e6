//! The values that pass between gmai's crates: plain data, no I/O, no tensors.
//!
//! ```text
//! Record        one image or study with what its annotation says     annotation.rs, record.rs
//! Conversation  an image-text training item made from a record       conversation.rs
//! Question      one benchmark item                                   question.rs
//! ChatRequest   what is asked of a model; Answer, what it said        chat.rs
//! ```
//! Names that all parts share (modalities, departments, tasks, body parts) stand in `vocabulary.rs`, masks as run lengths in `mask.rs`.

pub mod annotation;
pub mod chat;
pub mod conversation;
pub mod image;
pub mod mask;
pub mod progress;
pub mod question;
pub mod record;
pub mod vocabulary;

pub use annotation::{
    Attribute, BoundingBox, Dialogue, Grade, Label, Measurement, Point, QuestionAnswer, Region, Section, SourceFacts,
    Term,
};
pub use chat::{
    Answer, ChatRequest, FinishReason, OptionLikelihood, Responder, ResponderError, Sampling, TokenLikelihood,
    WrittenToken,
};
pub use conversation::{Conversation, Form, Quiz, Role, Split, Turn};
pub use image::Rgb8;
pub use mask::RleMask;
pub use progress::Progress;
pub use question::Question;
pub use record::{Axis, PixelSource, Provenance, Record, SliceRef, WindowRef};
pub use vocabulary::{BodyPart, Department, Language, Modality, SectionKind, Task, UnknownWord};
