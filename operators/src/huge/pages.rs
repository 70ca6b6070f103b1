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

/// Where mapped memory begins.
struct Begin(NonNull<u8>);

// SAFETY: memory that nobody uses may be used by any thread.
unsafe impl Send for Begin {}

static SPARE: Mutex<Spare<Begin>> = Mutex::new(Spare::new());

fn spare() -> MutexGuard<'static, Spare<Begin>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory that begins with a large page, and that has large pages if the system has them.
pub fn map(layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    if layout.align() > LARGE {
        return Err(AllocError);
    }
    let bytes = layout.size().checked_next_multiple_of(PAGE).ok_or(AllocError)?;
    let kept = spare().take(bytes);
    let memory = match kept {
        Some(Begin(memory)) => memory,
        None => map_new(bytes)?,
    };
    MAPPED.fetch_add(layout.size(), Relaxed);
    Ok(NonNull::slice_from_raw_parts(memory, layout.size()))
}

/// # Safety
///
/// The memory was mapped for this layout, and is not used any more.
pub unsafe fn unmap(memory: NonNull<u8>, layout: Layout) {
    let bytes = layout.size().next_multiple_of(PAGE);
    MAPPED.fetch_sub(layout.size(), Relaxed);
    let kept = spare().keep(bytes, Begin(memory));
    if let Err(Begin(memory)) = kept {
        // SAFETY: it was mapped as long as this, and is neither used nor kept any more.
        unsafe { libc::munmap(memory.as_ptr().cast(), bytes) };
    }
}

fn map_new(bytes: usize) -> Result<NonNull<u8>, AllocError> {
    let all = bytes.checked_add(LARGE).ok_or(AllocError)?;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
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
    NonNull::new(memory.cast()).ok_or(AllocError)
}
