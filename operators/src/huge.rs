//! Large pages for large tables.
//!
//! Memory is mapped in pages of 4 KiB unless something else is asked for. A table of 100 MB has 25,000
//! of them then, far more than a core remembers, and each access to a random place waits for the page
//! to be looked up before it waits for the memory. With pages of 2 MiB there are fifty, and there are
//! five hundred times fewer to be mapped while the table grows.
//!
//! Large tables are mapped apart from all other memory. If they were taken from the heap, parts of the heap
//! would be mapped in large pages from then on, and every small piece that is given back to the system
//! and asked for again would have 2 MiB cleared for it.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Global};

/// Memory of less than this is not worth a page of 2 MiB.
const WORTH: usize = 4 << 20;
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
        match layout.size() < WORTH {
            true => Global.allocate(in_lines(layout)),
            false => pages::map(layout),
        }
    }

    #[inline]
    unsafe fn deallocate(&self, memory: NonNull<u8>, layout: Layout) {
        match layout.size() < WORTH {
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

#[cfg(all(target_os = "linux", not(miri)))]
#[allow(unsafe_code)]
mod pages {
    use std::alloc::Layout;
    use std::ptr::{self, NonNull};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use allocator_api2::alloc::AllocError;

    use super::PAGE;

    const LARGE: usize = 2 << 20;

    pub static MAPPED: AtomicUsize = AtomicUsize::new(0);

    /// Maps memory that begins with a large page, and that has large pages if the system has them.
    pub fn map(layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let bytes = layout.size().next_multiple_of(PAGE);
        let all = bytes.checked_add(LARGE).ok_or(AllocError)?;
        if layout.align() > LARGE {
            return Err(AllocError);
        }
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: new memory wherever the system has room for it touches nothing that is there.
        let begin = unsafe { libc::mmap(ptr::null_mut(), all, access, kind, -1, 0) };
        if begin == libc::MAP_FAILED {
            return Err(AllocError);
        }
        let before = begin.addr().next_multiple_of(LARGE) - begin.addr();
        let memory = begin.wrapping_byte_add(before);
        // SAFETY: all three are parts of what was just mapped, and nobody knows of it yet; advice may fail,
        // and is only advice then.
        unsafe {
            if before > 0 {
                libc::munmap(begin, before);
            }
            if all - before > bytes {
                libc::munmap(memory.wrapping_byte_add(bytes), all - before - bytes);
            }
            libc::madvise(memory, bytes, libc::MADV_HUGEPAGE);
        }
        MAPPED.fetch_add(layout.size(), Relaxed);
        let memory = NonNull::new(memory.cast::<u8>()).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(memory, layout.size()))
    }

    /// # Safety
    ///
    /// The memory was mapped for this layout, and is not used any more.
    pub unsafe fn unmap(memory: NonNull<u8>, layout: Layout) {
        let bytes = layout.size().next_multiple_of(PAGE);
        // SAFETY: as the caller promises.
        unsafe { libc::munmap(memory.as_ptr().cast(), bytes) };
        MAPPED.fetch_sub(layout.size(), Relaxed);
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
#[allow(unsafe_code)]
mod pages {
    use std::alloc::Layout;
    use std::ptr::NonNull;
    use std::sync::atomic::AtomicUsize;

    use allocator_api2::alloc::{AllocError, Allocator, Global};

    use super::in_lines;

    pub static MAPPED: AtomicUsize = AtomicUsize::new(0);

    pub fn map(layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Global.allocate(in_lines(layout))
    }

    /// # Safety
    ///
    /// The memory was given for this layout, and is not used any more.
    pub unsafe fn unmap(memory: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(memory, in_lines(layout)) };
    }
}

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
            assert!(
                values < 3 << 20
                    || cfg!(any(not(target_os = "linux"), miri))
                    || mapped() >= values * 4
            );
        }
    }
}
