//! Why an exchange gave no reply.

/// The most of a refused response that messages repeat.
const MAX_EXCERPT: usize = 300;

/// Why one exchange gave no reply.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// The endpoint answered with an error.
    #[error("HTTP status {status}: {body}")]
    Status { status: u16, retry_after_seconds: Option<f64>, body: String },
    /// Time ran out.
    #[error("no whole response within {seconds} seconds; raise timeout_seconds, or ask for fewer tokens")]
    Late { seconds: f64 },
    /// No connection, or it broke before the response began.
    #[error("no connection: {reason}")]
    Unreachable { reason: String },
    /// The response ended before its end.
    #[error("the response broke off: {reason}")]
    Torn { reason: String },
    /// More bytes than are read.
    #[error("the response is longer than {limit} bytes (max_response_bytes)")]
    TooLong { limit: u64 },
    /// Whole, but not what the protocol says.
    #[error("the response cannot be read: {reason}")]
    Foreign { reason: String },
}

impl Failure {
    /// An error status with the beginning of its body.
    pub(crate) fn status(status: u16, retry_after_seconds: Option<f64>, body: &str) -> Failure {
        let body: String = body.chars().filter(|letter| !letter.is_control()).take(MAX_EXCERPT).collect();
        Failure::Status { status, retry_after_seconds, body }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Failure::Status { status, .. } => matches!(status, 408 | 409 | 425 | 429 | 500 | 502..=504 | 520..=529),
            Failure::Late { .. } | Failure::Unreachable { .. } | Failure::Torn { .. } | Failure::Foreign { .. } => true,
            Failure::TooLong { .. } => false,
        }
    }

    /// Whether the endpoint may have written, and charged for, an answer that was lost.
    pub(crate) fn may_be_charged(&self) -> bool {
        match self {
            Failure::Status { .. } | Failure::Unreachable { .. } => false,
            Failure::Late { .. } | Failure::Torn { .. } | Failure::TooLong { .. } | Failure::Foreign { .. } => true,
        }
    }

    /// How long the endpoint wants to be left alone.
    pub(crate) fn retry_after_seconds(&self) -> Option<f64> {
        match self {
            Failure::Status { retry_after_seconds, .. } => *retry_after_seconds,
            _ => None,
        }
    }

    /// Whether the endpoint refuses a request because it does not know this field.
    pub(crate) fn complains_of(&self, field: &str) -> bool {
        matches!(self, Failure::Status { status: 400 | 404 | 415 | 422 | 501, body, .. } if body.contains(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_failures_are_told_from_lasting_ones() {
        let passing = |status| Failure::status(status, None, "").is_passing();
        assert!([408, 429, 500, 502, 503, 504, 529].into_iter().all(passing));
        assert!(![400, 401, 403, 404, 413, 422, 301].into_iter().any(passing));
        assert!(!Failure::TooLong { limit: 1 }.is_passing());
    }
}
