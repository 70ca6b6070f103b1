//! What becomes of a result when the next one of the same window is sent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::events::Data;
use crate::window::{Pane, Window, WindowResult};

/// How the several results of a window go together.
pub trait Accumulation<K, V>: 'static {
    /// What is kept of the last result. It goes into checkpoints.
    type Kept: Default + Serialize + DeserializeOwned + 'static;
    /// What is sent.
    type Out: Data;
    /// Whether each result speaks only of what came since the one before.
    const STARTS_ANEW: bool;
    /// A name for it, part of the fingerprint of saved state.
    const NAME: &'static str;

    /// Sends a result.
    fn send(kept: &mut Self::Kept, result: WindowResult<K, V>, out: impl FnMut(Self::Out));
}

/// Each result takes back the one before.
#[derive(Clone, Copy, Debug)]
pub struct Retracting;

/// Each result is of what came since the one before.
#[derive(Clone, Copy, Debug)]
pub struct Discarding;

/// The value and the pane of the last result, so that it is taken back exactly as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent<V>(Option<(V, Pane)>);

impl<V> Default for Sent<V> {
    fn default() -> Self {
        Sent(None)
    }
}

impl<K, V> Accumulation<K, V> for Retracting
where
    K: Data,
    V: Data + Serialize + DeserializeOwned,
{
    type Kept = Sent<V>;
    type Out = Change<WindowResult<K, V>>;
    const STARTS_ANEW: bool = false;
    const NAME: &'static str = "retracting";

    fn send(kept: &mut Sent<V>, result: WindowResult<K, V>, mut out: impl FnMut(Self::Out)) {
        if let Some((value, pane)) = kept.0.replace((result.value.clone(), result.pane)) {
            let (key, window): (K, Window) = (result.key.clone(), result.window);
            out(Change::remove(WindowResult { key, window, value, pane }));
        }
        out(Change::add(result));
    }
}

impl<K: Data, V: Data> Accumulation<K, V> for Discarding {
    type Kept = ();
    type Out = WindowResult<K, V>;
    const STARTS_ANEW: bool = true;
    const NAME: &'static str = "discarding";

    fn send(_: &mut (), result: WindowResult<K, V>, mut out: impl FnMut(Self::Out)) {
        out(result);
    }
}
