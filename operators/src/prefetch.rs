//! Asking for memory before it is needed.
//!
//! A core waits some 100 ns for a line of memory that is in no cache, but it can wait for a dozen of
//! them at once. Rows come in batches, so the lines that the next rows need are known. An ordinary
//! read would not do: the core goes on only so far behind a read that has no answer yet.

/// Asks for the line of memory where a value begins. Costs an instruction, changes nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    line(std::ptr::from_ref(value).cast());
}

/// Asks for the lines of memory that a value is in, the first two of a long one.
#[inline(always)]
pub(crate) fn prefetch_whole<T>(value: &T) {
    let first = std::ptr::from_ref(value).cast::<u8>();
    line(first);
    // In an array of values of 48 bytes every second one is in two lines.
    line(first.wrapping_add(size_of::<T>().clamp(1, LINE + 1) - 1));
}

/// Asks for the line of memory at an address, whatever is there.
#[inline(always)]
pub(crate) fn prefetch_at(address: usize) {
    line(std::ptr::without_provenance(address));
}

/// Bytes of a line.
const LINE: usize = 64;

#[inline(always)]
fn line(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[allow(unsafe_code)]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint to the processor, which is in every x86-64 and may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    #[allow(unsafe_code)]
    {
        // SAFETY: a hint to the processor, which may name any address and touches no register.
        unsafe {
            std::arch::asm!(
                "prfm pldl1keep, [{0}]",
                in(reg) address,
                options(nostack, preserves_flags, readonly)
            );
        }
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        _ = address;
    }
}
