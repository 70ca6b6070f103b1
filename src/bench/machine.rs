//! What the machine says about a run: processor time, memory, load.

use std::time::Duration;

/// User and system time of this process so far.
pub fn cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills in the structure it is given, which is large enough and zeroed before,
    // so that it is valid also if the call fails.
    #[allow(unsafe_code)]
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// The greatest memory this process has had in use since [`forget_peak`], in bytes; 0 if unknown.
pub fn peak_memory() -> u64 {
    status("VmHWM:")
}

/// The memory this process has in use now, in bytes; 0 if unknown.
pub fn memory() -> u64 {
    status("VmRSS:")
}

/// Starts the search for the greatest memory in use anew.
pub fn forget_peak() {
    // Where the kernel does not take this, the peak is that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok());
    kib.unwrap_or(0u64) * 1_024
}

/// How many threads wanted to run, on average over the last minute; `None` if unknown.
pub fn load() -> Option<f64> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    load.split_whitespace().next()?.parse().ok()
}

/// The load for a table.
pub fn load_text(load: Option<f64>) -> String {
    load.map_or("unknown".to_owned(), |load| format!("{load:.2}"))
}

/// Whether the machine had so little to do that wall times speak of the engine.
pub fn is_quiet(load: Option<f64>) -> bool {
    load.is_some_and(|load| load < 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_are_seen() {
        let before = cpu();
        forget_peak();
        let bytes = vec![1u8; 64 << 20];
        let mut sum = 0u64;
        loop {
            sum += bytes.iter().step_by(4_096).map(|&byte| u64::from(byte)).sum::<u64>();
            if cpu() > before + Duration::from_millis(20) {
                break;
            }
        }
        assert!(std::hint::black_box(sum) > 0);
        assert!(peak_memory() >= 64 << 20 && memory() >= 64 << 20);
        assert!(load().is_some());
    }
}
