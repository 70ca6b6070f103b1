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
    let Begin(memory) = kept.map_or_else(|| map_of(bytes), Ok)?;
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
fn map_of(bytes: usize) -> Result<Begin, AllocError> {
    let memory = map_new(bytes)?;
    for page in 0..bytes / LARGE {
        let Some(from) = take() else { break };
        // SAFETY: the page was kept, so nobody uses it, and nobody knows of the new memory yet.
        if let Err(error) = unsafe { put(from, memory.after(page * LARGE)) } {
            // SAFETY: the same.
            unsafe { memory.give_back(bytes) };
            return Err(error);
        }
    }
    Ok(memory)
}

/// Moves a page to where another is, which is given back.
///
/// # Safety
///
/// Both are mapped, and not used.
unsafe fn put(from: Begin, to: Begin) -> Result<(), AllocError> {
    let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let (from, to) = (from.0.as_ptr(), to.0.as_ptr());
    // SAFETY: as the caller promises.
    let moved = unsafe { libc::mremap(from.cast(), LARGE, LARGE, how, to) };
    if moved != libc::MAP_FAILED {
        return Ok(());
    }
    // Where the page should have gone there may be nothing now.
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the same.
    let new = unsafe {
        libc::munmap(from.cast(), LARGE);
        libc::mmap(to.cast(), LARGE, access, kind, -1, 0)
    };
    if new == libc::MAP_FAILED { Err(AllocError) } else { Ok(()) }
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
