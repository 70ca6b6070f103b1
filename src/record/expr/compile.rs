//! From a tree over names to a tree over slots, with the types that are known before any row.

use super::Mistake;
use super::parse::{Ast, Op, Shape};
use crate::record::{Schema, Value};

/// What is known about the type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Known only when a row comes.
    Any,
    /// A boolean.
    Bool,
    /// An integer or a float.
    Number,
    /// Text.
    Text,
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Type::Any => "anything",
            Type::Bool => "a boolean",
            Type::Number => "a number",
            Type::Text => "text",
        }
    }
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Function {
    Has,
    Size,
    Int,
    Double,
    String,
    Contains,
    StartsWith,
    EndsWith,
}

/// Each function with its name, how many arguments it takes and what it gives.
const FUNCTIONS: [(&str, Function, usize, Type); 8] = [
    ("has", Function::Has, 1, Type::Bool),
    ("size", Function::Size, 1, Type::Number),
    ("int", Function::Int, 1, Type::Number),
    ("double", Function::Double, 1, Type::Number),
    ("string", Function::String, 1, Type::Text),
    ("contains", Function::Contains, 2, Type::Bool),
    ("startsWith", Function::StartsWith, 2, Type::Bool),
    ("endsWith", Function::EndsWith, 2, Type::Bool),
];

/// An expression ready to be evaluated over rows of one schema.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A value that does not depend on the row.
    Constant(Value),
    /// The value in a slot.
    Slot(usize),
    /// `!x`.
    Not(Box<Expr>),
    /// `-x`.
    Negative(Box<Expr>),
    /// Two operands.
    Binary(Op, Box<Expr>, Box<Expr>),
    /// `x in [a, b]`.
    In(Box<Expr>, Vec<Expr>),
    /// `condition ? yes : no`.
    Choose(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A function.
    Call(Function, Vec<Expr>),
}

impl Ast {
    /// Calls `visit` with each field that is read.
    pub fn fields<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a Ast)) {
        match &self.shape {
            Shape::Field(name) => visit(name, self),
            Shape::Not(a) | Shape::Negative(a) => a.fields(visit),
            Shape::Binary(_, a, b) => {
                a.fields(visit);
                b.fields(visit);
            }
            Shape::In(a, items) => {
                a.fields(visit);
                items.iter().for_each(|item| item.fields(visit));
            }
            Shape::Choose(a, b, c) => {
                a.fields(visit);
                b.fields(visit);
                c.fields(visit);
            }
            Shape::Call(_, _, arguments) => arguments.iter().for_each(|a| a.fields(visit)),
            _ => {}
        }
    }

    /// Checks names of functions, numbers of arguments and types that are certain; every mistake
    /// is added to the list.
    pub fn check(&self, mistakes: &mut Vec<Mistake>) -> Type {
        let mut need = |ast: &Ast, wanted: Type, by: &str| {
            let found = ast.check(mistakes);
            if found != wanted && found != Type::Any && wanted != Type::Any {
                let message = format!("{by} takes {}, this is {}", wanted.word(), found.word());
                mistakes.push(Mistake::new(ast.at, ast.len, message));
            }
            found
        };
        match &self.shape {
            Shape::Null | Shape::Field(_) => Type::Any,
            Shape::Bool(_) => Type::Bool,
            Shape::Int(_) | Shape::Float(_) => Type::Number,
            Shape::Text(_) => Type::Text,
            Shape::Not(a) => {
                need(a, Type::Bool, "`!`");
                Type::Bool
            }
            Shape::Negative(a) => {
                need(a, Type::Number, "`-`");
                Type::Number
            }
            Shape::Binary(op, a, b) => {
                let by = format!("`{}`", op.sign());
                match op {
                    Op::Or | Op::And => {
                        need(a, Type::Bool, &by);
                        need(b, Type::Bool, &by);
                        Type::Bool
                    }
                    Op::Equal | Op::Differs | Op::Less | Op::AtMost | Op::Greater | Op::AtLeast => {
                        let left = need(a, Type::Any, &by);
                        let right = need(b, Type::Any, &by);
                        if left != right && left != Type::Any && right != Type::Any {
                            let (left, right) = (left.word(), right.word());
                            let message = format!("{by} compares {left} with {right}");
                            mistakes.push(Mistake::new(self.at, self.len, message));
                        }
                        Type::Bool
                    }
                    Op::Add => {
                        let left = need(a, Type::Any, &by);
                        let right = need(b, left, &by);
                        if left == Type::Any { right } else { left }
                    }
                    _ => {
                        need(a, Type::Number, &by);
                        need(b, Type::Number, &by);
                        Type::Number
                    }
                }
            }
            Shape::In(a, items) => {
                let wanted = need(a, Type::Any, "`in`");
                for item in items {
                    need(item, wanted, "this `in`");
                }
                Type::Bool
            }
            Shape::Choose(condition, yes, no) => {
                need(condition, Type::Bool, "`?`");
                let yes = need(yes, Type::Any, "`?`");
                let no = need(no, Type::Any, "`?`");
                if yes == no { yes } else { Type::Any }
            }
            Shape::Call(name, at, arguments) => {
                let known = FUNCTIONS.iter().find(|(known, ..)| known == name);
                let Some((_, function, count, gives)) = known else {
                    let mut mistake =
                        Mistake::new(*at, name.len(), format!("no function `{name}`"));
                    mistake.word = Some(name.clone());
                    mistake.names = FUNCTIONS.iter().map(|(name, ..)| (*name).into()).collect();
                    mistakes.push(mistake);
                    arguments.iter().for_each(|a| _ = a.check(mistakes));
                    return Type::Any;
                };
                let wanted = match function {
                    Function::Has | Function::Int | Function::Double | Function::String => {
                        Type::Any
                    }
                    _ => Type::Text,
                };
                for argument in arguments {
                    need(argument, wanted, &format!("`{name}`"));
                }
                if arguments.len() != *count {
                    let plural = if *count == 1 { "argument" } else { "arguments" };
                    let found = arguments.len();
                    let message = format!("`{name}` takes {count} {plural}, found {found}");
                    mistakes.push(Mistake::new(self.at, self.len, message));
                }
                *gives
            }
        }
    }
}

/// Makes a checked expression ready for rows of this schema. A field that the schema does not
/// have is null, as one that the record does not have.
pub fn compile(ast: &Ast, schema: &Schema) -> Expr {
    let one = |ast: &Ast| Box::new(compile(ast, schema));
    let all = |list: &[Ast]| list.iter().map(|ast| compile(ast, schema)).collect::<Vec<_>>();
    match &ast.shape {
        Shape::Null => Expr::Constant(Value::Null),
        Shape::Bool(value) => Expr::Constant(Value::Bool(*value)),
        Shape::Int(value) => Expr::Constant(Value::Int(*value)),
        Shape::Float(value) => Expr::Constant(Value::Float(*value)),
        Shape::Text(text) => Expr::Constant(Value::Text(text.as_str().into())),
        Shape::Field(name) => schema.slot(name).map_or(Expr::Constant(Value::Null), Expr::Slot),
        Shape::Not(a) => Expr::Not(one(a)),
        Shape::Negative(a) => Expr::Negative(one(a)),
        Shape::Binary(op, a, b) => Expr::Binary(*op, one(a), one(b)),
        Shape::In(a, items) => Expr::In(one(a), all(items)),
        Shape::Choose(a, b, c) => Expr::Choose(one(a), one(b), one(c)),
        Shape::Call(name, _, arguments) => {
            let known = FUNCTIONS
                .iter()
                .find(|(known, _, count, _)| known == name && *count == arguments.len());
            match known {
                Some((_, function, ..)) => Expr::Call(*function, all(arguments)),
                // `check` has refused it before; null is what an unknown thing is worth.
                None => Expr::Constant(Value::Null),
            }
        }
    }
}
