//! What a session has to say.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::events::Data;
use crate::time::EventTime;
use crate::window::{Pane, Window};

/// The rows of a key that belong together, summed up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionResult<K, V> {
    /// The key.
    pub key: K,
    /// When its first row was.
    pub start: EventTime,
    /// When its last row was.
    pub last: EventTime,
    /// How far the session waited for another row: `last` and the gap.
    pub end: EventTime,
    /// The aggregate of its rows.
    pub value: V,
    /// Which of the session's results it is.
    pub pane: Pane,
    /// The windows of the results that were withdrawn because their sessions have grown into this
    /// one, in order. Empty if only the value has changed.
    pub merged_from: Vec<Window>,
}

impl<K, V> SessionResult<K, V> {
    /// From its first row to its end.
    pub fn window(&self) -> Window {
        Window { start: self.start, end: self.end }
    }
}

/// How results are given.
pub trait Mode<R>: 'static {
    /// What is sent.
    type Out: Data;
    /// Whether results are given as soon as a session is complete and taken back when it grows;
    /// else there is one, when nothing can change it any more.
    const CORRECTS: bool;
    /// The form in which a result is given, or taken back.
    fn sent(change: Change<R>) -> Self::Out;
}

/// One result for each session, which stays.
pub struct FinalOnly;

impl<R: Data> Mode<R> for FinalOnly {
    type Out = R;
    const CORRECTS: bool = false;

    #[inline]
    fn sent(change: Change<R>) -> R {
        debug_assert_eq!(change.diff, 1, "a final result was taken back");
        change.data
    }
}

/// Results that are taken back when a late row changes their session.
pub struct Retracting;

impl<R: Data> Mode<R> for Retracting {
    type Out = Change<R>;
    const CORRECTS: bool = true;

    #[inline]
    fn sent(change: Change<R>) -> Change<R> {
        change
    }
}
