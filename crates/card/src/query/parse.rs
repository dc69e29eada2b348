//! The parser: recursive descent over the text, one character ahead.

use super::fault::{QueryError, QueryFault};
use super::node::{Leaf, Node};
use super::{BYTES_MAX, DEPTH_MAX, TERMS_MAX};
use crate::attribute::{VALUE_BYTES_MAX, plain};
use crate::{Attribute, SkillPath, Tag};

pub(super) fn parse(text: &str) -> Result<Node, QueryError> {
    if text.len() > BYTES_MAX {
        return Err(QueryError::new(QueryFault::TooLong(text.len()), text, 0, 0));
    }
    let mut parser = Parser { text, at: 0, terms: 0 };
    parser.skip_space();
    if parser.rest().is_empty() {
        return Err(parser.fault(QueryFault::Empty, 0, text.len()));
    }
    let node = parser.any(0)?;
    if let Some(found) = parser.peek() {
        let expected = if found == ')' { "an opening parenthesis before it" } else { "AND, OR or the end" };
        return Err(parser.unexpected(expected));
    }
    Ok(node)
}

struct Parser<'t> {
    text: &'t str,
    /// Bytes read.
    at: usize,
    terms: usize,
}

/// What stands after a colon.
struct Value {
    text: String,
    /// It begins with `=`.
    exact: bool,
    /// It ends with `*`.
    star: bool,
    from: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    And,
    Or,
    Not,
}

impl<'t> Parser<'t> {
    fn any(&mut self, depth: usize) -> Result<Node, QueryError> {
        let mut nodes = vec![self.all(depth)?];
        while self.take(Word::Or) {
            nodes.push(self.all(depth)?);
        }
        Ok(Node::any(nodes))
    }

    fn all(&mut self, depth: usize) -> Result<Node, QueryError> {
        let mut nodes = vec![self.one(depth)?];
        while self.take(Word::And) {
            nodes.push(self.one(depth)?);
        }
        Ok(Node::all(nodes))
    }

    fn one(&mut self, depth: usize) -> Result<Node, QueryError> {
        let from = self.at;
        let is_not = self.take(Word::Not);
        if !is_not && self.peek() != Some('(') {
            return self.term();
        }
        if depth == DEPTH_MAX {
            return Err(self.fault(QueryFault::TooDeep, from, from + 1));
        }
        if is_not {
            return self.one(depth + 1).map(Node::negated);
        }
        self.at += 1;
        self.skip_space();
        let node = self.any(depth + 1)?;
        match self.peek() {
            Some(')') => {
                self.at += 1;
                self.skip_space();
                Ok(node)
            }
            Some(_) => Err(self.unexpected("AND, OR or a closing parenthesis")),
            None => Err(self.fault(QueryFault::Unclosed("parenthesis"), from, from + 1)),
        }
    }

    fn term(&mut self) -> Result<Node, QueryError> {
        let from = self.at;
        let name = self.word();
        let end = from + name.len();
        if !self.text[end..].starts_with(':') {
            return Err(match name {
                "" => self.unexpected("a term such as skill:text/translate"),
                _ if self.next_word().is_some() => self.unexpected("a term such as skill:text/translate"),
                _ => self.fault(QueryFault::Bare(short(name)), from, end),
            });
        }
        if name.is_empty() {
            return Err(self.unexpected("a name before the colon"));
        }
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.fault(QueryFault::TooManyTerms, from, end));
        }
        self.at = end + 1;
        let (kind, attribute) = (name.to_ascii_lowercase(), Attribute::named(name));
        if attribute.is_none() && !["skill", "tag", "lang"].contains(&kind.as_str()) {
            return Err(self.fault(QueryFault::Unknown(short(name)), from, end));
        }
        let value = self.value(&kind, from)?;
        let leaf = match attribute {
            Some(attribute) => attribute_leaf(attribute, &value),
            None if kind == "skill" => skill_leaf(&value),
            None if kind == "lang" => tag_leaf(&format!("lang:{}", value.text.trim_start()), &value),
            None => tag_leaf(&value.text, &value),
        };
        let leaf = leaf.map_err(|fault| self.fault(fault, value.from, self.at))?;
        if self.peek().is_some_and(|next| next != ')' && !next.is_whitespace()) {
            return Err(self.unexpected("a space after the value, or the value in quotation marks"));
        }
        self.skip_space();
        Ok(Node::Leaf(leaf))
    }

    fn value(&mut self, name: &str, from: usize) -> Result<Value, QueryError> {
        let exact = name == "skill" && self.peek() == Some('=');
        self.at += usize::from(exact);
        let mut value = Value { text: String::new(), exact, star: false, from: self.at };
        let quoted = self.peek() == Some('"');
        self.at += usize::from(quoted);
        loop {
            let at = self.at;
            let Some(char) = self.peek() else {
                if quoted {
                    let fault = QueryFault::Unclosed("quotation mark");
                    return Err(self.fault(fault, value.from, value.from + 1));
                }
                break;
            };
            if quoted && char == '"' {
                self.at += 1;
                break;
            }
            if !quoted && (char.is_whitespace() || matches!(char, '(' | ')' | '"' | '\\')) {
                break;
            }
            if value.star {
                let fault = QueryFault::Value("'*' can only stand at the end of a value".to_owned());
                return Err(self.fault(fault, at - 1, at));
            }
            self.at += char.len_utf8();
            match char {
                '*' => value.star = true,
                '\\' => match self.peek() {
                    Some(escaped @ ('"' | '\\' | '*')) => {
                        self.at += 1;
                        value.text.push(escaped);
                    }
                    _ => {
                        let fault =
                            QueryFault::Value("'\\' stands before '\"', '*' or another '\\' only".to_owned());
                        return Err(self.fault(fault, at, at + 1));
                    }
                },
                char => value.text.push(char),
            }
        }
        if value.text.trim().is_empty() && !value.star {
            return Err(self.fault(QueryFault::NoValue(format!("{name}:")), from, self.at));
        }
        Ok(value)
    }

    /// What could be a name or one of the words between terms.
    fn word(&self) -> &'t str {
        let end =
            self.rest().find(|char: char| char.is_whitespace() || matches!(char, ':' | '(' | ')' | '"'));
        &self.rest()[..end.unwrap_or(self.rest().len())]
    }

    fn next_word(&self) -> Option<Word> {
        let word = self.word();
        if self.rest()[word.len()..].starts_with(':') {
            return None;
        }
        [("AND", Word::And), ("OR", Word::Or), ("NOT", Word::Not)]
            .into_iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name))
            .map(|(_, word)| word)
    }

    fn take(&mut self, wanted: Word) -> bool {
        let found = self.next_word() == Some(wanted);
        if found {
            self.at += self.word().len();
            self.skip_space();
        }
        found
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn unexpected(&self, expected: &'static str) -> QueryError {
        let word = self.word();
        let (found, length) = match (word, self.peek()) {
            (_, None) => ("the end".to_owned(), 0),
            ("", Some(char)) => (format!("'{char}'"), char.len_utf8()),
            (word, Some(_)) => (format!("\"{}\"", short(word)), word.len()),
        };
        self.fault(QueryFault::Expected { expected, found }, self.at, self.at + length)
    }

    fn fault(&self, fault: QueryFault, from: usize, to: usize) -> QueryError {
        QueryError::new(fault, self.text, from, to)
    }
}

fn skill_leaf(value: &Value) -> Result<Leaf, QueryFault> {
    if !value.star {
        let path = SkillPath::derive(&value.text)?;
        return Ok(if value.exact { Leaf::Exactly(path) } else { Leaf::Below(path) });
    }
    if value.exact {
        return Err(QueryFault::Value("a skill is either exact ('=') or a beginning ('*')".to_owned()));
    }
    let text = value.text.trim_start_matches('/');
    if text.is_empty() {
        return Ok(Leaf::SkillPrefix(String::new()));
    }
    // A beginning may end between two segments, which a path may not.
    let path = SkillPath::derive(text)?;
    let slash = if text.ends_with('/') { "/" } else { "" };
    Ok(Leaf::SkillPrefix(format!("{path}{slash}")))
}

fn tag_leaf(text: &str, value: &Value) -> Result<Leaf, QueryFault> {
    if !value.star {
        return Ok(Leaf::Tag(text.parse()?));
    }
    // Checked as the tag that it is a beginning of; white space at its end is part of it.
    let begun: Tag = format!("{}*", text.trim_start()).parse()?;
    Ok(Leaf::TagPrefix(begun.as_str().strip_suffix('*').unwrap_or_default().to_owned()))
}

fn attribute_leaf(attribute: Attribute, value: &Value) -> Result<Leaf, QueryFault> {
    if value.text.len() > VALUE_BYTES_MAX {
        let found = value.text.len();
        return Err(QueryFault::Value(format!(
            "{attribute} has {found} bytes, at most {VALUE_BYTES_MAX} are compared"
        )));
    }
    let plain = if value.star { plain(&format!("{}*", value.text)) } else { plain(&value.text) };
    if attribute.is_flag() && !["true", "false"].contains(&plain.as_str()) {
        return Err(QueryFault::Value(format!(
            "{attribute} is true or false, found \"{}\"",
            short(&value.text)
        )));
    }
    Ok(match plain.strip_suffix('*') {
        Some(prefix) if value.star => Leaf::AttributePrefix(attribute, prefix.to_owned()),
        _ => Leaf::Attribute(attribute, plain),
    })
}

fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
