//! Where an operator writes its changes at a cut.

use std::sync::Arc;

use serde::Serialize;

use super::{Frame, Op, Shape};
use crate::key::group;
use crate::time::EventTime;

/// A frame is sent when it holds this many bytes.
const FRAME: usize = 64 << 10;

/// Turns changes into frames.
#[derive(Debug)]
pub struct Saver {
    operator: Arc<str>,
    shape: u64,
    worker: usize,
    peers: usize,
    /// The frame that is being filled; empty if there is none.
    open: Vec<u8>,
    full: Vec<Frame>,
    key: Vec<u8>,
    value: Vec<u8>,
    entries: u64,
    bytes: u64,
}

impl Saver {
    /// For an operator of this name and shape, on one of several workers.
    pub fn new(operator: &str, shape: Shape, worker: usize, peers: usize) -> Self {
        Saver {
            operator: operator.into(),
            shape: shape.value(),
            worker,
            peers,
            open: Vec::new(),
            full: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
            entries: 0,
            bytes: 0,
        }
    }

    /// The entry of this key, whose hash is given, has this value now.
    pub fn put<K, V>(&mut self, table: u8, bucket: i64, hash: u64, key: &K, value: &V)
    where
        K: Serialize + ?Sized,
        V: Serialize + ?Sized,
    {
        encode(key, &mut self.key);
        encode(value, &mut self.value);
        self.start();
        let (group, key, value) = (group(hash) as u16, &self.key[..], &self.value[..]);
        Op::Put { table, bucket, group, key, value }.write(&mut self.open);
        self.wrote();
    }

    /// The same for a table that every worker holds: one of them writes the entry.
    pub fn put_shared<K, V>(&mut self, table: u8, bucket: i64, hash: u64, key: &K, value: &V)
    where
        K: Serialize + ?Sized,
        V: Serialize + ?Sized,
    {
        if self.owns(hash) {
            self.put(table, bucket, hash, key, value);
        }
    }

    /// The entry of this key is gone.
    pub fn remove<K: Serialize + ?Sized>(&mut self, table: u8, bucket: i64, hash: u64, key: &K) {
        encode(key, &mut self.key);
        self.start();
        let (group, key) = (group(hash) as u16, &self.key[..]);
        Op::Remove { table, bucket, group, key }.write(&mut self.open);
        self.wrote();
    }

    /// The same for a table that every worker holds.
    pub fn remove_shared<K: Serialize + ?Sized>(
        &mut self,
        table: u8,
        bucket: i64,
        hash: u64,
        key: &K,
    ) {
        if self.owns(hash) {
            self.remove(table, bucket, hash, key);
        }
    }

    /// The count of this key has changed by this much.
    pub fn add<K: Serialize + ?Sized>(
        &mut self,
        table: u8,
        bucket: i64,
        hash: u64,
        key: &K,
        diff: i64,
    ) {
        encode(key, &mut self.key);
        self.start();
        let (group, key) = (group(hash) as u16, &self.key[..]);
        Op::Add { table, bucket, group, key, diff }.write(&mut self.open);
        self.wrote();
    }

    /// All entries of a table in buckets less than this one are gone, on this worker and on all
    /// others: to be said of buckets that no worker needs any more, by their number alone.
    pub fn drop_below(&mut self, table: u8, bucket: i64) {
        self.start();
        Op::DropBelow { table, bucket }.write(&mut self.open);
        self.wrote();
    }

    /// The operator's frontiers as of the cut.
    pub(crate) fn frontiers(&mut self, frontiers: &[EventTime]) {
        self.start();
        let frontiers = frontiers.iter().map(|frontier| frontier.micros()).collect();
        Op::Frontiers(frontiers).write(&mut self.open);
        self.wrote();
    }

    /// Whether this is the worker of a key's group.
    pub fn owns(&self, hash: u64) -> bool {
        group(hash) as usize % self.peers == self.worker
    }

    /// How many entries have been written so far, and how many bytes.
    pub fn written(&self) -> (u64, u64) {
        (self.entries, self.bytes + self.open.len() as u64)
    }

    /// The frames that are full, and with `all` the one that is being filled.
    pub fn take(&mut self, all: bool) -> Vec<Frame> {
        if all && !self.open.is_empty() {
            self.seal();
        }
        std::mem::take(&mut self.full)
    }

    fn start(&mut self) {
        if self.open.is_empty() {
            self.open = Frame::start(FRAME / 4);
        }
    }

    fn wrote(&mut self) {
        self.entries += 1;
        if self.open.len() >= FRAME {
            self.seal();
        }
    }

    fn seal(&mut self) {
        let bytes = std::mem::take(&mut self.open);
        self.bytes += bytes.len() as u64;
        self.full.push(Frame::seal(self.operator.clone(), self.shape, bytes));
    }
}

/// Writes a value over what `into` held.
fn encode<V: Serialize + ?Sized>(value: &V, into: &mut Vec<u8>) {
    into.clear();
    let bytes = postcard::to_extend(value, std::mem::take(into));
    *into = bytes.expect("the state of an operator can be written down: sequences have lengths");
}
