//! The compiled forms of a pattern, each made when it is first needed.
//!
//! Lives here: which engine searches what. Texts without a line end, which are nearly all, are searched with a form
//! in which `$` is the end of the text, so that such a pattern needs no look-ahead.

use std::sync::OnceLock;

use super::emit::{Lines, emit};
use super::parse::Node;
use super::{JavaRegexError, Result};

const BACKTRACK_MAX: usize = 10_000_000;
const SIZE_MAX_BYTES: usize = 64 << 20;

pub(super) type Places = Vec<Option<(usize, usize)>>;

pub(super) struct Engines {
    pattern: Box<str>,
    root: Node,
    /// Whether line ends in the text matter.
    has_line_anchors: bool,
    one_line: Pair,
    lines: Pair,
}

#[derive(Default)]
struct Pair {
    whole: OnceLock<Result<Engine>>,
    part: OnceLock<Result<Engine>>,
}

enum Engine {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

impl Engines {
    pub(super) fn new(pattern: &str, root: Node) -> Result<Self> {
        let engines = Self {
            pattern: pattern.into(),
            has_line_anchors: root.has_line_anchors(),
            root,
            one_line: Pair::default(),
            lines: Pair::default(),
        };
        engines.engine_of_whole("x")?;
        Ok(engines)
    }

    pub(super) fn is_whole(&self, text: &str) -> Result<bool> {
        match self.engine_of_whole(text)? {
            Engine::Linear(regex) => Ok(regex.is_match(text)),
            Engine::Backtracking(regex) => regex.is_match(text).map_err(|_| self.too_long()),
        }
    }

    pub(super) fn whole(&self, text: &str) -> Result<Option<Places>> {
        self.search(self.engine_of_whole(text)?, text, 0)
    }

    pub(super) fn find(&self, text: &str, from: usize) -> Result<Option<Places>> {
        let pair = self.pair(text);
        let engine = pair.part.get_or_init(|| self.compile(pair, ""));
        self.search(engine.as_ref().map_err(Clone::clone)?, text, from)
    }

    fn engine_of_whole(&self, text: &str) -> Result<&Engine> {
        let pair = self.pair(text);
        let engine = pair.whole.get_or_init(|| self.compile(pair, "\\z"));
        engine.as_ref().map_err(Clone::clone)
    }

    fn pair(&self, text: &str) -> &Pair {
        let is_line_end = |c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        if self.has_line_anchors && (text.is_empty() || text.contains(is_line_end)) {
            &self.lines
        } else {
            &self.one_line
        }
    }

    fn compile(&self, pair: &Pair, end: &str) -> Result<Engine> {
        let lines = if std::ptr::eq(pair, &self.lines) {
            Lines::Matter
        } else {
            Lines::One
        };
        let emitted = emit(&self.root, lines);
        let text = match end {
            "" => emitted.text,
            end => format!("\\A(?:{}){end}", emitted.text),
        };
        if emitted.backtracks {
            let regex = fancy_regex::RegexBuilder::new(&text)
                .backtrack_limit(BACKTRACK_MAX)
                .delegate_size_limit(SIZE_MAX_BYTES)
                .build();
            regex
                .map(Engine::Backtracking)
                .map_err(|cause| self.refused(&cause))
        } else {
            let regex = regex::RegexBuilder::new(&text)
                .size_limit(SIZE_MAX_BYTES)
                .build();
            regex
                .map(Engine::Linear)
                .map_err(|cause| self.refused(&cause))
        }
    }

    fn search(&self, engine: &Engine, text: &str, from: usize) -> Result<Option<Places>> {
        Ok(match engine {
            Engine::Linear(regex) => regex.captures_at(text, from).map(|found| {
                let groups = found.iter();
                groups
                    .map(|group| group.map(|group| (group.start(), group.end())))
                    .collect()
            }),
            Engine::Backtracking(regex) => {
                let found = regex.captures_from_pos(text, from);
                found.map_err(|_| self.too_long())?.map(|found| {
                    let groups = found.iter();
                    groups
                        .map(|group| group.map(|group| (group.start(), group.end())))
                        .collect()
                })
            }
        })
    }

    fn refused(&self, cause: &dyn std::fmt::Display) -> JavaRegexError {
        JavaRegexError::new(format!(
            "the regular expression {:?} is beyond what is supported: {cause}; write it shorter or simpler",
            self.pattern
        ))
    }

    fn too_long(&self) -> JavaRegexError {
        JavaRegexError::new(format!(
            "the regular expression {:?} went back more than {BACKTRACK_MAX} times on one text; nested repetitions \
             such as (a+)+ together with look-around or back references do that",
            self.pattern
        ))
    }
}
