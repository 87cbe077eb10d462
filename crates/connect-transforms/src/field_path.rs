//! How a configuration names a field: by its name, or by a path into nested structs and maps.
//!
//! Lives here: `field.syntax.version` and the paths of KIP-821: dots separate steps, backticks hold a step together
//! that has dots in it, a backslash keeps a backtick from ending such a step.
//! Source: `SingleFieldPath` of Apache Kafka 4.3.1, as the recorded answers show it.

use connect_api::data::Str;
use connect_api::{ConnectError, Result};
use connect_config::{ConfigEnum, ConfigKey, Importance, Key};

pub const FIELD_SYNTAX_VERSION: Key<FieldSyntax> = Key::new("field.syntax.version");

/// How names of fields are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldSyntax {
    /// A name is a name, dots and all.
    V1,
    /// A path.
    V2,
}

impl ConfigEnum for FieldSyntax {
    const WORDS: &'static [(&'static str, Self)] =
        &[("V1", FieldSyntax::V1), ("V2", FieldSyntax::V2)];
    const IGNORE_CASE: bool = true;
}

/// The row of [`FIELD_SYNTAX_VERSION`].
pub fn field_syntax_version() -> ConfigKey {
    FIELD_SYNTAX_VERSION
        .default(FieldSyntax::V1)
        .importance(Importance::High)
        .doc(
            "How fields are named. V1: by their names, at the top level only. V2: by paths into nested structures, \
             such as address.city; a name that has dots in it is put into backticks.",
        )
}

/// The steps from the top to a field. V1 has one; V2 has none for an empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    steps: Vec<Str>,
    text: Str,
}

impl FieldPath {
    /// Reads a path.
    ///
    /// Fails: with Java's message when a backtick has no partner.
    pub fn parse(text: &str, syntax: FieldSyntax) -> Result<Self> {
        let steps = match syntax {
            FieldSyntax::V1 => vec![Str::from(text)],
            FieldSyntax::V2 => steps_of(text)?,
        };
        Ok(Self {
            steps,
            text: text.into(),
        })
    }

    pub fn steps(&self) -> &[Str] {
        &self.steps
    }

    /// The path as it was written.
    pub fn text(&self) -> &Str {
        &self.text
    }

    /// The name of the field that the path ends at.
    pub fn last(&self) -> &Str {
        self.steps.last().unwrap_or(&self.text)
    }
}

fn steps_of(path: &str) -> Result<Vec<Str>> {
    let mut steps = Vec::new();
    if path.is_empty() {
        return Ok(steps);
    }
    let mut start = 0;
    loop {
        let (step, next) = if path[start..].starts_with('`') {
            quoted_step(path, start)?
        } else {
            let end = path[start..].find('.').map(|at| start + at);
            (path[start..end.unwrap_or(path.len())].to_owned(), end)
        };
        steps.push(Str::from(step));
        match next {
            Some(dot) => start = dot + 1,
            None => return Ok(steps),
        }
    }
}

/// A step in backticks that begins at `start`, and where the dot behind it stands.
fn quoted_step(path: &str, start: usize) -> Result<(String, Option<usize>)> {
    let bytes = path.as_bytes();
    let mut step = String::new();
    let mut from = start + 1;
    loop {
        let Some(tick) = path[from..].find('`').map(|at| from + at) else {
            let position = path[..start].encode_utf16().count();
            return Err(ConnectError::config(format!(
                "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at position \
                 {position} to escape it"
            )));
        };
        let ends = matches!(bytes.get(tick + 1), None | Some(b'.'));
        // The backtick that opened the step does not count as escaped, and cannot be one.
        let escaped = tick > start + 1 && bytes[tick - 1] == b'\\';
        if ends && !escaped {
            step.push_str(&path[from..tick]);
            let dot = (tick + 1 < path.len()).then_some(tick + 1);
            return Ok((step, dot));
        }
        if ends {
            step.push_str(&path[from..tick - 1]);
            step.push('`');
        } else {
            step.push_str(&path[from..=tick]);
        }
        from = tick + 1;
    }
}

/// Paths as a tree, so that a struct is rebuilt once however many of its fields are named.
#[derive(Clone, Debug)]
pub struct FieldTree<T> {
    pub branches: Vec<Branch<T>>,
}

#[derive(Clone, Debug)]
pub struct Branch<T> {
    pub name: Str,
    /// What is said about the field itself.
    pub leaf: Option<T>,
    /// What is said about fields inside of it.
    pub below: FieldTree<T>,
}

impl<T> Default for FieldTree<T> {
    fn default() -> Self {
        Self {
            branches: Vec::new(),
        }
    }
}

impl<T> FieldTree<T> {
    /// Says something about the field at the end of a path. The last word about a field holds.
    pub fn insert(&mut self, path: &FieldPath, leaf: T) {
        self.insert_steps(path.steps(), leaf);
    }

    fn insert_steps(&mut self, steps: &[Str], leaf: T) {
        let Some((first, rest)) = steps.split_first() else {
            return;
        };
        let at = match self
            .branches
            .iter()
            .position(|branch| branch.name == *first)
        {
            Some(at) => at,
            None => {
                self.branches.push(Branch {
                    name: first.clone(),
                    leaf: None,
                    below: FieldTree::default(),
                });
                self.branches.len() - 1
            }
        };
        let branch = &mut self.branches[at];
        if rest.is_empty() {
            branch.leaf = Some(leaf);
        } else {
            branch.below.insert_steps(rest, leaf);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    pub fn branch(&self, name: &str) -> Option<&Branch<T>> {
        self.branches.iter().find(|branch| branch.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> String {
        match FieldPath::parse(text, FieldSyntax::V2) {
            Ok(path) => path.steps().join("|"),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn paths_have_the_steps_of_kip_821() {
        let rows = [
            ("a", "a"),
            ("a.b.c", "a|b|c"),
            ("a.`b.c`.d", "a|b.c|d"),
            ("`a.b`", "a.b"),
            ("a.", "a|"),
            ("a..b", "a||b"),
            ("a`b", "a`b"),
            ("`a`b`", "a`b"),
            (r"`a\`.b`", "a`.b"),
            ("a.``", "a|"),
            (
                "a.`b",
                "Incomplete backtick pair in path: [a.`b], consider adding a backslash before backtick at position 2 \
                 to escape it",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(steps(text), expected, "{text}");
        }
    }

    #[test]
    fn names_of_v1_are_taken_as_they_are() {
        let path = FieldPath::parse("a.`b", FieldSyntax::V1).unwrap();
        assert_eq!(path.steps(), ["a.`b"]);
    }

    #[test]
    fn a_tree_holds_the_last_word() {
        let mut tree = FieldTree::default();
        for (text, leaf) in [("a.b", 1), ("a", 2), ("a.b", 3), ("c", 4)] {
            tree.insert(&FieldPath::parse(text, FieldSyntax::V2).unwrap(), leaf);
        }
        let a = tree.branch("a").unwrap();
        assert_eq!(a.leaf, Some(2));
        assert_eq!(a.below.branch("b").unwrap().leaf, Some(3));
        assert_eq!(tree.branches.len(), 2);
    }
}
