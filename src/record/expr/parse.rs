//! From tokens to a tree, by binding powers.

use super::Mistake;
use super::lex::{Kind, Token, tokens};

/// How deep an expression may be nested.
const DEEPEST: usize = 64;
/// How many words an expression may have: a chain of operators is a tree as deep as it is long.
const LONGEST: usize = 1_000;

/// A part of an expression with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Ast {
    /// Where it starts, in bytes.
    pub at: usize,
    /// How many bytes it covers.
    pub len: usize,
    /// What it is.
    pub shape: Shape,
}

/// What a part of an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text in quotes.
    Text(String),
    /// The name of a field.
    Field(String),
    /// `!x`.
    Not(Box<Ast>),
    /// `-x`.
    Negative(Box<Ast>),
    /// Two operands.
    Binary(Op, Box<Ast>, Box<Ast>),
    /// `x in [a, b]`.
    In(Box<Ast>, Vec<Ast>),
    /// `condition ? yes : no`.
    Choose(Box<Ast>, Box<Ast>, Box<Ast>),
    /// `name(arguments)`, with where the name starts; the object of `x.name(…)` is the first
    /// argument.
    Call(String, usize, Vec<Ast>),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Op {
    Or,
    And,
    Equal,
    Differs,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Each sign with its operator and how strongly it binds.
const BINARY: [(&str, Op, u8); 13] = [
    ("||", Op::Or, 1),
    ("&&", Op::And, 2),
    ("==", Op::Equal, 3),
    ("!=", Op::Differs, 3),
    ("<", Op::Less, 3),
    ("<=", Op::AtMost, 3),
    (">", Op::Greater, 3),
    (">=", Op::AtLeast, 3),
    ("+", Op::Add, 4),
    ("-", Op::Subtract, 4),
    ("*", Op::Multiply, 5),
    ("/", Op::Divide, 5),
    ("%", Op::Remainder, 5),
];

impl Op {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        BINARY.iter().find(|(_, op, _)| *op == self).map_or("", |(sign, _, _)| sign)
    }
}

/// Parses an expression.
pub fn parse(text: &str) -> Result<Ast, Mistake> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    if let Some(token) = parser.tokens.get(LONGEST) {
        let message = format!("the expression has more than {LONGEST} words");
        return Err(Mistake::new(token.at, token.len, message));
    }
    if parser.peek().kind == Kind::End {
        return Err(Mistake::new(0, text.len(), "the expression is empty"));
    }
    let ast = parser.choice()?;
    match &parser.peek().kind {
        Kind::End => Ok(ast),
        Kind::Sign("=") => Err(parser.unexpected("compare with `==`")),
        _ => Err(parser.unexpected("an operator was expected here")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        // The last token is the end, and nothing moves beyond it.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn accept(&mut self, sign: &'static str) -> bool {
        let found = self.peek().kind == Kind::Sign(sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Mistake> {
        if self.accept(sign) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{sign}` was expected here")))
        }
    }

    fn unexpected(&self, message: &str) -> Mistake {
        let token = self.peek();
        // The end has no words to underline: the token before it does.
        match (&token.kind, self.next.checked_sub(1).and_then(|at| self.tokens.get(at))) {
            (Kind::End, Some(last)) => {
                Mistake::new(last.at, last.len, format!("the expression ends too early: {message}"))
            }
            _ => Mistake::new(token.at, token.len, message),
        }
    }

    /// A node from `from` up to the token read last.
    fn node(&self, from: usize, shape: Shape) -> Ast {
        let end = self.tokens[..self.next].last().map_or(from, |token| token.at + token.len);
        Ast { at: from, len: end - from, shape }
    }

    fn choice(&mut self) -> Result<Ast, Mistake> {
        let condition = self.binary(0)?;
        if !self.accept("?") {
            return Ok(condition);
        }
        let yes = self.choice()?;
        self.expect(":")?;
        let no = self.choice()?;
        let from = condition.at;
        Ok(self.node(from, Shape::Choose(condition.into(), yes.into(), no.into())))
    }

    fn binary(&mut self, weakest: u8) -> Result<Ast, Mistake> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.unexpected("the expression is nested too deeply"));
        }
        let mut left = self.unary()?;
        loop {
            let from = left.at;
            if weakest < 3 && self.peek().kind == Kind::Name("in".into()) {
                self.next += 1;
                self.expect("[")?;
                let items = self.list("]")?;
                left = self.node(from, Shape::In(left.into(), items));
                continue;
            }
            let Kind::Sign(sign) = self.peek().kind else { break };
            let Some((_, op, power)) = BINARY.into_iter().find(|(known, ..)| *known == sign) else {
                break;
            };
            if power <= weakest {
                break;
            }
            self.next += 1;
            let right = self.binary(power)?;
            left = self.node(from, Shape::Binary(op, left.into(), right.into()));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Ast, Mistake> {
        let from = self.peek().at;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.unexpected("the expression is nested too deeply"));
        }
        let ast = if self.accept("!") {
            let inner = self.unary()?;
            self.node(from, Shape::Not(inner.into()))
        } else if self.accept("-") {
            let inner = self.unary()?;
            match inner.shape {
                Shape::Int(value) => self.node(from, Shape::Int(-value)),
                Shape::Float(value) => self.node(from, Shape::Float(-value)),
                _ => self.node(from, Shape::Negative(inner.into())),
            }
        } else {
            self.postfix()?
        };
        self.depth -= 1;
        Ok(ast)
    }

    fn postfix(&mut self) -> Result<Ast, Mistake> {
        let mut ast = self.primary()?;
        while self.accept(".") {
            let from = ast.at;
            let Token { kind: Kind::Name(name), at, len } = self.peek().clone() else {
                return Err(self.unexpected("a function was expected after `.`"));
            };
            self.next += 1;
            if !self.accept("(") {
                let message = "nested fields cannot be read; only calls such as `.contains('x')`";
                return Err(Mistake::new(at, len, message));
            }
            let mut arguments = vec![ast];
            arguments.extend(self.list(")")?);
            ast = self.node(from, Shape::Call(name, at, arguments));
        }
        Ok(ast)
    }

    fn primary(&mut self) -> Result<Ast, Mistake> {
        let here = self.unexpected("a value was expected here");
        let token = self.take();
        let shape = match token.kind {
            Kind::Int(value) => Shape::Int(value),
            Kind::Float(value) => Shape::Float(value),
            Kind::Text(text) => Shape::Text(text),
            Kind::Name(name) => match name.as_str() {
                "true" => Shape::Bool(true),
                "false" => Shape::Bool(false),
                "null" => Shape::Null,
                "in" => return Err(here),
                _ if self.accept("(") => Shape::Call(name, token.at, self.list(")")?),
                _ => Shape::Field(name),
            },
            Kind::Sign("(") => {
                let inner = self.choice()?;
                self.expect(")")?;
                return Ok(self.node(token.at, inner.shape));
            }
            _ => return Err(here),
        };
        Ok(self.node(token.at, shape))
    }

    /// Values with commas up to the closing sign.
    fn list(&mut self, close: &'static str) -> Result<Vec<Ast>, Mistake> {
        let mut items = Vec::new();
        while !self.accept(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(self.choice()?);
        }
        Ok(items)
    }
}
