//! Values that came from config providers, known so that nothing shows them.
//!
//! Lives here: [`Secrets`], which puts the reference, `${provider:path:key}`, where a text has its value.
//! Never here: a value in `Debug` output.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::ConfigErrors;

/// How many values of one reference are remembered: connectors may still use earlier ones.
const VALUES_OF_A_REFERENCE_MAX: usize = 8;
/// From this length on a value is found inside of words too.
const ANYWHERE_MIN_BYTES: usize = 8;
/// A line of a longer value, such as a private key, is hidden by itself from this length on.
const LINE_MIN_BYTES: usize = 16;

/// All values that config providers gave. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    by_reference: BTreeMap<String, VecDeque<String>>,
    /// Values of keys that have a reference and other text.
    by_raw_text: BTreeMap<String, VecDeque<String>>,
    /// What may be found in a text, the longest first.
    forms: Vec<Form>,
}

struct Form {
    text: String,
    shown: Arc<str>,
    /// Says nothing by itself: `true`, `1`, `all`.
    is_common: bool,
}

impl Secrets {
    /// Remembers what a reference stood for.
    pub fn add(&self, reference: &str, value: &str) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if remember(&mut known.by_reference, reference, value) {
            known.forms = forms(&known);
        }
    }

    /// Remembers what a text with references and more became as a whole. Its parts may be shown, but for those
    /// that were [added](Self::add).
    pub fn add_whole(&self, raw: &str, resolved: &str) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if remember(&mut known.by_raw_text, raw, resolved) {
            known.forms = forms(&known);
        }
    }

    /// For log lines and whatever else may have a value in it: hides all values but those that say nothing by
    /// themselves, which would make the text unreadable.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.hidden(text, |form| !form.is_common)
    }

    /// For texts about a configuration, where a value stands out as such: hides all values.
    pub fn hide_all<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.hidden(text, |_| true)
    }

    /// [`Self::hide_all`] in every message.
    pub fn hide_in(&self, errors: &ConfigErrors) -> ConfigErrors {
        let mut hidden = ConfigErrors::new();
        for (key, messages) in errors.iter() {
            for message in messages {
                hidden.add(key, self.hide_all(message));
            }
        }
        hidden
    }

    fn hidden<'t>(&self, text: &'t str, counts: impl Fn(&Form) -> bool) -> Cow<'t, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut hidden = String::new();
        let mut copied = 0;
        // The whole of a longer value goes before a shorter one that is a part of it.
        let mut places: Vec<(usize, usize, &Form)> = Vec::new();
        for form in known.forms.iter().filter(|form| counts(form)) {
            for (start, found) in text.match_indices(&form.text) {
                let end = start + found.len();
                let is_free = places.iter().all(|(s, e, _)| end <= *s || *e <= start);
                if is_free && (form.text.len() >= ANYWHERE_MIN_BYTES || is_word(text, start, end)) {
                    places.push((start, end, form));
                }
            }
        }
        if places.is_empty() {
            return Cow::Borrowed(text);
        }
        places.sort_by_key(|(start, ..)| *start);
        for (start, end, form) in places {
            hidden.push_str(&text[copied..start]);
            hidden.push_str(&form.shown);
            copied = end;
        }
        hidden.push_str(&text[copied..]);
        Cow::Owned(hidden)
    }
}

/// Shows nothing.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets([hidden])")
    }
}

/// Whether the value is new.
fn remember(all: &mut BTreeMap<String, VecDeque<String>>, shown: &str, value: &str) -> bool {
    let values = all.entry(shown.to_owned()).or_default();
    if values.iter().any(|there| there == value) {
        return false;
    }
    values.push_front(value.to_owned());
    values.truncate(VALUES_OF_A_REFERENCE_MAX);
    true
}

fn forms(known: &Known) -> Vec<Form> {
    let mut forms: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for (raw, values) in &known.by_raw_text {
        for value in values {
            for text in [value.as_str(), value.trim()] {
                let escaped = text.escape_debug().to_string();
                for form in [text.to_owned(), escaped] {
                    forms.entry(form).or_insert_with(|| raw.as_str().into());
                }
            }
        }
    }
    for (reference, values) in &known.by_reference {
        let shown: Arc<str> = reference.as_str().into();
        for value in values {
            let trimmed = value.trim();
            // A list is shown by its items, a text in quotes with escapes, a file perhaps by a line.
            let items = trimmed.split(',').map(str::trim);
            let lines = trimmed.lines().filter(|line| line.len() >= LINE_MIN_BYTES);
            let plain = [value.as_str(), trimmed]
                .into_iter()
                .chain(items)
                .chain(lines);
            for text in plain.filter(|text| !text.trim().is_empty()) {
                let escaped = text.escape_debug().to_string();
                for form in [text.to_owned(), escaped] {
                    forms.entry(form).or_insert_with(|| shown.clone());
                }
            }
        }
    }
    let mut forms: Vec<Form> = forms
        .into_iter()
        .map(|(text, shown)| Form {
            is_common: is_common(&text),
            text,
            shown,
        })
        .collect();
    forms.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then(a.text.cmp(&b.text)));
    forms
}

fn is_common(text: &str) -> bool {
    const WORDS: [&str; 8] = [
        "true",
        "false",
        "null",
        "none",
        "restart",
        "restarts",
        "default",
        "connector",
    ];
    let is_number = text.len() < 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.len() < 4 || is_number || WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Whether a part of a text is not inside of a longer word.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let (before, part, after) = (&text[..start], &text[start..end], &text[end..]);
    let begins = !before.ends_with(inside) || !part.starts_with(inside);
    let ends = !after.starts_with(inside) || !part.ends_with(inside);
    begins && ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_wherever_they_stand() {
        let secrets = Secrets::default();
        secrets.add("${f:/x:pw}", "hunter2hunter2");
        secrets.add("${f:/x:short}", "abcd");
        secrets.add("${f:/x:long}", "hunter2hunter2-and-more");
        secrets.add("${f:/x:one}", "1");
        secrets.add("${f:/x:list}", "left-1, right\n");
        secrets.add("${f:/x:quoted}", "say \"no\"\tnow");
        secrets.add("${f:/x:empty}", "");
        secrets.add(
            "${d:/s:key}",
            "BEGIN\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nEND\n",
        );
        for (text, in_a_log, about_a_configuration) in [
            ("nothing", "nothing", "nothing"),
            ("a hunter2hunter2 b", "a ${f:/x:pw} b", "a ${f:/x:pw} b"),
            ("xhunter2hunter2x", "x${f:/x:pw}x", "x${f:/x:pw}x"),
            (
                "hunter2hunter2-and-more hunter2hunter2",
                "${f:/x:long} ${f:/x:pw}",
                "${f:/x:long} ${f:/x:pw}",
            ),
            (
                "abcd, xabcd",
                "${f:/x:short}, xabcd",
                "${f:/x:short}, xabcd",
            ),
            (
                "pw=\"abcd\"",
                "pw=\"${f:/x:short}\"",
                "pw=\"${f:/x:short}\"",
            ),
            ("value 1 of 10", "value 1 of 10", "value ${f:/x:one} of 10"),
            ("[left-1, right]", "[${f:/x:list}]", "[${f:/x:list}]"),
            (
                "right or wrong",
                "${f:/x:list} or wrong",
                "${f:/x:list} or wrong",
            ),
            (
                r#"\"say \"no\"\tnow\""#,
                r#"\"${f:/x:quoted}\""#,
                r#"\"${f:/x:quoted}\""#,
            ),
            (
                "line MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
                "line ${d:/s:key}",
                "line ${d:/s:key}",
            ),
        ] {
            assert_eq!(secrets.hide(text), in_a_log);
            assert_eq!(secrets.hide_all(text), about_a_configuration);
        }
        assert_eq!(format!("{secrets:?}"), "Secrets([hidden])");
    }

    #[test]
    fn a_whole_value_is_hidden_also_where_its_part_is_inside_of_a_word() {
        let secrets = Secrets::default();
        secrets.add("${f:/x:s}", "abc");
        secrets.add_whole("1${f:/x:s}", "1abc");
        assert_eq!(secrets.hide_all("is 1abc, 2abc"), "is 1${f:/x:s}, 2abc");
        assert_eq!(secrets.hide_all("abc"), "${f:/x:s}");
    }

    #[test]
    fn errors_name_the_reference_instead_of_the_value() {
        let secrets = Secrets::default();
        secrets.add("${f:/x:port}", "abc");
        let errors = ConfigErrors::of(
            "port",
            "Invalid value abc for configuration port: Not a number of type INT",
        );
        assert_eq!(
            secrets.hide_in(&errors).for_key("port"),
            ["Invalid value ${f:/x:port} for configuration port: Not a number of type INT"]
        );
    }

    #[test]
    fn the_last_values_of_a_reference_are_remembered() {
        let secrets = Secrets::default();
        for number in 0..10 {
            secrets.add("${f:/x:pw}", &format!("password-{number}"));
        }
        assert_eq!(
            secrets.hide("password-9 password-2"),
            "${f:/x:pw} ${f:/x:pw}"
        );
        assert_eq!(secrets.hide("password-1"), "password-1");
    }
}
