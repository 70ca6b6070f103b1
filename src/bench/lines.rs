//! Lines in memory, for readers that share them out.

use std::sync::Arc;

/// Lines that a number of readers share: the one of a number is with the reader of that number modulo
/// the readers, and those of a reader lie together.
#[derive(Clone)]
pub struct Lines {
    parts: Arc<[Part]>,
    count: u64,
}

struct Part {
    text: Vec<u8>,
    /// Where each line ends, and the next one begins.
    ends: Vec<usize>,
}

impl Lines {
    /// The lines of the numbers below `count`, for so many readers; `write` appends one.
    pub fn new(count: u64, readers: usize, write: impl Fn(u64, &mut Vec<u8>)) -> Lines {
        let part = |reader: usize| {
            let (mut text, mut ends) = (Vec::new(), vec![0]);
            for number in (reader as u64..count).step_by(readers) {
                write(number, &mut text);
                ends.push(text.len());
            }
            text.shrink_to_fit();
            Part { text, ends }
        };
        Lines { parts: (0..readers).map(part).collect(), count }
    }

    /// The line of a number.
    #[inline]
    pub fn get(&self, number: u64) -> &[u8] {
        let readers = self.parts.len() as u64;
        let part = &self.parts[(number % readers) as usize];
        let at = (number / readers) as usize;
        &part.text[part.ends[at]..part.ends[at + 1]]
    }

    /// How many readers share them.
    pub fn readers(&self) -> usize {
        self.parts.len()
    }

    /// The lines of a reader, in order.
    pub fn of(&self, reader: usize) -> impl Iterator<Item = &[u8]> + Clone {
        let part = &self.parts[reader];
        part.ends.windows(2).map(|ends| &part.text[ends[0]..ends[1]])
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes in a line, on average.
    pub fn mean(&self) -> f64 {
        let bytes: usize = self.parts.iter().map(|part| part.text.len()).sum();
        bytes as f64 / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_has_its_share() {
        let write = |number: u64, into: &mut Vec<u8>| into.extend(number.to_string().into_bytes());
        let lines = Lines::new(25, 3, write);
        assert!((0..25).all(|number| lines.get(number) == number.to_string().as_bytes()));
        let of = |reader| lines.of(reader).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(
            of(1),
            [
                b"1".to_vec(),
                b"4".into(),
                b"7".into(),
                b"10".into(),
                b"13".into(),
                b"16".into(),
                b"19".into(),
                b"22".into()
            ]
        );
        assert_eq!(lines.mean(), (10.0 + 30.0) / 25.0);
    }
}
