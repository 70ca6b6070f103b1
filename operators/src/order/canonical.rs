//! The one order of rows that have come together: by event time, then by their canonical bytes.
//!
//! Canonical bytes are what postcard makes of a row: the same on every machine, and different for
//! rows that differ. They are made only where rows share an event time.

use serde::{Deserialize, Serialize};

use crate::key::{GROUPS, Parts, StableHash};
use crate::time::Timed;

/// The canonical bytes of a value.
pub(crate) fn canonical<D: Serialize + ?Sized>(value: &D) -> Vec<u8> {
    postcard::to_allocvec(value).expect("a row can be written down: sequences have lengths")
}

/// Sorts rows by event time, and rows of one event time by their canonical bytes.
pub(crate) fn in_order<D: Serialize>(rows: &mut [Timed<D>]) {
    rows.sort_unstable_by_key(|row| row.time);
    let mut from = 0;
    while from < rows.len() {
        let run = rows[from..].iter().take_while(|row| row.time == rows[from].time).count();
        if run > 1 {
            rows[from..from + run].sort_by_cached_key(|row| (canonical(&row.data), row.behind));
        }
        from += run;
    }
}

/// One of many things that are kept for a key: it is saved as an entry of its own, in the key's
/// group, and finds its own place in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Element<K, E> {
    pub key: K,
    pub element: E,
}

impl<K: StableHash, E: StableHash> StableHash for Element<K, E> {
    #[inline]
    fn stable_hash(&self) -> u64 {
        const GROUP: u64 = (GROUPS as u64 - 1) << 32;
        let key = self.key.stable_hash();
        let both = Parts::of(2).with(&key).with(&self.element).hash();
        (both & !GROUP) | (key & GROUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::group;
    use crate::time::{EventTime, Span};
    use proptest::prelude::*;

    #[test]
    fn elements_of_a_key_share_its_group_and_nothing_else() {
        let of = |key: u32, element: u64| Element { key, element }.stable_hash();
        for key in 0..50 {
            assert!((0..50).all(|e| group(of(key, e)) == group(key.stable_hash())));
            let places: std::collections::BTreeSet<_> = (0..50).map(|e| of(key, e)).collect();
            assert_eq!(places.len(), 50);
        }
    }

    proptest! {
        #[test]
        fn the_order_does_not_depend_on_arrival(
            rows in prop::collection::vec((-3i64..3, 0u8..3, 0i64..2), 0..30).prop_shuffle(),
        ) {
            let row = |&(time, data, behind): &(i64, u8, i64)| Timed {
                time: EventTime::from_micros(time), behind: Span::from_micros(behind), data,
            };
            let mut timed: Vec<_> = rows.iter().map(row).collect();
            in_order(&mut timed);
            let mut model = rows;
            model.sort();
            prop_assert_eq!(timed, model.iter().map(row).collect::<Vec<_>>());
        }
    }
}
