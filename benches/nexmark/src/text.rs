//! What the events look like in words.

use std::fmt::Write;

use serde::ser::{Serialize, SerializeMap, Serializer};
use tiderace_operators::time::EventTime;

use super::{Auction, Bid, Event, Person};

const FIRST_NAMES: [&str; 11] = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CITIES: [(&str, &str); 10] = [
    ("Phoenix", "AZ"),
    ("Los Angeles", "CA"),
    ("San Francisco", "CA"),
    ("Boise", "ID"),
    ("Portland", "OR"),
    ("Bend", "OR"),
    ("Redmond", "WA"),
    ("Seattle", "WA"),
    ("Kent", "WA"),
    ("Cheyenne", "WY"),
];
pub(super) const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

fn pick<T: Copy>(list: &[T], draw: u64) -> T {
    list[(draw % list.len() as u64) as usize]
}

/// Lower-case letters that follow from a number.
fn letters(into: &mut String, mut draw: u64, length: usize) {
    for _ in 0..length {
        into.push((b'a' + (draw % 26) as u8) as char);
        draw = draw / 26 + draw.rotate_left(17) % 9_973;
    }
}

impl Person {
    /// First and last name.
    pub fn name(&self) -> (&'static str, &'static str) {
        (pick(&FIRST_NAMES, self.draw >> 8), pick(&LAST_NAMES, self.draw >> 16))
    }

    /// First and last name as places in the lists of names, for rows that must be small.
    pub fn name_numbers(&self) -> (u32, u32) {
        let place = |shift: u32, len: usize| ((self.draw >> shift) % len as u64) as u32;
        (place(8, FIRST_NAMES.len()), place(16, LAST_NAMES.len()))
    }

    /// Where they live.
    pub fn city(&self) -> &'static str {
        pick(&CITIES, self.draw >> 24).0
    }

    /// The state they live in, in two letters.
    pub fn state(&self) -> &'static str {
        pick(&CITIES, self.draw >> 24).1
    }

    /// Their address.
    pub fn email(&self) -> String {
        let mut email = String::with_capacity(20);
        letters(&mut email, self.draw, 7);
        email.push('@');
        letters(&mut email, self.draw >> 13, 5);
        email.push_str(".com");
        email
    }

    /// Four groups of four digits.
    pub fn credit_card(&self) -> String {
        let digits = |shift: u32| self.draw.rotate_right(shift) % 10_000;
        format!("{:04} {:04} {:04} {:04}", digits(0), digits(16), digits(32), digits(48))
    }
}

impl Auction {
    /// What is for sale.
    pub fn item(&self) -> String {
        let mut item = String::with_capacity(20);
        letters(&mut item, self.draw, 20);
        item
    }

    /// What is said of it.
    pub fn description(&self) -> String {
        let mut description = String::with_capacity(100);
        letters(&mut description, self.draw.rotate_left(29), 100);
        description
    }
}

impl Bid {
    /// Where the bid was made.
    pub fn channel_name(&self) -> String {
        match HOT_CHANNELS.get(self.channel as usize) {
            Some(name) => (*name).to_owned(),
            None => format!("channel-{}", self.channel - HOT_CHANNELS.len() as u32),
        }
    }

    /// Writes what the bidder remarks over what `into` held.
    pub fn remarks(&self, into: &mut String) {
        into.clear();
        letters(into, u64::from(self.draw).wrapping_mul(0x9e37_79b9_7f4a_7c15), 24);
    }

    /// Writes the address of the page over what `into` held. Those of the rarer channels, nine in
    /// ten of them, carry the channel's number.
    pub fn url(&self, into: &mut String) {
        into.clear();
        into.push_str("https://www.nexmark.com/");
        let path = match self.channel as usize {
            hot if hot < HOT_CHANNELS.len() => hot as u64,
            _ => u64::from(self.channel).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        for (part, end) in [(0, '/'), (21, '/'), (42, '/')] {
            letters(into, path.rotate_left(part).wrapping_add(u64::from(part)), 5);
            into.push(end);
        }
        into.push_str("item.htm?query=1");
        if self.channel as usize >= HOT_CHANNELS.len() && !self.draw.is_multiple_of(10) {
            let id = u64::from(self.channel) << 8;
            write!(into, "&channel_id={id}").expect("text can be written to memory");
        }
    }
}

/// An event in words, for other systems: serializes as one flat object.
pub struct Text<'a>(pub &'a Event);

/// The value of a field in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A number; times are in microseconds since 1970.
    Number(i64),
    /// Text.
    Word(String),
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Number(number) => serializer.serialize_i64(*number),
            Field::Word(word) => serializer.serialize_str(word),
        }
    }
}

impl Text<'_> {
    /// Which of the three kinds it is.
    pub fn kind(&self) -> &'static str {
        match self.0 {
            Event::Person(_) => "person",
            Event::Auction(_) => "auction",
            Event::Bid(_) => "bid",
        }
    }

    /// Its fields with their names, in order. The names are those of the reference; `extra`, filler
    /// there, holds in sixteen digits the number that the text follows from.
    pub fn fields(&self) -> Vec<(&'static str, Field)> {
        let number = |number: u64| Field::Number(i64::try_from(number).unwrap_or(i64::MAX));
        let time = |time: EventTime| Field::Number(time.micros());
        let extra = |draw: u64| Field::Word(format!("{draw:016x}"));
        match self.0 {
            Event::Person(person) => {
                let (first, last) = person.name();
                vec![
                    ("id", number(person.id)),
                    ("name", Field::Word(format!("{first} {last}"))),
                    ("email_address", Field::Word(person.email())),
                    ("credit_card", Field::Word(person.credit_card())),
                    ("city", Field::Word(person.city().to_owned())),
                    ("state", Field::Word(person.state().to_owned())),
                    ("time", time(person.time)),
                    ("extra", extra(person.draw)),
                ]
            }
            Event::Auction(auction) => vec![
                ("id", number(auction.id)),
                ("item_name", Field::Word(auction.item())),
                ("description", Field::Word(auction.description())),
                ("initial_bid", number(auction.initial_bid)),
                ("reserve", number(auction.reserve)),
                ("time", time(auction.time)),
                ("expires", time(auction.expires)),
                ("seller", number(auction.seller)),
                ("category", Field::Number(auction.category.into())),
                ("extra", extra(auction.draw)),
            ],
            Event::Bid(bid) => {
                let mut url = String::new();
                bid.url(&mut url);
                vec![
                    ("auction", number(bid.auction)),
                    ("bidder", number(bid.bidder)),
                    ("price", number(bid.price)),
                    ("channel", Field::Word(bid.channel_name())),
                    ("url", Field::Word(url)),
                    ("time", time(bid.time)),
                    ("extra", extra(bid.draw.into())),
                ]
            }
        }
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.fields();
        let mut object = serializer.serialize_map(Some(fields.len() + 1))?;
        object.serialize_entry("type", self.kind())?;
        fields.iter().try_for_each(|(name, field)| object.serialize_entry(name, field))?;
        object.end()
    }
}
