//! Work to measure an engine by.
//!
//! Each [`Work`] is a few [`Row`]s that do the same thing: the barest loop that does it, which is the
//! floor, and dataflows on the public operators. All of them are fed with the same events, and what
//! they give is summed up, so that whoever runs them can tell whether they gave the same.
//!
//! Events are made on the fly, 100,000 a second of event time, each up to two seconds out of order.
//! Nothing here measures, prints or knows how many processes there are.

mod dedup;
mod event;
mod exchange;
mod feed;
mod floor;
mod join;
mod row;
mod session;
mod summary;
mod tally;
mod view;
mod window;

pub use event::{BOUND, Event, Load, event, mix};
pub use feed::{BATCH, Feed, IN_FLIGHT, Share, by_time, source};
pub use row::{Agrees, Row, Run, WORKS, Work};
pub use tally::{Shared, Tally, Totals};
