//! `--set a.b=c`: single values of a TOML config, replaced on the command line.

use anyhow::{Context, Result, bail};
use toml::Value;

/// The config's text with the values replaced; unchanged, so that errors keep their line numbers, when there is nothing to replace.
///
/// A key's parts are separated by dots; a number counts the entries of a list from 0, e.g. `stage.2.lr=1e-4`. The value is read as
/// TOML, or taken as text where it is not TOML. A key that the config does not spell out is added; the config's own check refuses it if it is unknown.
pub fn apply(text: &str, overrides: &[String]) -> Result<String> {
    if overrides.is_empty() {
        return Ok(text.to_string());
    }
    let mut table: toml::Table = text.parse().context("the config is not valid TOML")?;
    for given in overrides {
        let Some((key, value)) = given.split_once('=') else {
            bail!("--set {given}: write it as key=value, e.g. --set dataset.seed=3");
        };
        let mut document = Value::Table(std::mem::take(&mut table));
        let parts: Vec<&str> = key.trim().split('.').collect();
        set(&mut document, &parts, read_value(value.trim())).with_context(|| format!("--set {given}"))?;
        if let Value::Table(changed) = document {
            table = changed;
        }
    }
    Ok(toml::to_string(&table)?)
}

fn read_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<toml::Table>().ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_string()))
}

fn set(place: &mut Value, parts: &[&str], value: Value) -> Result<()> {
    let Some((part, rest)) = parts.split_first() else {
        *place = value;
        return Ok(());
    };
    if part.is_empty() {
        bail!("a part of the key is empty");
    }
    match place {
        Value::Table(table) => {
            let next = table.entry(*part).or_insert_with(|| Value::Table(toml::Table::new()));
            set(next, rest, value)
        }
        Value::Array(entries) => {
            let length = entries.len();
            let entry = part.parse::<usize>().ok().and_then(|index| entries.get_mut(index));
            let Some(entry) = entry else {
                bail!("`{part}` is not an entry of the list, which has {length} (counted from 0)");
            };
            set(entry, rest, value)
        }
        other => bail!("`{part}` lies below a {}, which has no parts", other.type_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "seed = 1\n[[stage]]\nname = \"one\"\n[[stage]]\nname = \"two\"\n[model.vision]\nsize = 32\n";

    fn applied(overrides: &[&str]) -> Result<toml::Table> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        Ok(apply(CONFIG, &overrides)?.parse()?)
    }

    #[test]
    fn values_are_replaced_by_path() {
        let table = applied(&["seed=3", "stage.1.lr=1e-4", "model.vision.size=64", "stage.0.name=first"]).unwrap();
        assert_eq!(table["seed"].as_integer(), Some(3));
        assert_eq!(table["stage"][1]["lr"].as_float(), Some(1e-4));
        assert_eq!(table["model"]["vision"]["size"].as_integer(), Some(64));
        assert_eq!(table["stage"][0]["name"].as_str(), Some("first"));
    }

    #[test]
    fn without_overrides_the_text_stays_as_it_is() {
        assert_eq!(apply("# comment\nseed = 1\n", &[]).unwrap(), "# comment\nseed = 1\n");
    }

    #[test]
    fn a_wrong_path_says_what_is_wrong() {
        let message = |overrides: &[&str]| format!("{:#}", applied(overrides).unwrap_err());
        assert!(message(&["stage.5.lr=1"]).contains("the list, which has 2"));
        assert!(message(&["seed.x=1"]).contains("below a integer") || message(&["seed.x=1"]).contains("integer"));
        assert!(message(&["seed"]).contains("key=value"));
        assert!(message(&["stage..x=1"]).contains("empty"));
    }
}
