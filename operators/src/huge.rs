//! Large pages for large tables.
//!
//! Memory is mapped in pages of 4 KiB unless something else is asked for. A table of 100 MB has 25,000
//! of them then, far more than a core remembers, and each access to a random place waits for the page
//! to be looked up before it waits for the memory. With pages of 2 MiB there are fifty, and there are
//! five hundred times fewer to be mapped while the table grows.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Global};

/// Memory of less than this is not worth a page of 2 MiB.
const WORTH: usize = 4 << 20;
const PAGE: usize = 4 << 10;
/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Gives a table the memory that every other gets, in large pages if it is large. What is longer than a
/// small page begins with a line of the cache.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Huge;

// SAFETY: all memory is that of the global allocator, which gets it back as it gave it.
#[allow(unsafe_code)]
unsafe impl Allocator for Huge {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let memory = Global.allocate(in_lines(layout))?;
        advise(memory.cast::<u8>().addr().get(), memory.len());
        Ok(memory)
    }

    #[inline]
    unsafe fn deallocate(&self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promises are those that are asked for here.
        unsafe { Global.deallocate(memory, in_lines(layout)) };
    }
}

/// How memory is asked for, and given back.
#[inline]
fn in_lines(layout: Layout) -> Layout {
    if layout.size() < PAGE { layout } else { layout.align_to(LINE).unwrap_or(layout) }
}

#[cfg(all(target_os = "linux", not(miri)))]
#[allow(unsafe_code)]
fn advise(address: usize, bytes: usize) {
    if bytes < WORTH {
        return;
    }
    let (begin, end) = (address & !(PAGE - 1), address + bytes);
    // SAFETY: advice about how memory is mapped, which changes nothing of what is in it; also not for
    // those who own what else is in the first and the last page. It may fail, and is only advice then.
    unsafe { libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_HUGEPAGE) };
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn advise(_: usize, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;
    use allocator_api2::vec::Vec;

    #[test]
    fn memory_is_memory_whatever_its_pages() {
        for values in [0, 1, 1_000, 3_000, 3 << 20] {
            let mut all = Vec::with_capacity_in(values, Huge);
            assert!(all.capacity() >= values);
            all.extend(0..values as u32);
            assert!(all.iter().copied().eq(0..values as u32));
            assert!(values < 1_024 || all.as_ptr().addr() % LINE == 0);
        }
    }
}
