//! A pattern's tree as text for an engine.
//!
//! Lives here: writing. Flags, names and classes are resolved by now, so what is written has none of them but sets of
//! ranges, and means the same to both engines.

use regex_syntax::hir::ClassUnicode;
use std::fmt::Write;

use super::parse::{Anchor, Greed, Look, Node};

/// What the searched text is known to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// Something, and no line end.
    One,
    Matter,
}

pub(super) struct Emitted {
    pub text: String,
    /// Whether only the engine that backtracks understands it.
    pub backtracks: bool,
}

pub(super) fn emit(root: &Node, lines: Lines) -> Emitted {
    let mut writer = Writer {
        out: Emitted {
            text: String::new(),
            backtracks: false,
        },
        lines,
        boundaries: Boundaries::OfTheEngine,
    };
    writer.node(root);
    if writer.out.backtracks {
        writer.out.text.clear();
        writer.boundaries = Boundaries::LookAround;
        writer.node(root);
    }
    writer.out
}

struct Writer {
    out: Emitted,
    lines: Lines,
    boundaries: Boundaries,
}

/// How the ends of words are written: only the engine in linear time knows ASCII ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Boundaries {
    OfTheEngine,
    LookAround,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.out.text.push_str(text);
    }

    fn put_fancy(&mut self, text: &str) {
        self.out.backtracks = true;
        self.put(text);
    }

    fn within(&mut self, open: &str, node: &Node) {
        self.put(open);
        self.node(node);
        self.put(")");
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Empty => self.put("(?:)"),
            Node::Set(set) => self.set(set),
            Node::Sequence(nodes) => {
                for node in nodes {
                    match node {
                        Node::Alternation(_) => self.within("(?:", node),
                        _ => self.node(node),
                    }
                }
            }
            Node::Alternation(nodes) => {
                for (i, node) in nodes.iter().enumerate() {
                    if i > 0 {
                        self.put("|");
                    }
                    self.node(node);
                }
            }
            Node::Capture(node) => self.within("(", node),
            Node::Group(node) => self.within("(?:", node),
            Node::Atomic(node) => {
                self.out.backtracks = true;
                self.within("(?>", node);
            }
            Node::Look(look, node) => {
                self.out.backtracks = true;
                let open = match look {
                    Look::Ahead => "(?=",
                    Look::NotAhead => "(?!",
                    Look::Behind => "(?<=",
                    Look::NotBehind => "(?<!",
                };
                self.within(open, node);
            }
            Node::Repeat {
                node,
                min,
                max,
                greed,
            } => self.repeat(node, *min, *max, *greed),
            Node::Anchor(anchor) => self.anchor(*anchor),
            Node::BackReference { group, ignore_case } => {
                let text = if *ignore_case {
                    format!("(?i:\\{group})")
                } else {
                    format!("(?:\\{group})")
                };
                self.put_fancy(&text);
            }
        }
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, greed: Greed) {
        // Engines refuse to repeat what has no width; once is as good as often.
        if node.is_zero_width() {
            match (min, max) {
                (_, Some(0)) => self.put("(?:)"),
                (0, _) => {
                    self.within("(?:", node);
                    self.out.text.pop();
                    self.put("|)");
                }
                _ => self.within("(?:", node),
            }
            return;
        }
        if greed == Greed::Possessive {
            self.put_fancy("(?>");
        }
        self.within("(?:", node);
        match (min, max) {
            (0, None) => self.put("*"),
            (1, None) => self.put("+"),
            (0, Some(1)) => self.put("?"),
            (min, None) => self.put(&format!("{{{min},}}")),
            (min, Some(max)) => self.put(&format!("{{{min},{max}}}")),
        }
        match greed {
            Greed::Greedy => {}
            Greed::Lazy => self.put("?"),
            Greed::Possessive => self.put(")"),
        }
    }

    fn anchor(&mut self, anchor: Anchor) {
        const NEWLINE: &str = r"[\n\x{85}\x{2028}\x{2029}]";
        let one = self.lines == Lines::One;
        match anchor {
            Anchor::Start => self.put(r"\A"),
            Anchor::End => self.put(r"\z"),
            Anchor::StartOfLine { .. } if one => self.put(r"\A"),
            Anchor::EndOfLine { .. } | Anchor::EndBeforeLast { .. } if one => self.put(r"\z"),
            // Java's `^` does not match at the end of the text, also not of an empty one.
            Anchor::StartOfLine { unix: true } => self.put_fancy(r"(?:(?!\z)(?:\A|(?<=\n)))"),
            Anchor::StartOfLine { unix: false } => {
                let text = format!(r"(?:(?!\z)(?:\A|(?<={NEWLINE})|(?<=\r)(?!\n)))");
                self.put_fancy(&text);
            }
            Anchor::EndOfLine { unix: true } => self.put_fancy(r"(?=\n|\z)"),
            Anchor::EndOfLine { unix: false } => {
                self.put_fancy(r"(?:(?=[\r\x{85}\x{2028}\x{2029}]|\z)|(?<!\r)(?=\n))");
            }
            Anchor::EndBeforeLast { unix: true } => self.put_fancy(r"(?=\n?\z)"),
            Anchor::EndBeforeLast { unix: false } => {
                self.put_fancy(r"(?:(?=\z|\r\n\z|[\r\x{85}\x{2028}\x{2029}]\z)|(?<!\r)(?=\n\z))");
            }
            Anchor::WordBoundary { unicode, negated }
                if self.boundaries == Boundaries::OfTheEngine =>
            {
                match (unicode, negated) {
                    (false, false) => self.put(r"(?-u:\b)"),
                    (true, false) => self.put(r"\b"),
                    (true, true) => self.put(r"\B"),
                    // Between the bytes of a character there is no ASCII boundary either, so the engine in linear
                    // time refuses this one for texts.
                    (false, true) => self.put_fancy(""),
                }
            }
            Anchor::WordBoundary { unicode, negated } => {
                let word = super::class::word(unicode);
                let word = set_text(&word);
                let text = if negated {
                    format!("(?:(?<={word})(?={word})|(?<!{word})(?!{word}))")
                } else {
                    format!("(?:(?<={word})(?!{word})|(?<!{word})(?={word}))")
                };
                self.put_fancy(&text);
            }
        }
    }

    fn set(&mut self, set: &ClassUnicode) {
        let text = set_text(set);
        self.put(&text);
    }
}

fn set_text(set: &ClassUnicode) -> String {
    let mut text = String::new();
    match set.ranges() {
        [] => return r"[^\s\S]".to_owned(),
        [one] if one.start() == one.end() => {
            put_char(one.start(), &mut text);
            return text;
        }
        _ => {}
    }
    text.push('[');
    for range in set.ranges() {
        put_char(range.start(), &mut text);
        if range.start() < range.end() {
            text.push('-');
            put_char(range.end(), &mut text);
        }
    }
    text.push(']');
    text
}

fn put_char(c: char, out: &mut String) {
    if c.is_ascii_alphanumeric() || c == '_' {
        out.push(c);
    } else {
        write!(out, "\\x{{{:X}}}", u32::from(c)).expect("a String takes all text");
    }
}
