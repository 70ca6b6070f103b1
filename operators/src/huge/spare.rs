//! Pages that tables gave back, for those to come.
//!
//! Tables come and go with their windows and buckets, and each takes several lengths of memory one after the
//! other as it grows. Cut into single pages, what one gives back serves any other.

use super::LARGE;

/// So many pages are kept at most: 128 MiB.
const MOST: usize = (128 << 20) / LARGE;

/// Pieces of memory, each a large page.
pub struct Spare<M> {
    pages: Vec<M>,
}

impl<M> Spare<M> {
    pub const fn new() -> Self {
        Spare { pages: Vec::new() }
    }

    /// The page that was used last.
    pub fn take(&mut self) -> Option<M> {
        self.pages.pop()
    }

    /// Keeps pages as long as there is room. The others are left in the iterator.
    pub fn keep(&mut self, pages: &mut impl Iterator<Item = M>) {
        let room = MOST - self.pages.len();
        self.pages.extend(pages.take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_kept_and_the_newest_is_taken_first() {
        let mut spare = Spare::new();
        assert_eq!(spare.take(), None);
        let mut pages = 0..MOST + 3;
        spare.keep(&mut pages);
        assert_eq!(pages, MOST..MOST + 3);
        assert_eq!([(); 2].map(|()| spare.take()), [Some(MOST - 1), Some(MOST - 2)]);
        spare.keep(&mut pages);
        assert_eq!(pages, MOST + 2..MOST + 3);
        assert_eq!(spare.take(), Some(MOST + 1));
    }
}
