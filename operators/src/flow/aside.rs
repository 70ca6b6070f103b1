//! Rows that an operator with a limit sets aside.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::events::{Data, Events, Tick};

/// A row that was set aside, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Aside<D> {
    /// It came too late.
    Late(D),
    /// It came when the limit was reached.
    Over(D),
}

/// The results of an operator with a limit, and on streams of their own the rows it refused.
///
/// It stands for the stream of results wherever one is asked for.
pub struct Limited<'scope, T: Tick, R: 'static, D: 'static> {
    results: Events<'scope, T, R>,
    aside: Events<'scope, T, Aside<D>>,
}

impl<'scope, T: Tick, R: Data, D: Data> Limited<'scope, T, R, D> {
    /// Results and rows set aside.
    pub fn new(results: Events<'scope, T, R>, aside: Events<'scope, T, Aside<D>>) -> Self {
        Limited { results, aside }
    }

    /// The results.
    pub fn results(&self) -> Events<'scope, T, R> {
        self.results.clone()
    }

    /// The rows that came too late, as they came; `behind` says how far each was behind.
    pub fn late(&self) -> Events<'scope, T, D> {
        self.aside.pick("Late", |row| if let Aside::Late(row) = row { Some(row) } else { None })
    }

    /// The rows for which there was no room.
    pub fn over(&self) -> Events<'scope, T, D> {
        self.aside.pick("Over", |row| if let Aside::Over(row) = row { Some(row) } else { None })
    }
}

impl<'scope, T: Tick, R, D> Deref for Limited<'scope, T, R, D> {
    type Target = Events<'scope, T, R>;

    fn deref(&self) -> &Self::Target {
        &self.results
    }
}
