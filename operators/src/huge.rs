//! Large pages for large tables.
//!
//! Memory is mapped in pages of 4 KiB unless something else is asked for. A table of 100 MB has 25,000
//! of them then, far more than a core remembers, and each access to a random place waits for the page
//! to be looked up before it waits for the memory. With pages of 2 MiB there are fifty, and there are
//! five hundred times fewer to be mapped while the table grows.

use std::alloc::Layout;
use std::mem::size_of;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Global};

/// Memory of less than this is not worth a page of 2 MiB.
const WORTH: usize = 4 << 20;

/// A vector for so many values, in large pages if it is large and the system has them.
pub(crate) fn with_capacity<T>(values: usize) -> Vec<T> {
    let all = Vec::with_capacity(values);
    advise(all.as_ptr() as usize, all.capacity() * size_of::<T>());
    all
}

/// Gives a table the memory that every other gets, in large pages if it is large.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Huge;

// SAFETY: all memory is that of the global allocator, which gets it back as it gave it.
#[allow(unsafe_code)]
unsafe impl Allocator for Huge {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let memory = Global.allocate(layout)?;
        advise(memory.cast::<u8>().addr().get(), memory.len());
        Ok(memory)
    }

    #[inline]
    unsafe fn deallocate(&self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promises are those that are asked for here.
        unsafe { Global.deallocate(memory, layout) };
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
#[allow(unsafe_code)]
fn advise(address: usize, bytes: usize) {
    if bytes < WORTH {
        return;
    }
    const PAGE: usize = 4 << 10;
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

    #[test]
    fn memory_is_memory_whatever_its_pages() {
        for values in [0, 1, 1_000, 3 << 20] {
            let mut all = with_capacity::<u32>(values);
            assert!(all.capacity() >= values);
            all.extend(0..values as u32);
            assert!(all.iter().copied().eq(0..values as u32));
        }
    }
}
