//! What deduplication costs in memory, measured at the allocator and where large tables are mapped.

#![allow(unsafe_code, reason = "an allocator that counts has to be one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tiderace_operators::dedup::{DedupState, Horizon, Verdict};
use tiderace_operators::key::StableHash;
use tiderace_operators::testing::mapped;
use tiderace_operators::time::{EventTime, hours};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on unchanged to the system's allocator; only its size is noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above, so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> usize {
    HELD.load(Ordering::Relaxed) + mapped()
}

/// A table keeps key and time per place, and is a little more than half full: about 30 bytes for a
/// number as the key, whatever the number of keys.
#[test]
fn bytes_per_key() {
    let sizes = std::iter::successors(Some(100_000_u64), |keys| Some(keys * 8 / 7));
    for keys in sizes.take(26) {
        let before = held();
        let mut state = DedupState::new(Horizon::within(hours(1)));
        for key in 0..keys {
            let verdict = state.insert(key.stable_hash(), key, EventTime::from_secs(1));
            assert_eq!(verdict, Verdict::First);
        }
        let per_key = (held() - before) as f64 / keys as f64;
        assert!((22.0..35.0).contains(&per_key), "{per_key} bytes per key at {keys} keys");
        // The state's own figure is what the metrics show.
        let told = state.bytes() as f64 / keys as f64;
        assert!((told - per_key).abs() < 1.0, "{told} told, {per_key} held");

        // Forgetting a bucket gives its memory back at once.
        state.expire(EventTime::from_secs(3 * 3_600), 1);
        assert!(state.is_empty());
        let left = held() - before;
        assert!(left < 10_000, "{left} bytes are left");
    }
}
