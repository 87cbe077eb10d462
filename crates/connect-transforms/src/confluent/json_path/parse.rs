//! Texts of JSON paths and conditions, read.

use super::{Child, Condition, JsonPath, Operand, Operator, Step};
use connect_api::data::Value;
use connect_config::JavaRegex;
use std::cell::RefCell;

/// How deep conditions and lists may be nested.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<JsonPath> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    parser.blanks();
    if !parser.eat("$") {
        return Err(parser.expected("a path that begins with $"));
    }
    let path = parser.steps()?;
    parser.blanks();
    match parser.at == text.len() {
        true => Ok(path),
        false => Err(parser.expected("the end of the path, . or [")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Byte position of what comes next.
    at: usize,
    depth: usize,
}

type Result<T> = std::result::Result<T, String>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        let place = self.text[..self.at].chars().count() + 1;
        match self.peek() {
            None => format!("at the end of the JSON path: expected {what}"),
            Some(found) => {
                format!("at character {place} of the JSON path: expected {what}, found '{found}'")
            }
        }
    }

    fn unsupported(&self, what: &str) -> String {
        let place = self.text[..self.at].chars().count() + 1;
        format!("at character {place} of the JSON path: {what} are not supported")
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH_MAX {
            return Err(format!("the JSON path is nested deeper than {DEPTH_MAX}"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn steps(&mut self) -> Result<JsonPath> {
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                steps.push(Step::Descendants);
                if self.peek() != Some('[') {
                    steps.push(self.name_or_wildcard()?);
                    continue;
                }
            } else if self.eat(".") && self.peek() != Some('[') {
                steps.push(self.name_or_wildcard()?);
                continue;
            }
            if !self.eat("[") {
                return Ok(JsonPath { steps });
            }
            steps.push(self.in_brackets()?);
        }
    }

    fn name_or_wildcard(&mut self) -> Result<Step> {
        if self.eat("*") {
            return Ok(Step::Wildcard);
        }
        let ends = |c: char| c.is_whitespace() || ".[]()=!<>&|,'\"~".contains(c);
        let rest = self.rest();
        let length = rest.find(ends).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.expected("a name or *"));
        }
        self.at += length;
        if self.peek() == Some('(') {
            return Err(self.unsupported("functions"));
        }
        Ok(child(&rest[..length]))
    }

    /// What stands behind `[`, up to and with `]`.
    fn in_brackets(&mut self) -> Result<Step> {
        self.blanks();
        let step = match self.peek() {
            Some('*') => {
                self.at += 1;
                Step::Wildcard
            }
            Some('\'' | '"') => child(&self.quoted()?),
            Some('?') => {
                self.at += 1;
                self.blanks();
                if !self.eat("(") {
                    return Err(self.expected("( behind ?"));
                }
                let condition = self.nested(Self::or)?;
                self.blanks();
                if !self.eat(")") {
                    return Err(self.expected(") at the end of the condition"));
                }
                Step::Condition(condition)
            }
            Some('-' | '0'..='9') => Step::Index(self.integer()?),
            _ => return Err(self.expected("a name in quotes, an index, * or ?")),
        };
        self.blanks();
        match self.peek() {
            Some(']') => {
                self.at += 1;
                Ok(step)
            }
            Some(',') => Err(self.unsupported("unions such as [0,1]")),
            Some(':') => Err(self.unsupported("slices such as [1:3]")),
            _ => Err(self.expected("]")),
        }
    }

    fn integer(&mut self) -> Result<i64> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with('-'));
        let digits = rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let number = rest[..sign + digits].parse();
        let number = number.map_err(|_| self.expected("an index"))?;
        self.at += sign + digits;
        Ok(number)
    }

    /// A text in quotes of either kind; a backslash takes the next character as it is, with Java's usual exceptions.
    fn quoted(&mut self) -> Result<String> {
        let quote = self.peek().filter(|quote| "'\"".contains(*quote));
        let quote = quote.ok_or_else(|| self.expected("a quote"))?;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, escaped)) => text.push(escaped),
                    None => break,
                },
                c if c == quote => {
                    self.at += at + 1;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        self.at = self.text.len();
        Err(self.expected(&format!("a closing {quote}")))
    }

    fn or(&mut self) -> Result<Condition> {
        let mut parts = vec![self.and()?];
        while self.eat_behind_blanks("||") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Condition::Or))
    }

    fn and(&mut self) -> Result<Condition> {
        let mut parts = vec![self.unary()?];
        while self.eat_behind_blanks("&&") {
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Condition::And))
    }

    fn eat_behind_blanks(&mut self, token: &str) -> bool {
        self.blanks();
        self.eat(token)
    }

    fn unary(&mut self) -> Result<Condition> {
        self.blanks();
        if self.peek() == Some('!') && !self.rest().starts_with("!=") {
            self.at += 1;
            let negated = self.nested(Self::unary)?;
            return Ok(Condition::Not(Box::new(negated)));
        }
        if self.eat("(") {
            let inner = self.nested(Self::or)?;
            self.blanks();
            return match self.eat(")") {
                true => Ok(inner),
                false => Err(self.expected(")")),
            };
        }
        let left = self.operand()?;
        self.blanks();
        if self.eat("=~") {
            self.blanks();
            let regex = self.regex()?;
            return Ok(Condition::Matches { left, regex });
        }
        let Some(operator) = self.operator()? else {
            return match left {
                Operand::Literal(_) => Err(self.expected("an operator behind a value")),
                path => Ok(Condition::Exists(path)),
            };
        };
        self.blanks();
        let right = self.operand()?;
        Ok(Condition::Compare {
            left,
            operator,
            right,
        })
    }

    /// `None` where the condition ends, or goes on with `&&` or `||`.
    fn operator(&mut self) -> Result<Option<Operator>> {
        // Longer ones first.
        const SIGNS: [(&str, Operator); 8] = [
            ("===", Operator::SameTypeAndEqual),
            ("!==", Operator::NotSameTypeAndEqual),
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        const WORDS: [(&str, Operator); 8] = [
            ("in", Operator::In),
            ("nin", Operator::NotIn),
            ("subsetof", Operator::SubsetOf),
            ("anyof", Operator::AnyOf),
            ("noneof", Operator::NoneOf),
            ("contains", Operator::Contains),
            ("size", Operator::Size),
            ("empty", Operator::Empty),
        ];
        if let Some((_, operator)) = SIGNS.into_iter().find(|(sign, _)| self.eat(sign)) {
            return Ok(Some(operator));
        }
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let word = rest[..length].to_ascii_lowercase();
        if word.is_empty() {
            return match self.peek() {
                None | Some(')' | '&' | '|') => Ok(None),
                _ => Err(self.expected("an operator")),
            };
        }
        let known = WORDS.into_iter().find(|(known, _)| *known == word);
        let (_, operator) = known.ok_or_else(|| self.expected("an operator"))?;
        self.at += length;
        Ok(Some(operator))
    }

    fn operand(&mut self) -> Result<Operand> {
        self.blanks();
        if self.eat("@") {
            return Ok(Operand::Current(self.nested(Self::steps)?));
        }
        if self.eat("$") {
            return Ok(Operand::Root(self.nested(Self::steps)?));
        }
        Ok(Operand::Literal(self.literal()?))
    }

    fn literal(&mut self) -> Result<Value> {
        self.blanks();
        match self.peek() {
            Some('\'' | '"') => return Ok(self.quoted()?.into()),
            Some('[') => {
                self.at += 1;
                return self.nested(Self::list);
            }
            _ => {}
        }
        for (word, value) in [
            ("true", Value::Boolean(true)),
            ("false", Value::Boolean(false)),
            ("null", Value::Null),
        ] {
            if self.eat(word) {
                return Ok(value);
            }
        }
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c)))
            .unwrap_or(rest.len());
        let text = &rest[..length];
        let whole = text.parse().map(Value::Int64);
        let number = whole.or_else(|_| text.parse().map(Value::Float64));
        let number = number
            .map_err(|_| self.expected("@, $, or a value: a text in quotes, a number, a list"))?;
        self.at += length;
        Ok(number)
    }

    /// What stands behind `[`, up to and with `]`.
    fn list(&mut self) -> Result<Value> {
        let mut elements = Vec::new();
        self.blanks();
        if self.eat("]") {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.literal()?);
            self.blanks();
            if self.eat("]") {
                return Ok(Value::Array(elements));
            }
            if !self.eat(",") {
                return Err(self.expected(", or ]"));
            }
        }
    }

    /// `/pattern/` with the flags of Java: `i`, `m`, `s`, `u`, `x`, `d`.
    fn regex(&mut self) -> Result<JavaRegex> {
        if !self.eat("/") {
            return Err(self.expected("a regular expression between slashes"));
        }
        let start = self.at;
        let mut escaped = false;
        let end = self.rest().char_indices().find(|(_, c)| {
            let ends = *c == '/' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else {
            self.at = self.text.len();
            return Err(self.expected("a closing /"));
        };
        let pattern = &self.text[start..start + end];
        self.at = start + end + 1;
        let flags: String = self
            .rest()
            .chars()
            .take_while(|c| "imsuxd".contains(*c))
            .collect();
        self.at += flags.len();
        let pattern = match flags.is_empty() {
            true => pattern.to_string(),
            false => format!("(?{flags}){pattern}"),
        };
        JavaRegex::new(&pattern).map_err(|cause| cause.message().to_string())
    }
}

pub(super) fn child(name: &str) -> Step {
    Step::Child(Child {
        name: name.into(),
        last: RefCell::new(None),
    })
}

fn one_or(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.pop().expect("there is one"),
        _ => many(parts),
    }
}
