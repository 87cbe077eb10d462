//! Rust text cut into what runs, what tests, and what is only said.
//!
//! Lives here: enough of Rust's grammar to tell code from comments and strings, and tests from the
//! rest. Lines keep their numbers: what is cut out is replaced by spaces.
//! Never here: an opinion on the text.

/// One file, seen three ways. All three have the same lines.
pub struct RustSource {
    /// All code, without comments and without the insides of strings.
    pub code: String,
    /// The code that ships: `code` without tests.
    pub shipped: String,
    /// The code of tests: `code` without what ships.
    pub tests: String,
}

impl RustSource {
    pub fn read(path: &str, text: &str) -> Self {
        let code = code_only(text);
        let shipped = if is_test_file(path) {
            blank(&code)
        } else {
            without_tests(&code)
        };
        let tests = code
            .chars()
            .zip(shipped.chars())
            .map(|(all, shipped)| {
                if all == shipped && all != '\n' {
                    ' '
                } else {
                    all
                }
            })
            .collect();
        Self {
            code,
            shipped,
            tests,
        }
    }
}

/// The numbers, from 1, of the lines of `text` that contain `word`.
pub fn lines_with<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.lines()
        .enumerate()
        .filter(move |(_, line)| line.contains(word))
        .map(|(at, _)| at + 1)
}

/// Files that hold only tests: `tests/…`, `benches/…`, `src/x/tests.rs`, `src/x_tests.rs`.
pub fn is_test_file(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "tests" | "benches" | "tests.rs") || part.ends_with("_tests.rs"))
}

fn blank(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { c } else { ' ' })
        .collect()
}

/// Replaces comments and the insides of string and character literals by spaces.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out: Vec<char> = Vec::with_capacity(chars.len());
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut here = 0;
    while here < chars.len() {
        // What starts here, how many characters of it are code, and where it ends.
        let (kept, end) = match at(here) {
            '/' if at(here + 1) == '/' => (0, line_end(&chars, here)),
            '/' if at(here + 1) == '*' => (0, block_comment_end(&chars, here)),
            '"' => (1, string_end(&chars, here)),
            '\'' => match char_end(&chars, here) {
                Some(end) => (1, end),
                None => (1, here + 1),
            },
            c if c.is_alphabetic() || c == '_' => {
                let mut end = here;
                while at(end).is_alphanumeric() || at(end) == '_' {
                    end += 1;
                }
                let word: String = chars[here..end].iter().collect();
                match raw_string_end(&chars, end) {
                    Some(raw_end) if matches!(word.as_str(), "r" | "br" | "cr") => {
                        (end - here, raw_end)
                    }
                    _ => (end - here, end),
                }
            }
            c if c.is_numeric() => {
                // So that the `r` of no suffix starts a string.
                let mut end = here;
                while at(end).is_alphanumeric() || at(end) == '_' {
                    end += 1;
                }
                (end - here, end)
            }
            _ => (1, here + 1),
        };
        for (index, &c) in chars[here..end].iter().enumerate() {
            out.push(if index < kept || c == '\n' { c } else { ' ' });
        }
        here = end;
    }
    out.into_iter().collect()
}

fn line_end(chars: &[char], start: usize) -> usize {
    chars[start..]
        .iter()
        .position(|&c| c == '\n')
        .map_or(chars.len(), |length| start + length)
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut here) = (0, start);
    while here < chars.len() {
        match (chars[here], chars.get(here + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                here += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                here += 2;
                if depth == 0 {
                    return here;
                }
            }
            _ => here += 1,
        }
    }
    chars.len()
}

/// Just behind the closing quote of the string that opens at `start`.
fn string_end(chars: &[char], start: usize) -> usize {
    let mut here = start + 1;
    while here < chars.len() {
        match chars[here] {
            '\\' => here += 2,
            '"' => return here + 1,
            _ => here += 1,
        }
    }
    chars.len()
}

/// Just behind the raw string whose `#` or `"` is at `start`; `None` when there is none.
fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start..].iter().take_while(|&&c| c == '#').count();
    if chars.get(start + hashes) != Some(&'"') {
        return None;
    }
    let closes = |at: usize| {
        chars[at..]
            .iter()
            .take(hashes)
            .filter(|&&c| c == '#')
            .count()
            == hashes
    };
    let first = start + hashes + 1;
    let quote = (first..chars.len()).find(|&at| chars[at] == '"' && closes(at + 1));
    Some(quote.map_or(chars.len(), |quote| quote + 1 + hashes))
}

/// Just behind the character literal that opens at `start`; `None` when it is a lifetime.
fn char_end(chars: &[char], start: usize) -> Option<usize> {
    if chars.get(start + 1) == Some(&'\\') {
        // The escaped character may itself be a quote.
        let rest = chars.get(start + 3..)?;
        return rest
            .iter()
            .position(|&c| c == '\'')
            .map(|length| start + 3 + length + 1);
    }
    (chars.get(start + 2) == Some(&'\'')).then_some(start + 3)
}

/// Replaces test modules and test functions by spaces. `code` has no comments and strings.
fn without_tests(code: &str) -> String {
    let mut chars: Vec<char> = code.chars().collect();
    for (start, (byte, _)) in code.char_indices().enumerate() {
        // A test inside a test module has gone with the module.
        if chars[start] != '#' || !opens_test(&code[byte..]) {
            continue;
        }
        let end = item_end(&chars, start);
        for c in &mut chars[start..end] {
            if *c != '\n' {
                *c = ' ';
            }
        }
    }
    chars.into_iter().collect()
}

fn opens_test(code: &str) -> bool {
    ["#[cfg(test)]", "#[cfg(all(test", "#[test]", "#[tokio::test"]
        .iter()
        .any(|attribute| code.starts_with(attribute))
}

/// Just behind the item whose attribute is at `start`: its `;`, or the brace that closes its body.
fn item_end(chars: &[char], start: usize) -> usize {
    let (mut parens, mut braces) = (0i32, 0i32);
    for (at, c) in chars.iter().enumerate().skip(start) {
        match c {
            '(' | '[' => parens += 1,
            ')' | ']' => parens -= 1,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces <= 0 && parens <= 0 {
                    // `use a::{b, c};` ends behind its brace.
                    return at + 1 + usize::from(chars.get(at + 1) == Some(&';'));
                }
            }
            ';' if parens == 0 && braces == 0 => return at + 1,
            _ => {}
        }
    }
    chars.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        let rows = [
            ("a(); // b()", "a();       "),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("//! doc\nx", "       \nx"),
            (r#"f("a\"b", 'c')"#, r#"f("     , '  )"#),
            (r###"f(r#"a"b"#, r)"###, r###"f(r       , r)"###),
            (r"fn f<'a>(x: &'a str)", r"fn f<'a>(x: &'a str)"),
            (r"['\'', '\\', 'x']", r"['   , '   , '  ]"),
            ("br\"x\" b\"y\" 1u8", "br    b\"   1u8"),
            ("r#fn()", "r#fn()"),
            ("\"open", "\"    "),
            ("/* open", "       "),
        ];
        for (text, expected) in rows {
            assert_eq!(code_only(text), expected, "{text}");
        }
    }

    #[test]
    fn tests_do_not_ship() {
        let rows = [
            (
                "fn a() {}\n#[cfg(test)]\nmod tests { #[test] fn b() { c() } }\nfn d() {}",
                "fn a() {}\n\n\nfn d() {}",
            ),
            ("#[cfg(test)]\nmod tests;\nfn a() {}", "\n\nfn a() {}"),
            ("#[cfg(test)]\nuse x::{a, b};\nfn a() {}", "\n\nfn a() {}"),
            ("#[test]\nfn a() { [b; 2] }\nfn c() {}", "\n\nfn c() {}"),
            (
                "#[tokio::test(start_paused = true)]\nasync fn a() { b() }\nfn c() {}",
                "\n\nfn c() {}",
            ),
            (
                "#[cfg(any(test, feature))]\nfn a() {}",
                "#[cfg(any(test, feature))]\nfn a() {}",
            ),
        ];
        for (text, expected) in rows {
            let source = RustSource::read("crates/x/src/lib.rs", text);
            let shipped: Vec<&str> = source.shipped.lines().map(str::trim_end).collect();
            assert_eq!(shipped.join("\n"), expected, "{text}");
            assert_eq!(
                source.code.lines().count(),
                source.tests.lines().count(),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_in_a_test_file_ships() {
        let rows = [
            ("crates/x/tests/a.rs", true),
            ("crates/x/src/a/tests.rs", true),
            ("crates/x/src/a_tests.rs", true),
            ("crates/x/benches/a.rs", true),
            ("crates/x/src/contests.rs", false),
        ];
        for (path, expected) in rows {
            let source = RustSource::read(path, "fn a() {}");
            assert_eq!(source.shipped.trim().is_empty(), expected, "{path}");
            assert_eq!(source.tests.trim().is_empty(), !expected, "{path}");
        }
    }
}
