//! The few calls to the operating system for which there is no safe wrapper among our crates.
#![allow(unsafe_code)]

/// Ends the process at once: no destructors, no exit handlers, nothing flushed.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}
