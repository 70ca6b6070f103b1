//! Makes the events.

use std::sync::Arc;

use tiderace_operators::time::{EventTime, Span};

use super::{Auction, Bid, Event, Person};

/// Of so many events in a row one is a person, three are auctions, the others are bids.
const ROUND: u64 = 50;
const AUCTIONS: u64 = 3;
/// Ids are counted from here.
const FIRST_ID: u64 = 1_000;
/// Sellers and bidders are among so many persons who came last.
const ACTIVE_PERSONS: u64 = 1_000;
/// Bids are for one of so many auctions that were opened last.
const AUCTIONS_IN_FLIGHT: u64 = 100;
/// Ids of persons and auctions that nobody has heard of yet may turn up so early.
const LEAD: u64 = 10;
/// One in so many is hot, and is bid for (or bids, or sells) again and again.
const HOT_EVERY: u64 = 100;
/// Copies are of one of so many events before.
const COPIED: u64 = ROUND * 4;
const CATEGORIES: u64 = 5;
const FIRST_CATEGORY: u32 = 10;
/// Channels beyond the four that most bids come from.
const CHANNELS: u64 = 10_000;
/// Prices are spread evenly over six orders of magnitude, in so many steps.
const PRICES: usize = 1 << 14;

/// How events come out of order, late or twice. All chances are per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Event times lag behind the order of arrival evenly up to this.
    pub bound: Span,
    /// So many lag beyond the bound, mostly a little, at most sixteen times as much.
    pub tail: u32,
    /// So many are copies of an event shortly before.
    pub copies: u32,
}

/// A stream of NEXMark events: pure functions of their numbers.
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    /// Events per second of event time.
    rate: u64,
    disorder: Disorder,
    prices: Arc<[u32]>,
}

/// 2026-01-01 00:00:00 UTC in microseconds.
const BEGIN: i64 = 1_767_225_600_000_000;

/// Draws numbers, one after another: SplitMix64 (Steele, Lea and Flood, 2014).
struct Draws(u64);

impl Draws {
    #[inline]
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    #[inline]
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

impl Generator {
    /// Events of this seed, so many in a second of event time.
    pub fn new(seed: u64, rate: u64) -> Self {
        let price = |step: usize| {
            let exponent = step as f64 * 6.0 / PRICES as f64;
            (10f64.powf(exponent) * 100.0).round() as u32
        };
        let prices = (0..PRICES).map(price).collect();
        Generator { seed, rate: rate.max(1), disorder: Disorder::default(), prices }
    }

    /// The same events, out of order.
    #[must_use]
    pub fn disorder(mut self, disorder: Disorder) -> Self {
        self.disorder = disorder;
        self
    }

    /// How many events there are in a second of event time.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// How far events are behind those that came before them at most, but for those of the tail.
    pub fn behind(&self) -> Span {
        let copies = if self.disorder.copies > 0 { COPIED } else { 0 };
        let reach = self.due(copies) - self.due(0) + 1;
        Span::from_micros(self.disorder.bound.micros().saturating_add(reach))
    }

    /// When the event of this number would happen if all came in order.
    #[inline]
    fn due(&self, number: u64) -> i64 {
        let micros = u128::from(number) * 1_000_000 / u128::from(self.rate);
        BEGIN.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// The event of this number: its own, or a copy of one shortly before.
    pub fn event(&self, number: u64) -> Event {
        let (mut draws, copies) = self.draws(number);
        if !copies {
            return self.original(number, draws);
        }
        // What is copied must have been there: the first of those from here on that is no copy.
        let from = number.saturating_sub(1 + draws.below(COPIED));
        for earlier in from..number {
            let (draws, copies) = self.draws(earlier);
            if !copies {
                return self.original(earlier, draws);
            }
        }
        self.original(number, draws)
    }

    /// What the event of this number is drawn from, and whether it is a copy.
    #[inline]
    fn draws(&self, number: u64) -> (Draws, bool) {
        let mut draws = Draws(self.seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        draws.next();
        let copies = u64::from(self.disorder.copies);
        let is_copy = copies > 0 && draws.below(1_000_000) < copies;
        (draws, is_copy)
    }

    #[inline]
    fn original(&self, number: u64, mut draws: Draws) -> Event {
        let time = self.time(number);
        match number % ROUND {
            0 => Event::Person(self.person(number, time, &mut draws)),
            1..=AUCTIONS => Event::Auction(self.auction(number, time, &mut draws)),
            _ => Event::Bid(self.bid(number, time, &mut draws)),
        }
    }

    /// When the event of this number happens. Draws of its own: copies and originals agree.
    #[inline]
    fn time(&self, number: u64) -> EventTime {
        let bound = self.disorder.bound.micros() as u64;
        let mut lag = 0;
        if bound > 0 {
            let mut draws = Draws(!self.seed ^ number.wrapping_mul(0xa076_1d64_78bd_642f));
            lag = draws.below(bound + 1);
            if draws.below(1_000_000) < u64::from(self.disorder.tail) {
                // Each doubling is half as likely as the one before.
                let doublings = draws.next().trailing_zeros().min(4);
                lag = bound + draws.below(bound << doublings);
            }
        }
        EventTime::from_micros(self.due(number).saturating_sub(lag as i64))
    }

    fn person(&self, number: u64, time: EventTime, draws: &mut Draws) -> Person {
        Person { id: FIRST_ID + last_person(number), time, draw: draws.next() }
    }

    fn auction(&self, number: u64, time: EventTime, draws: &mut Draws) -> Auction {
        let seller = match draws.below(4) {
            0 => some_person(number, draws),
            _ => last_person(number) / HOT_EVERY * HOT_EVERY,
        };
        let initial_bid = self.price(draws);
        // Long enough for about as many auctions to be open as bids are spread over.
        let horizon = self.due(number + AUCTIONS_IN_FLIGHT * ROUND / AUCTIONS) - self.due(number);
        let open_for = 1 + draws.below((horizon as u64 * 2).max(1));
        Auction {
            id: FIRST_ID + last_auction(number),
            seller: FIRST_ID + seller,
            category: FIRST_CATEGORY + draws.below(CATEGORIES) as u32,
            initial_bid,
            reserve: initial_bid + self.price(draws),
            time,
            expires: time.plus(Span::from_micros(open_for as i64)),
            draw: draws.next(),
        }
    }

    #[inline]
    fn bid(&self, number: u64, time: EventTime, draws: &mut Draws) -> Bid {
        let last = last_auction(number);
        let auction = match draws.below(2) {
            0 => {
                let first = last.saturating_sub(AUCTIONS_IN_FLIGHT);
                first + draws.below(last - first + 1 + LEAD)
            }
            _ => last / HOT_EVERY * HOT_EVERY,
        };
        let bidder = match draws.below(4) {
            0 => some_person(number, draws),
            _ => last_person(number) / HOT_EVERY * HOT_EVERY + 1,
        };
        let draw = draws.next();
        let channel = match draw & 1 {
            0 => 4 + ((draw >> 32) % CHANNELS) as u32,
            _ => (draw >> 1 & 3) as u32,
        };
        Bid {
            auction: FIRST_ID + auction,
            bidder: FIRST_ID + bidder,
            price: self.price(draws),
            time,
            channel,
            draw: (draw >> 3) as u32,
        }
    }

    /// Cents, evenly spread over six orders of magnitude.
    #[inline]
    fn price(&self, draws: &mut Draws) -> u64 {
        u64::from(self.prices[draws.next() as usize % PRICES])
    }
}

/// The number, from zero, of the person who came last.
#[inline]
fn last_person(number: u64) -> u64 {
    number / ROUND
}

/// The number, from zero, of the auction that was opened last.
#[inline]
fn last_auction(number: u64) -> u64 {
    let (round, at) = (number / ROUND, number % ROUND);
    match at {
        0 => (round * AUCTIONS).saturating_sub(1),
        at => round * AUCTIONS + at.min(AUCTIONS) - 1,
    }
}

/// One of the persons who came last, or soon will.
#[inline]
fn some_person(number: u64, draws: &mut Draws) -> u64 {
    let persons = last_person(number) + 1;
    let active = persons.min(ACTIVE_PERSONS);
    persons - active + draws.below(active + LEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn proportions_and_ids_are_those_of_the_reference() {
        let generator = Generator::new(1, 10_000);
        let (mut persons, mut auctions, mut bids) = (0, 0, 0);
        for number in 0..100_000 {
            match generator.event(number) {
                Event::Person(person) => {
                    assert_eq!(person.id, FIRST_ID + persons);
                    persons += 1;
                }
                Event::Auction(auction) => {
                    assert_eq!(auction.id, FIRST_ID + auctions);
                    assert!(auction.seller < FIRST_ID + persons + LEAD);
                    assert!(
                        auction.expires > auction.time && auction.reserve > auction.initial_bid
                    );
                    assert!((10..15).contains(&auction.category));
                    auctions += 1;
                }
                Event::Bid(bid) => {
                    assert!(bid.auction < FIRST_ID + auctions + LEAD);
                    assert!(bid.bidder < FIRST_ID + persons + LEAD + 1);
                    assert!((100..=100_000_000).contains(&bid.price));
                    bids += 1;
                }
            }
        }
        assert_eq!((persons, auctions, bids), (2_000, 6_000, 92_000));
    }

    #[test]
    fn half_of_all_bids_are_for_hot_auctions() {
        let generator = Generator::new(7, 10_000);
        let mut per_auction: HashMap<u64, u32> = HashMap::new();
        for number in 0..200_000 {
            if let Event::Bid(bid) = generator.event(number) {
                *per_auction.entry(bid.auction).or_default() += 1;
            }
        }
        let all: u32 = per_auction.values().sum();
        let hot: u32 = per_auction.iter().filter(|(id, _)| *id % 100 == 0).map(|(_, n)| n).sum();
        assert!((0.48..0.55).contains(&(f64::from(hot) / f64::from(all))), "{hot} of {all}");
    }

    #[test]
    fn times_are_whole_and_in_order_unless_asked_otherwise() {
        let generator = Generator::new(3, 1_000);
        let times: Vec<_> = (0..5_000).map(|n| generator.event(n).time().micros()).collect();
        assert!(times.iter().enumerate().all(|(n, &t)| t == BEGIN + n as i64 * 1_000));
        // A billion events on, times are as fine as at the start.
        let far: Vec<_> = (0..100).map(|n| generator.event(1_000_000_000 + n).time()).collect();
        assert!(far.windows(2).all(|pair| pair[1].micros() - pair[0].micros() == 1_000));
    }

    #[test]
    fn disorder_is_what_was_asked_for() {
        let bound = Span::from_micros(50_000);
        let disorder = Disorder { bound, tail: 20_000, copies: 50_000 };
        let generator = Generator::new(3, 1_000).disorder(disorder);
        let (mut newest, mut late, mut behind) = (0, 0, 0);
        let (mut seen, mut copies) = (std::collections::HashSet::new(), 0);
        for number in 0..100_000 {
            let event = generator.event(number);
            let time = event.time().micros();
            behind += u32::from(time < newest);
            late += u32::from(time < newest - bound.micros());
            newest = newest.max(time);
            copies += u32::from(!seen.insert(event));
        }
        assert!(behind > 50_000, "{behind}");
        assert!((1_000..9_000).contains(&late), "{late}");
        assert!((4_000..5_500).contains(&copies), "{copies}");
    }

    #[test]
    fn copies_are_of_events_shortly_before() {
        let disorder = Disorder { copies: 100_000, ..Disorder::default() };
        let generator = Generator::new(5, 1_000).disorder(disorder);
        let mut seen: HashMap<Event, u64> = HashMap::new();
        let mut copies = 0;
        for number in 0..20_000 {
            let event = generator.event(number);
            match seen.get(&event) {
                Some(first) => {
                    assert!(number - first <= COPIED, "{number} is a copy of {first}");
                    copies += 1;
                }
                // An event that is no copy is the one of its own number.
                None => assert_eq!(event.time().micros(), generator.due(number)),
            }
            seen.entry(event).or_insert(number);
        }
        assert!((1_800..2_200).contains(&copies), "{copies} of 20,000 are copies");
    }

    #[test]
    fn an_event_is_a_function_of_seed_and_number() {
        let (one, other) = (Generator::new(1, 10_000), Generator::new(2, 10_000));
        assert_eq!(one.event(123_456), one.clone().event(123_456));
        assert!((0..100).any(|n| one.event(n) != other.event(n)));
    }
}
