//! Rows as columns.

use columnar::bytes::{indexed, stash::Stash};
use columnar::{Borrow, Columnar, ContainerOf, Index, Len, Push};

use super::Codec;
use crate::time::{EventTime, Span, Timed};

/// Writes a column for each field, the times first: whole stretches of memory are copied, and texts
/// stand in one piece.
///
/// Rows implement `Columnar`, which `#[derive(columnar::Columnar)]` does for structs of numbers,
/// texts, options, vectors and one another.
#[derive(Clone, Copy, Debug)]
pub struct Columns;

/// Times, how far rows are behind, and what they hold.
type All<D> = (Vec<i64>, Vec<u64>, ContainerOf<D>);

impl<D: Columnar> Codec<D> for Columns {
    fn encode(rows: &[Timed<D>], out: &mut Vec<u8>) {
        let mut data = ContainerOf::<D>::default();
        rows.iter().for_each(|row| data.push(&row.data));
        let times = rows.iter().map(|row| row.time.micros()).collect();
        let behind = rows.iter().map(|row| row.behind.micros() as u64).collect();
        let all: All<D> = (times, behind, data);
        let write = indexed::write(out, &all.borrow());
        write.expect("rows can be written to memory");
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Timed<D>>, String> {
        let all = Stash::<All<D>, &[u8]>::try_from_bytes(bytes)?;
        let (times, behind, data) = all.borrow();
        if times.len() != data.len() || behind.len() != data.len() {
            return Err("its columns differ in length".to_owned());
        }
        let row = |at: usize| Timed {
            time: EventTime::from_micros(times[at]),
            behind: Span::from_micros(behind[at] as i64),
            data: D::into_owned(data.get(at)),
        };
        Ok((0..data.len()).map(row).collect())
    }
}
