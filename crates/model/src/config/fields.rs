//! The keys of a JSON object, read one by one; every refusal names its key.

use crate::layers::Activation;
use serde_json::{Map, Value};
use std::cell::RefCell;

/// Why a text is no config: a message that names the key.
pub(super) type Reason = String;

/// The keys of one object, with its path for messages.
pub(super) struct Fields<'a> {
    path: &'static str,
    map: &'a Map<String, Value>,
    absent: &'a RefCell<Vec<String>>,
}

impl<'a> Fields<'a> {
    /// The keys of `value`, which must be an object.
    pub fn new(path: &'static str, value: &'a Value, absent: &'a RefCell<Vec<String>>) -> Result<Fields<'a>, Reason> {
        match value {
            Value::Object(map) => Ok(Fields { path, map, absent }),
            other => Err(format!("{path}: wanted an object, found {other}")),
        }
    }

    /// The full name of a key.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A value that is there and not `null`: transformers writes `null` for what is not set.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there without a value.
    pub fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    /// Remembers that a key is absent, for the message should the weights not fit its default.
    pub fn note(&self, key: &str) {
        self.absent.borrow_mut().push(self.name(key));
    }

    /// A value that must be there.
    pub fn required(&self, key: &str) -> Result<&'a Value, Reason> {
        self.get(key).ok_or_else(|| format!("missing field `{}`", self.name(key)))
    }

    /// Refuses a value of the wrong kind.
    pub fn wrong(&self, key: &str, value: &Value, wanted: &str) -> Reason {
        format!("{}: wanted {wanted}, found {value}", self.name(key))
    }

    /// Refuses a value that the network does not implement.
    pub fn unsupported(&self, key: &str, value: &str, known: &str) -> Reason {
        unsupported(&self.name(key), value, known)
    }

    /// Refuses the value under a key, as it is written.
    pub fn refuse(&self, key: &str, known: &str) -> Reason {
        let value = self.get(key).map_or_else(|| "null".to_owned(), Value::to_string);
        self.unsupported(key, &value, known)
    }

    /// A text that must be there.
    pub fn required_text(&self, key: &str) -> Result<&'a str, Reason> {
        let value = self.required(key)?;
        value.as_str().ok_or_else(|| self.wrong(key, value, "a text"))
    }

    /// A text.
    pub fn text(&self, key: &str, default: &'static str) -> Result<&'a str, Reason> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| self.wrong(key, value, "a text")),
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        let list = self.get(key)?.as_array()?;
        Some(list.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect())
    }

    /// A size that may decide shapes.
    pub fn size(&self, key: &str, default: usize) -> Result<usize, Reason> {
        let Some(value) = self.get(key) else {
            self.note(key);
            return Ok(default);
        };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| self.wrong(key, value, "a whole number from 0"))
    }

    /// A size that decides no shape.
    pub fn length(&self, key: &str, default: usize) -> Result<usize, Reason> {
        if self.get(key).is_some() { self.size(key, default) } else { Ok(default) }
    }

    /// A whole number.
    pub fn integer(&self, key: &str, default: i64) -> Result<i64, Reason> {
        self.get(key)
            .map_or(Ok(default), |value| value.as_i64().ok_or_else(|| self.wrong(key, value, "one whole number")))
    }

    /// A number.
    pub fn number(&self, key: &str, default: f64) -> Result<f64, Reason> {
        self.get(key).map_or(Ok(default), |value| value.as_f64().ok_or_else(|| self.wrong(key, value, "a number")))
    }

    /// True or false.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, Reason> {
        self.get(key)
            .map_or(Ok(default), |value| value.as_bool().ok_or_else(|| self.wrong(key, value, "true or false")))
    }

    /// A token id under the first of `keys` that is there. Negative ids stand for none.
    pub fn id(&self, keys: &[&str]) -> Result<Option<u32>, Reason> {
        let Some((key, value)) = keys.iter().find_map(|key| self.get(key).map(|value| (*key, value))) else {
            return Ok(None);
        };
        match value.as_i64() {
            Some(negative) if negative < 0 && key != "image_token_index" => Ok(None),
            Some(id) => u32::try_from(id).map(Some).map_err(|_| self.wrong(key, value, "a token id")),
            None => Err(self.wrong(key, value, "a token id")),
        }
    }

    /// One token id or a list of them.
    pub fn ids(&self, key: &str) -> Result<Option<Vec<u32>>, Reason> {
        match self.get(key) {
            Some(Value::Array(list)) => {
                let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
                let ids: Option<Vec<u32>> = list.iter().map(id).collect();
                ids.map(Some).ok_or_else(|| self.wrong(key, &Value::Array(list.clone()), "token ids"))
            }
            Some(_) => Ok(Some(self.id(&[key])?.into_iter().collect())),
            None => Ok(None),
        }
    }

    /// An activation by its name.
    pub fn activation(&self, key: &str, default: Activation) -> Result<Activation, Reason> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let known = "\"quick_gelu\", \"gelu\", \"gelu_pytorch_tanh\", \"relu\" or \"silu\"";
        value.as_str().and_then(Activation::named).ok_or_else(|| self.refuse(key, known))
    }
}

/// Refuses `value` under the full name of a key.
pub(super) fn unsupported(name: &str, value: &str, known: &str) -> Reason {
    format!("{name} = {value} is not supported: use {known}")
}
