//! How far apart the rows of one session may be.

use std::fmt;
use std::time::Duration;

use crate::time::{EventTime, Span};

/// What keeps a session open: how long each of its rows waits for the next one.
pub trait SessionGap<D>: Clone + fmt::Debug + 'static {
    /// How long the session waits for another row after this one.
    fn after(&self, row: &D) -> Span;

    /// How long it waits after every row, if that is known beforehand.
    fn after_all(&self) -> Option<Span> {
        None
    }
}

/// Every row waits equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed(Span);

impl<D> SessionGap<D> for Fixed {
    #[inline]
    fn after(&self, _: &D) -> Span {
        self.0
    }

    fn after_all(&self) -> Option<Span> {
        Some(self.0)
    }
}

/// A function says how long each row waits.
#[derive(Clone, Copy)]
pub struct ByRow<G>(G);

impl<G> fmt::Debug for ByRow<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByRow")
    }
}

impl<D, G: Fn(&D) -> Duration + Clone + 'static> SessionGap<D> for ByRow<G> {
    #[inline]
    fn after(&self, row: &D) -> Span {
        (self.0)(row).into()
    }
}

/// Which rows of a key belong together: those that follow one another closely enough.
///
/// *Two neighbours are in one session iff they are less than the gap apart.*
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session<G = Fixed> {
    gap: G,
    inclusive: bool,
}

impl Session {
    /// Neighbours are in one session iff they are less than this apart.
    ///
    /// # Panics
    /// If the gap is zero: not even rows of one instant would belong together.
    pub fn gap(gap: Duration) -> Self {
        let span = Span::from(gap);
        assert!(!span.is_zero(), "session window: the gap must be at least 1 us, and is {gap:?}");
        Session { gap: Fixed(span), inclusive: false }
    }

    /// The earlier one of two neighbours says how far away the later one may be. A row at t spans
    /// `[t, t + gap(row))`, and a session is a union of spans that overlap, so that a long wait of
    /// one row can hold together rows far behind its next neighbour. A gap of less than 1 us counts
    /// as 1 us: rows of one instant always belong together.
    pub fn dynamic_gap<D, G>(gap: G) -> Session<ByRow<G>>
    where
        G: Fn(&D) -> Duration + Clone + 'static,
    {
        Session { gap: ByRow(gap), inclusive: false }
    }
}

impl<G> Session<G> {
    /// Neighbours that are exactly the gap apart belong together too, as in Flink and in Kafka
    /// Streams. A row at the very end still joins, so that a session is complete once the frontier is
    /// past its end, not at it.
    #[must_use]
    pub fn inclusive_gap(mut self) -> Self {
        self.inclusive = true;
        self
    }

    /// The last instant at which another row joins the session because of this one.
    #[inline]
    pub(crate) fn until<D>(&self, time: EventTime, row: &D) -> EventTime
    where
        G: SessionGap<D>,
    {
        let gap = self.gap.after(row).micros();
        let wait = if self.inclusive { gap } else { (gap - 1).max(0) };
        EventTime::from_micros(time.micros().saturating_add(wait))
    }

    /// How finely it is worth to tell apart when sessions end.
    pub(super) fn granule<D>(&self) -> Span
    where
        G: SessionGap<D>,
    {
        match self.gap.after_all() {
            Some(gap) => Span::from_micros(gap.micros() / 32),
            None => Span::from_micros(1 << 20),
        }
    }

    /// The end of a session, of which this is the last instant at which a row joins.
    pub(super) fn end(&self, until: EventTime) -> EventTime {
        EventTime::from_micros(until.micros().saturating_add(i64::from(!self.inclusive)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{millis, secs};

    #[test]
    fn the_last_instant_that_joins_is_just_before_the_end_or_the_end() {
        let at = EventTime::from_secs(5);
        let open = Session::gap(secs(1));
        assert_eq!(open.until(at, &()).micros(), 5_999_999);
        assert_eq!(open.end(open.until(at, &())), EventTime::from_secs(6));
        let closed = open.inclusive_gap();
        assert_eq!(closed.until(at, &()), EventTime::from_secs(6));
        assert_eq!(closed.end(closed.until(at, &())), EventTime::from_secs(6));
    }

    #[test]
    fn a_row_reaches_at_least_itself_also_at_the_ends_of_time() {
        let none = Session::dynamic_gap(|_: &()| Duration::ZERO);
        let all = Session::dynamic_gap(|_: &()| Duration::MAX);
        for micros in [i64::MIN, -1, 0, i64::MAX - 1, i64::MAX] {
            let at = EventTime::from_micros(micros);
            assert_eq!((none.until(at, &()), none.inclusive_gap().until(at, &())), (at, at));
            assert!(all.until(at, &()) >= at);
        }
        assert_eq!(all.end(all.until(EventTime::from_secs(1), &())), EventTime::MAX);
    }

    #[test]
    fn a_row_may_say_how_long_it_waits() {
        let by_row = Session::dynamic_gap(|&ms: &u64| millis(ms));
        assert_eq!(by_row.until(EventTime::from_millis(3), &2).micros(), 4_999);
    }

    #[test]
    #[should_panic(expected = "session window: the gap must be at least 1 us, and is 0ns")]
    fn a_gap_of_nothing_is_refused() {
        let _ = Session::gap(Duration::ZERO);
    }
}
