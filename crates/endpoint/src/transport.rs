//! One exchange over HTTP, with limits on time and size.

use crate::failure::Failure;
use crate::reply::{self, Reply};
use crate::settings::{ApiKey, Settings};
use crate::stream;
use std::io::Read;
use std::time::Duration;
use ureq::Agent;
use ureq::http::HeaderMap;

/// How we name ourselves.
const USER_AGENT: &str = concat!("gmai/", env!("CARGO_PKG_VERSION"));

/// The most bytes of an error response that are read.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// Sends requests to one address.
#[derive(Debug)]
pub(crate) struct Transport {
    agent: Agent,
    url: String,
    key: Option<ApiKey>,
    timeout_seconds: f64,
    max_bytes: u64,
}

impl Transport {
    pub(crate) fn new(settings: &Settings, key: Option<ApiKey>) -> Transport {
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs_f64(settings.timeout_seconds)))
            .http_status_as_error(false)
            .max_redirects(0) // The key and the pictures go to the named host and to no other.
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(USER_AGENT)
            .build()
            .into();
        let (timeout_seconds, max_bytes) = (settings.timeout_seconds, settings.max_response_bytes);
        Transport { agent, url: settings.chat_url(), key, timeout_seconds, max_bytes }
    }

    /// Sends `body` and reads the reply. `name` is sent as `Idempotency-Key`: endpoints that know it do not charge for the same call twice.
    pub(crate) fn exchange(
        &self,
        body: &[u8],
        name: &str,
        is_stream: bool,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Reply, Failure> {
        let mut request =
            self.agent.post(&self.url).header("Content-Type", "application/json").header("Idempotency-Key", name);
        if let Some(key) = &self.key {
            request = request.header("Authorization", key.header());
        }
        let mut response = request.send(body).map_err(|error| self.failed(error))?;
        let status = response.status().as_u16();
        if status != 200 {
            let wait = retry_after(response.headers());
            let mut text = Vec::new();
            // What can be read of an error message is enough.
            let _ = response.body_mut().as_reader().take(MAX_ERROR_BYTES).read_to_end(&mut text);
            return Err(Failure::status(status, wait, &String::from_utf8_lossy(&text)));
        }
        let declared =
            response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|bytes| bytes > self.max_bytes) {
            return Err(Failure::TooLong { limit: self.max_bytes });
        }
        let streamed = is_stream
            && response
                .headers()
                .get("content-type")
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let mut limited =
            Limited { left: self.max_bytes, exceeded: false, late: false, inner: response.body_mut().as_reader() };
        let result = if streamed {
            stream::read(&mut limited, on_text)
        } else {
            let mut bytes = Vec::new();
            match limited.read_to_end(&mut bytes) {
                Ok(_) => reply::read(&bytes),
                Err(error) => Err(Failure::Torn { reason: error.to_string() }),
            }
        };
        match result {
            _ if limited.exceeded => Err(Failure::TooLong { limit: self.max_bytes }),
            Err(_) if limited.late => Err(Failure::Late { seconds: self.timeout_seconds }),
            other => other,
        }
    }

    fn failed(&self, error: ureq::Error) -> Failure {
        match error {
            ureq::Error::Timeout(_) => Failure::Late { seconds: self.timeout_seconds },
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                Failure::Late { seconds: self.timeout_seconds }
            }
            // The request may have arrived: a connection that breaks after it counts as a lost response.
            ureq::Error::Io(error) if error.kind() != std::io::ErrorKind::ConnectionRefused => {
                Failure::Torn { reason: error.to_string() }
            }
            ureq::Error::Protocol(error) => Failure::Torn { reason: error.to_string() },
            error => Failure::Unreachable { reason: error.to_string() },
        }
    }
}

/// Seconds in `Retry-After`; dates are left out, since a clock decides nothing here.
fn retry_after(headers: &HeaderMap) -> Option<f64> {
    let text = headers.get("retry-after")?.to_str().ok()?;
    text.trim().parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
}

/// A reader that stops at a limit and remembers why it stopped.
struct Limited<R> {
    inner: R,
    left: u64,
    exceeded: bool,
    late: bool,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer).inspect_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
            self.late |= error.kind() == std::io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)));
        })?;
        if read as u64 > self.left {
            self.exceeded = true;
            return Err(std::io::Error::other("longer than max_response_bytes"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}
