//! What a row opens: windows, or a session.

use crate::session::{Session, SessionGap};
use crate::time::{EventTime, Span, Timed};
use crate::window::Assigner;

/// Event time from the start of a window or session to the last instant in it.
pub(crate) type Stretch = (EventTime, EventTime);

/// The frontier at which nothing can happen any more to what takes rows until then.
pub(super) fn gone_at((_, until): Stretch, lateness: Span) -> EventTime {
    EventTime::from_micros(until.micros().saturating_add(1)).plus(lateness)
}

/// What rows open, and how that goes together with what is open.
pub(crate) trait Opens<D>: 'static {
    /// Calls a function with what a row is for, if the frontier was that when it was read: nothing if
    /// it is late.
    fn each(&self, row: &Timed<D>, seen: EventTime, lateness: Span, f: &mut impl FnMut(Stretch));

    /// How many of these stretches would be more than what is open of the row's key.
    fn more(open: &[Stretch], row: &[Stretch]) -> usize;

    /// The row is taken. Both are in order before and after. Returns whether anything changes.
    fn take(open: &mut Vec<Stretch>, row: &[Stretch]) -> bool;
}

/// Every window is one of its own.
#[derive(Clone, Debug)]
pub(crate) struct ByWindow<W>(pub W);

impl<D, W: Assigner> Opens<D> for ByWindow<W> {
    fn each(&self, row: &Timed<D>, seen: EventTime, lateness: Span, f: &mut impl FnMut(Stretch)) {
        self.0.assign(row.time, &mut |window| {
            if seen < window.end.plus(lateness) || seen == EventTime::MIN {
                f((window.start, window.last()));
            }
        });
    }

    fn more(open: &[Stretch], row: &[Stretch]) -> usize {
        row.iter().filter(|window| open.binary_search(window).is_err()).count()
    }

    fn take(open: &mut Vec<Stretch>, row: &[Stretch]) -> bool {
        let before = open.len();
        for window in row {
            if let Err(place) = open.binary_search(window) {
                open.insert(place, *window);
            }
        }
        open.len() > before
    }
}

/// Sessions that a row overlaps become one with it.
#[derive(Clone, Debug)]
pub(crate) struct BySession<G>(pub Session<G>);

/// Where among disjoint stretches those are that overlap another one.
fn overlapping(open: &[Stretch], (from, until): Stretch) -> std::ops::Range<usize> {
    let first = open.partition_point(|session| session.1 < from);
    let end = open.partition_point(|session| session.0 <= until);
    first..end.max(first)
}

impl<D, G: SessionGap<D>> Opens<D> for BySession<G> {
    fn each(&self, row: &Timed<D>, seen: EventTime, lateness: Span, f: &mut impl FnMut(Stretch)) {
        if row.time >= seen.minus(lateness) {
            f((row.time, self.0.until(row.time, &row.data)));
        }
    }

    fn more(open: &[Stretch], row: &[Stretch]) -> usize {
        row.iter().filter(|session| overlapping(open, **session).is_empty()).count()
    }

    fn take(open: &mut Vec<Stretch>, row: &[Stretch]) -> bool {
        let mut changed = false;
        for &(from, until) in row {
            let touched = overlapping(open, (from, until));
            let all = open[touched.clone()].iter();
            let grown = all
                .fold((from, until), |all, session| (all.0.min(session.0), all.1.max(session.1)));
            changed |= open[touched.clone()] != [grown];
            open.splice(touched, [grown]);
        }
        changed
    }
}
