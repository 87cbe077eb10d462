//! What Java answers, as tables.

use super::JavaRegex;

#[track_caller]
fn regex(pattern: &str) -> JavaRegex {
    JavaRegex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// Pattern, text, whether it matches as a whole, whether it is found.
#[test]
fn patterns_match_as_in_java() {
    let rows = [
        ("a|ab", "ab", true, true),
        ("orders.*", "orders-1", true, true),
        ("^(?!__).*$", "orders", true, true),
        ("^(?!__).*$", "__offsets", false, false),
        ("a++a", "aaa", false, false),
        ("(?>a+)b", "aab", true, true),
        (r"\Qt-1\E", "t-1", true, true),
        (r"\Q.\E+", "...", true, true),
        (r"\p{IsHan}{2}", "日本", true, true),
        (r"\p{L}+", "été", true, true),
        (r"\w+", "été", false, true),
        (r"(?U)\w+", "été", true, true),
        (r"\d+", "١٢", false, false),
        (r"(?U)\d+", "١٢", true, true),
        ("(?i)ABC", "abc", true, true),
        ("(?i)ÄB", "äb", false, false),
        ("(?iu)ÄB", "äb", true, true),
        ("(?i)[a-c]+x", "ABCX", true, true),
        ("(?i:a)b", "Ab", true, true),
        ("(?i:a)b", "AB", false, false),
        ("a(?i)b|c", "C", true, true),
        (r"[a-c&&[^b]]+", "ac", true, true),
        (r"[a-c&&[^b]]+", "b", false, false),
        (r"[a-z&&[def]]", "e", true, true),
        (r"[^a-c&&[b]]", "a", true, true),
        (r"[a-z&&[^m-p]&&[^x]]+", "abqy", true, true),
        (r"[]a]", "]", true, true),
        (r"[a-]", "-", true, true),
        (r"[\]\\-]+", r"]\-", true, true),
        (r"x(?<=a+)", "x", false, false),
        (r"(?<w>\w)\k<w>", "tt", true, true),
        (r"(\w)\1", "tu", false, false),
        (r"(a)\2", "aa", false, false),
        ("(?x) a b # c", "ab", true, true),
        (r"\u0041\x42\x{43}\0104", "ABCD", true, true),
        (r"\uD83D\uDE00", "😀", true, true),
        (r"\R", "\r\n", true, true),
        (r"\h+\v", " \u{A0}\n", true, true),
        (r"\bfoo\b.*", "foo-bar", true, true),
        (r"\Bo", "foo", false, true),
        (r"foo\z", "foo\n", false, false),
        ("foo$", "foo\n", false, true),
        ("foo$", "foo\r\n", false, true),
        ("foo$", "foo\n\n", false, false),
        ("(?m)^b$", "a\nb\nc", false, true),
        ("(?m)^", "", false, false),
        ("a.c", "a\nc", false, false),
        ("(?s)a.c", "a\nc", true, true),
        ("(?d)a.c", "a\rc", true, true),
        (r"\p{Alpha}\p{Punct}\p{Upper}", "a-B", true, true),
        (r"(?i)\p{Lower}+", "aB", true, true),
        (r"\p{javaLowerCase}\P{Lu}", "a1", true, true),
        (
            r"\p{InGreek}\p{script=Greek}\p{IsAlphabetic}",
            "αβγ",
            true,
            true,
        ),
        ("(?:^)*a", "a", true, true),
        ("(?=a)*a", "a", true, true),
        ("(a*)*", "b", false, true),
        ("", "", true, true),
        ("x{2,3}", "xx", true, true),
        ("x{2}+", "xx", true, true),
        ("x{0}", "", true, true),
        (r"a}", "a}", true, true),
        (r"\cA", "\u{1}", true, true),
    ];
    for (pattern, text, whole, part) in rows {
        let regex = regex(pattern);
        assert_eq!(regex.matches(text), Ok(whole), "{pattern} on {text:?}");
        assert_eq!(regex.find(text), Ok(part), "{pattern} in {text:?}");
    }
}

#[test]
fn replacements_are_those_of_java() {
    let rows = [
        ("(.*)-(.*)", "a-b", "$2-$1", "b-a"),
        ("a|ab", "ab", "m", "mb"),
        (r"(t)(\d)", "t1", "$11", "t1"),
        ("(a)(b)?", "a", "[$1$2]", "[a]"),
        (r"(?<db>\w+)\.(?<t>\w+)", "d.t", "${t}_${db}", "t_d"),
        ("a", "a", r"\$1", "$1"),
        (".*", "abc", "", ""),
        ("x", "abc", "$9", "abc"),
    ];
    for (pattern, text, replacement, expected) in rows {
        let got = regex(pattern).replace_first(text, replacement);
        assert_eq!(got.as_deref(), Ok(expected), "{pattern}");
    }
    assert_eq!(
        regex("a*").replace_all("ab", "X").as_deref(),
        Ok("XXbX"),
        "an empty match may follow another match"
    );
    assert_eq!(regex("[^a-z]").replace_all("é1", "_").as_deref(), Ok("__"));
    let wrong = [
        ("(a)", "$2", "No group 2"),
        ("(a)", "${n}", "No group with name {n}"),
        ("a", r"x\", "character to be escaped is missing"),
        ("a", "x$", "Illegal group reference: group index is missing"),
        ("a", "$x", "Illegal group reference"),
        ("a", "${x", "named capturing group is missing trailing '}'"),
        (
            "a",
            "${1}",
            "capturing group name {1} starts with digit character",
        ),
    ];
    for (pattern, replacement, message) in wrong {
        let error = regex(pattern).replace_first("a", replacement).unwrap_err();
        assert_eq!(error.message(), message);
    }
}

#[test]
fn groups_have_numbers_and_names() {
    let regex = regex("(?<first>a)(b)?");
    let groups = regex.match_groups("a").unwrap().unwrap();
    assert_eq!(groups.get(0), Some(Some("a")));
    assert_eq!(groups.get(2), Some(None));
    assert_eq!(groups.get(3), None);
    assert_eq!(groups.named("first"), Some(Some("a")));
    assert_eq!(groups.named("x"), None);
    assert_eq!(regex.group_count(), 2);
    assert!(regex.match_groups("b").unwrap().is_none());
}

#[test]
fn texts_are_split_as_in_java() {
    let rows: [(&str, &str, &[&str]); 5] = [
        (",", "a,b,,", &["a", "b"]),
        (r"\s*,\s*", "a , b", &["a", "b"]),
        (",", "", &[""]),
        ("", "abc", &["a", "b", "c"]),
        (",", ",a", &["", "a"]),
    ];
    for (pattern, text, parts) in rows {
        assert_eq!(regex(pattern).split(text).unwrap(), parts, "{text}");
    }
}

/// Messages of Java 17.
#[test]
fn bad_patterns_say_what_java_says() {
    let rows = [
        ("*", "Dangling meta character '*' near index 0\n*\n^"),
        ("[a", "Unclosed character class near index 1\n[a\n ^"),
        (
            "a{2,1}",
            "Illegal repetition range near index 5\na{2,1}\n     ^",
        ),
        (
            "(?<1a>x)",
            "capturing group name does not start with a Latin letter near index 3\n(?<1a>x)\n   ^",
        ),
        ("(a", "Unclosed group near index 2\n(a"),
        ("a)", "Unmatched closing ')' near index 0\na)\n^"),
    ];
    for (pattern, message) in rows {
        let error = JavaRegex::new(pattern).unwrap_err();
        assert_eq!(error.message(), message);
    }
}

#[test]
fn what_is_not_supported_says_so() {
    for pattern in [r"\X", r"\b{g}", r"\Ga", r"\N{DIGIT ONE}", "(?c)a"] {
        let error = JavaRegex::new(pattern).unwrap_err();
        assert!(error.message().contains("does not support"), "{error}");
    }
    let deep = format!("{}{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(JavaRegex::new(&deep).is_err());
}

#[test]
fn searches_without_end_are_given_up() {
    let regex = regex(r"(?=a)(a|a|b\1)*c");
    assert!(regex.matches(&"a".repeat(60)).is_err());
}

#[test]
fn quoted_texts_match_themselves() {
    for text in ["a.b", r"\E", r"a\Eb\Q", "1[", ""] {
        let regex = JavaRegex::literal(text).unwrap();
        assert_eq!(regex.matches(text), Ok(true), "{text}");
        assert_eq!(regex.matches("x"), Ok(false), "{text}");
    }
}
