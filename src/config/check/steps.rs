//! The rules of steps: one thing each, with expressions that can be parsed.

use super::Checker;
use crate::config::pipeline::{Spanned, Step};
use crate::config::report::Mistake;
use crate::record::expr::{self, AggregateKind, Ast, Shape};

/// What a step does, with its expressions parsed.
#[derive(Clone, Debug)]
pub(in crate::config) enum Kind {
    /// Something is wrong with it, and it has been said.
    Broken,
    Union,
    Keep(Ast, Spanned<String>),
    Set(Vec<(Spanned<String>, Ast, Spanned<String>)>),
    Select(Vec<Spanned<String>>),
    Dedup,
    Window(Vec<Aggregate>),
}

/// A result of a window step.
#[derive(Clone, Debug)]
pub(in crate::config) struct Aggregate {
    pub(in crate::config) name: Spanned<String>,
    pub(in crate::config) kind: AggregateKind,
    pub(in crate::config) field: Option<Spanned<String>>,
}

impl Checker<'_> {
    pub(super) fn step(&mut self, name: &Spanned<String>, step: &Step) -> Kind {
        let damaged = self.damaged("steps", &name.value);
        let windowed = [
            ("key", step.key.is_some()),
            ("window", step.window.is_some()),
            ("aggregate", step.aggregate.is_some()),
        ];
        let any_window = windowed.iter().any(|(_, set)| *set);
        let all = [
            ("keep", step.keep.is_some()),
            ("set", step.set.is_some()),
            ("select", step.select.is_some()),
            ("dedup", step.dedup.is_some()),
            ("window", any_window),
        ];
        let there: Vec<_> = all.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        if let Some(lateness) = &step.lateness
            && !any_window
            && step.dedup.is_none()
            && !damaged
        {
            let message = "`lateness` needs a window or dedup, which it is about";
            self.wrong(Mistake::new(lateness.place, message));
        }
        // Expressions are looked at even where the step is wrong as a whole.
        let keep = step.keep.as_ref().map(|keep| (self.expression(keep), keep.clone()));
        let set: Option<Vec<_>> = step.set.as_ref().map(|set| {
            set.0.iter().map(|(f, e)| (f.clone(), self.expression(e), e.clone())).collect()
        });
        let aggregates: Option<Vec<_>> = step
            .aggregate
            .as_ref()
            .map(|all| all.0.iter().map(|(name, call)| self.aggregate(name, call)).collect());
        if let Some(dedup) = &step.dedup {
            self.above_zero(Some(&dedup.within), "within");
        }
        if let Some(window) = &step.window {
            self.above_zero(Some(&window.tumbling), "tumbling");
        }
        match there.as_slice() {
            [] if damaged => Kind::Broken,
            [] if step.from.as_ref().is_some_and(|from| from.0.len() > 1) => Kind::Union,
            [] => {
                let message = format!("step `{}` does nothing", name.value);
                let help = "give it one of `keep`, `set`, `select`, `dedup`, or `key` with `window` \
                            and `aggregate`; or several names in `from` to unite them";
                self.wrong(Mistake::new(name.place, message).help(help));
                Kind::Broken
            }
            ["keep"] => keep.map_or(Kind::Broken, |(ast, text)| Kind::Keep(ast, text)),
            ["set"] => set.map_or(Kind::Broken, Kind::Set),
            ["select"] => match &step.select {
                Some(select) if !select.0.is_empty() => Kind::Select(select.0.clone()),
                _ => {
                    let message = format!("step `{}` selects no field", name.value);
                    self.wrong(Mistake::new(name.place, message));
                    Kind::Broken
                }
            },
            ["dedup"] => Kind::Dedup,
            ["window"] => {
                let missing: Vec<_> = windowed.iter().filter(|(_, set)| !set).collect();
                for (part, _) in missing.iter().filter(|_| !damaged) {
                    let example = match *part {
                        "key" => "key: sensor",
                        "window" => "window: { tumbling: 1m }",
                        _ => "aggregate: { n: count() }",
                    };
                    self.wrong(
                        Mistake::new(name.place, format!("step `{}` has no `{part}`", name.value))
                            .label(format!("add `{example}`"))
                            .help("a window step needs `key`, `window` and `aggregate`"),
                    );
                }
                aggregates.map_or(Kind::Broken, Kind::Window)
            }
            several => {
                let message =
                    format!("step `{}` does several things: {}", name.value, several.join(", "));
                let help = "make a step of each, and let one read the other by `from`";
                self.wrong(Mistake::new(name.place, message).help(help));
                Kind::Broken
            }
        }
    }

    /// Parses an expression and checks what can be checked without knowing the fields.
    /// `null` stands in for what cannot be parsed.
    fn expression(&mut self, text: &Spanned<String>) -> Ast {
        let mut found = Vec::new();
        let ast = match expr::parse(&text.value) {
            Ok(ast) => {
                ast.check(&mut found);
                ast
            }
            Err(mistake) => {
                found.push(mistake);
                Ast { at: 0, len: 0, shape: Shape::Null }
            }
        };
        for mistake in found {
            self.expression_mistake(text, mistake);
        }
        ast
    }

    /// Parses a call in the `aggregate` block. A count stands in for what cannot be parsed.
    fn aggregate(&mut self, name: &Spanned<String>, call: &Spanned<String>) -> Aggregate {
        let name = name.clone();
        match expr::aggregate(&call.value) {
            Ok((kind, argument)) => {
                let field = argument.map(|ast| Spanned {
                    value: call.value[ast.at..ast.at + ast.len].to_owned(),
                    place: self.inside(call, ast.at, ast.len),
                });
                Aggregate { name, kind, field }
            }
            Err(mistake) => {
                self.expression_mistake(call, mistake);
                Aggregate { name, kind: AggregateKind::Count, field: None }
            }
        }
    }

    fn expression_mistake(&mut self, text: &Spanned<String>, found: expr::Mistake) {
        let place = self.inside(text, found.at, found.len);
        let mut mistake = Mistake::new(place, found.message);
        if let Some(word) = &found.word {
            mistake = mistake.suggest(word, found.names.iter().map(String::as_str));
        }
        self.wrong(mistake);
    }
}
