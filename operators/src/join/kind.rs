//! What a join sends: of which pairs, of which rows without a partner, and whether it may revise.

use crate::change::Change;
use crate::events::Data;

/// Which rows of two inputs make a result.
pub trait Kind<L, R>: 'static {
    /// A result.
    type Out: Data;
    /// Every pair is a result.
    const PAIRS: bool = false;
    /// A left row with at least one partner is one, once.
    const ONCE: bool = false;
    /// A left row without a partner is one.
    const LEFT: bool = false;
    /// A right row without a partner is one.
    const RIGHT: bool = false;

    /// Of a pair.
    fn pair(_: &L, _: &R) -> Option<Self::Out> {
        None
    }

    /// Of a left row.
    fn left(_: &L) -> Option<Self::Out> {
        None
    }

    /// Of a right row.
    fn right(_: &R) -> Option<Self::Out> {
        None
    }
}

/// Pairs.
pub struct Inner;
/// Pairs, and left rows without a partner.
pub struct LeftOuter;
/// Pairs, and right rows without a partner.
pub struct RightOuter;
/// Pairs, and rows of both sides without a partner.
pub struct FullOuter;
/// Left rows with a partner.
pub struct Semi;
/// Left rows without a partner.
pub struct Anti;

impl<L: Data, R: Data> Kind<L, R> for Inner {
    type Out = (L, R);
    const PAIRS: bool = true;

    fn pair(left: &L, right: &R) -> Option<(L, R)> {
        Some((left.clone(), right.clone()))
    }
}

impl<L: Data, R: Data> Kind<L, R> for LeftOuter {
    type Out = (L, Option<R>);
    const PAIRS: bool = true;
    const LEFT: bool = true;

    fn pair(left: &L, right: &R) -> Option<Self::Out> {
        Some((left.clone(), Some(right.clone())))
    }

    fn left(left: &L) -> Option<Self::Out> {
        Some((left.clone(), None))
    }
}

impl<L: Data, R: Data> Kind<L, R> for RightOuter {
    type Out = (Option<L>, R);
    const PAIRS: bool = true;
    const RIGHT: bool = true;

    fn pair(left: &L, right: &R) -> Option<Self::Out> {
        Some((Some(left.clone()), right.clone()))
    }

    fn right(right: &R) -> Option<Self::Out> {
        Some((None, right.clone()))
    }
}

impl<L: Data, R: Data> Kind<L, R> for FullOuter {
    type Out = (Option<L>, Option<R>);
    const PAIRS: bool = true;
    const LEFT: bool = true;
    const RIGHT: bool = true;

    fn pair(left: &L, right: &R) -> Option<Self::Out> {
        Some((Some(left.clone()), Some(right.clone())))
    }

    fn left(left: &L) -> Option<Self::Out> {
        Some((Some(left.clone()), None))
    }

    fn right(right: &R) -> Option<Self::Out> {
        Some((None, Some(right.clone())))
    }
}

impl<L: Data, R: Data> Kind<L, R> for Semi {
    type Out = L;
    const ONCE: bool = true;

    fn left(left: &L) -> Option<L> {
        Some(left.clone())
    }
}

impl<L: Data, R: Data> Kind<L, R> for Anti {
    type Out = L;
    const LEFT: bool = true;

    fn left(left: &L) -> Option<L> {
        Some(left.clone())
    }
}

/// Whether results may be withdrawn.
pub trait Mode<O>: 'static {
    /// What is sent.
    type Out: Data;
    /// Results are sent as soon as they hold, and withdrawn when a late row says otherwise.
    const REVISES: bool;
    /// A result.
    fn add(result: O) -> Self::Out;
    /// A result is withdrawn.
    fn remove(result: O) -> Self::Out;
}

/// Every result is sent once and stays.
pub struct Final;
/// Results are sent early and corrected.
pub struct Revised;

impl<O: Data> Mode<O> for Final {
    type Out = O;
    const REVISES: bool = false;

    fn add(result: O) -> O {
        result
    }

    fn remove(_: O) -> O {
        unreachable!("a final result is not withdrawn")
    }
}

impl<O: Data> Mode<O> for Revised {
    type Out = Change<O>;
    const REVISES: bool = true;

    fn add(result: O) -> Change<O> {
        Change::add(result)
    }

    fn remove(result: O) -> Change<O> {
        Change::remove(result)
    }
}
