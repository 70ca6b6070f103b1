//! Memory mapped in large pages.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use allocator_api2::alloc::AllocError;

use super::spare::Spare;
use super::{LARGE, PAGE};

/// How many bytes are mapped and used.
pub static MAPPED: AtomicUsize = AtomicUsize::new(0);

static SPARE: Mutex<Spare<Begin>> = Mutex::new(Spare::new());

/// Where mapped memory begins.
#[derive(Clone, Copy)]
struct Begin(NonNull<u8>);

// SAFETY: memory that nobody uses may be used by any thread.
unsafe impl Send for Begin {}

impl Begin {
    /// So many bytes further. It is in the same mapped memory.
    fn after(self, bytes: usize) -> Self {
        let there = NonNull::new(self.0.as_ptr().wrapping_byte_add(bytes));
        Begin(there.expect("memory does not end at its last address"))
    }

    /// # Safety
    ///
    /// So many bytes are mapped from here on, and are neither used nor kept any more.
    unsafe fn give_back(self, bytes: usize) {
        if bytes > 0 {
            // SAFETY: as the caller promises.
            unsafe { libc::munmap(self.0.as_ptr().cast(), bytes) };
        }
    }
}

/// Memory that begins with a large page, and that has large pages if the system has them.
pub fn map(layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    if layout.align() > LARGE {
        return Err(AllocError);
    }
    let bytes = layout.size().checked_next_multiple_of(PAGE).ok_or(AllocError)?;
    let kept = if bytes == LARGE { take() } else { None };
    let Begin(memory) = kept.map_or_else(|| map_of(bytes, take), Ok)?;
    MAPPED.fetch_add(layout.size(), Relaxed);
    Ok(NonNull::slice_from_raw_parts(memory, layout.size()))
}

/// # Safety
///
/// The memory was mapped for this layout, and is not used any more.
pub unsafe fn unmap(memory: NonNull<u8>, layout: Layout) {
    let (bytes, memory) = (layout.size().next_multiple_of(PAGE), Begin(memory));
    MAPPED.fetch_sub(layout.size(), Relaxed);
    let mut pages = (0..bytes / LARGE).map(|page| memory.after(page * LARGE));
    spare().keep(&mut pages);
    let kept = (bytes / LARGE - pages.len()) * LARGE;
    // SAFETY: the rest was mapped as long as this, and is neither used nor kept any more.
    unsafe { memory.after(kept).give_back(bytes - kept) };
}

fn spare() -> MutexGuard<'static, Spare<Begin>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take() -> Option<Begin> {
    spare().take()
}

/// New memory, in which pages that were kept take the place of as many as there are: to move them takes
/// a small part of the time in which the system finds and clears others.
fn map_of(bytes: usize, kept: impl Fn() -> Option<Begin>) -> Result<Begin, AllocError> {
    let memory = map_new(bytes)?;
    let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    for at in (0..bytes / LARGE).map(|page| page * LARGE) {
        let Some(page) = kept() else { break };
        let (from, to) = (page.0.as_ptr().cast(), memory.after(at).0.as_ptr());
        // SAFETY: the page was kept, so nobody uses it, and nobody knows of the new memory yet.
        if unsafe { libc::mremap(from, LARGE, LARGE, how, to) } != libc::MAP_FAILED {
            continue;
        }
        let rest = at + LARGE;
        // SAFETY: the same. Where the page should have gone there may be nothing now, or already what
        // another thread has mapped there: that place is left alone, whatever it is.
        unsafe {
            page.give_back(LARGE);
            memory.give_back(at);
            memory.after(rest).give_back(bytes - rest);
        }
        return map_new(bytes);
    }
    Ok(memory)
}

fn map_new(bytes: usize) -> Result<Begin, AllocError> {
    let all = bytes.checked_add(LARGE).ok_or(AllocError)?;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory wherever the system has room for it touches nothing that is there.
    let begin = unsafe { libc::mmap(ptr::null_mut(), all, access, kind, -1, 0) };
    if begin == libc::MAP_FAILED {
        return Err(AllocError);
    }
    let begin = Begin(NonNull::new(begin.cast()).ok_or(AllocError)?);
    let before = begin.0.addr().get().next_multiple_of(LARGE) - begin.0.addr().get();
    let memory = begin.after(before);
    // SAFETY: all three are parts of what was just mapped, and nobody knows of it yet; advice may fail,
    // and is only advice then.
    unsafe {
        begin.give_back(before);
        memory.after(bytes).give_back(all - before - bytes);
        libc::madvise(memory.0.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const BYTES: usize = 2 * LARGE + PAGE;

    /// Writes and reads all of some memory, of which the first byte may be known, and gives it back.
    fn use_up(memory: Begin, first: Option<u8>) {
        // SAFETY: so much was mapped, and zeroed or written by this test, and nobody else has it.
        unsafe {
            let all = std::slice::from_raw_parts_mut(memory.0.as_ptr(), BYTES);
            assert!(first.is_none_or(|first| all[0] == first));
            all.fill(7);
            assert!(all.iter().all(|&byte| byte == 7));
            memory.give_back(BYTES);
        }
    }

    #[test]
    fn a_kept_page_is_what_new_memory_begins_with() {
        let page = map_of(LARGE, || None).expect("there is memory");
        // SAFETY: it was just mapped.
        unsafe { page.0.write(42) };
        let kept = Cell::new(Some(page));
        use_up(map_of(BYTES, || kept.take()).expect("there is memory"), Some(42));
    }

    #[test]
    fn a_page_that_cannot_be_moved_is_done_without() {
        let page = map_of(LARGE, || None).expect("there is memory");
        // No page begins here: the system neither moves it nor takes it back.
        let kept = Cell::new(Some(page.after(1)));
        use_up(map_of(BYTES, || kept.take()).expect("there is memory"), Some(0));
        assert!(kept.take().is_none());
        // SAFETY: nobody has used it.
        unsafe { page.give_back(LARGE) };
    }
}
