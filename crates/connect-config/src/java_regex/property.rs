//! `\p{…}`: categories, scripts, binary properties, POSIX classes and the methods of `java.lang.Character`.
//!
//! Lives here: Java's names for the classes of Unicode.
//! Source: the documentation of `java.util.regex.Pattern` of Java 17, and what it answers.

use regex_syntax::hir::ClassUnicode;

use super::class::{any, known, ranges, unicode};

/// What a name stands for, before `\P` negates it.
///
/// Fails: with Java's sentence, or with one that says that the name is not supported.
pub(super) fn property(
    name: &str,
    ignore_case: bool,
    in_unicode: bool,
) -> Result<ClassUnicode, String> {
    if let Some((key, value)) = name.split_once('=') {
        let found = match key.to_ascii_lowercase().as_str() {
            "sc" | "script" => script(value),
            "gc" | "general_category" => category(value, ignore_case),
            "blk" | "block" => return block(value),
            _ => None,
        };
        return found
            .ok_or_else(|| format!("Unknown Unicode property {{name=<{key}>, value=<{value}>}}"));
    }
    if let Some(name) = name.strip_prefix("In") {
        return block(name);
    }
    if let Some(is) = name.strip_prefix("Is") {
        let found = binary(is, ignore_case)
            .or_else(|| category(is, ignore_case))
            .or_else(|| script(is));
        return found.ok_or_else(|| format!("Unknown character property name {{{is}}}"));
    }
    let posix = if in_unicode {
        posix_in_unicode(name, ignore_case)
    } else {
        None
    };
    let found = posix
        .or_else(|| category(name, ignore_case))
        .or_else(|| posix_in_ascii(name, ignore_case))
        .or_else(|| java_method(name, ignore_case));
    found.ok_or_else(|| format!("Unknown character property name {{{name}}}"))
}

fn cased() -> ClassUnicode {
    known(r"[\p{Lu}\p{Ll}\p{Lt}]")
}

fn category(name: &str, ignore_case: bool) -> Option<ClassUnicode> {
    const NAMES: &[&str] = &[
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Me", "Mc", "N", "Nd", "Nl", "No", "Z", "Zs",
        "Zl", "Zp", "C", "Cc", "Cf", "Co", "Cn", "P", "Pd", "Ps", "Pe", "Pc", "Po", "Pi", "Pf",
        "S", "Sm", "Sc", "Sk", "So",
    ];
    Some(match name {
        "Lu" | "Ll" | "Lt" if ignore_case => cased(),
        "LC" => cased(),
        "LD" => known(r"[\p{L}\p{Nd}]"),
        "L1" => ranges(&[('\0', '\u{FF}')]),
        "all" => any(),
        // Surrogates are halves of characters, which texts do not have here.
        "Cs" => ranges(&[]),
        _ if NAMES.contains(&name) => known(&format!("\\p{{{name}}}")),
        _ => return None,
    })
}

fn script(name: &str) -> Option<ClassUnicode> {
    let wordlike = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(wordlike) {
        return None;
    }
    unicode(&format!("\\p{{sc={name}}}"))
}

fn binary(name: &str, ignore_case: bool) -> Option<ClassUnicode> {
    let name = name.to_ascii_uppercase().replace([' ', '-'], "_");
    Some(known(match name.as_str() {
        "ALPHABETIC" => r"\p{Alphabetic}",
        "LETTER" => r"\p{L}",
        "IDEOGRAPHIC" => r"\p{Ideographic}",
        "LOWERCASE" | "UPPERCASE" | "TITLECASE" if ignore_case => {
            r"[\p{Lowercase}\p{Uppercase}\p{Lt}]"
        }
        "LOWERCASE" => r"\p{Lowercase}",
        "UPPERCASE" => r"\p{Uppercase}",
        "TITLECASE" => r"\p{Lt}",
        "WHITE_SPACE" | "WHITESPACE" => r"\p{White_Space}",
        "CONTROL" => r"\p{Cc}",
        "PUNCTUATION" => r"\p{P}",
        "HEX_DIGIT" | "HEXDIGIT" => r"[\p{Nd}0-9A-Fa-fＡ-Ｆａ-ｆ]",
        "ASSIGNED" => r"\P{Cn}",
        "NONCHARACTER_CODE_POINT" | "NONCHARACTERCODEPOINT" => r"\p{Noncharacter_Code_Point}",
        "DIGIT" => r"\p{Nd}",
        "ALNUM" => r"[\p{Alphabetic}\p{Nd}]",
        "BLANK" => r"[\p{Zs}\t]",
        "GRAPH" => r"[^\p{White_Space}\p{Cc}\p{Cn}]",
        "PRINT" => r"[[^\p{White_Space}\p{Cc}\p{Cn}][\p{Zs}]&&[^\p{Cc}]]",
        "WORD" => r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]",
        "JOIN_CONTROL" | "JOINCONTROL" => r"\p{Join_Control}",
        "EMOJI" => r"\p{Emoji}",
        "EMOJI_PRESENTATION" => r"\p{Emoji_Presentation}",
        "EMOJI_MODIFIER" => r"\p{Emoji_Modifier}",
        "EMOJI_MODIFIER_BASE" => r"\p{Emoji_Modifier_Base}",
        "EMOJI_COMPONENT" => r"\p{Emoji_Component}",
        "EXTENDED_PICTOGRAPHIC" => r"\p{Extended_Pictographic}",
        _ => return None,
    }))
}

/// POSIX names under `(?U)`.
fn posix_in_unicode(name: &str, ignore_case: bool) -> Option<ClassUnicode> {
    Some(known(match name.to_ascii_uppercase().as_str() {
        "LOWER" | "UPPER" if ignore_case => r"[\p{Lowercase}\p{Uppercase}\p{Lt}]",
        "LOWER" => r"\p{Lowercase}",
        "UPPER" => r"\p{Uppercase}",
        "ALPHA" => r"\p{Alphabetic}",
        "SPACE" => r"\p{White_Space}",
        "PUNCT" => r"\p{P}",
        "XDIGIT" => r"[\p{Nd}0-9A-Fa-fＡ-Ｆａ-ｆ]",
        "ALNUM" => r"[\p{Alphabetic}\p{Nd}]",
        "CNTRL" => r"\p{Cc}",
        "DIGIT" => r"\p{Nd}",
        "BLANK" => r"[\p{Zs}\t]",
        "GRAPH" => r"[^\p{White_Space}\p{Cc}\p{Cn}]",
        "PRINT" => r"[[^\p{White_Space}\p{Cc}\p{Cn}][\p{Zs}]&&[^\p{Cc}]]",
        _ => return None,
    }))
}

fn posix_in_ascii(name: &str, ignore_case: bool) -> Option<ClassUnicode> {
    const ALPHA: [(char, char); 2] = [('A', 'Z'), ('a', 'z')];
    Some(match name {
        "ASCII" => ranges(&[('\0', '\u{7F}')]),
        "Alpha" => ranges(&ALPHA),
        "Lower" | "Upper" if ignore_case => ranges(&ALPHA),
        "Lower" => ranges(&[('a', 'z')]),
        "Upper" => ranges(&[('A', 'Z')]),
        "Alnum" => ranges(&[('A', 'Z'), ('a', 'z'), ('0', '9')]),
        "Digit" => ranges(&[('0', '9')]),
        "XDigit" => ranges(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        "Punct" => ranges(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "Graph" => ranges(&[('!', '~')]),
        "Print" => ranges(&[(' ', '~')]),
        "Blank" => ranges(&[(' ', ' '), ('\t', '\t')]),
        "Space" => ranges(&[(' ', ' '), ('\t', '\r')]),
        "Cntrl" => ranges(&[('\0', '\u{1F}'), ('\u{7F}', '\u{7F}')]),
        _ => return None,
    })
}

/// `javaLowerCase` is `Character.isLowerCase`, and so on.
fn java_method(name: &str, ignore_case: bool) -> Option<ClassUnicode> {
    Some(known(match name.strip_prefix("java")? {
        "LowerCase" | "UpperCase" | "TitleCase" if ignore_case => {
            r"[\p{Lowercase}\p{Uppercase}\p{Lt}]"
        }
        "LowerCase" => r"\p{Lowercase}",
        "UpperCase" => r"\p{Uppercase}",
        "TitleCase" => r"\p{Lt}",
        "Alphabetic" => r"\p{Alphabetic}",
        "Ideographic" => r"\p{Ideographic}",
        "Digit" => r"\p{Nd}",
        "Defined" => r"\P{Cn}",
        "Letter" => r"\p{L}",
        "LetterOrDigit" => r"[\p{L}\p{Nd}]",
        "SpaceChar" => r"\p{Z}",
        "Whitespace" => r"[[\p{Z}--[\x{A0}\x{2007}\x{202F}]][\t-\r\x{1C}-\x{1F}]]",
        "ISOControl" => r"\p{Cc}",
        _ => return None,
    }))
}

/// The blocks that people write; Unicode has three hundred.
fn block(name: &str) -> Result<ClassUnicode, String> {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, ' ' | '_' | '-'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let (start, end) = match plain.as_str() {
        "basiclatin" => ('\0', '\u{7F}'),
        "latin1supplement" => ('\u{80}', '\u{FF}'),
        "latinextendeda" => ('\u{100}', '\u{17F}'),
        "latinextendedb" => ('\u{180}', '\u{24F}'),
        "greek" | "greekandcoptic" => ('\u{370}', '\u{3FF}'),
        "cyrillic" => ('\u{400}', '\u{4FF}'),
        "armenian" => ('\u{530}', '\u{58F}'),
        "hebrew" => ('\u{590}', '\u{5FF}'),
        "arabic" => ('\u{600}', '\u{6FF}'),
        "devanagari" => ('\u{900}', '\u{97F}'),
        "thai" => ('\u{E00}', '\u{E7F}'),
        "generalpunctuation" => ('\u{2000}', '\u{206F}'),
        "currencysymbols" => ('\u{20A0}', '\u{20CF}'),
        "hiragana" => ('\u{3040}', '\u{309F}'),
        "katakana" => ('\u{30A0}', '\u{30FF}'),
        "cjkunifiedideographs" => ('\u{4E00}', '\u{9FFF}'),
        "hangulsyllables" => ('\u{AC00}', '\u{D7AF}'),
        _ => {
            return Err(format!(
                "Unknown character block name {{{name}}} (Millstream knows the most used blocks; a script such as \
                 \\p{{IsGreek}} or a range such as [\\u0370-\\u03FF] says the same)"
            ));
        }
    };
    Ok(ranges(&[(start, end)]))
}
