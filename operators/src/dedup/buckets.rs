//! Numbered things of which a few are asked for again and again.

use std::cell::Cell;
use std::collections::BTreeMap;

/// How many answers are remembered, a power of two. Rows ask for the bucket of their time and those beside
/// it.
const RECENT: usize = 4;
/// Where a bucket is that does not exist.
const NOWHERE: usize = usize::MAX;

/// Things by number, in the order of their numbers.
///
/// Finding one that was asked for lately takes a comparison, as does finding that there is none.
#[derive(Debug)]
pub struct Buckets<T> {
    by_number: BTreeMap<i64, usize>,
    places: Vec<T>,
    /// Places that are not in use.
    free: Vec<usize>,
    /// By the last digits of a number, which one was asked for last and where it was found.
    recent: [Cell<(i64, usize)>; RECENT],
}

impl<T> Default for Buckets<T> {
    fn default() -> Self {
        let (by_number, places, free) = (BTreeMap::new(), Vec::new(), Vec::new());
        let recent = std::array::from_fn(|digits| Cell::new((digits as i64, NOWHERE)));
        Buckets { by_number, places, free, recent }
    }
}

impl<T: Default> Buckets<T> {
    #[inline]
    pub fn get(&self, number: i64) -> Option<&T> {
        self.places.get(self.find(number))
    }

    #[inline]
    pub fn get_mut(&mut self, number: i64) -> Option<&mut T> {
        let at = self.find(number);
        self.places.get_mut(at)
    }

    /// The one of this number, which is made if there is none.
    #[inline]
    pub fn or_default(&mut self, number: i64) -> &mut T {
        let mut at = self.find(number);
        if at == NOWHERE {
            at = self.add(number);
        }
        &mut self.places[at]
    }

    /// The least number there is.
    pub fn first(&self) -> Option<i64> {
        self.by_number.first_key_value().map(|(&number, _)| number)
    }

    /// Takes one out.
    pub fn remove(&mut self, number: i64) -> Option<T> {
        let at = self.by_number.remove(&number)?;
        self.recent(number).set((number, NOWHERE));
        self.free.push(at);
        Some(std::mem::take(&mut self.places[at]))
    }

    /// Goes over all of them in the order of their numbers, as long as `f` says so. Whether it said
    /// so to the end.
    pub fn all_mut(&mut self, mut f: impl FnMut(i64, &mut T) -> bool) -> bool {
        self.by_number.iter().all(|(&number, &at)| f(number, &mut self.places[at]))
    }

    /// All of them, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.by_number.values().map(|&at| &self.places[at])
    }

    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    #[inline]
    fn find(&self, number: i64) -> usize {
        let recent = self.recent(number);
        let (last, at) = recent.get();
        if last == number {
            return at;
        }
        let at = self.by_number.get(&number).copied().unwrap_or(NOWHERE);
        recent.set((number, at));
        at
    }

    #[cold]
    fn add(&mut self, number: i64) -> usize {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push(T::default());
            self.places.len() - 1
        });
        self.by_number.insert(number, at);
        self.recent(number).set((number, at));
        at
    }

    #[inline]
    fn recent(&self, number: i64) -> &Cell<(i64, usize)> {
        &self.recent[number as usize % RECENT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::testing::cases(2_000))]

        /// It is a map, whatever is asked in between.
        #[test]
        fn is_a_map(steps in prop::collection::vec((-9i64..9, 0u8..3), 0..60)) {
            let (mut buckets, mut model) = (Buckets::<u32>::default(), BTreeMap::new());
            for (number, what) in steps {
                match what {
                    0 => {
                        *buckets.or_default(number) += 1;
                        *model.entry(number).or_insert(0) += 1;
                    }
                    1 => prop_assert_eq!(buckets.remove(number), model.remove(&number)),
                    _ => prop_assert_eq!(buckets.get(number), model.get(&number)),
                }
                prop_assert_eq!(buckets.get_mut(number), model.get_mut(&number));
                prop_assert_eq!(buckets.first(), model.keys().next().copied());
                let mut all = Vec::new();
                let done = buckets.all_mut(|number, of| {
                    all.push((number, *of));
                    true
                });
                prop_assert!(done);
                prop_assert!(all.into_iter().eq(model.iter().map(|(&n, &of)| (n, of))));
                prop_assert_eq!(buckets.len(), model.len());
                prop_assert_eq!(buckets.values().sum::<u32>(), model.values().sum::<u32>());
            }
        }
    }
}
