//! The few calls to the operating system for which there is no safe wrapper among our crates.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Ends the process at once: no destructors, no exit handlers, nothing flushed.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

/// Takes over a descriptor that this process has inherited; its own children will not inherit it.
pub(super) fn adopt(number: i64) -> io::Result<OwnedFd> {
    let number = RawFd::try_from(number).map_err(io::Error::other)?;
    if number <= libc::STDERR_FILENO {
        return Err(io::Error::other("not a descriptor that a supervisor hands over"));
    }
    // SAFETY: setting a flag of a descriptor touches no memory; a number that is no descriptor is
    // refused with an error.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open (the call above succeeded). It was inherited for this purpose
    // and `inherit::take` adopts each only once, so nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets the child of this command keep these descriptors, and makes it end with its parent.
pub(super) fn hand_over(command: &mut Command, descriptors: [RawFd; 2]) {
    let parent = std::process::id();
    let before_exec = move || {
        for descriptor in descriptors {
            // SAFETY: as in `adopt`; `fcntl` may be called between fork and exec.
            if unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) } == -1 {
                return Err(io::Error::last_os_error());
            }
        }
        #[cfg(target_os = "linux")]
        {
            // SAFETY: this call takes a number and touches no memory.
            if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } == -1 {
                return Err(io::Error::last_os_error());
            }
            if std::os::unix::process::parent_id() != parent {
                // The parent has ended since the fork; no signal would tell.
                exit_now(75);
            }
        }
        let _ = parent;
        Ok(())
    };
    // SAFETY: between fork and exec the closure only makes system calls that are safe there; it
    // neither allocates nor takes locks.
    unsafe { command.pre_exec(before_exec) };
}

/// Sends a signal to a child process that has not been waited for yet.
pub(super) fn signal(child: u32, signal: i32) {
    if let Ok(child) = libc::pid_t::try_from(child)
        && child > 0
    {
        // SAFETY: `kill` touches no memory. The child has not been waited for, so its number still
        // is its own. That it has just ended is no error here.
        unsafe { libc::kill(child, signal) };
    }
}
