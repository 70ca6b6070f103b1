//! What the events look like in words.

use std::fmt::Write;

use serde::ser::{Serialize, SerializeStruct, Serializer};

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
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

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

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Event", 11)?;
        match self.0 {
            Event::Person(person) => {
                fields.serialize_field("type", "person")?;
                fields.serialize_field("id", &person.id)?;
                let (first, last) = person.name();
                fields.serialize_field("name", &format_args!("{first} {last}"))?;
                fields.serialize_field("email_address", &person.email())?;
                fields.serialize_field("credit_card", &person.credit_card())?;
                fields.serialize_field("city", person.city())?;
                fields.serialize_field("state", person.state())?;
                fields.serialize_field("time", &person.time.micros())?;
            }
            Event::Auction(auction) => {
                fields.serialize_field("type", "auction")?;
                fields.serialize_field("id", &auction.id)?;
                fields.serialize_field("item_name", &auction.item())?;
                fields.serialize_field("description", &auction.description())?;
                fields.serialize_field("initial_bid", &auction.initial_bid)?;
                fields.serialize_field("reserve", &auction.reserve)?;
                fields.serialize_field("time", &auction.time.micros())?;
                fields.serialize_field("expires", &auction.expires.micros())?;
                fields.serialize_field("seller", &auction.seller)?;
                fields.serialize_field("category", &auction.category)?;
            }
            Event::Bid(bid) => {
                let mut url = String::new();
                bid.url(&mut url);
                fields.serialize_field("type", "bid")?;
                fields.serialize_field("auction", &bid.auction)?;
                fields.serialize_field("bidder", &bid.bidder)?;
                fields.serialize_field("price", &bid.price)?;
                fields.serialize_field("channel", &bid.channel_name())?;
                fields.serialize_field("url", &url)?;
                fields.serialize_field("time", &bid.time.micros())?;
            }
        }
        fields.end()
    }
}

/// An event in words, for other systems: serializes as one flat object.
pub struct Text<'a>(pub &'a Event);
