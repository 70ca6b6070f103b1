//! NEXMark: an auction house as a stream of persons, auctions and bids.
//!
//! The benchmark is that of Tucker, Tufte, Papadimos and Maier (2002), with the proportions, skew and
//! fields that Apache Beam's and Flink's suites use: of fifty events one is a person, three are
//! auctions and forty-six are bids. The generator is our own: every event is a pure function of the
//! seed and its number, so that any worker makes any slice; time is in whole microseconds; disorder
//! is explicit. Rows are small: what is text in the reference is kept as a few numbers and rendered
//! when somebody asks for it.

mod generator;
mod model;
mod naive;
mod queries;
mod query;
mod read;
mod text;

pub use generator::{Disorder, Generator};
pub use model::{Auction, Bid, Event, Person};
pub use queries::{NAMES, Visit, visit};
pub use query::{Answer, House, MakeTable, Query, Row, WriteFiles};
pub use read::Read;
pub use text::{Field, Text};
