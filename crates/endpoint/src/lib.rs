//! Any OpenAI-compatible chat endpoint as a [`gmai_schema::Responder`].
//!
//! ```text
//! settings.rs   where the endpoint is and how patiently it is asked
//! request.rs    a ChatRequest as the endpoint's JSON, and the key that names it
//! reply.rs      the endpoint's JSON as text, tokens and usage; stream.rs, the same in pieces
//! transport.rs  one exchange over HTTP, with limits on time and size
//! failure.rs    why an exchange gave nothing, and whether another may
//! patience.rs   how long to wait before another
//! ledger.rs     every call and every reply on disk: nothing is asked twice, and the bill adds up
//! endpoint.rs   all of it in order
//! ```
//! Nothing is sent but to the endpoint that is named; redirects are not followed and proxies of the environment are not used.

mod endpoint;
mod error;
mod failure;
mod ledger;
mod patience;
mod reply;
mod request;
mod settings;
mod stream;
mod transport;

pub use endpoint::{Endpoint, Totals};
pub use error::Error;
pub use ledger::{Ledger, Line, Outcome, Usage};
pub use reply::Reply;
pub use request::key;
pub use settings::{ApiKey, Price, Settings};

/// What functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
