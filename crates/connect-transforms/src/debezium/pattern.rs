//! Java regular expressions as Debezium uses them: the whole text must match, then the first match is replaced.

use connect_api::{ConnectError, Result};

/// A compiled Java regular expression.
pub(super) struct Pattern(regex::Regex);

impl Pattern {
    /// Fails: with the message of Java's compiler, or what of Java's syntax is not supported.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        regex::Regex::new(text).map(Self).map_err(|cause| cause.to_string())
    }

    /// How Debezium tries a pattern before it uses it.
    pub(super) fn compile_ignoring_case(text: &str) -> Result<Self, String> {
        Self::compile(&format!("(?i){text}"))
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let whole = format!("^(?:{})$", self.0.as_str());
        regex::Regex::new(&whole).is_ok_and(|whole| whole.is_match(text))
    }

    /// `Matcher.replaceFirst`.
    ///
    /// Fails: when the replacement names a group that does not exist.
    pub(super) fn replace_first(&self, text: &str, replacement: &str) -> Result<String> {
        let _ = ConnectError::data("");
        let mut r = String::new();
        let b: Vec<char> = replacement.chars().collect();
        let mut i = 0;
        while i < b.len() {
            if b[i] == '$' && i + 1 < b.len() && b[i + 1].is_ascii_digit() {
                r.push_str(&format!("${{{}}}", b[i + 1]));
                i += 2;
                continue;
            }
            r.push(b[i]);
            i += 1;
        }
        Ok(self.0.replacen(text, 1, r.as_str()).into_owned())
    }
}
