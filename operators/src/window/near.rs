//! The slices of rows not long before, so that the next ones find theirs without a search.
//!
//! Rows are in one of a few slices that follow each other. The last digits of a slice's number say where
//! it is kept, and a multiplication finds the number near enough: what is kept says itself which rows it
//! takes, and a row that it does not take is searched for.

use super::Window;
use super::sliding::Sliding;
use crate::time::{EventTime, Timed};

/// How many slices in a row are kept. A power of two.
const NEAR: usize = 64;

/// A slice, and where its partials are while rows are on time for all its windows.
#[derive(Clone, Copy)]
struct Known {
    time: Window,
    /// From this frontier on a row is late for the slice's first window.
    ripe: EventTime,
    place: usize,
}

/// Takes no row.
const NONE: Known = {
    let time = Window { start: EventTime::MIN, end: EventTime::MIN };
    Known { time, ripe: EventTime::MIN, place: 0 }
};

/// Slices by the last digits of their numbers.
pub(super) struct Near {
    slices: [Known; NEAR],
    /// Up to here the frontier has been heard of.
    frontier: EventTime,
    offset: i64,
    slide: u64,
    /// 2^64 / slide, rounded up: the number of an instant's slide is right but for the last few of a
    /// slide, one in some thousands. Those are searched for.
    inverse: u64,
    /// How long after a window's start another one ends; zero if windows start and end together.
    rest: u64,
}

impl Near {
    /// No slice is known.
    pub fn new(by: &Sliding) -> Self {
        let (offset, slide, rest) = by.grid();
        let slices = [NONE; NEAR];
        let inverse = u64::try_from((1_u128 << 64).div_ceil(slide.into())).unwrap_or(u64::MAX);
        Near { slices, frontier: EventTime::MIN, offset, slide, inverse, rest }
    }

    /// Where the slice of an instant is kept.
    #[inline(always)]
    fn at(&self, time: EventTime) -> usize {
        let since = time.micros().wrapping_sub(self.offset) as u64;
        let number = ((u128::from(since) * u128::from(self.inverse)) >> 64) as u64;
        let digits = match self.rest {
            0 => number,
            rest => {
                let since = since.wrapping_sub(number.wrapping_mul(self.slide));
                number.wrapping_mul(2) + u64::from(since >= rest)
            }
        };
        digits as usize % NEAR
    }

    /// Where the row counts, if its slice is known and it is on time for it by its own frontier.
    #[inline(always)]
    pub fn place<D>(&self, row: &Timed<D>) -> Option<usize> {
        let slice = &self.slices[self.at(row.time)];
        let takes = slice.time.contains(row.time) && row.saw_before(slice.ripe);
        takes.then_some(slice.place)
    }

    /// Makes a slice known, by an instant that is in it.
    pub fn note(&mut self, time: EventTime, slice: Window, ripe: EventTime, place: usize) {
        self.slices[self.at(time)] = Known { time: slice, ripe, place };
    }

    /// Forgets the slices that rows are late for by this frontier, whatever they saw themselves.
    pub fn advance(&mut self, frontier: EventTime) {
        if frontier > self.frontier {
            self.frontier = frontier;
            self.slices.iter_mut().filter(|slice| slice.ripe <= frontier).for_each(|it| *it = NONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use std::time::Duration;

    const SHAPES: [(u64, u64); 7] =
        [(1, 1), (60, 1), (10, 3), (60, 7), (7, 10), (99, 100), (3_600_000_000, 60_000_000)];

    fn row(time: i64, behind: i64) -> Timed<()> {
        Timed { time: EventTime::from_micros(time), behind: Span::from_micros(behind), data: () }
    }

    fn near(by: Sliding, times: impl Iterator<Item = i64>, ripe: impl Fn(Window) -> i64) -> Near {
        let mut near = Near::new(&by);
        for time in times.map(EventTime::from_micros) {
            if let Some(slice) = by.slice_of(time) {
                let ripe = EventTime::from_micros(ripe(slice.time));
                near.note(time, slice.time, ripe, slice.time.start.micros() as usize);
            }
        }
        near
    }

    /// Of thirty slices in a row every row finds its own, and those of others find none. What is known of
    /// a slice from its first instant on is not forgotten for its neighbour.
    #[test]
    fn rows_find_their_slice_and_no_other() {
        for (size, slide) in SHAPES {
            let by = Sliding::of(Duration::from_micros(size), Duration::from_micros(slide));
            for begin in [1_000_000_000, 1_700_000_000_000_000].map(|at| at - at % slide as i64) {
                let step = (slide / 5).max(1) as usize;
                let times = || (begin..begin + 15 * slide as i64).step_by(step);
                let near = near(by, times(), |slice| slice.end.micros() + 1_000);
                for time in times() {
                    let wanted = by.slice_of(EventTime::from_micros(time));
                    let wanted = wanted.map(|slice| slice.time.start.micros() as usize);
                    assert_eq!(near.place(&row(time, 0)), wanted, "{by:?} at {time}");
                }
                for other in [begin - 1_000 * slide as i64, -begin, -1, i64::MIN, i64::MAX] {
                    assert_eq!(near.place(&row(other, 0)), None);
                }
            }
        }
    }

    /// A row that saw a frontier at which it is late has to be searched for, as have all rows once their
    /// operator has seen one.
    #[test]
    fn late_rows_find_nothing() {
        let by = Sliding::of(Duration::from_micros(20), Duration::from_micros(10));
        let mut near = near(by, [105, 115].into_iter(), |slice| slice.end.micros());
        let places = |near: &Near| {
            [(105, 4), (105, 5), (105, i64::MAX), (115, 0)]
                .map(|(t, behind)| near.place(&row(t, behind)))
        };
        assert_eq!(places(&near), [Some(100), None, None, Some(110)]);
        near.advance(EventTime::from_micros(109));
        assert_eq!(places(&near), [Some(100), None, None, Some(110)]);
        near.advance(EventTime::from_micros(110));
        assert_eq!(places(&near), [None, None, None, Some(110)]);
        near.advance(EventTime::from_micros(120));
        assert_eq!(places(&near), [None; 4]);
    }
}
