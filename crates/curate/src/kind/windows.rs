//! Windows of a source's volumes: rules, named windows for CT, or several of them.

use gmai_imaging::WindowRule;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A usual window of CT, in Hounsfield units (level and width as in radiology textbooks).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Level 40, width 80.
    Brain,
    /// Level -600, width 1500.
    Lung,
    /// Level 40, width 400.
    Abdomen,
    /// Level 400, width 1800.
    Bone,
    /// Level 50, width 350.
    Mediastinum,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 5] = [Preset::Brain, Preset::Lung, Preset::Abdomen, Preset::Bone, Preset::Mediastinum];

    /// The name in configs.
    pub fn key(self) -> &'static str {
        match self {
            Preset::Brain => "brain",
            Preset::Lung => "lung",
            Preset::Abdomen => "abdomen",
            Preset::Bone => "bone",
            Preset::Mediastinum => "mediastinum",
        }
    }

    /// The values shown black and white.
    pub fn rule(self) -> WindowRule {
        let (level, width) = match self {
            Preset::Brain => (40.0, 80.0),
            Preset::Lung => (-600.0, 1500.0),
            Preset::Abdomen => (40.0, 400.0),
            Preset::Bone => (400.0, 1800.0),
            Preset::Mediastinum => (50.0, 350.0),
        };
        WindowRule::Fixed { low: level - width / 2.0, high: level + width / 2.0 }
    }
}

/// One window as written in a config.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// By name; for CT alone.
    Preset(Preset),
    /// By rule.
    Rule(WindowRule),
}

impl Window {
    /// The rule behind it.
    pub fn rule(self) -> WindowRule {
        match self {
            Window::Preset(preset) => preset.rule(),
            Window::Rule(rule) => rule,
        }
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Window, D::Error> {
        struct NameOrRule;
        impl<'de> Visitor<'de> for NameOrRule {
            type Value = Window;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.key()).collect();
                write!(
                    f,
                    "\"min_max\", a CT window ({}), {{ percentile = {{ low, high }} }} or {{ fixed = {{ low, high }} }}",
                    names.join(", ")
                )
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Window, E> {
                match Preset::ALL.into_iter().find(|preset| preset.key() == name) {
                    Some(preset) => Ok(Window::Preset(preset)),
                    None if name == "min_max" => Ok(Window::Rule(WindowRule::MinMax)),
                    None => Err(E::invalid_value(serde::de::Unexpected::Str(name), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Window, A::Error> {
                WindowRule::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Window::Rule)
            }
        }
        deserializer.deserialize_any(NameOrRule)
    }
}

/// One window or several; each slice gives a picture in each. In a config a window or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows(Vec<Window>);

impl Default for Windows {
    fn default() -> Windows {
        Windows(vec![Window::Rule(WindowRule::default())])
    }
}

impl Windows {
    /// The windows in order; at least one, none twice.
    pub fn as_slice(&self) -> &[Window] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Windows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Windows, D::Error> {
        struct OneOrList;
        impl<'de> Visitor<'de> for OneOrList {
            type Value = Windows;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a window such as \"lung\", or a list of windows")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Windows, E> {
                Window::deserialize(serde::de::value::StrDeserializer::new(name)).map(|window| Windows(vec![window]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Windows, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                Window::deserialize(map).map(|window| Windows(vec![window]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Windows, A::Error> {
                let mut windows: Vec<Window> = Vec::new();
                while let Some(window) = list.next_element::<Window>()? {
                    if windows.iter().any(|known| known.rule() == window.rule()) {
                        return Err(serde::de::Error::custom("two windows are the same"));
                    }
                    windows.push(window);
                }
                if windows.is_empty() {
                    return Err(serde::de::Error::custom("name at least one window"));
                }
                Ok(Windows(windows))
            }
        }
        deserializer.deserialize_any(OneOrList)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Windows, String> {
        #[derive(Deserialize)]
        struct Holder {
            window: Windows,
        }
        toml::from_str::<Holder>(text).map(|holder| holder.window).map_err(|error| error.to_string())
    }

    #[test]
    fn names_rules_and_lists_are_read() {
        let lung = read("window = \"lung\"").unwrap();
        assert_eq!(lung.as_slice()[0].rule(), WindowRule::Fixed { low: -1350.0, high: 150.0 });
        assert_eq!(read("window = \"abdomen\"").unwrap().as_slice()[0].rule(), WindowRule::CT_SOFT_TISSUE);
        let two = read("window = [\"mediastinum\", { fixed = { low = 0, high = 80 } }]").unwrap();
        assert_eq!(two.as_slice()[1], Window::Rule(WindowRule::Fixed { low: 0.0, high: 80.0 }));
        assert_eq!(two.as_slice()[0].rule(), WindowRule::Fixed { low: -125.0, high: 225.0 });
        assert_eq!(read("window = { percentile = { low = 0.5, high = 99.5 } }").unwrap(), Windows::default());
    }

    #[test]
    fn wrong_windows_are_explained() {
        assert!(read("window = \"lungs\"").unwrap_err().contains("brain, lung, abdomen, bone, mediastinum"));
        assert!(
            read("window = [\"abdomen\", { fixed = { low = -160, high = 240 } }]").unwrap_err().contains("the same")
        );
        assert!(read("window = []").is_err() && read("window = { fixed = { low = 1 } }").is_err());
    }
}
