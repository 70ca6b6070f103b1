//! Large pages for large tables.
//!
//! Memory is mapped in pages of 4 KiB unless something else is asked for. A table of 100 MB has 25,000
//! of them then, far more than a core remembers, and each access to a random place waits for the page
//! to be looked up before it waits for the memory. With pages of 2 MiB there are fifty, and there are
//! five hundred times fewer to be mapped while the table grows.
//!
//! Large tables are mapped apart from all other memory. If they were taken from the heap, parts of the heap
//! would be mapped in large pages from then on, and every small piece that is given back to the system
//! and asked for again would have 2 MiB cleared for it. Of the pages that tables give back some are kept,
//! up to 128 MiB: they are moved to where the next table asks for memory, and nothing need be cleared. To
//! clear one took 0.3 ms where that was measured, on a virtual machine, and 5 ms where the host had to find
//! the memory too; to move one takes 0.01 ms.

#[cfg_attr(all(target_os = "linux", not(miri)), path = "huge/pages.rs")]
#[cfg_attr(not(all(target_os = "linux", not(miri))), path = "huge/heap.rs")]
mod pages;
#[cfg(all(target_os = "linux", not(miri)))]
mod spare;

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Global};

/// Bytes of a large page. Less memory is not worth one.
pub(crate) const LARGE: usize = 2 << 20;
const PAGE: usize = 4 << 10;
/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Gives a table the memory that every other gets, or large pages of its own if it is large. What is longer
/// than a small page begins with a line of the cache.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Huge;

// SAFETY: memory is that of the global allocator or of the system, as its layout alone says, and goes back
// to where it is from, as it was given.
#[allow(unsafe_code)]
unsafe impl Allocator for Huge {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match layout.size() < LARGE {
            true => Global.allocate(in_lines(layout)),
            false => pages::map(layout),
        }
    }

    #[inline]
    unsafe fn deallocate(&self, memory: NonNull<u8>, layout: Layout) {
        match layout.size() < LARGE {
            // SAFETY: the caller's promises are those that are asked for here.
            true => unsafe { Global.deallocate(memory, in_lines(layout)) },
            // SAFETY: the same.
            false => unsafe { pages::unmap(memory, layout) },
        }
    }
}

/// How memory is asked for, and given back.
#[inline]
fn in_lines(layout: Layout) -> Layout {
    if layout.size() < PAGE { layout } else { layout.align_to(LINE).unwrap_or(layout) }
}

/// How many bytes large tables have now, beyond what the global allocator gave.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn mapped() -> usize {
    pages::MAPPED.load(std::sync::atomic::Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use allocator_api2::vec::Vec;

    fn numbers(values: usize, from: u32) -> Vec<u32, Huge> {
        let mut all = Vec::with_capacity_in(values, Huge);
        assert!(all.capacity() >= values);
        all.extend((0..values as u32).map(|n| n + from));
        all
    }

    #[test]
    fn memory_is_memory_whatever_its_pages() {
        for values in [0, 1, 1_000, 3_000, 3 << 20] {
            let all = numbers(values, 0);
            assert!(all.iter().copied().eq(0..values as u32));
            assert!(values < 1_024 || all.as_ptr().addr().is_multiple_of(LINE));
            assert!(
                values < 3 << 20
                    || cfg!(any(not(target_os = "linux"), miri))
                    || mapped() >= values * 4
            );
        }
    }

    /// Pages that one piece gave back are in several others afterwards, each with what is its own.
    #[test]
    fn pages_go_from_piece_to_piece() {
        const STEP: usize = LARGE / 4;
        let pieces = |thread: u32| {
            let mut held = std::collections::VecDeque::new();
            for round in 0..60u32 {
                let values = STEP + (round * 7 + thread) as usize % 11 * STEP / 2;
                let from = thread << 24 | round << 16;
                held.push_back((from, numbers(values, from)));
                if held.len() == 3 {
                    let (from, all) = held.pop_front().expect("there are three");
                    assert!(all.iter().copied().eq((0..all.len() as u32).map(|n| n + from)));
                }
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || pieces(thread));
            }
        });
    }
}
