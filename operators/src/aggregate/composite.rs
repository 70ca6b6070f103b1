//! Several measures of one value, under names of the user's choice.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::percentile::{Between, Kind, Nearest, Percent};
use super::spread::{self, Moments};
use super::{Aggregate, Ranked};

/// Measures of one value of each row, each under a name, found in one pass.
///
/// Only what is listed is computed and kept. The sum, the mean and the spreads share one exact state,
/// all percentiles another, and each measure is what the aggregate of its name finds: count and sum
/// of no rows are 0, everything else is absent (`None`). A NaN makes sum, mean and spreads NaN, does
/// not count as least or greatest, and leaves percentiles absent. Cost: that of the parts listed; no
/// allocation a row unless percentiles are listed, which keep each different value. State: about
/// 150 bytes, and the values for percentiles.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Composite};
///
/// let latency = Composite::of(|ms: &f64| *ms)
///     .count("n").mean("avg").min("least").max("most").std_pop("stddev")
///     .percentile("p50", 50.0).percentile("p95", 95.0);
/// let mut state = latency.create();
/// for ms in [10.0, 20.0, 30.0, 40.0, 50.0] {
///     latency.add(&mut state, &ms);
/// }
/// let found = latency.finish(&state);
/// assert_eq!(found.get("n"), Some(5.0));
/// assert_eq!(found.get("avg"), Some(30.0));
/// assert_eq!(found.get("p95"), Some(50.0));
/// assert_eq!(found.get("sum"), None); // not listed
/// let names: Vec<&str> = found.iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["n", "avg", "least", "most", "stddev", "p50", "p95"]);
/// ```
#[derive(Clone, Debug)]
pub struct Composite<F> {
    value: F,
    measures: Arc<Vec<(Arc<str>, Measure)>>,
    needs: Needs,
    ignore_nan: bool,
}

/// What is found under a name.
#[derive(Clone, Copy, Debug)]
enum Measure {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    /// The variance by the count or one fewer, or its root.
    Spread {
        fewer: u64,
        root: bool,
    },
    Nearest(Percent),
    Between(Percent),
}

/// Which parts of the state the measures need, besides the count.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    sum: bool,
    squares: bool,
    extremes: bool,
    values: bool,
}

/// The measures of one value, by name and in the order in which they were listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Named(Vec<(Arc<str>, Option<f64>)>);

impl Named {
    /// What was found under a name: `None` if nothing was, or there is no such name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(held, _)| **held == *name).and_then(|(_, value)| *value)
    }

    /// Names and what was found, in the order in which they were listed.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<f64>)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }
}

impl<F> Composite<F> {
    /// Measures of what `value` takes from each row; none are listed yet.
    pub fn of<D>(value: F) -> Self
    where
        F: Fn(&D) -> f64,
    {
        let (measures, needs) = (Arc::default(), Needs::default());
        Composite { value, measures, needs, ignore_nan: false }
    }

    /// Leaves rows whose value is NaN out of everything, the count included.
    #[must_use]
    pub fn ignore_nan(mut self) -> Self {
        self.ignore_nan = true;
        self
    }

    fn with(mut self, name: &str, measure: Measure) -> Self {
        let used = self.measures.iter().any(|(held, _)| **held == *name);
        assert!(!used, "Composite: the name \"{name}\" is used twice");
        match measure {
            Measure::Count => {}
            Measure::Sum | Measure::Mean => self.needs.sum = true,
            Measure::Min | Measure::Max => self.needs.extremes = true,
            Measure::Spread { .. } => self.needs.squares = true,
            Measure::Nearest(_) | Measure::Between(_) => self.needs.values = true,
        }
        Arc::make_mut(&mut self.measures).push((name.into(), measure));
        self
    }
}

macro_rules! measures {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty)?) = $measure:expr;)+) => {
        impl<F> Composite<F> {$(
            $(#[$doc])*
            ///
            /// # Panics
            /// If the name is used already, or the percentage is out of bounds.
            #[must_use]
            pub fn $name(self, name: &str $(, $argument: $type)?) -> Self {
                self.with(name, $measure)
            }
        )+}
    };
}

measures! {
    /// The number of rows.
    count() = Measure::Count;
    /// The exact sum, as [`Sum`](super::Sum) has it.
    sum() = Measure::Sum;
    /// The mean, as [`Mean`](super::Mean) has it.
    mean() = Measure::Mean;
    /// The least value, as [`Min`](super::Min) has it.
    min() = Measure::Min;
    /// The greatest value, as [`Max`](super::Max) has it.
    max() = Measure::Max;
    /// The variance of all there is, as [`VarPop`](super::VarPop) has it.
    var_pop() = Measure::Spread { fewer: 0, root: false };
    /// The variance of a sample, as [`VarSample`](super::VarSample) has it.
    var_sample() = Measure::Spread { fewer: 1, root: false };
    /// The deviation of all there is, as [`StdPop`](super::StdPop) has it.
    std_pop() = Measure::Spread { fewer: 0, root: true };
    /// The deviation of a sample, as [`StdSample`](super::StdSample) has it.
    std_sample() = Measure::Spread { fewer: 1, root: true };
    /// The percentile by nearest rank, as [`Percentile`](super::Percentile) has it.
    percentile(percent: f64) = Measure::Nearest(Percent::above_zero("Composite", percent));
    /// The continuous percentile, as [`PercentileCont`](super::PercentileCont) has it.
    percentile_cont(percent: f64) = Measure::Between(Percent::from_zero("Composite", percent));
    /// The median, as [`Median`](super::Median) has it.
    median() = Measure::Between(Percent::from_zero("Composite", 50.0));
}

/// What is kept of the values: parts that are not needed stay as they are made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Gathered {
    moments: Moments,
    least: Option<f64>,
    greatest: Option<f64>,
    values: <Nearest as Kind>::State,
}

impl<D, F: Fn(&D) -> f64 + Clone + 'static> Aggregate<D> for Composite<F> {
    type State = Gathered;
    type Output = Named;

    fn create(&self) -> Gathered {
        Gathered::default()
    }

    #[inline]
    fn add(&self, state: &mut Gathered, row: &D) {
        let value = (self.value)(row);
        if self.ignore_nan && value.is_nan() {
            return;
        }
        if self.needs.squares {
            spread::add(&mut state.moments, value);
        } else {
            state.moments.2 += 1;
            if self.needs.sum {
                state.moments.0.add(value);
            }
        }
        if self.needs.extremes && value.counts() {
            if state.least.is_none_or(|least| value.rank(&least).is_lt()) {
                state.least = Some(value);
            }
            if state.greatest.is_none_or(|greatest| value.rank(&greatest).is_gt()) {
                state.greatest = Some(value);
            }
        }
        if self.needs.values {
            Nearest::new().add(&mut state.values, value);
        }
    }

    fn merge(&self, state: &mut Gathered, other: &Gathered) {
        spread::merge(&mut state.moments, &other.moments);
        if let Some(value) = other.least
            && state.least.is_none_or(|least| value.rank(&least).is_lt())
        {
            state.least = Some(value);
        }
        if let Some(value) = other.greatest
            && state.greatest.is_none_or(|greatest| value.rank(&greatest).is_gt())
        {
            state.greatest = Some(value);
        }
        Nearest::new().merge(&mut state.values, &other.values);
    }

    fn is_small(&self) -> bool {
        !self.needs.values
    }

    fn finish(&self, state: &Gathered) -> Named {
        let (sum, _, count) = &state.moments;
        let find = |measure: Measure| match measure {
            Measure::Count => Some(*count as f64),
            Measure::Sum => Some(sum.total()),
            Measure::Mean => (*count > 0).then(|| sum.mean(*count)),
            Measure::Min => state.least,
            Measure::Max => state.greatest,
            Measure::Spread { fewer, root } => {
                let variance = spread::variance(&state.moments, fewer);
                if root { variance.map(f64::sqrt) } else { variance }
            }
            Measure::Nearest(percent) => Nearest::new().at(&state.values, percent),
            Measure::Between(percent) => Between::new().at(&state.values, percent),
        };
        Named(self.measures.iter().map(|(name, measure)| (name.clone(), find(*measure))).collect())
    }
}
