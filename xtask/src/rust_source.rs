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

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It ships, and may have tests in it.
    Ships,
    /// There are only tests in it, and what they need.
    Tests,
}

impl RustSource {
    pub fn read(role: Role, text: &str) -> Self {
        let code = code_only(text);
        let shipped = match role {
            Role::Ships => without_tests(&code),
            Role::Tests => blank(&code),
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

/// Which files are for tests only: `tests/…` and `benches/…` of a crate, and the modules that their
/// parent declares under `#[cfg(test)]`.
#[derive(Debug, Default)]
pub struct Roles {
    /// A module is `dir/name.rs`, `dir/name/mod.rs`, and all below `dir/name/`.
    test_modules: Vec<String>,
}

impl Roles {
    /// Reads all files that may declare a module.
    pub fn among<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut test_modules = Vec::new();
        for (file, text) in files.into_iter().filter(|(file, _)| file.ends_with(".rs")) {
            let dir = children_dir(file);
            test_modules
                .extend(declared_test_modules(text).map(|module| format!("{dir}/{module}")));
        }
        Self { test_modules }
    }

    pub fn of(&self, file: &str) -> Role {
        let beside_src = file
            .split('/')
            .any(|part| matches!(part, "tests" | "benches"));
        let declared = self.test_modules.iter().any(|module| {
            file.strip_prefix(module.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
        if beside_src || declared {
            Role::Tests
        } else {
            Role::Ships
        }
    }
}

/// The directory with the files of the modules that `file` declares.
fn children_dir(file: &str) -> &str {
    let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
    match file.rsplit('/').next() {
        Some("lib.rs" | "main.rs" | "mod.rs") => dir,
        _ => file.trim_end_matches(".rs"),
    }
}

/// The names behind `#[cfg(test)] mod name;`.
fn declared_test_modules(text: &str) -> impl Iterator<Item = String> {
    let code = code_only(text);
    let declared: Vec<String> = code
        .split("#[cfg(test)]")
        .skip(1)
        .filter_map(|rest| {
            let (declaration, _) = rest.split_once(';')?;
            let (_, name) = declaration.rsplit_once("mod ")?;
            let is_name =
                !declaration.contains('{') && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            is_name.then(|| name.to_owned())
        })
        .collect();
    declared.into_iter()
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
            let source = RustSource::read(Role::Ships, text);
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
        let source = RustSource::read(Role::Tests, "fn a() {}");
        assert_eq!(
            (source.shipped.trim(), source.tests.trim()),
            ("", "fn a() {}")
        );
    }

    #[test]
    fn parents_say_which_files_are_tests() {
        let roles = Roles::among([
            (
                "crates/x/src/lib.rs",
                "mod a;\n#[cfg(test)]\nmod fake;\n#[cfg(test)]\nmod inline {}\nmod b;",
            ),
            (
                "crates/x/src/a.rs",
                "#[cfg(test)]\npub(crate) mod tests;\n// #[cfg(test)] mod c;",
            ),
            (
                "crates/x/src/b/mod.rs",
                "#[cfg(test)]\nuse x::y;\n#[cfg(test)]\n#[path = \"z\"]\nmod rows;",
            ),
        ]);
        let rows = [
            ("crates/x/tests/a.rs", Role::Tests),
            ("crates/x/benches/a.rs", Role::Tests),
            ("crates/x/src/fake.rs", Role::Tests),
            ("crates/x/src/fake/deep.rs", Role::Tests),
            ("crates/x/src/a/tests.rs", Role::Tests),
            ("crates/x/src/b/rows.rs", Role::Tests),
            ("crates/x/src/faker.rs", Role::Ships),
            ("crates/x/src/a/c.rs", Role::Ships),
            ("crates/x/src/b.rs", Role::Ships),
            ("crates/x/src/inline.rs", Role::Ships),
        ];
        for (file, expected) in rows {
            assert_eq!(roles.of(file), expected, "{file}");
        }
    }
}
