//! How libraries name the same parameter: names inside the program to keys of a file and back.

/// A way of naming parameters in files. The default is the program's own, that of the GMAI-VL release and of most published
/// LLaVAs: `language_model.model.*`, `language_model.lm_head`, `vision_tower.vision_model.*`, `multi_modal_projector.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyLayout {
    /// The parts stand below `model`, the head outside: `model.language_model.*`, `lm_head`, `model.vision_tower.*`,
    /// `model.multi_modal_projector.*` (modules of transformers from 4.52).
    pub under_model: bool,
    /// `vision_tower.*` lacks the level `vision_model` (transformers 5).
    pub flat_vision: bool,
}

/// A prefix of names and the prefix of keys in its place.
type Prefix = (&'static str, &'static str);

impl KeyLayout {
    /// The layout that keys follow.
    pub fn of(keys: impl IntoIterator<Item = String>) -> KeyLayout {
        let mut layout = KeyLayout::default();
        for key in keys {
            layout.under_model |= key.starts_with("model.vision_tower.");
            let vision = key.strip_prefix("model.").unwrap_or(&key).strip_prefix("vision_tower.");
            layout.flat_vision |= vision.is_some_and(|rest| !rest.starts_with("vision_model."));
        }
        layout
    }

    /// The first that fits a name counts.
    fn prefixes(self) -> [Prefix; 4] {
        let vision = if self.flat_vision { "vision_tower.vision_model." } else { "vision_tower." };
        if self.under_model {
            [
                ("language_model.model.", "model.language_model."),
                ("language_model.lm_head.", "lm_head."),
                (vision, "model.vision_tower."),
                ("multi_modal_projector.", "model.multi_modal_projector."),
            ]
        } else {
            let same = |prefix| (prefix, prefix);
            [same("language_model."), same("multi_modal_projector."), (vision, "vision_tower."), same("vision_tower.")]
        }
    }

    /// The program's name of a file's key.
    pub fn name(self, key: &str) -> String {
        let fitting = self.prefixes().into_iter().find_map(|(name, prefix)| Some((name, key.strip_prefix(prefix)?)));
        fitting.map_or_else(|| key.to_owned(), |(prefix, rest)| format!("{prefix}{rest}"))
    }

    /// The file's key of a program's name.
    pub fn key(self, name: &str) -> String {
        let fitting = self.prefixes().into_iter().find_map(|(prefix, key)| Some((key, name.strip_prefix(prefix)?)));
        fitting.map_or_else(|| name.to_owned(), |(prefix, rest)| format!("{prefix}{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_layout_come_back() {
        let names = [
            "language_model.model.layers.0.mlp.up_proj.weight",
            "language_model.model.embed_tokens.weight",
            "language_model.lm_head.weight",
            "vision_tower.vision_model.embeddings.class_embedding",
            "multi_modal_projector.linear_1.bias",
        ];
        for (under_model, flat_vision) in [(false, false), (false, true), (true, false), (true, true)] {
            let layout = KeyLayout { under_model, flat_vision };
            let keys: Vec<String> = names.iter().map(|name| layout.key(name)).collect();
            assert_eq!(KeyLayout::of(keys.clone()), layout);
            assert!(keys.iter().zip(names).all(|(key, name)| layout.name(key) == name), "{keys:?}");
            assert_eq!(keys[2].starts_with("lm_head"), under_model);
            assert_eq!(keys[3].contains("vision_model"), !flat_vision);
        }
    }
}
