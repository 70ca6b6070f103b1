//! Rows on their way, which are bytes between processes.

use std::cell::RefCell;
use std::io::Write;
use std::marker::PhantomData;
use std::vec::Drain;

use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::container::{DrainContainer, PushInto, SizableContainer};
use timely::dataflow::channels::ContainerBytes;

use super::Codec;
use crate::time::Timed;

/// Rows that are written by a codec.
pub struct Wire<D, C> {
    rows: Vec<Timed<D>>,
    /// The rows as they were written: timely asks how long they are before it wants them.
    written: RefCell<Vec<u8>>,
    codec: PhantomData<C>,
}

impl<D, C> Default for Wire<D, C> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<D, C> From<Vec<Timed<D>>> for Wire<D, C> {
    fn from(rows: Vec<Timed<D>>) -> Self {
        Wire { rows, written: RefCell::default(), codec: PhantomData }
    }
}

impl<D, C> Wire<D, C> {
    /// The rows.
    pub fn take(&mut self) -> Vec<Timed<D>> {
        std::mem::take(&mut self.rows)
    }
}

impl<D: 'static, C: 'static> Accountable for Wire<D, C> {
    fn record_count(&self) -> i64 {
        self.rows.record_count()
    }
}

impl<D: 'static, C: 'static> DrainContainer for Wire<D, C> {
    type Item<'a> = Timed<D>;
    type DrainIter<'a> = Drain<'a, Timed<D>>;

    #[inline]
    fn drain(&mut self) -> Drain<'_, Timed<D>> {
        self.rows.drain(..)
    }
}

impl<D: 'static, C: 'static> SizableContainer for Wire<D, C> {
    #[inline]
    fn at_capacity(&self) -> bool {
        self.rows.at_capacity()
    }

    #[inline]
    fn ensure_capacity(&mut self, stash: &mut Option<Self>) {
        let mut rows = stash.as_mut().map(Self::take);
        self.rows.ensure_capacity(&mut rows);
    }
}

impl<D: 'static, C: 'static> PushInto<Timed<D>> for Wire<D, C> {
    #[inline]
    fn push_into(&mut self, row: Timed<D>) {
        self.rows.push(row);
    }
}

impl<D: 'static, C: Codec<D>> ContainerBytes for Wire<D, C> {
    fn from_bytes(bytes: Bytes) -> Self {
        match C::decode(&bytes) {
            Ok(rows) => rows.into(),
            // There is nobody to tell: what the other process sent is lost.
            Err(error) => panic!("rows from another process cannot be read: {error}"),
        }
    }

    fn length_in_bytes(&self) -> usize {
        let mut written = self.written.borrow_mut();
        if written.is_empty() {
            C::encode(&self.rows, &mut written);
            let whole = written.len().next_multiple_of(8);
            written.resize(whole, 0);
        }
        written.len()
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        self.length_in_bytes();
        writer.write_all(&self.written.take()).expect("timely has made room for so many bytes");
    }
}
