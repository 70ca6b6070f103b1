//! Events from words, as other systems would send them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use tiderace_operators::time::EventTime;

use super::text::HOT_CHANNELS;
use super::{Auction, Bid, Event, Person};

/// An event that was read from what [`Text`](super::Text) has written. All text is passed over but the
/// channel and `extra`, which the rest follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read(pub Event);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Person,
    Auction,
    Bid,
}

/// The fields of all three kinds.
#[derive(Deserialize)]
struct Flat {
    #[serde(rename = "type")]
    kind: Kind,
    time: i64,
    extra: Extra,
    id: Option<u64>,
    initial_bid: Option<u64>,
    reserve: Option<u64>,
    expires: Option<i64>,
    seller: Option<u64>,
    category: Option<u32>,
    auction: Option<u64>,
    bidder: Option<u64>,
    price: Option<u64>,
    channel: Option<Channel>,
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn need<T, E: Error>(field: Option<T>, name: &'static str) -> Result<T, E> {
            field.ok_or_else(|| E::missing_field(name))
        }
        let flat = Flat::deserialize(deserializer)?;
        let (time, Extra(draw)) = (EventTime::from_micros(flat.time), flat.extra);
        Ok(Read(match flat.kind {
            Kind::Person => Event::Person(Person { id: need(flat.id, "id")?, time, draw }),
            Kind::Auction => Event::Auction(Auction {
                id: need(flat.id, "id")?,
                seller: need(flat.seller, "seller")?,
                category: need(flat.category, "category")?,
                initial_bid: need(flat.initial_bid, "initial_bid")?,
                reserve: need(flat.reserve, "reserve")?,
                time,
                expires: EventTime::from_micros(need(flat.expires, "expires")?),
                draw,
            }),
            Kind::Bid => Event::Bid(Bid {
                auction: need(flat.auction, "auction")?,
                bidder: need(flat.bidder, "bidder")?,
                price: need(flat.price, "price")?,
                time,
                channel: need(flat.channel, "channel")?.0,
                draw: draw
                    .try_into()
                    .map_err(|_| D::Error::custom("`extra` of a bid is too large"))?,
            }),
        }))
    }
}

/// The number that text follows from.
struct Extra(u64);
/// A channel by its name.
struct Channel(u32);

struct Word<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        (self.1)(word).ok_or_else(|| E::custom(format!("`{word}` is not {}", self.0)))
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |word: &str| u64::from_str_radix(word, 16).ok().map(Extra);
        deserializer.deserialize_str(Word("a number in sixteen digits", read))
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |word: &str| {
            let hot = HOT_CHANNELS.iter().position(|name| *name == word);
            let rare =
                || Some(word.strip_prefix("channel-")?.parse::<usize>().ok()? + HOT_CHANNELS.len());
            u32::try_from(hot.or_else(rare)?).ok().map(Channel)
        };
        deserializer.deserialize_str(Word("a channel", read))
    }
}
