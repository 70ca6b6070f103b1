//! The exponential moving average.

use super::bag::Sorted;
use super::{Aggregate, Retract};
use crate::time::EventTime;

/// The exponential moving average of a value over the rows in the order of event time; `None` if
/// there are no rows.
///
/// The first value initialises it; each later value x makes it `a + α · (x − a)` with
/// `α = 2 / (span + 1)`. Values of one instant count in their own order, so arrival does not matter,
/// and the result is that of the order of event time bit for bit. NaN makes it NaN. Cost: an append
/// a row that comes in order, a search and a shift for others, and a pass for the result; state:
/// every value with its time. [`LastN::ema`](super::LastN::ema) keeps only the last ones.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Ema};
/// use tiderace_operators::time::EventTime;
///
/// let trend = Ema::span(3.0, |x: &f64| *x); // α = 1/2
/// let mut state = trend.create();
/// for (second, x) in [(3, 6.0), (1, 10.0), (2, 20.0)] {
///     trend.add_at(&mut state, EventTime::from_secs(second), &x);
/// }
/// assert_eq!(trend.finish(&state), Some(10.5)); // 10, 15, 10.5
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ema<F> {
    span: f64,
    value: F,
}

impl<F> Ema<F> {
    /// The average of what `value` takes from each row, over about so many rows.
    ///
    /// # Panics
    /// If the span is below 1 or not a number.
    pub fn span<D, V: Into<f64>>(span: f64, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        check("Ema", span);
        Ema { span, value }
    }
}

fn check(who: &str, span: f64) {
    assert!(span >= 1.0 && span.is_finite(), "{who}: a span is a number from 1 on, not {span}");
}

/// The average of values that come in order.
pub(super) fn average_over(
    who: &str,
    span: f64,
) -> impl Fn(&mut dyn Iterator<Item = f64>) -> Option<f64> + Clone + 'static {
    check(who, span);
    let alpha = 2.0 / (span + 1.0);
    move |values| values.reduce(|average, value| average + alpha * (value - average))
}

impl<D, V: Into<f64>, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for Ema<F> {
    type State = Sorted<(EventTime, f64)>;
    type Output = Option<f64>;

    fn create(&self) -> Self::State {
        Sorted::default()
    }

    fn add(&self, state: &mut Self::State, row: &D) {
        self.add_at(state, EventTime::MIN, row);
    }

    #[inline]
    fn add_at(&self, state: &mut Self::State, time: EventTime, row: &D) {
        state.insert((time, (self.value)(row).into()));
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.merge(other);
    }

    fn is_small(&self) -> bool {
        false
    }

    fn finish(&self, state: &Self::State) -> Option<f64> {
        let average = average_over("Ema", self.span);
        average(&mut state.values().iter().map(|(_, value)| *value))
    }
}

impl<D, V: Into<f64>, F: Fn(&D) -> V + Clone + 'static> Retract<D> for Ema<F> {
    fn retract(&self, state: &mut Self::State, time: EventTime, row: &D) {
        state.remove(&(time, (self.value)(row).into()));
    }
}
