//! Rules for Rust files.

use super::{Finding, text_of};
use crate::rust_source::{Role, RustSource, lines_with};

/// Most lines of a file. A longer one holds two ideas: split it between them.
const LINES_MAX: usize = 800;

/// Longer files, and the most lines each may have. This list may only shrink.
const LONG_FILES: &[(&str, usize)] = &[];

/// What must not be in code, and why.
const UNFINISHED: &[(&str, &str)] = &[
    (
        "todo!(",
        "unfinished: write it, or return an error that says what is not supported",
    ),
    (
        "unimplemented!(",
        "unfinished: write it, or return an error that says what is not supported",
    ),
    (
        "dbg!(",
        "left from a search for a mistake: remove it, or log an event",
    ),
    (
        "#[ignore",
        "an ignored test proves nothing: assert today's behaviour and say why it is wrong",
    ),
];

pub fn all(file: &str, role: Role, text: &str) -> Vec<Finding> {
    let source = RustSource::read(role, text);
    let mut findings = Vec::new();
    findings.extend(header(file, text));
    findings.extend(length(file, text, LONG_FILES));
    findings.extend(unfinished(file, &source));
    findings.extend(sleeping_tests(file, &source));
    findings.extend(unwraps(file, &source));
    findings
}

/// Exceptions that no longer are one.
pub fn stale_exceptions(texts: &[(&str, String)]) -> Vec<Finding> {
    let lines = |file: &str| text_of(texts, file).map_or(0, |text| text.lines().count());
    LONG_FILES
        .iter()
        .filter(|(file, _)| lines(file) <= LINES_MAX)
        .map(|(file, _)| {
            Finding::whole(
                file,
                "no longer too long: remove it from LONG_FILES in xtask/src/tidy/rust.rs",
            )
        })
        .collect()
}

fn header(file: &str, text: &str) -> Option<Finding> {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    (!first.starts_with("//!")).then(|| {
        Finding::at(
            file,
            1,
            "no `//!` header: say in the first line what lives here, and then what never does",
        )
    })
}

fn length(file: &str, text: &str, exceptions: &[(&str, usize)]) -> Option<Finding> {
    let max = exceptions
        .iter()
        .find(|(name, _)| *name == file)
        .map_or(LINES_MAX, |(_, max)| *max);
    let lines = text.lines().count();
    (lines > max).then(|| {
        Finding::whole(
            file,
            format!("{lines} lines, at most {max}: split it by idea"),
        )
    })
}

fn unfinished(file: &str, source: &RustSource) -> Vec<Finding> {
    let words = UNFINISHED.iter();
    words
        .flat_map(|(word, why)| {
            lines_with(&source.code, word)
                .map(move |line| Finding::at(file, line, format!("`{word}`: {why}")))
        })
        .collect()
}

fn sleeping_tests(file: &str, source: &RustSource) -> Vec<Finding> {
    let why =
        "a test that sleeps is slow or fails now and then: wait for the event, or pause the clock";
    lines_with(&source.tests, "thread::sleep")
        .map(|line| Finding::at(file, line, why))
        .collect()
}

fn unwraps(file: &str, source: &RustSource) -> Vec<Finding> {
    let why =
        "`unwrap()` outside tests: return an error, or say with `expect` why it cannot happen";
    lines_with(&source.shipped, ".unwrap()")
        .map(|line| Finding::at(file, line, why))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rust_source::Roles;

    #[track_caller]
    fn check(file: &str, text: &str, expected: &[&str]) {
        let role = Roles::default().of(file);
        let told: Vec<String> = all(file, role, text)
            .iter()
            .map(Finding::to_string)
            .collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(
                told.starts_with(expected),
                "{told}\ndoes not start with\n{expected}"
            );
        }
    }

    #[test]
    fn a_file_says_what_lives_in_it() {
        check("a.rs", "//! A.\nfn a() {}", &[]);
        check("a.rs", "\n//! A.\n", &[]);
        check("a.rs", "// A.\nfn a() {}", &["a.rs:1: no `//!` header"]);
        check("a.rs", "", &["a.rs:1: no `//!` header"]);
    }

    #[test]
    fn a_file_ends_before_the_reader_does() {
        let lines = |count: usize| format!("//! A.\n{}", "\n".repeat(count - 1));
        check("a.rs", &lines(800), &[]);
        check("a.rs", &lines(801), &["a.rs: 801 lines, at most 800"]);
        assert_eq!(length("a.rs", &lines(900), &[("a.rs", 900)]), None);
        assert!(length("a.rs", &lines(901), &[("a.rs", 900)]).is_some());
    }

    #[test]
    fn nothing_is_left_unfinished() {
        check(
            "a.rs",
            "//! A.\nfn a() { todo!() }",
            &["a.rs:2: `todo!(`: unfinished"],
        );
        check(
            "a.rs",
            "//! A.\n#[test]\n#[ignore]\nfn a() {}",
            &["a.rs:3: `#[ignore`: an ignored test"],
        );
        check(
            "a.rs",
            "//! A.\n#[cfg(test)]\nmod t { fn a() { dbg!(1); } }",
            &["a.rs:3: `dbg!(`"],
        );
        check(
            "a.rs",
            "//! A.\n// todo!()\nconst A: &str = \"dbg!(\";",
            &[],
        );
    }

    #[test]
    fn tests_do_not_sleep() {
        let sleep = "std::thread::sleep(SECOND);";
        check("a.rs", &format!("//! A.\nfn a() {{ {sleep} }}"), &[]);
        check(
            "a.rs",
            &format!("//! A.\n#[test]\nfn a() {{ {sleep} }}"),
            &["a.rs:3: a test that sleeps"],
        );
        check(
            "x/tests/a.rs",
            &format!("//! A.\nfn a() {{ {sleep} }}"),
            &["x/tests/a.rs:2: a test that sleeps"],
        );
    }

    #[test]
    fn only_tests_unwrap() {
        check(
            "a.rs",
            "//! A.\nfn a() { b().unwrap() }",
            &["a.rs:2: `unwrap()` outside tests"],
        );
        check("a.rs", "//! A.\n#[test]\nfn a() { b().unwrap() }", &[]);
        check(
            "a.rs",
            "//! A.\n/// `b().unwrap()`\nfn a() { b().unwrap_or(1) }",
            &[],
        );
        check("x/tests/a.rs", "//! A.\nfn a() { b().unwrap() }", &[]);
    }
}
