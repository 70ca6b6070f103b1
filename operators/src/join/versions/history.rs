//! What was known of each key, and from when on.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use hashbrown::HashTable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::key::Key;
use crate::state::{Corrupt, Entry, Saver};
use crate::tick::Fuel;
use crate::time::{EventTime, Span};

/// How many keys that were forgotten may always stand in the list of what is to be written.
const FORGOTTEN: usize = 64;

/// What a key is worth from an instant on: nothing, if it was deleted.
struct Version<V> {
    time: EventTime,
    value: Option<V>,
    /// Changed since the last cut.
    dirty: bool,
    /// Part of a cut.
    saved: bool,
}

struct Versions<K, V> {
    key: K,
    hash: u64,
    /// By time, each once.
    versions: VecDeque<Version<V>>,
    /// It is in the list of keys with something to write.
    touched: bool,
}

/// Which versions are kept when no row before an instant can ask any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retain {
    /// The newest one at or before the instant, and all later ones.
    Newest,
    /// Those that are not further before it.
    Within(Span),
}

/// The versions of all keys.
pub struct History<K, V> {
    retain: Retain,
    keys: HashTable<Versions<K, V>>,
    /// A visit to each version, when the limit has passed it.
    visits: BinaryHeap<Visit<K>>,
    /// Keys with something to write at the next cut, and some that were forgotten since.
    touched: Vec<(u64, K)>,
    /// Versions that are part of a cut and are gone.
    gone: Vec<(u64, K, EventTime)>,
    /// Everything that is part of a cut is gone.
    cleared: bool,
    /// How many versions there are.
    pub len: usize,
}

/// The time of a version and where it is; the least time first.
struct Visit<K> {
    time: Reverse<EventTime>,
    hash: u64,
    key: K,
}

impl<K> PartialEq for Visit<K> {
    fn eq(&self, other: &Self) -> bool {
        self.time == other.time
    }
}

impl<K> Eq for Visit<K> {}

impl<K> PartialOrd for Visit<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Visit<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.time.cmp(&other.time)
    }
}

/// Whether a value wins over another one of the same key and instant: by its bytes, as there is
/// nothing else to go by. That it is there wins over that it is not.
fn wins<V: Serialize>(value: Option<&V>, over: Option<&V>) -> bool {
    let bytes = |value| {
        let bytes = postcard::to_stdvec(&value);
        bytes.expect("the state of an operator can be written down: sequences have lengths")
    };
    bytes(value) > bytes(over)
}

impl<K: Key, V: Serialize + DeserializeOwned> History<K, V> {
    /// Nothing is known.
    pub fn new(retain: Retain) -> Self {
        History {
            retain,
            keys: HashTable::new(),
            visits: BinaryHeap::new(),
            touched: Vec::new(),
            gone: Vec::new(),
            cleared: false,
            len: 0,
        }
    }

    fn versions(&mut self, hash: u64, key: &K) -> &mut Versions<K, V> {
        let same = |versions: &Versions<K, V>| versions.hash == hash && versions.key == *key;
        let entry = self.keys.entry(hash, same, |versions| versions.hash);
        let new = || Versions { key: key.clone(), hash, versions: VecDeque::new(), touched: false };
        entry.or_insert_with(new).into_mut()
    }

    /// A key has this value from an instant on.
    pub fn put(&mut self, time: EventTime, (hash, key): (u64, K), value: Option<V>) {
        let versions = self.versions(hash, &key);
        let all = &mut versions.versions;
        let at = all.partition_point(|version| version.time < time);
        match all.get_mut(at).filter(|version| version.time == time) {
            Some(version) if !wins(value.as_ref(), version.value.as_ref()) => return,
            Some(version) => (version.value, version.dirty) = (value, true),
            None => {
                all.insert(at, Version { time, value, dirty: true, saved: false });
                self.len += 1;
                let key = key.clone();
                self.visits.push(Visit { time: Reverse(time), hash, key });
            }
        }
        let versions = self.versions(hash, &key);
        if !std::mem::replace(&mut versions.touched, true) {
            self.touched.push((hash, key));
            self.forget_touched();
        }
    }

    /// Where keys come and go and no cuts are kept nothing else takes those that are gone out of the
    /// list. What it costs is paid for by the keys that have been put there since the last time.
    fn forget_touched(&mut self) {
        if self.touched.len() > 2 * self.keys.len() + FORGOTTEN {
            let touched = self.keys.iter().filter(|versions| versions.touched);
            self.touched = touched.map(|versions| (versions.hash, versions.key.clone())).collect();
        }
    }

    fn find(&self, hash: u64, key: &K) -> Option<&VecDeque<Version<V>>> {
        let found = self.keys.find(hash, |versions| versions.hash == hash && versions.key == *key);
        found.map(|versions| &versions.versions)
    }

    /// The newest version at or before an instant, with its time.
    pub fn at<'a>(&'a self, time: EventTime, (hash, key): (u64, &K)) -> Option<(EventTime, &'a V)> {
        let versions = self.find(hash, key)?;
        let after = versions.partition_point(|version| version.time <= time);
        let version = versions.get(after.checked_sub(1)?)?;
        Some((version.time, version.value.as_ref()?))
    }

    /// The first version at or after an instant, with its time.
    pub fn after<'a>(
        &'a self,
        time: EventTime,
        (hash, key): (u64, &K),
    ) -> Option<(EventTime, &'a V)> {
        let versions = self.find(hash, key)?;
        let version = versions.get(versions.partition_point(|version| version.time < time))?;
        Some((version.time, version.value.as_ref()?))
    }

    /// No row before the limit can ask or be put any more: drops what none will find.
    pub fn expire(&mut self, limit: EventTime, fuel: &mut Fuel) -> bool {
        if limit == EventTime::MAX {
            let some = self.len.min(fuel.left());
            let keys = self.keys.extract_if(|_| true);
            let mut dropped = 0;
            for versions in keys {
                self.cleared |= versions.versions.iter().any(|version| version.saved);
                dropped += versions.versions.len();
                if dropped >= some {
                    break;
                }
            }
            self.len -= dropped;
            fuel.burn(dropped);
            if self.len > 0 {
                return false;
            }
            self.cleared |= !self.gone.is_empty();
            (self.visits, self.touched, self.gone) = Default::default();
            return true;
        }
        let (dead, retain) = match self.retain {
            Retain::Newest => (limit, true),
            Retain::Within(_) if limit == EventTime::MIN => (limit, false),
            Retain::Within(span) => (limit.minus(span), false),
        };
        while let Some(visit) = self.visits.peek() {
            if visit.time.0 >= dead {
                break;
            }
            if fuel.left() == 0 {
                return false;
            }
            let Visit { hash, key, .. } = self.visits.pop().expect("one was seen");
            let same = |versions: &Versions<K, V>| versions.hash == hash && versions.key == key;
            let Ok(mut entry) = self.keys.find_entry(hash, same) else {
                fuel.burn(1);
                continue;
            };
            let versions = &mut entry.get_mut().versions;
            let mut first = match retain {
                true => versions.partition_point(|version| version.time <= limit).max(1) - 1,
                false => versions.partition_point(|version| version.time < dead),
            };
            // That a key was deleted need not be remembered when nothing older can come.
            let deleted = |version: &Version<V>| version.value.is_none() && version.time < limit;
            if retain && versions.get(first).is_some_and(deleted) {
                first += 1;
            }
            fuel.burn(first.max(1));
            self.len -= first;
            let saved = versions.drain(..first).filter(|version| version.saved);
            self.gone.extend(saved.map(|version| (hash, key.clone(), version.time)));
            if versions.is_empty() {
                entry.remove();
            }
        }
        true
    }

    /// Writes what has changed; entries that every worker holds are written by one of them.
    pub fn save(&mut self, (table, shared): (u8, bool), fuel: &mut Fuel, out: &mut Saver) -> bool {
        if std::mem::take(&mut self.cleared) {
            out.drop_below(table, i64::MAX);
        }
        while let Some((hash, key, time)) = self.gone.last() {
            if fuel.left() == 0 {
                return false;
            }
            fuel.burn(1);
            // A version that has come back since is written below.
            match shared {
                true => out.remove_shared(table, 0, *hash, &(key, time)),
                false => out.remove(table, 0, *hash, &(key, time)),
            }
            self.gone.pop();
        }
        while let Some((hash, key)) = self.touched.last() {
            if fuel.left() == 0 {
                return false;
            }
            fuel.burn(1);
            let same = |versions: &Versions<K, V>| versions.hash == *hash && versions.key == *key;
            if let Some(versions) = self.keys.find_mut(*hash, same) {
                for version in versions.versions.iter_mut().filter(|version| version.dirty) {
                    let (key, value) = ((key, version.time), &version.value);
                    match shared {
                        true => out.put_shared(table, 0, *hash, &key, value),
                        false => out.put(table, 0, *hash, &key, value),
                    }
                    (version.dirty, version.saved) = (false, true);
                    fuel.burn(1);
                }
                versions.touched = false;
            }
            self.touched.pop();
        }
        true
    }

    /// Takes an entry back.
    pub fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (key, time): (K, EventTime) = entry.key()?;
        let value = entry.value()?;
        let hash = key.stable_hash();
        let all = &mut self.versions(hash, &key).versions;
        let at = all.partition_point(|version| version.time < time);
        all.insert(at, Version { time, value, dirty: false, saved: true });
        self.len += 1;
        self.visits.push(Visit { time: Reverse(time), hash, key });
        Ok(())
    }
}
