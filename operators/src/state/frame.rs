//! Frames: the bytes in which changes of state travel.
//!
//! A frame is `version (1 byte), entries, CRC-32 of all before (4 bytes, little endian)`. An entry
//! starts with its kind (1 byte); numbers are LEB128, signed ones in zigzag; keys and values are
//! their length and their bytes.
//!
//! | kind | | fields |
//! |---|---|---|
//! | 1 | put | table, bucket, group, key, value |
//! | 2 | remove | table, bucket, group, key |
//! | 3 | drop below | table, bucket |
//! | 4 | frontiers | count, each in microseconds |
//! | 5 | add | table, bucket, group, key, signed count |

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Corrupt;

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// Some of the changes that an operator's state went through between two cuts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The operator's name.
    pub operator: Arc<str>,
    /// The fingerprint of what the bytes mean.
    pub shape: u64,
    bytes: Vec<u8>,
}

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op<'a> {
    /// The entry has this value now.
    Put { table: u8, bucket: i64, group: u16, key: &'a [u8], value: &'a [u8] },
    /// The entry is gone.
    Remove { table: u8, bucket: i64, group: u16, key: &'a [u8] },
    /// All entries of the table in buckets less than this one are gone.
    DropBelow { table: u8, bucket: i64 },
    /// The operator's event-time frontiers are these, in microseconds.
    Frontiers(Vec<i64>),
    /// The entry's count has changed by this much; an entry whose count is zero is gone.
    Add { table: u8, bucket: i64, group: u16, key: &'a [u8], diff: i64 },
}

impl Frame {
    /// A frame of changes that [`Op::write`] wrote after the first byte of [`start`](Self::start).
    pub(super) fn seal(operator: Arc<str>, shape: u64, mut bytes: Vec<u8>) -> Self {
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        Frame { operator, shape, bytes }
    }

    /// What a frame's bytes start with.
    pub(super) fn start(capacity: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(VERSION);
        bytes
    }

    /// From bytes that were written down; they are checked.
    pub fn from_bytes(operator: Arc<str>, shape: u64, bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let frame = Frame { operator, shape, bytes };
        for op in frame.ops()? {
            op?;
        }
        Ok(frame)
    }

    /// Its bytes, to be written down.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The changes in it, in order, once its checksum and version have been found right.
    pub(super) fn ops(&self) -> Result<impl Iterator<Item = Result<Op<'_>, Corrupt>>, Corrupt> {
        let corrupt = |what: &str| Corrupt(format!("a frame of `{}` {what}", self.operator));
        let (body, sum) =
            self.bytes.split_last_chunk::<4>().ok_or_else(|| corrupt("is cut short"))?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(corrupt("has a wrong checksum"));
        }
        match body.split_first() {
            Some((&VERSION, entries)) => {
                let mut rest = Reader(entries);
                Ok(std::iter::from_fn(move || {
                    if rest.0.is_empty() {
                        return None;
                    }
                    let op = rest.op();
                    if op.is_err() {
                        rest.0 = &[];
                    }
                    Some(op)
                }))
            }
            Some((other, _)) => Err(corrupt(&format!("is of version {other}, not {VERSION}"))),
            None => Err(corrupt("is empty")),
        }
    }
}

impl Op<'_> {
    /// Appends it to a frame's bytes.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        match self {
            Op::Put { table, bucket, group, key, value } => {
                into.extend([1, *table]);
                place(into, *bucket, *group, key);
                slice(into, value);
            }
            Op::Remove { table, bucket, group, key } => {
                into.extend([2, *table]);
                place(into, *bucket, *group, key);
            }
            Op::DropBelow { table, bucket } => {
                into.extend([3, *table]);
                signed(into, *bucket);
            }
            Op::Frontiers(frontiers) => {
                into.push(4);
                unsigned(into, frontiers.len() as u64);
                frontiers.iter().for_each(|&frontier| signed(into, frontier));
            }
            Op::Add { table, bucket, group, key, diff } => {
                into.extend([5, *table]);
                place(into, *bucket, *group, key);
                signed(into, *diff);
            }
        }
    }
}

fn place(into: &mut Vec<u8>, bucket: i64, group: u16, key: &[u8]) {
    signed(into, bucket);
    unsigned(into, u64::from(group));
    slice(into, key);
}

fn slice(into: &mut Vec<u8>, bytes: &[u8]) {
    unsigned(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn unsigned(into: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        into.push(n as u8 | 0x80);
        n >>= 7;
    }
    into.push(n as u8);
}

fn signed(into: &mut Vec<u8>, n: i64) {
    unsigned(into, ((n << 1) ^ (n >> 63)) as u64);
}

/// Reads entries from the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn op(&mut self) -> Result<Op<'a>, Corrupt> {
        Ok(match self.byte()? {
            1 => {
                let (table, bucket, group, key) = self.place()?;
                Op::Put { table, bucket, group, key, value: self.slice()? }
            }
            2 => {
                let (table, bucket, group, key) = self.place()?;
                Op::Remove { table, bucket, group, key }
            }
            3 => Op::DropBelow { table: self.byte()?, bucket: self.signed()? },
            4 => {
                let count = self.unsigned()?;
                Op::Frontiers((0..count).map(|_| self.signed()).collect::<Result<_, _>>()?)
            }
            5 => {
                let (table, bucket, group, key) = self.place()?;
                Op::Add { table, bucket, group, key, diff: self.signed()? }
            }
            kind => return Err(Corrupt(format!("an entry of unknown kind {kind}"))),
        })
    }

    fn place(&mut self) -> Result<(u8, i64, u16, &'a [u8]), Corrupt> {
        let (table, bucket) = (self.byte()?, self.signed()?);
        let group = u16::try_from(self.unsigned()?);
        let group = group.map_err(|_| Corrupt("a key group out of range".into()))?;
        Ok((table, bucket, group, self.slice()?))
    }

    fn byte(&mut self) -> Result<u8, Corrupt> {
        let (&first, rest) = self.0.split_first().ok_or_else(short)?;
        self.0 = rest;
        Ok(first)
    }

    fn unsigned(&mut self) -> Result<u64, Corrupt> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Corrupt("a number of more than 64 bits".into()))
    }

    fn signed(&mut self) -> Result<i64, Corrupt> {
        let n = self.unsigned()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn slice(&mut self) -> Result<&'a [u8], Corrupt> {
        let len = usize::try_from(self.unsigned()?).map_err(|_| short())?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or_else(short)?;
        self.0 = rest;
        Ok(bytes)
    }
}

fn short() -> Corrupt {
    Corrupt("an entry is cut short".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(ops: &[Op<'_>]) -> Frame {
        let mut bytes = Frame::start(0);
        ops.iter().for_each(|op| op.write(&mut bytes));
        Frame::seal("x".into(), 7, bytes)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            ops in prop::collection::vec(
                (1u8..6, any::<u8>(), any::<i64>(), 0u16..4096, any::<Vec<u8>>(), any::<Vec<u8>>(), any::<i64>()),
                0..20,
            )
        ) {
            let ops: Vec<Op<'_>> = ops.iter().map(|(kind, table, bucket, group, key, value, diff)| {
                let (table, bucket, group, diff) = (*table, *bucket, *group, *diff);
                match kind {
                    1 => Op::Put { table, bucket, group, key, value },
                    2 => Op::Remove { table, bucket, group, key },
                    3 => Op::DropBelow { table, bucket },
                    4 => Op::Frontiers(vec![bucket, diff]),
                    _ => Op::Add { table, bucket, group, key, diff },
                }
            }).collect();
            let frame = frame(&ops);
            let read: Vec<_> = frame.ops().unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(read, ops);
        }

        /// Any single byte that is wrong is found, and no bytes at all make a panic.
        #[test]
        fn damage_is_found(at in any::<prop::sample::Index>(), flip in 1u8.., junk in any::<Vec<u8>>()) {
            let put = Op::Put { table: 0, bucket: -3, group: 9, key: b"key", value: b"value" };
            let frame = frame(&[put]);
            let mut bytes = frame.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(Frame::from_bytes("x".into(), 7, bytes).is_err());
            let _ = Frame::from_bytes("x".into(), 7, junk.clone());
            let sealed = Frame::seal("x".into(), 7, [&[VERSION][..], &junk].concat());
            if let Ok(ops) = sealed.ops() {
                ops.for_each(drop);
            };
        }
    }
}
