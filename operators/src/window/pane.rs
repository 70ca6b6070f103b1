//! Which of its results a window is giving.

use serde::{Deserialize, Serialize};

/// When a result was given, relative to the completion of its window.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Timing {
    /// Before the frontier passed the window's end.
    Early,
    /// When it did.
    #[default]
    OnTime,
    /// Later, because of late records that were still allowed.
    Late,
}

/// The place of a result among all that its window gives for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pane {
    /// 0 for the first result, then 1, 2 …
    pub index: u32,
    /// When it was given.
    pub timing: Timing,
    /// Whether it is known that no other result follows.
    pub last: bool,
}

impl Pane {
    /// The one and final result of a window.
    pub const FINAL: Pane = Pane { index: 0, timing: Timing::OnTime, last: true };
}
