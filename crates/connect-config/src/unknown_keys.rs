//! Keys that nobody defined, and what their author may have meant.
//!
//! Kafka accepts unknown keys everywhere, and so do we; a typing mistake deserves a warning all the same.

use std::fmt;

use crate::{ConfigDef, Properties};

/// A key that no row defines. Prints as `unknown key "topc", did you mean "topic"?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    pub key: String,
    /// The defined key that differs so little that a typing mistake is likely.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown key \"{}\"", self.key)?;
        match &self.nearest {
            Some(nearest) => write!(f, ", did you mean \"{nearest}\"?"),
            None => Ok(()),
        }
    }
}

impl ConfigDef {
    /// The keys of `props` that are not defined, in their order. Callers leave out prefixes that are
    /// passed on (`producer.`, `transforms.`, …) before they ask.
    pub fn unknown_keys(&self, props: &Properties) -> Vec<UnknownKey> {
        let unknown = props.keys().filter(|key| self.key(key).is_none());
        unknown
            .map(|key| UnknownKey {
                key: key.to_owned(),
                nearest: self.nearest(key),
            })
            .collect()
    }

    fn nearest(&self, unknown: &str) -> Option<String> {
        let unknown = folded(unknown);
        let candidates = self
            .keys()
            .filter(|key| !key.is_internal())
            .filter_map(|key| {
                let candidate = folded(key.name());
                let distance = edit_distance(&unknown, &candidate);
                // One mistake in three characters, three at most, is a slip; more is another word.
                let close = distance <= 3 && distance * 3 <= unknown.len().max(candidate.len());
                close.then_some((distance, key.name()))
            });
        candidates
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, name)| name.to_owned())
    }
}

/// `Batch_Size` and `batch.size` are the same slip of style.
fn folded(key: &str) -> Vec<char> {
    key.chars()
        .map(|c| {
            if matches!(c, '_' | '-') {
                '.'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Insertions, deletions, replacements and swaps of neighbours between two texts.
fn edit_distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, l) in left.iter().enumerate() {
        let mut current = Vec::with_capacity(above.len());
        current.push(row + 1);
        for (column, r) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(l != r);
            let mut distance = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && left[row - 1] == *r && *l == right[column - 1] {
                distance = distance.min(before[column - 1] + 1);
            }
            current.push(distance);
        }
        before = above;
        above = current;
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfigKey, ConfigType};

    #[test]
    fn slips_are_recognized_and_other_words_are_not() {
        let mut def = ConfigDef::new();
        for name in [
            "topic",
            "topics",
            "batch.size",
            "file",
            "bootstrap.servers",
            "a",
        ] {
            def = def.define(ConfigKey::new(name, ConfigType::String));
        }
        let rows = [
            ("topc", Some("topic")),
            ("tpoic", Some("topic")),
            ("topisc", Some("topic")),
            ("TOPICS", Some("topics")),
            ("batch_size", Some("batch.size")),
            ("batchsize", Some("batch.size")),
            ("bootstrap.server", Some("bootstrap.servers")),
            ("bootsrtap.severs", Some("bootstrap.servers")),
            ("b", None),
            ("fiel", Some("file")),
            ("life", None),
            ("consumer.group", None),
        ];
        for (key, nearest) in rows {
            let unknown = def.unknown_keys(&Properties::from_iter([(key, "1")]));
            assert_eq!(unknown.len(), 1, "{key}");
            assert_eq!(unknown[0].nearest.as_deref(), nearest, "{key}");
        }
        assert_eq!(
            def.unknown_keys(&Properties::from_iter([("topic", "1")])),
            []
        );
    }

    #[test]
    fn a_warning_asks_back() {
        let unknown = |nearest: Option<&str>| UnknownKey {
            key: "topc".into(),
            nearest: nearest.map(Into::into),
        };
        assert_eq!(
            unknown(Some("topic")).to_string(),
            r#"unknown key "topc", did you mean "topic"?"#
        );
        assert_eq!(unknown(None).to_string(), r#"unknown key "topc""#);
    }
}
