//! Parses ticket filters such as `status = "open" and (priority >= 3 or not archived)`.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Field(String),
    Text(String),
    Number(i64),
    Compare(Comparison),
    And,
    Or,
    Not,
    Open,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Text(String),
    Number(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    Flag(String),
    Test { field: String, op: Comparison, value: Operand },
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterError {
    UnexpectedChar(usize, char),
    UnterminatedText(usize),
    NumberTooLarge(usize),
    UnexpectedEnd,
    UnexpectedToken(String),
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedChar(at, c) => write!(f, "unexpected {c:?} at byte {at}"),
            Self::UnterminatedText(at) => write!(f, "string opened at byte {at} is never closed"),
            Self::NumberTooLarge(at) => write!(f, "number at byte {at} does not fit in 64 bits"),
            Self::UnexpectedEnd => f.write_str("filter ends too early"),
            Self::UnexpectedToken(token) => write!(f, "did not expect {token} here"),
        }
    }
}

impl std::error::Error for FilterError {}

pub fn tokenize(source: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut chars = source.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '=' => Token::Compare(Comparison::Equal),
            '<' if chars.next_if(|&(_, c)| c == '=').is_some() => {
                Token::Compare(Comparison::LessOrEqual)
            }
            '<' => Token::Compare(Comparison::Less),
            '>' if chars.next_if(|&(_, c)| c == '=').is_some() => {
                Token::Compare(Comparison::GreaterOrEqual)
            }
            '>' => Token::Compare(Comparison::Greater),
            '"' => Token::Text(read_text(&mut chars, start)?),
            '0'..='9' => {
                let end = skip_while(&mut chars, source.len(), |c| c.is_ascii_digit());
                let digits = &source[start..end];
                Token::Number(digits.parse().map_err(|_| FilterError::NumberTooLarge(start))?)
            }
            c if c.is_alphabetic() => {
                let end = skip_while(&mut chars, source.len(), |c| c.is_alphanumeric() || c == '_');
                match &source[start..end] {
                    "and" => Token::And,
                    "or" => Token::Or,
                    "not" => Token::Not,
                    field => Token::Field(field.to_owned()),
                }
            }
            other => return Err(FilterError::UnexpectedChar(start, other)),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn skip_while(chars: &mut Peekable<CharIndices>, len: usize, keep: impl Fn(char) -> bool) -> usize {
    while chars.next_if(|&(_, c)| keep(c)).is_some() {}
    chars.peek().map_or(len, |&(at, _)| at)
}

fn read_text(chars: &mut Peekable<CharIndices>, start: usize) -> Result<String, FilterError> {
    let mut text = String::new();
    while let Some((_, c)) = chars.next() {
        match c {
            '"' => return Ok(text),
            '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
            other => text.push(other),
        }
    }
    Err(FilterError::UnterminatedText(start))
}

struct Parser {
    tokens: Peekable<std::vec::IntoIter<Token>>,
}

impl Parser {
    fn disjunction(&mut self) -> Result<Filter, FilterError> {
        let mut left = self.conjunction()?;
        while self.tokens.next_if_eq(&Token::Or).is_some() {
            left = Filter::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Filter, FilterError> {
        let mut left = self.condition()?;
        while self.tokens.next_if_eq(&Token::And).is_some() {
            left = Filter::And(Box::new(left), Box::new(self.condition()?));
        }
        Ok(left)
    }

    fn condition(&mut self) -> Result<Filter, FilterError> {
        match self.tokens.next().ok_or(FilterError::UnexpectedEnd)? {
            Token::Not => Ok(Filter::Not(Box::new(self.condition()?))),
            Token::Open => {
                let inner = self.disjunction()?;
                match self.tokens.next() {
                    Some(Token::Close) => Ok(inner),
                    Some(other) => Err(FilterError::UnexpectedToken(format!("{other:?}"))),
                    None => Err(FilterError::UnexpectedEnd),
                }
            }
            Token::Field(field) => match self.tokens.peek() {
                Some(&Token::Compare(op)) => {
                    self.tokens.next();
                    let value = self.operand()?;
                    Ok(Filter::Test { field, op, value })
                }
                // A bare name is shorthand for "this flag is set".
                _ => Ok(Filter::Flag(field)),
            },
            other => Err(FilterError::UnexpectedToken(format!("{other:?}"))),
        }
    }

    fn operand(&mut self) -> Result<Operand, FilterError> {
        match self.tokens.next().ok_or(FilterError::UnexpectedEnd)? {
            Token::Text(text) => Ok(Operand::Text(text)),
            Token::Number(number) => Ok(Operand::Number(number)),
            other => Err(FilterError::UnexpectedToken(format!("{other:?}"))),
        }
    }
}

pub fn parse(source: &str) -> Result<Filter, FilterError> {
    let mut parser = Parser { tokens: tokenize(source)?.into_iter().peekable() };
    let filter = parser.disjunction()?;
    match parser.tokens.next() {
        None => Ok(filter),
        Some(extra) => Err(FilterError::UnexpectedToken(format!("{extra:?}"))),
    }
}
