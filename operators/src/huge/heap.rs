//! Large tables where pages cannot be asked for: from the heap, as all others.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;

use allocator_api2::alloc::{AllocError, Allocator, Global};

use super::in_lines;

/// How many bytes have pages of their own: none.
pub static MAPPED: AtomicUsize = AtomicUsize::new(0);

pub fn map(layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    Global.allocate(in_lines(layout))
}

/// # Safety
///
/// The memory was given for this layout, and is not used any more.
#[allow(unsafe_code)]
pub unsafe fn unmap(memory: NonNull<u8>, layout: Layout) {
    // SAFETY: as the caller promises.
    unsafe { Global.deallocate(memory, in_lines(layout)) };
}
