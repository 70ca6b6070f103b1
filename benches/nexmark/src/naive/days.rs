//! Queries over groups and days.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use tiderace_operators::time::EventTime;

use super::{bids, floor};
use crate::queries::{Day, Prices};
use crate::{Bid, Event};

const DAY: i64 = 86_400;

/// Whether a price is in a band; in the first are all.
fn is_in(price: u64, number: usize) -> bool {
    match number {
        0 => true,
        1 => price < 10_000,
        2 => (10_000..1_000_000).contains(&price),
        _ => price >= 1_000_000,
    }
}

fn days<K: Copy + Eq + Hash>(events: &[Event], key: impl Fn(&Bid) -> K) -> Vec<Day<K>> {
    let mut groups: HashMap<(K, i64), Vec<Bid>> = HashMap::new();
    for bid in bids(events) {
        groups.entry((key(&bid), floor(bid.time.micros(), DAY))).or_default().push(bid);
    }
    let of_group = |((key, day), bids): ((K, i64), Vec<Bid>)| {
        let of = |number: usize| bids.iter().filter(move |bid| is_in(bid.price, number));
        let different = |field: fn(&Bid) -> u64| {
            [0, 1, 2, 3].map(|band| of(band).map(field).collect::<HashSet<_>>().len() as u64)
        };
        Day {
            key,
            day: EventTime::from_micros(day),
            bids: [0, 1, 2, 3].map(|band| of(band).count() as u64),
            bidders: different(|bid| bid.bidder),
            auctions: different(|bid| bid.auction),
        }
    };
    groups.into_iter().map(of_group).collect()
}

pub fn q15(events: &[Event]) -> Vec<Day<()>> {
    days(events, |_| ())
}

pub fn q16(events: &[Event]) -> Vec<Day<u32>> {
    days(events, |bid| bid.channel)
}

pub fn q17(events: &[Event]) -> Vec<Prices> {
    let mut groups: BTreeMap<(u64, i64), Vec<u64>> = BTreeMap::new();
    for bid in bids(events) {
        groups.entry((bid.auction, floor(bid.time.micros(), DAY))).or_default().push(bid.price);
    }
    let row = |((auction, day), mut prices): ((u64, i64), Vec<u64>)| {
        prices.sort_unstable();
        let sum = prices.iter().sum();
        let bids = [0, 1, 2, 3].map(|n| prices.iter().filter(|p| is_in(**p, n)).count() as u64);
        let (min, max) = (prices[0], prices[prices.len() - 1]);
        let day = EventTime::from_micros(day);
        Prices { auction, day, bids, min, max, mean: sum / prices.len() as u64, sum }
    };
    groups.into_iter().map(row).collect()
}

pub fn q18(events: &[Event]) -> Vec<Bid> {
    let mut last: HashMap<(u64, u64), Bid> = HashMap::new();
    // Of copies at one instant the one counts whose bytes are the greatest.
    let rank = |bid: &Bid| (bid.time, postcard::to_stdvec(bid).expect("a bid has bytes"));
    for bid in bids(events) {
        let held = last.entry((bid.bidder, bid.auction)).or_insert(bid);
        if bid.time > held.time || bid.time == held.time && rank(&bid) > rank(held) {
            *held = bid;
        }
    }
    last.into_values().collect()
}

pub fn q19(events: &[Event]) -> Vec<(u64, Vec<(u64, u64)>)> {
    let mut groups: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for bid in bids(events) {
        groups.entry(bid.auction).or_default().push((bid.price, bid.bidder));
    }
    for best in groups.values_mut() {
        best.sort_by_key(|&(price, bidder)| (std::cmp::Reverse(price), bidder));
        best.truncate(10);
    }
    groups.into_iter().collect()
}
