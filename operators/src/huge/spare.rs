//! Pages that tables gave back, for those to come.
//!
//! Tables come and go with their windows and buckets. Most of what large ones give back is as long as one
//! large page, by which they grow. What is longer is as long as hardly anything that is asked for later.

use super::LARGE;

/// So many pages are kept at most: 64 MiB.
const MOST: usize = (64 << 20) / LARGE;

/// Pieces of memory, each a large page.
pub struct Spare<M> {
    pages: Vec<M>,
}

impl<M> Spare<M> {
    pub const fn new() -> Self {
        Spare { pages: Vec::new() }
    }

    /// A piece of this length, the one that was used last.
    pub fn take(&mut self, bytes: usize) -> Option<M> {
        if bytes == LARGE { self.pages.pop() } else { None }
    }

    /// Keeps a piece of this length, or gives it back if it is not one to keep.
    pub fn keep(&mut self, bytes: usize, piece: M) -> Result<(), M> {
        if bytes != LARGE || self.pages.len() == MOST {
            return Err(piece);
        }
        self.pages.push(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_kept_and_the_newest_is_taken_first() {
        let mut spare = Spare::new();
        assert_eq!(spare.take(LARGE), None);
        for page in 0..MOST {
            assert_eq!(spare.keep(LARGE, page), Ok(()));
        }
        assert_eq!(spare.keep(LARGE, MOST), Err(MOST));
        assert_eq!([(); 2].map(|()| spare.take(LARGE)), [Some(MOST - 1), Some(MOST - 2)]);
        assert_eq!(spare.keep(LARGE, 77), Ok(()));
        assert_eq!(spare.take(LARGE), Some(77));
    }

    #[test]
    fn what_is_longer_is_not_kept() {
        let mut spare = Spare::new();
        assert_eq!(spare.keep(LARGE + 1, 'a'), Err('a'));
        assert_eq!(spare.keep(LARGE, 'b'), Ok(()));
        assert_eq!(spare.take(LARGE + 1), None);
        assert_eq!(spare.take(LARGE), Some('b'));
    }
}
