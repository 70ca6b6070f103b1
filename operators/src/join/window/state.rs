//! The rows of both sides in all open windows. Plain data: no timely in here.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::events::Data;
use crate::join::buffer::{Bucket, Buffer, END, Slot};
use crate::join::kind::Kind;
use crate::key::Key;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, Side, Sides, TickLogic};
use crate::time::{EventTime, Span, Timed};
use crate::window::{Assigner, Pane, Window, WindowResult};

/// How far the results of the window that is being completed have been sent.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// The key: those of the left side first, then those of the right one.
    key: usize,
    /// The rows of the key, once it has been looked at.
    rows: Option<(u32, u32)>,
}

/// All open windows of one worker, by their ends: no two of them end together.
pub struct WindowJoin<K, L, R, FL, FR, J, W> {
    by: W,
    keys: (FL, FR),
    late: (Span, Span),
    open: BTreeMap<i64, Window>,
    /// The windows of a row.
    windows: Vec<Window>,
    left: Buffer<K, L>,
    right: Buffer<K, R>,
    sequence: u64,
    cursor: Cursor,
    /// Windows with ends up to here have been completed.
    complete: EventTime,
    /// What cuts hold of windows up to here has been dropped from them.
    dropped: EventTime,
    counters: Arc<Counters>,
    kind: PhantomData<J>,
}

/// The buckets of a cut are numbered by their end; the last one of all, which has no end, can be
/// dropped too.
fn bucket_number(end: i64) -> i64 {
    end.min(i64::MAX - 1)
}

impl<K, L, R, FL, FR, J, W> WindowJoin<K, L, R, FL, FR, J, W>
where
    K: Key,
    L: Data,
    R: Data,
    FL: Fn(&L) -> K,
    FR: Fn(&R) -> K,
    J: Kind<L, R>,
    W: Assigner,
{
    /// No window is open. `late` is how much longer windows wait for either side.
    pub fn new(by: W, keys: (FL, FR), late: (Span, Span), counters: Arc<Counters>) -> Self {
        WindowJoin {
            by,
            keys,
            late,
            open: BTreeMap::new(),
            windows: Vec::new(),
            left: Buffer::default(),
            right: Buffer::default(),
            sequence: 0,
            cursor: Cursor::default(),
            complete: EventTime::MIN,
            dropped: EventTime::MIN,
            counters,
            kind: PhantomData,
        }
    }

    /// Takes in a row for each of its windows that is open to it. Returns for how many it is late; a
    /// row for which none is open comes back, with how many that are.
    fn insert(
        &mut self,
        row: Timed<Side<L, R>>,
        seen: EventTime,
    ) -> Result<usize, (usize, Timed<Side<L, R>>)> {
        let WindowJoin { by, keys, late, open, left, right, sequence, windows, .. } = self;
        let lateness = if matches!(row.data, Side::Left(_)) { late.0 } else { late.1 };
        windows.clear();
        by.assign(row.time, &mut |window| windows.push(window));
        let all = windows.len();
        windows.retain(|window| seen < window.end.plus(lateness) || seen == EventTime::MIN);
        let Some(last) = windows.pop() else { return Err((all, row)) };
        let missed = all - windows.len() - 1;
        let (time, behind) = (row.time, row.time.behind(seen));
        let mut insert = |window: Window, data: Side<L, R>| {
            let bucket = window.end.micros();
            let known = *open.entry(bucket).or_insert(window);
            assert!(known == window, "window join: {known:?} and {window:?} end together");
            match data {
                Side::Left(row) => {
                    let key = (keys.0)(&row);
                    let slot = Slot::new(time, behind, *sequence, key.stable_hash(), row);
                    left.insert(bucket, key, slot);
                }
                Side::Right(row) => {
                    let key = (keys.1)(&row);
                    let slot = Slot::new(time, behind, *sequence, key.stable_hash(), row);
                    right.insert(bucket, key, slot);
                }
            }
            *sequence += 1;
        };
        windows.drain(..).for_each(|window| insert(window, row.data.clone()));
        insert(last, row.data);
        Ok(missed)
    }

    fn count(&self) {
        self.counters.held.set((self.left.len + self.right.len) as u64);
        self.counters.open.set(self.open.len() as u64);
    }
}

/// Sends the results of one window, from the cursor on. Returns whether all are sent.
fn fire<K: Key, L, R, J: Kind<L, R>>(
    window: Window,
    (left, right): (&Bucket<K, L>, &Bucket<K, R>),
    cursor: &mut Cursor,
    fuel: &mut Fuel,
    out: &mut Vec<Timed<WindowResult<K, J::Out>>>,
) -> bool {
    let mut send = |key: &K, value: Option<J::Out>| {
        let value = value.expect("the kind of the join has such results");
        let result = WindowResult { key: key.clone(), window, value, pane: Pane::FINAL };
        out.push(Timed::on_time(window.last(), result));
    };
    while let Some(head) = left.keys.get(cursor.key) {
        let partner = right.first(head.hash, &head.key);
        let (mut l, mut r) = cursor.rows.unwrap_or((head.first, partner));
        while l != END {
            if fuel.left() == 0 {
                cursor.rows = Some((l, r));
                return false;
            }
            fuel.burn(1);
            let row = &left.rows[l as usize];
            if J::PAIRS && partner != END {
                let other = &right.rows[r as usize];
                send(&head.key, J::pair(&row.row, &other.row));
                r = other.next;
                if r != END {
                    continue;
                }
                r = partner;
            } else if partner == END && J::LEFT || partner != END && J::ONCE {
                send(&head.key, J::left(&row.row));
            }
            l = row.next;
        }
        *cursor = Cursor { key: cursor.key + 1, rows: None };
    }
    while J::RIGHT
        && let Some(head) = right.keys.get(cursor.key - left.keys.len())
    {
        let matched = left.first(head.hash, &head.key) != END;
        let (_, mut r) = cursor.rows.unwrap_or((END, if matched { END } else { head.first }));
        while r != END {
            if fuel.left() == 0 {
                cursor.rows = Some((END, r));
                return false;
            }
            fuel.burn(1);
            let row = &right.rows[r as usize];
            send(&head.key, J::right(&row.row));
            r = row.next;
        }
        *cursor = Cursor { key: cursor.key + 1, rows: None };
    }
    *cursor = Cursor::default();
    true
}

impl<K, L, R, FL, FR, J, W> TickLogic<Side<L, R>, Sides> for WindowJoin<K, L, R, FL, FR, J, W>
where
    K: Key,
    L: Data + Serialize + DeserializeOwned,
    R: Data + Serialize + DeserializeOwned,
    FL: Fn(&L) -> K + 'static,
    FR: Fn(&R) -> K + 'static,
    J: Kind<L, R>,
    W: Assigner,
{
    type Out = WindowResult<K, J::Out>;
    type Side = Side<L, R>;

    fn apply(
        &mut self,
        before: Sides,
        rows: &mut Vec<Timed<Side<L, R>>>,
        out: &mut Emit<Self::Out, Side<L, R>>,
    ) {
        let (all, mut late, mut filtered, mut late_windows) = (rows.len() as u64, 0, 0, 0);
        for row in rows.drain(..) {
            let left = matches!(row.data, Side::Left(_));
            let frontier = if left { before.left } else { before.right };
            let seen = row.seen_frontier().max(frontier);
            match self.insert(row, seen) {
                Ok(missed) => late_windows += missed as u64,
                // There is no window at its time.
                Err((0, _)) => filtered += 1,
                Err((_, row)) => {
                    late += 1;
                    let behind = row.time.behind(seen);
                    out.side.push(Timed { behind, ..row });
                }
            }
        }
        self.counters.kept.add(all - late - filtered);
        self.counters.filtered.add(filtered);
        self.counters.late.add(late);
        self.counters.late_windows.add(late_windows);
        self.count();
    }

    fn close(
        &mut self,
        now: Now<Sides>,
        fuel: &mut Fuel,
        out: &mut Emit<Self::Out, Side<L, R>>,
    ) -> bool {
        let Sides { left, right } = now.frontier;
        self.complete = left.minus(self.late.0).min(right.minus(self.late.1));
        let (no_left, no_right) = (Bucket::default(), Bucket::default());
        while let Some((&bucket, &window)) = self.open.first_key_value() {
            if self.complete < window.end {
                break;
            }
            let sides = (
                self.left.buckets.get(&bucket).unwrap_or(&no_left),
                self.right.buckets.get(&bucket).unwrap_or(&no_right),
            );
            // Rows are dropped in turns too, after the results have been sent.
            let sent = self.cursor.key == usize::MAX
                || fire::<K, L, R, J>(window, sides, &mut self.cursor, fuel, &mut out.rows);
            if sent {
                self.cursor.key = usize::MAX;
            }
            let next = bucket.checked_add(1);
            if !sent || !self.left.drop_below(next, fuel) || !self.right.drop_below(next, fuel) {
                self.count();
                return false;
            }
            self.cursor = Cursor::default();
            self.open.pop_first();
            self.counters.fired.add(1);
        }
        self.count();
        true
    }
}

/// Entries are rows, in buckets of their window's end: table 0 the left ones, 1 the right ones.
impl<K, L, R, FL, FR, J, W> State for WindowJoin<K, L, R, FL, FR, J, W>
where
    K: Key,
    L: Data + Serialize + DeserializeOwned,
    R: Data + Serialize + DeserializeOwned,
    FL: Fn(&L) -> K,
    FR: Fn(&R) -> K,
    J: Kind<L, R>,
    W: Assigner,
{
    fn shape(&self) -> Shape {
        let parameters = (&self.by, self.late);
        Shape::of("window_join", &parameters).with::<K>().with::<L>().with::<R>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let bucket_of = |end, _| Some(bucket_number(end));
        if !self.left.save(0, bucket_of, fuel, out) || !self.right.save(1, bucket_of, fuel, out) {
            return false;
        }
        if self.complete > self.dropped {
            self.dropped = self.complete;
            let over = self.complete.micros();
            // The last bucket of all goes with the end of time alone.
            let first = if over == i64::MAX { over } else { bucket_number(over + 1) };
            out.drop_below(0, first);
            out.drop_below(1, first);
        }
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        // The window is that of the row's which ends there.
        let WindowJoin { by, open, .. } = self;
        let mut end = |time| {
            let mut end = entry.bucket;
            by.assign(time, &mut |window: Window| {
                if bucket_number(window.end.micros()) == entry.bucket {
                    end = window.end.micros();
                    open.insert(end, window);
                }
            });
            end
        };
        let sequence = match entry.table {
            0 => {
                let mut slot = Buffer::<K, L>::read(entry)?;
                let key = (self.keys.0)(&slot.row);
                slot.hash = key.stable_hash();
                let (end, sequence) = (end(slot.time), slot.sequence);
                self.left.load(end, key, slot);
                sequence
            }
            1 => {
                let mut slot = Buffer::<K, R>::read(entry)?;
                let key = (self.keys.1)(&slot.row);
                slot.hash = key.stable_hash();
                let (end, sequence) = (end(slot.time), slot.sequence);
                self.right.load(end, key, slot);
                sequence
            }
            table => return Err(Corrupt(format!("a window join has no table {table}"))),
        };
        self.sequence = self.sequence.max(sequence + 1);
        self.count();
        Ok(())
    }
}
