//! How percentiles are found: from all values, or from bins.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bins::{bin, bits_for, middle};
use super::{Percent, Quantile, between};
use crate::aggregate::bag::Bag;

/// Bins agree in seven bits of the fraction by default: within one part in 256 of their middle.
const BITS: u32 = 7;

/// A way to find percentiles.
pub trait Kind: Clone + Debug + 'static {
    /// What is kept of the values.
    type State: Clone + Default + Debug + Serialize + DeserializeOwned + Send + 'static;
    /// What a percentile is told as.
    type Found;

    /// Takes in a value.
    fn add(&self, state: &mut Self::State, value: f64);
    /// Takes in all values of another state.
    fn merge(&self, state: &mut Self::State, other: &Self::State);
    /// A percentile.
    fn at(&self, state: &Self::State, percent: Percent) -> Option<Self::Found>;
}

/// Values can be taken out again.
pub trait Remove: Kind {
    /// Takes out a value that was taken in.
    fn remove(&self, state: &mut Self::State, value: f64);
}

/// Values, as themselves or as bins, and how many of them were NaN.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(bound = "V: super::super::Ranked")]
pub struct Values<V> {
    bag: Bag<V>,
    nan: u64,
}

impl<V: super::super::Ranked> Values<V> {
    #[inline]
    fn add(&mut self, value: f64, place: impl FnOnce(f64) -> V) {
        if value.is_nan() {
            self.nan += 1;
        } else {
            self.bag.add(place(value), 1);
        }
    }

    fn remove(&mut self, value: f64, place: impl FnOnce(f64) -> V) {
        if value.is_nan() {
            self.nan -= 1;
        } else {
            self.bag.remove(place(value));
        }
    }

    fn merge(&mut self, other: &Self) {
        self.bag.merge(&other.bag);
        self.nan += other.nan;
    }

    fn nearest(&self, ignore_nan: bool, percent: Percent) -> Option<&V> {
        let bag = self.numbers(ignore_nan)?;
        bag.at(percent.place(bag.total()))
    }

    fn numbers(&self, ignore_nan: bool) -> Option<&Bag<V>> {
        (ignore_nan || self.nan == 0).then_some(&self.bag)
    }
}

macro_rules! exact {
    ($($(#[$doc:meta])* $name:ident: $at:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            pub ignore_nan: bool,
        }

        impl $name {
            /// With NaN refused.
            pub fn new() -> Self {
                $name { ignore_nan: false }
            }
        }

        impl Kind for $name {
            type State = Values<f64>;
            type Found = f64;

            #[inline]
            fn add(&self, state: &mut Self::State, value: f64) {
                state.add(value, |value| value);
            }

            fn merge(&self, state: &mut Self::State, other: &Self::State) {
                state.merge(other);
            }

            fn at(&self, state: &Self::State, percent: Percent) -> Option<f64> {
                let at: fn(&Self::State, bool, Percent) -> Option<f64> = $at;
                at(state, self.ignore_nan, percent)
            }
        }

        impl Remove for $name {
            fn remove(&self, state: &mut Self::State, value: f64) {
                state.remove(value, |value| value);
            }
        }
    )+};
}

exact! {
    /// By nearest rank from all values.
    Nearest: |state, ignore_nan, percent| state.nearest(ignore_nan, percent).copied();

    /// Between neighbours, from all values.
    Between: |state, ignore_nan, percent| {
        let bag = state.numbers(ignore_nan)?;
        let (before, share) = percent.places(bag.total());
        let low = *bag.at(before)?;
        let high = bag.at(before + 1).copied().unwrap_or(low);
        Some(between(low, high, share))
    };
}

/// By nearest rank from bins.
#[derive(Clone, Copy, Debug)]
pub struct Coarse {
    bits: u32,
    pub ignore_nan: bool,
}

impl Coarse {
    /// With the usual bins, and NaN refused.
    pub fn new() -> Self {
        Coarse { bits: BITS, ignore_nan: false }
    }

    /// With bins such that the error is at most this share.
    pub fn within(&mut self, who: &str, error: f64) {
        self.bits = bits_for(who, error);
    }
}

impl Kind for Coarse {
    type State = Values<i32>;
    type Found = Quantile;

    #[inline]
    fn add(&self, state: &mut Self::State, value: f64) {
        state.add(value, |value| bin(value, self.bits));
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.merge(other);
    }

    fn at(&self, state: &Self::State, percent: Percent) -> Option<Quantile> {
        state.nearest(self.ignore_nan, percent).map(|bin| middle(*bin, self.bits))
    }
}

impl Remove for Coarse {
    fn remove(&self, state: &mut Self::State, value: f64) {
        state.remove(value, |value| bin(value, self.bits));
    }
}

/// From all values while there are few different ones, then from bins.
#[derive(Clone, Copy, Debug)]
pub struct UpTo {
    limit: usize,
    pub ignore_nan: bool,
}

impl UpTo {
    /// Exact up to so many different values.
    pub fn new(who: &str, limit: usize, ignore_nan: bool) -> Self {
        assert!(limit > 0, "{who}: exact up to 0 values is not exact at all");
        UpTo { limit, ignore_nan }
    }

    /// Goes over to bins if there are too many values.
    fn settle(&self, state: &mut Few) {
        if let Few::Values(values) = state
            && values.bag.distinct() > self.limit
        {
            *state = Few::Bins(coarser(values));
        }
    }
}

/// What [`UpTo`] keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Few {
    /// All values.
    Values(Values<f64>),
    /// There were too many: bins.
    Bins(Values<i32>),
}

impl Default for Few {
    fn default() -> Self {
        Few::Values(Values::default())
    }
}

fn coarser(values: &Values<f64>) -> Values<i32> {
    let mut bins = Values { bag: Bag::default(), nan: values.nan };
    for (value, count) in values.bag.iter() {
        bins.bag.add(bin(*value, BITS), count);
    }
    bins
}

impl Kind for UpTo {
    type State = Few;
    type Found = Quantile;

    #[inline]
    fn add(&self, state: &mut Few, value: f64) {
        match state {
            Few::Values(values) => {
                values.add(value, |value| value);
                self.settle(state);
            }
            Few::Bins(bins) => bins.add(value, |value| bin(value, BITS)),
        }
    }

    fn merge(&self, state: &mut Few, other: &Few) {
        match (&mut *state, other) {
            (Few::Values(ours), Few::Values(theirs)) => {
                ours.merge(theirs);
                self.settle(state);
            }
            (Few::Values(ours), Few::Bins(theirs)) => {
                let mut bins = coarser(ours);
                bins.merge(theirs);
                *state = Few::Bins(bins);
            }
            (Few::Bins(ours), Few::Values(theirs)) => ours.merge(&coarser(theirs)),
            (Few::Bins(ours), Few::Bins(theirs)) => ours.merge(theirs),
        }
    }

    fn at(&self, state: &Few, percent: Percent) -> Option<Quantile> {
        match state {
            Few::Values(values) => {
                let value = *values.nearest(self.ignore_nan, percent)?;
                Some(Quantile { value, error: 0.0 })
            }
            Few::Bins(bins) => bins.nearest(self.ignore_nan, percent).map(|bin| middle(*bin, BITS)),
        }
    }
}
