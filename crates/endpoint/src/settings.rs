//! Where an endpoint is and how patiently it is asked.

use crate::{Error, Result};
use serde::Deserialize;

/// An endpoint as a config describes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address up to and with the version, e.g. `http://127.0.0.1:8000/v1`; `/chat/completions` is added.
    pub base_url: String,
    /// Name of the model at the endpoint.
    pub model: String,
    /// Name of the environment variable that holds the key; without it no key is sent. The key itself never stands in a config.
    pub api_key_variable: Option<String>,
    /// The longest that one call may take, to its last byte; default 120.
    #[serde(default = "timeout_seconds")]
    pub timeout_seconds: f64,
    /// Further attempts after one that failed for a passing reason; default 5.
    #[serde(default = "max_retries")]
    pub max_retries: u32,
    /// Wait before the first further attempt; doubles each time, with jitter. Default 1. `Retry-After` of the endpoint counts where it is longer.
    #[serde(default = "first_wait_seconds")]
    pub first_wait_seconds: f64,
    /// The longest wait, `Retry-After` included; default 60.
    #[serde(default = "longest_wait_seconds")]
    pub longest_wait_seconds: f64,
    /// Calls under way at once; default 4.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// The most bytes of a response that are read; default 4 MiB.
    #[serde(default = "max_response_bytes")]
    pub max_response_bytes: u64,
    /// Whether replies are asked for in pieces (server-sent events); default no.
    #[serde(default)]
    pub stream: bool,
    /// What the endpoint charges; default nothing.
    #[serde(default)]
    pub price: Price,
    /// The most that may be spent in all, in the currency of `price`, earlier runs with the same ledger included. No limit by default.
    pub budget: Option<f64>,
    /// Tokens that one image is expected to take, for estimates before a call; default 1000.
    #[serde(default = "image_tokens")]
    pub image_tokens: u64,
}

/// What an endpoint charges for a million tokens, in a currency of your choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For tokens read.
    pub prompt_per_million: f64,
    /// For tokens written.
    pub completion_per_million: f64,
}

impl Price {
    /// What so many tokens cost.
    pub fn of(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        (prompt_tokens as f64 * self.prompt_per_million + completion_tokens as f64 * self.completion_per_million) / 1e6
    }
}

/// A secret that no message shows.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key; white space around it is removed.
    pub fn new(key: &str) -> ApiKey {
        ApiKey(key.trim().to_string())
    }

    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

fn timeout_seconds() -> f64 {
    120.0
}

fn max_retries() -> u32 {
    5
}

fn first_wait_seconds() -> f64 {
    1.0
}

fn longest_wait_seconds() -> f64 {
    60.0
}

fn concurrency() -> usize {
    4
}

fn max_response_bytes() -> u64 {
    4 << 20
}

fn image_tokens() -> u64 {
    1000
}

impl Settings {
    /// An endpoint with every other setting at its default.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Settings {
        Settings {
            base_url: base_url.into(),
            model: model.into(),
            api_key_variable: None,
            timeout_seconds: timeout_seconds(),
            max_retries: max_retries(),
            first_wait_seconds: first_wait_seconds(),
            longest_wait_seconds: longest_wait_seconds(),
            concurrency: concurrency(),
            max_response_bytes: max_response_bytes(),
            stream: false,
            price: Price::default(),
            budget: None,
            image_tokens: image_tokens(),
        }
    }

    /// Refuses values that cannot work.
    pub fn check(&self) -> Result<()> {
        let refuse = |field, reason: &str| Err(Error::Setting { field, reason: reason.to_string() });
        let is_seconds = |value: f64| value.is_finite() && value > 0.0 && value <= 86_400.0;
        let is_amount = |value: f64| value.is_finite() && value >= 0.0;
        let secure = self.base_url.starts_with("https://");
        let rest = self.base_url.strip_prefix("http://").or(self.base_url.strip_prefix("https://"));
        match rest {
            None => return refuse("base_url", "must begin with http:// or https://"),
            Some(rest) if rest.split('/').next().unwrap_or_default().contains('@') => {
                return refuse(
                    "base_url",
                    "must not hold a user or password; name the key's variable in api_key_variable",
                );
            }
            Some(rest) if rest.is_empty() || rest.starts_with('/') => return refuse("base_url", "names no host"),
            Some(_) if secure && cfg!(not(feature = "https")) => {
                let reason = "this program was built without https; build it with --features https, or run a TLS proxy on this machine and name it with http://";
                return refuse("base_url", reason);
            }
            Some(_) => {}
        }
        if self.model.trim().is_empty() {
            return refuse("model", "must not be empty");
        }
        if !is_seconds(self.timeout_seconds) {
            return refuse("timeout_seconds", "must be more than 0 and at most 86400");
        }
        if !is_seconds(self.first_wait_seconds) || !is_seconds(self.longest_wait_seconds) {
            return refuse("first_wait_seconds", "waits must be more than 0 and at most 86400");
        }
        if self.concurrency == 0 || self.concurrency > 256 {
            return refuse("concurrency", "must be 1 to 256");
        }
        if self.max_response_bytes < 1024 {
            return refuse("max_response_bytes", "must be at least 1024");
        }
        let prices = [self.price.prompt_per_million, self.price.completion_per_million, self.budget.unwrap_or(0.0)];
        if !prices.into_iter().all(is_amount) {
            return refuse("price", "prices and budget must be numbers from 0");
        }
        if self.budget.is_some() && self.price == Price::default() {
            return refuse(
                "budget",
                "a budget needs a price: set price.prompt_per_million and price.completion_per_million",
            );
        }
        Ok(())
    }

    /// Where chat requests go.
    pub(crate) fn chat_url(&self) -> String {
        format!("{}/chat/completions", self.base_url.trim_end_matches('/'))
    }

    /// Whose answers these are, for replies and rows.
    pub fn identity(&self) -> String {
        format!("{} at {}", self.model, self.base_url.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl Fn(&mut Settings)) -> String {
        let mut settings = Settings::new("http://127.0.0.1:1/v1", "m");
        change(&mut settings);
        settings.check().map_err(|error| error.to_string()).expect_err("must be refused")
    }

    #[test]
    fn unusable_settings_name_their_field() {
        assert!(Settings::new("http://127.0.0.1:1/v1", "m").check().is_ok());
        assert!(refused(|s| s.base_url = "ftp://x".into()).contains("base_url"));
        assert!(refused(|s| s.base_url = "http://user:secret@host/v1".into()).contains("api_key_variable"));
        assert!(refused(|s| s.timeout_seconds = f64::NAN).contains("timeout_seconds"));
        assert!(refused(|s| s.concurrency = 0).contains("concurrency"));
        assert!(refused(|s| s.budget = Some(1.0)).contains("price"));
        #[cfg(not(feature = "https"))]
        assert!(refused(|s| s.base_url = "https://api.example.org/v1".into()).contains("--features https"));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", ApiKey::new(" sk-secret\n")), "ApiKey(hidden)");
        assert_eq!(ApiKey::new(" sk-secret\n").header(), "Bearer sk-secret");
    }
}
