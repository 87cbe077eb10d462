//! Variables in configuration values: `${provider:path:key}` and `${provider:key}`.
//!
//! Lives here: finding variables, grouping them by what has to be asked of which provider, putting
//! answers in their place.
//! Never here: config providers. The caller asks them, which is I/O, and hands in a lookup.
//! Source: `ConfigTransformer` of Apache Kafka, whose pattern is `\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::Properties;

/// One reference to a provider's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variable<'a> {
    pub provider: &'a str,
    /// Empty for the short form.
    pub path: &'a str,
    /// Everything after the second colon, further colons included.
    pub key: &'a str,
}

/// What to ask: per provider, per path, the keys. One question per provider and path suffices.
pub type VariableRequests = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The variables of a text from left to right, not nested.
pub fn variables(text: &str) -> impl Iterator<Item = Variable<'_>> {
    Occurrences { text, at: 0 }.map(|(_, variable)| variable)
}

/// The text with every variable replaced by what `lookup` answers, in one pass: answers are not
/// searched for variables. A variable that `lookup` does not know stays as it is written.
pub fn substitute<'a>(
    text: &'a str,
    mut lookup: impl FnMut(&Variable<'_>) -> Option<String>,
) -> Cow<'a, str> {
    let mut substituted = String::new();
    let mut copied = 0;
    for (range, variable) in (Occurrences { text, at: 0 }) {
        if let Some(value) = lookup(&variable) {
            substituted.push_str(&text[copied..range.start]);
            substituted.push_str(&value);
            copied = range.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    substituted.push_str(&text[copied..]);
    Cow::Owned(substituted)
}

impl Properties {
    /// Everything that [`Properties::substituted`] will look up.
    pub fn variable_requests(&self) -> VariableRequests {
        let mut requests = VariableRequests::new();
        for variable in self
            .iter()
            .filter_map(|(_, value)| value)
            .flat_map(variables)
        {
            let paths = requests.entry(variable.provider.to_owned()).or_default();
            let keys = paths.entry(variable.path.to_owned()).or_default();
            keys.insert(variable.key.to_owned());
        }
        requests
    }

    /// The same keys with [`substitute`]d values; nulls stay.
    pub fn substituted(
        &self,
        mut lookup: impl FnMut(&Variable<'_>) -> Option<String>,
    ) -> Properties {
        self.iter()
            .map(|(key, value)| {
                (
                    key,
                    value.map(|text| substitute(text, &mut lookup).into_owned()),
                )
            })
            .collect()
    }
}

/// Variables with their place in the text.
struct Occurrences<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Occurrences<'a> {
    type Item = (Range<usize>, Variable<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        // No part of the pattern crosses a closing brace, so from any opening the first closing brace
        // ends the variable or there is none; the lazy groups end at the first colons between.
        loop {
            let start = self.at + self.text[self.at..].find("${")?;
            let inner = start + 2;
            let end = inner + self.text[inner..].find('}')?;
            let Some((provider, rest)) = self.text[inner..end].split_once(':') else {
                // Without a colon before the brace no opening before it can match either.
                self.at = end + 1;
                continue;
            };
            let (path, key) = rest.split_once(':').unwrap_or(("", rest));
            self.at = end + 1;
            return Some((
                start..end + 1,
                Variable {
                    provider,
                    path,
                    key,
                },
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers `<provider|path|key>`, except for the provider `no`.
    fn shown(text: &str) -> String {
        let lookup = |variable: &Variable<'_>| {
            let Variable {
                provider,
                path,
                key,
            } = *variable;
            (provider != "no").then(|| format!("<{provider}|{path}|{key}>"))
        };
        substitute(text, lookup).into_owned()
    }

    #[test]
    fn variables_are_replaced_as_in_java() {
        let rows = [
            ("", ""),
            ("plain", "plain"),
            ("${file:/etc/x:key}", "<file|/etc/x|key>"),
            ("${env:HOME}", "<env||HOME>"),
            ("a${p:k}b${q:r:s}c", "a<p||k>b<q|r|s>c"),
            ("${p:k}${p:k}", "<p||k><p||k>"),
            ("${p:a:b:c}", "<p|a|b:c>"),
            ("${p:}", "<p||>"),
            ("${:}", "<||>"),
            ("${::}", "<||>"),
            ("${p::k}", "<p||k>"),
            ("${nocolon}", "${nocolon}"),
            ("${nocolon}${p:k}", "${nocolon}<p||k>"),
            ("${a${p:k}", "<a${p||k>"),
            ("${p:${q:k}}", "<p|${q|k>}"),
            ("${p:k", "${p:k"),
            ("$${p:k}", "$<p||k>"),
            ("{p:k}", "{p:k}"),
            ("$ {p:k}", "$ {p:k}"),
            ("${no:k} ${p:k}", "${no:k} <p||k>"),
            ("${p:ä:ö}ü", "<p|ä|ö>ü"),
            ("${p:\n:k}", "<p|\n|k>"),
            ("${}:}", "${}:}"),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn answers_are_not_searched_again() {
        let text = substitute("${p:k}", |_| Some("${p:k}".to_owned()));
        assert_eq!(text, "${p:k}");
    }

    #[test]
    fn requests_are_grouped_by_provider_and_path() {
        let props = Properties::from_iter([
            ("a", Some("${file:/x:k1} ${file:/x:k2} ${file:/y:k1}")),
            ("b", Some("${env:HOME}")),
            ("c", None),
        ]);
        let requests = props.variable_requests();
        assert_eq!(
            requests["file"]["/x"],
            BTreeSet::from(["k1".to_owned(), "k2".to_owned()])
        );
        assert_eq!(requests["file"]["/y"], BTreeSet::from(["k1".to_owned()]));
        assert_eq!(requests["env"][""], BTreeSet::from(["HOME".to_owned()]));
        let resolved =
            props.substituted(|variable| (variable.provider == "env").then(|| "/root".to_owned()));
        assert_eq!(
            (resolved.get("b"), resolved.get_nullable("c")),
            (Some("/root"), Some(None))
        );
        assert_eq!(resolved.get("a"), props.get("a"));
    }
}
