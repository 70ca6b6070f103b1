//! The memory that is held.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tiderace_operators::testing::mapped;

/// The system's allocator, with the bytes that are allocated counted. Large tables are mapped apart, and are
/// counted by the operators.
pub struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Takes note of the memory that is held now.
pub fn note_memory() {
    PEAK.fetch_max(LIVE.load(Relaxed) + mapped(), Relaxed);
}

/// What a run returns, and the most memory that was noted in it beyond what was held before.
pub fn most_memory<R>(run: impl FnOnce() -> R) -> (R, usize) {
    let before = LIVE.load(Relaxed) + mapped();
    PEAK.store(before, Relaxed);
    let returned = run();
    (returned, PEAK.load(Relaxed).saturating_sub(before))
}

// SAFETY: everything is handed to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size, Relaxed);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
