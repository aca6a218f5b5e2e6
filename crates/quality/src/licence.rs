//! Licences: which texts mean which, what each allows, and what a policy refuses to mix.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a licence allows. Conditions such as naming the authors are not modelled: the card names every source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Licence {
    /// SPDX id, or `LicenseRef-` and a name where SPDX has none.
    pub id: &'static str,
    /// Whether use for profit is allowed.
    pub commercial: bool,
    /// Whether changed versions may be made: cut-outs, pairs, models.
    pub derivatives: bool,
    /// Whether it may be passed on.
    pub redistribution: bool,
    /// Whether changed versions must carry the same licence.
    pub share_alike: bool,
    /// Texts that mean it: words in lower case, punctuation as blanks.
    #[serde(skip)]
    names: &'static [&'static str],
}

/// Shorthand for a line of the table: c(ommercial), d(erivatives), r(edistribution), s(hare-alike).
const fn line(id: &'static str, allows: &str, names: &'static [&'static str]) -> Licence {
    let bytes = allows.as_bytes();
    let (mut commercial, mut derivatives, mut redistribution, mut share_alike) = (false, false, false, false);
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'c' => commercial = true,
            b'd' => derivatives = true,
            b'r' => redistribution = true,
            b's' => share_alike = true,
            _ => {}
        }
        index += 1;
    }
    Licence { id, commercial, derivatives, redistribution, share_alike, names }
}

/// The licences under which medical image sets are published.
pub const TABLE: &[Licence] = &[
    line("CC0-1.0", "cdr", &["cc0", "cc0 1 0", "cc 0", "cc 0 1 0", "creative commons zero"]),
    line("PDDL-1.0", "cdr", &["pddl", "pddl 1 0", "open data commons public domain dedication and license"]),
    line(
        "LicenseRef-public-domain",
        "cdr",
        &["public domain", "us government work", "u s government work", "us government works"],
    ),
    line(
        "LicenseRef-unrestricted",
        "cdr",
        &["unrestricted", "without restriction", "without restrictions", "no restrictions"],
    ),
    line(
        "CC-BY-4.0",
        "cdr",
        &["cc by", "cc by 4 0", "creative commons attribution 4 0", "creative commons attribution 4 0 international"],
    ),
    line("CC-BY-3.0", "cdr", &["cc by 3 0", "cc by 3 0 unported", "creative commons attribution 3 0"]),
    line("CC-BY-2.0", "cdr", &["cc by 2 0", "cc by 2 5"]),
    line("CC-BY-SA-4.0", "cdrs", &["cc by sa", "cc by sa 4 0", "creative commons attribution sharealike 4 0"]),
    line("CC-BY-SA-3.0", "cdrs", &["cc by sa 3 0", "cc by sa 3 0 unported"]),
    line("CC-BY-NC-4.0", "dr", &["cc by nc", "cc by nc 4 0", "creative commons attribution noncommercial 4 0"]),
    line("CC-BY-NC-3.0", "dr", &["cc by nc 3 0"]),
    line("CC-BY-NC-SA-4.0", "drs", &["cc by nc sa", "cc by nc sa 4 0", "cc nc sa", "nc sa"]),
    line("CC-BY-NC-SA-3.0", "drs", &["cc by nc sa 3 0"]),
    line("CC-BY-ND-4.0", "cr", &["cc by nd", "cc by nd 4 0"]),
    line("CC-BY-NC-ND-4.0", "r", &["cc by nc nd", "cc by nc nd 4 0", "nc nd"]),
    line("CC-BY-NC-ND-3.0", "r", &["cc by nc nd 3 0"]),
    line("MIT", "cdr", &["mit", "mit license", "mit licence"]),
    line(
        "Apache-2.0",
        "cdr",
        &["apache", "apache 2 0", "apache license 2 0", "apache 2", "apache license version 2 0"],
    ),
    line("BSD-2-Clause", "cdr", &["bsd 2 clause", "bsd 2", "simplified bsd"]),
    line("BSD-3-Clause", "cdr", &["bsd 3 clause", "bsd 3", "bsd", "new bsd", "bsd license"]),
    line("ISC", "cdr", &["isc"]),
    line("ODbL-1.0", "cdrs", &["odbl", "odbl 1 0", "open database license"]),
    line("ODC-By-1.0", "cdr", &["odc by", "odc by 1 0"]),
    line("CDLA-Permissive-2.0", "cdr", &["cdla permissive", "cdla permissive 2 0", "cdla permissive 1 0"]),
    line("CDLA-Sharing-1.0", "cdrs", &["cdla sharing", "cdla sharing 1 0"]),
    line("GPL-3.0-or-later", "cdrs", &["gpl", "gpl 3 0", "gplv3", "gpl 3 0 or later", "gnu gpl v3", "gpl 3"]),
    line("AGPL-3.0-or-later", "cdrs", &["agpl", "agpl 3 0", "agplv3"]),
    line(
        "LicenseRef-PhysioNet-Credentialed",
        "d",
        &["physionet credentialed health data license", "physionet credentialed", "physionet"],
    ),
    line(
        "LicenseRef-research-only",
        "d",
        &[
            "research only",
            "research use only",
            "for research purposes only",
            "academic use only",
            "non commercial research",
            "non commercial research only",
            "research purposes only",
        ],
    ),
    line("LicenseRef-internal", "d", &["internal", "internal use only", "hospital internal"]),
    line("LicenseRef-all-rights-reserved", "", &["all rights reserved", "proprietary"]),
];

/// Words that say that nothing is known.
const NOT_STATED: [&str; 5] = ["not stated", "unknown", "none", "no licence", "no license"];

/// Lower-case words of a text.
fn words(text: &str) -> Vec<String> {
    let spaced: String =
        text.chars().map(|letter| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { ' ' }).collect();
    spaced.split_whitespace().map(str::to_string).collect()
}

/// The licence with this SPDX id.
pub fn by_id(id: &str) -> Option<&'static Licence> {
    TABLE.iter().find(|licence| licence.id.eq_ignore_ascii_case(id))
}

/// Every licence that a text names, in order; longer names win over shorter ones within them. Empty when it names none.
///
/// `CC BY-SA 4.0 (Mayo Clinic)` names one; `dcmqi: BSD-3-Clause; highdicom: MIT` names two, and both hold.
pub fn licences_in(text: &str) -> Vec<&'static Licence> {
    let words = words(text);
    let mut names: Vec<(Vec<String>, &'static Licence)> = Vec::new();
    for licence in TABLE {
        let own = std::iter::once(licence.id).chain(licence.names.iter().copied());
        names.extend(own.map(|name| (self::words(name), licence)));
    }
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let (mut found, mut place) = (Vec::new(), 0);
    while place < words.len() {
        match names.iter().find(|(name, _)| words[place..].starts_with(name)) {
            Some((name, licence)) => {
                if !found.contains(licence) {
                    found.push(*licence);
                }
                place += name.len();
            }
            None => place += 1,
        }
    }
    found
}

/// A text that says that nothing is known, or nothing at all.
fn is_silent(text: &str) -> bool {
    let words = words(text).join(" ");
    words.is_empty() || NOT_STATED.contains(&words.as_str())
}

/// What a dataset must allow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Name, for messages.
    pub name: String,
    /// What every licence must allow.
    #[serde(default)]
    pub require: Vec<Permission>,
    /// SPDX ids that are taken whatever they allow.
    #[serde(default)]
    pub allow: Vec<String>,
    /// SPDX ids that are refused whatever they allow.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Whether sources without a known licence are taken.
    #[serde(default)]
    pub unknown: Answer,
    /// Whether share-alike licences may stand beside licences that they do not permit, in one set that is passed on.
    #[serde(default)]
    pub share_alike_conflicts: Answer,
    /// What own wordings mean: `"NIH Clinical Center" = "LicenseRef-unrestricted"`.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
}

/// Something a licence allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Use for profit.
    Commercial,
    /// Changed versions.
    Derivatives,
    /// Passing on.
    Redistribution,
}

/// Yes or no in a policy file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken.
    Allow,
}

/// A source's licence as a policy judges it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The source.
    pub source: String,
    /// Its licence as written.
    pub licence: String,
    /// SPDX ids that the text means.
    pub ids: Vec<String>,
    /// Why the source is refused; `None` when it is taken.
    pub refused: Option<String>,
}

impl Policy {
    /// The policy that a word or a file means: `non-commercial`, `redistributable`, `commercial`, or a TOML file.
    ///
    /// # Errors
    /// A word that is no policy and no file; a file with unknown keys or SPDX ids.
    pub fn find(word: &str) -> Result<Policy> {
        use Permission::{Commercial, Derivatives, Redistribution};
        let built_in = |require: &[Permission], share_alike_conflicts| Policy {
            name: word.to_string(),
            require: require.to_vec(),
            allow: Vec::new(),
            deny: Vec::new(),
            unknown: Answer::Refuse,
            share_alike_conflicts,
            names: BTreeMap::new(),
        };
        match word {
            "non-commercial" => Ok(built_in(&[Derivatives], Answer::Allow)),
            "redistributable" => Ok(built_in(&[Derivatives, Redistribution], Answer::Refuse)),
            "commercial" => Ok(built_in(&[Commercial, Derivatives], Answer::Allow)),
            file => Policy::read(Path::new(file)),
        }
    }

    fn read(path: &Path) -> Result<Policy> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let reason = format!("{error}; a policy is non-commercial, redistributable, commercial, or a TOML file");
            Error::bad_file(path, "licence policy", reason)
        })?;
        let policy: Policy = toml::from_str(&text).map_err(|error| Error::bad_file(path, "TOML", error.to_string()))?;
        let ids = policy.allow.iter().chain(&policy.deny).chain(policy.names.values());
        for id in ids {
            if by_id(id).is_none() {
                let known: Vec<&str> = TABLE.iter().map(|licence| licence.id).collect();
                return Err(Error::bad_file(
                    path,
                    format!("`{id}`"),
                    format!("not an id of the table: {}", known.join(", ")),
                ));
            }
        }
        Ok(policy)
    }

    fn meant(&self, text: &str) -> Vec<&'static Licence> {
        let own = self.names.iter().find(|(name, _)| name.trim().eq_ignore_ascii_case(text.trim()));
        match own.and_then(|(_, id)| by_id(id)) {
            Some(licence) => vec![licence],
            None => licences_in(text),
        }
    }

    fn refusal(&self, licence: &Licence) -> Option<String> {
        let named = |list: &[String]| list.iter().any(|id| id.eq_ignore_ascii_case(licence.id));
        if named(&self.deny) {
            return Some(format!("{} is on the policy's list of refused licences", licence.id));
        }
        if named(&self.allow) {
            return None;
        }
        self.require.iter().find_map(|permission| {
            let (holds, what) = match permission {
                Permission::Commercial => (licence.commercial, "commercial use"),
                Permission::Derivatives => (licence.derivatives, "changed versions"),
                Permission::Redistribution => (licence.redistribution, "passing on"),
            };
            (!holds).then(|| format!("{} does not allow {what}", licence.id))
        })
    }

    /// Judges every source of a dataset: alone, and beside the others.
    pub fn judge<'a>(&self, sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Judged> {
        let sources: Vec<(&str, &str)> = sources.into_iter().collect();
        let meant: Vec<Vec<&Licence>> = sources.iter().map(|(_, text)| self.meant(text)).collect();
        let judge = |(index, (source, text)): (usize, &(&str, &str))| {
            let alone = match meant[index].as_slice() {
                [] if self.unknown == Answer::Allow => None,
                [] if is_silent(text) => Some("no licence is stated".to_string()),
                [] => Some(format!(
                    "`{text}` is no known licence; write an SPDX id, or name it under [names] of a policy file"
                )),
                all => all.iter().find_map(|licence| self.refusal(licence)),
            };
            let mixed = || {
                let others = sources.iter().zip(&meant).enumerate().filter(|(other, _)| *other != index);
                let own = &meant[index];
                others
                    .flat_map(|(_, (other, licences))| licences.iter().map(move |licence| (other.0, *licence)))
                    .find_map(|(other, licence)| {
                        let clash = own.iter().find(|own| own.share_alike && !may_stand_under(licence, own))?;
                        Some(format!(
                            "{} asks for the same licence for the whole, which {} of source `{other}` does not permit",
                            clash.id, licence.id
                        ))
                    })
            };
            let refused = alone.or_else(|| if self.share_alike_conflicts == Answer::Refuse { mixed() } else { None });
            let ids = meant[index].iter().map(|licence| licence.id.to_string()).collect();
            Judged { source: (*source).to_string(), licence: (*text).to_string(), ids, refused }
        };
        sources.iter().enumerate().map(judge).collect()
    }
}

/// Whether material under `licence` may be part of a set that is passed on under the share-alike licence `whole`.
fn may_stand_under(licence: &Licence, whole: &Licence) -> bool {
    let family =
        |id: &str| id.trim_end_matches(|letter: char| letter.is_ascii_digit() || ".-".contains(letter)).to_string();
    if family(licence.id) == family(whole.id) {
        return true;
    }
    let permits = |allowed: bool, needed: bool| allowed || !needed;
    // What the whole lets its readers do, its part must let them do; and two different share-alikes exclude each other.
    permits(licence.commercial, whole.commercial)
        && licence.derivatives
        && licence.redistribution
        && !licence.share_alike
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<&'static str> {
        licences_in(text).iter().map(|licence| licence.id).collect()
    }

    #[test]
    fn licences_are_read_as_people_write_them() {
        assert_eq!(ids("CC BY-SA 4.0"), ["CC-BY-SA-4.0"]);
        assert_eq!(ids("CC-BY-NC-ND-4.0"), ["CC-BY-NC-ND-4.0"]);
        assert_eq!(ids("CC BY 3.0 Unported (LICENSE kept here)"), ["CC-BY-3.0"]);
        assert_eq!(ids("dcmqi: BSD-3-Clause; highdicom: MIT"), ["BSD-3-Clause", "MIT"]);
        assert_eq!(ids("CC-0 (licence of the ISIC 2016 and 2017 challenge data)"), ["CC0-1.0"]);
        assert_eq!(ids("NIH Clinical Center, unrestricted"), ["LicenseRef-unrestricted"]);
        assert_eq!(ids("internal use only"), ["LicenseRef-internal"]);
        assert!(ids("our own terms").is_empty() && ids("").is_empty());
    }

    #[test]
    fn ids_are_unique_and_name_themselves() {
        for licence in TABLE {
            assert_eq!(TABLE.iter().filter(|other| other.id == licence.id).count(), 1);
            assert_eq!(ids(licence.id), [licence.id]);
        }
    }

    fn refused(policy: &str, sources: &[(&str, &str)]) -> Vec<String> {
        let judged = Policy::find(policy).unwrap().judge(sources.iter().copied());
        judged.into_iter().filter(|judged| judged.refused.is_some()).map(|judged| judged.source).collect()
    }

    #[test]
    fn policies_refuse_what_licences_forbid() {
        let sources =
            [("a", "CC0"), ("b", "CC BY-NC 4.0"), ("c", "CC BY-NC-ND 4.0"), ("d", "not stated"), ("e", "MIT")];
        assert_eq!(refused("non-commercial", &sources), ["c", "d"]);
        assert_eq!(refused("commercial", &sources), ["b", "c", "d"]);
        assert_eq!(refused("redistributable", &sources), ["c", "d"]);
    }

    #[test]
    fn share_alike_does_not_mix_with_what_it_cannot_cover() {
        assert_eq!(refused("redistributable", &[("a", "CC BY-SA 4.0"), ("b", "CC BY-NC 4.0")]), ["a"]);
        assert_eq!(refused("redistributable", &[("a", "CC BY-SA 4.0"), ("b", "ODbL")]), ["a", "b"]);
        assert!(
            refused("redistributable", &[("a", "CC BY-SA 4.0"), ("b", "CC BY 4.0"), ("c", "CC BY-SA 3.0")]).is_empty()
        );
        assert!(refused("non-commercial", &[("a", "CC BY-SA 4.0"), ("b", "CC BY-NC 4.0")]).is_empty());
    }

    #[test]
    fn a_policy_file_names_own_wordings_and_refuses_unknown_ids() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        std::fs::write(
            &path,
            "name = \"ours\"\nrequire = [\"redistribution\"]\n[names]\n\"our terms\" = \"CC-BY-4.0\"\n",
        )
        .unwrap();
        let policy = path.to_str().unwrap();
        assert_eq!(refused(policy, &[("a", "Our terms"), ("b", "PhysioNet")]), ["b"]);
        std::fs::write(&path, "name = \"ours\"\ndeny = [\"CC-BY-9\"]\n").unwrap();
        assert!(Policy::find(policy).is_err());
        assert!(Policy::find("no-such-policy").unwrap_err().to_string().contains("redistributable"));
    }
}
