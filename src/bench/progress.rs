//! How far a long measurement is: one line on a terminal, written over and over, gone at the end.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// What is over sooner needs no telling.
const SHORT: Duration = Duration::from_secs(1);
/// Sets the cursor to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// A line on standard error. It is silent where that is no terminal.
pub struct Progress {
    wanted: bool,
    steps: usize,
    done: usize,
    begun: Instant,
    drawn: bool,
}

impl Progress {
    /// One for so many steps, if it is wanted.
    pub fn new(wanted: bool, steps: usize) -> Self {
        let wanted = wanted && std::io::stderr().is_terminal();
        Progress { wanted, steps, done: 0, begun: Instant::now(), drawn: false }
    }

    /// The next step begins.
    pub fn step(&mut self, what: &str) {
        let elapsed = self.begun.elapsed();
        if self.wanted && elapsed > SHORT {
            self.drawn = true;
            say(&line(self.done, self.steps, what, elapsed));
        }
        self.done += 1;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            say(CLEAR);
        }
    }
}

/// Nobody may be there to read it, which is no failure.
fn say(text: &str) {
    let mut to = std::io::stderr().lock();
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

fn line(done: usize, steps: usize, what: &str, elapsed: Duration) -> String {
    let left = elapsed.as_secs_f64() / done.max(1) as f64 * steps.saturating_sub(done) as f64;
    format!("{CLEAR}{done} of {steps} done, about {left:.0} s left: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_left() {
        let line = line(3, 12, "tumbling", Duration::from_secs(6));
        assert_eq!(line, "\r\x1b[K3 of 12 done, about 18 s left: tumbling");
    }

    #[test]
    fn what_is_not_wanted_is_not_drawn() {
        let mut progress = Progress::new(false, 2);
        progress.begun -= Duration::from_secs(60);
        progress.step("one");
        assert!(!progress.drawn);
    }
}
