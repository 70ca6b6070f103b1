//! Memory that tables gave back, for those to come.
//!
//! Tables come and go with their windows and buckets, and take the same steps as they grow: what one gives
//! back is as long as what the next one asks for.

use std::collections::VecDeque;

/// So many bytes are kept at most.
const MOST: usize = 64 << 20;

/// Pieces of memory, each with its length, the one that was given back first at the front.
pub struct Spare<M> {
    pieces: VecDeque<(usize, M)>,
    bytes: usize,
}

impl<M> Spare<M> {
    pub const fn new() -> Self {
        Spare { pieces: VecDeque::new(), bytes: 0 }
    }

    /// A piece of exactly this length, of several the one that was used last.
    pub fn take(&mut self, bytes: usize) -> Option<M> {
        let at = self.pieces.iter().rposition(|(length, _)| *length == bytes)?;
        let (_, piece) = self.pieces.remove(at)?;
        self.bytes -= bytes;
        Some(piece)
    }

    /// Keeps a piece, and gives away those that are too many now.
    pub fn keep(&mut self, bytes: usize, piece: M) -> Vec<(usize, M)> {
        if bytes > MOST {
            return vec![(bytes, piece)];
        }
        self.pieces.push_back((bytes, piece));
        self.bytes += bytes;
        let mut gone = 0;
        while self.bytes > MOST {
            self.bytes -= self.pieces[gone].0;
            gone += 1;
        }
        self.pieces.drain(..gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(spare: &mut Spare<char>, mib: usize, piece: char) -> Vec<(usize, char)> {
        let gone = spare.keep(mib << 20, piece).into_iter();
        gone.map(|(bytes, piece)| (bytes >> 20, piece)).collect()
    }

    #[test]
    fn a_piece_of_the_same_length_is_taken_the_newest_first() {
        let mut spare = Spare::new();
        for (mib, piece) in [(2, 'a'), (4, 'b'), (2, 'c')] {
            assert_eq!(keep(&mut spare, mib, piece), []);
        }
        assert_eq!([(); 3].map(|()| spare.take(2 << 20)), [Some('c'), Some('a'), None]);
        assert_eq!(spare.take(3 << 20), None);
        assert_eq!(spare.take(4 << 20), Some('b'));
        assert_eq!(spare.bytes, 0);
    }

    #[test]
    fn what_is_too_much_goes_the_oldest_first() {
        let mut spare = Spare::new();
        assert_eq!(keep(&mut spare, 40, 'a'), []);
        assert_eq!(keep(&mut spare, 20, 'b'), []);
        assert_eq!(keep(&mut spare, 6, 'c'), [(40, 'a')]);
        assert_eq!(keep(&mut spare, 38, 'd'), []);
        assert_eq!(keep(&mut spare, 64, 'e'), [(20, 'b'), (6, 'c'), (38, 'd')]);
        assert_eq!(keep(&mut spare, 65, 'f'), [(65, 'f')]);
        assert_eq!((spare.bytes, spare.take(65 << 20)), (64 << 20, None));
    }
}
