//! Regular expressions as `java.util.regex.Pattern` and `Matcher` understand them.
//!
//! Lives here: [`JavaRegex`] with whole match, find, replace and split. A Java pattern is read into a tree with all
//! flags resolved and all character classes as sets ([`parse`], [`class`]), and written again for an engine
//! ([`emit`]): the `regex` crate, whose time is linear in the text, or `fancy_regex`, which backtracks, when the
//! pattern has look-around, back references, atomic groups or possessive quantifiers. Replacement texts are Java's.
//! Never here: an engine of our own.
//!
//! What is refused when a pattern is compiled, each with a message that says so: `\X`, `\N{name}`, `\b{g}`, `\G`,
//! and Unicode blocks other than the usual ones (`\p{InGreek}` works). What differs without a message: a group inside
//! a repetition that matched nothing in its last round may remember another round; look-behind may be of any length;
//! a search that backtracks ten million times is an error, where Java goes on.
//! `\b`, `\d`, `\w` and `\s` are ASCII unless `(?U)` is set, as in Java 19 and later.

mod class;
mod emit;
mod engine;
mod parse;
mod property;
mod replace;

use std::fmt;
use std::sync::Arc;

use crate::{ConfigType, ConfigValueData, FromConfig};
use engine::Engines;

/// A compiled pattern. Clones share it.
#[derive(Clone)]
pub struct JavaRegex(Arc<Inner>);

struct Inner {
    pattern: Box<str>,
    engines: Engines,
    /// Named groups and their numbers.
    names: Vec<(String, usize)>,
    group_count: usize,
}

/// Why a pattern, a replacement or a search failed. Prints the sentence alone, Java's where Java has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JavaRegexError {
    message: String,
}

impl JavaRegexError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

type Result<T> = std::result::Result<T, JavaRegexError>;

impl JavaRegex {
    /// `Pattern.compile`.
    ///
    /// Fails: with the text of Java's `PatternSyntaxException`; or, where Java would accept the pattern, with a
    /// sentence that names what is not supported.
    pub fn new(pattern: &str) -> Result<Self> {
        let parsed = parse::parse(pattern)?;
        let engines = Engines::new(pattern, parsed.root)?;
        Ok(Self(Arc::new(Inner {
            pattern: pattern.into(),
            engines,
            names: parsed.names,
            group_count: parsed.group_count,
        })))
    }

    /// `Pattern.quote`, compiled: matches this text and no other.
    pub fn literal(text: &str) -> Result<Self> {
        Self::new(&quote(text))
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    /// Number of capturing groups, the whole match not counted.
    pub fn group_count(&self) -> usize {
        self.0.group_count
    }

    /// `Matcher.matches`: whether the whole text matches.
    ///
    /// Fails: as all searches below, only when a pattern that backtracks has done so ten million times.
    pub fn matches(&self, text: &str) -> Result<bool> {
        self.0.engines.is_whole(text)
    }

    /// `Matcher.matches` with the groups.
    pub fn match_groups<'t>(&self, text: &'t str) -> Result<Option<Groups<'t>>> {
        let places = self.0.engines.whole(text)?;
        Ok(places.map(|places| self.groups(text, places)))
    }

    /// `Matcher.find`: whether a part of the text matches.
    pub fn find(&self, text: &str) -> Result<bool> {
        Ok(self.0.engines.find(text, 0)?.is_some())
    }

    /// `Matcher.find` from a byte position on, with the groups.
    ///
    /// Panics: when `from` is not at a character of the text.
    pub fn find_groups<'t>(&self, text: &'t str, from: usize) -> Result<Option<Groups<'t>>> {
        let places = self.0.engines.find(text, from)?;
        Ok(places.map(|places| self.groups(text, places)))
    }

    /// `Matcher.replaceFirst`. The text itself when nothing matches.
    ///
    /// Fails: also when the replacement is wrong, which Java finds out when something matches: `No group 2`.
    pub fn replace_first(&self, text: &str, replacement: &str) -> Result<String> {
        self.replace(text, replacement, 1)
    }

    /// `Matcher.replaceAll`.
    ///
    /// Fails: as [`Self::replace_first`].
    pub fn replace_all(&self, text: &str, replacement: &str) -> Result<String> {
        self.replace(text, replacement, usize::MAX)
    }

    fn replace(&self, text: &str, replacement: &str, times: usize) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut written = 0;
        for found in self.found(text).take(times) {
            let found = found?;
            out.push_str(&text[written..found.start()]);
            replace::append(replacement, &found, &mut out)?;
            written = found.end();
        }
        out.push_str(&text[written..]);
        Ok(out)
    }

    /// `Pattern.split` without limit: what stands between the matches, empty texts at the end dropped.
    pub fn split<'t>(&self, text: &'t str) -> Result<Vec<&'t str>> {
        let mut parts = Vec::new();
        let mut from = 0;
        for found in self.found(text) {
            let found = found?;
            // A match of nothing at the beginning splits off nothing.
            if found.end() == 0 {
                continue;
            }
            parts.push(&text[from..found.start()]);
            from = found.end();
        }
        if parts.is_empty() {
            return Ok(vec![text]);
        }
        parts.push(&text[from..]);
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        Ok(parts)
    }

    /// All matches one after the other, as Java's `find` walks them: after a match of nothing it goes on one
    /// character further.
    fn found<'a, 't: 'a>(&'a self, text: &'t str) -> impl Iterator<Item = Result<Groups<'t>>> + 'a {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let found = match self.find_groups(text, from?) {
                Ok(found) => found?,
                Err(error) => {
                    from = None;
                    return Some(Err(error));
                }
            };
            from = if found.end() > found.start() {
                Some(found.end())
            } else {
                let next = text[found.end()..].chars().next();
                next.map(|c| found.end() + c.len_utf8())
            };
            Some(Ok(found))
        })
    }

    fn groups<'t>(&self, text: &'t str, places: Vec<Option<(usize, usize)>>) -> Groups<'t> {
        Groups {
            text,
            places,
            regex: self.clone(),
        }
    }
}

impl PartialEq for JavaRegex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Display for JavaRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for JavaRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JavaRegex({:?})", self.as_str())
    }
}

/// A key of this type refuses a bad pattern as Java's `RegexValidator` does: `… : Invalid regex: <text>`.
impl FromConfig for JavaRegex {
    const TYPE: ConfigType = ConfigType::String;

    fn from_config(value: &ConfigValueData) -> std::result::Result<Self, String> {
        let pattern = String::from_config(value)?;
        Self::new(&pattern).map_err(|error| format!("Invalid regex: {error}"))
    }

    fn to_config(&self) -> ConfigValueData {
        ConfigValueData::from(self.as_str())
    }
}

/// One match: the whole and its groups.
#[derive(Clone)]
pub struct Groups<'t> {
    text: &'t str,
    /// The whole match first.
    places: Vec<Option<(usize, usize)>>,
    regex: JavaRegex,
}

impl<'t> Groups<'t> {
    pub fn start(&self) -> usize {
        self.places[0].map_or(0, |(start, _)| start)
    }

    pub fn end(&self) -> usize {
        self.places[0].map_or(0, |(_, end)| end)
    }

    /// `Matcher.group(index)`, 0 for the whole match. `Some(None)`: the group took no part in the match. `None`:
    /// there is no such group.
    pub fn get(&self, index: usize) -> Option<Option<&'t str>> {
        let place = self.places.get(index)?;
        Some(place.map(|(start, end)| &self.text[start..end]))
    }

    /// `Matcher.group(name)`, as [`Self::get`].
    pub fn named(&self, name: &str) -> Option<Option<&'t str>> {
        let names = &self.regex.0.names;
        let (_, index) = names.iter().find(|(known, _)| known == name)?;
        self.get(*index)
    }

    fn group_count(&self) -> usize {
        self.places.len() - 1
    }
}

/// `Pattern.quote`: a pattern that matches this text and no other.
pub fn quote(text: &str) -> String {
    format!("\\Q{}\\E", text.replace("\\E", "\\E\\\\E\\Q"))
}

#[cfg(test)]
mod tests;
