//! The tables of windows, which are used again when their windows are over.

use std::ops::{Index, IndexMut};

use crate::key::Key;
use crate::state::Table;

/// How many emptied tables keep their memory for windows to come.
pub(super) const SPARE_TABLES: usize = 2;
/// How many small ones do: many slices are over at once where ticks are long.
const SPARE_SMALL: usize = 32;
/// The memory of a small one in bytes.
const SMALL: usize = 256 << 10;

/// Tables by place.
pub(super) struct Pool<K, S> {
    tables: Vec<Table<K, S>>,
    free: Vec<usize>,
}

impl<K, S> Default for Pool<K, S> {
    fn default() -> Self {
        Pool { tables: Vec::new(), free: Vec::new() }
    }
}

impl<K, S> Index<usize> for Pool<K, S> {
    type Output = Table<K, S>;

    #[inline]
    fn index(&self, place: usize) -> &Table<K, S> {
        &self.tables[place]
    }
}

impl<K, S> IndexMut<usize> for Pool<K, S> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut Table<K, S> {
        &mut self.tables[place]
    }
}

impl<K, S> Pool<K, S> {
    /// The place of an empty table.
    pub fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.tables.push(Table::default());
            self.tables.len() - 1
        })
    }

    /// Takes back a table that has been emptied. Returns whether any entry of it was saved.
    pub fn give_back(&mut self, place: usize) -> bool
    where
        K: Key,
    {
        let saved = self.tables[place].reset();
        let small = self.tables[place].bytes() <= SMALL;
        if self.free.len() >= if small { SPARE_SMALL } else { SPARE_TABLES } {
            self.tables[place] = Table::default();
        }
        self.free.push(place);
        saved
    }

    /// The memory in bytes of some tables.
    pub fn bytes<'a>(&self, places: impl Iterator<Item = &'a usize>) -> usize
    where
        K: Key,
    {
        places.map(|&place| self.tables[place].bytes()).sum()
    }
}

/// Buckets of saved state are the numbers of windows; the last one of all can be dropped too, if
/// its bucket is one less.
pub(super) fn bound_of(number: i128) -> i64 {
    let bound = if number < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(number).unwrap_or(bound)
}
