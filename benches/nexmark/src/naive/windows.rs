//! Queries over windows of time.

use std::collections::{BTreeMap, HashMap};

use tiderace_operators::time::EventTime;

use super::{auctions, bids, floor, persons};
use crate::queries::{Active, Hot};
use crate::{Bid, Event};

pub fn q5(events: &[Event]) -> Vec<Hot> {
    let mut counts: HashMap<(i64, u64), u64> = HashMap::new();
    for bid in bids(events) {
        let newest = floor(bid.time.micros(), 2);
        for back in 0..5 {
            *counts.entry((newest - back * 2_000_000, bid.auction)).or_default() += 1;
        }
    }
    let mut most: HashMap<i64, u64> = HashMap::new();
    for (&(from, _), &bids) in &counts {
        let greatest = most.entry(from).or_default();
        *greatest = bids.max(*greatest);
    }
    let hot = counts.into_iter().filter(|((from, _), bids)| most[from] == *bids);
    hot.map(|((from, auction), bids)| Hot { from: EventTime::from_micros(from), auction, bids })
        .collect()
}

pub fn q7(events: &[Event]) -> Vec<Bid> {
    let mut windows: BTreeMap<i64, Vec<Bid>> = BTreeMap::new();
    for bid in bids(events) {
        windows.entry(floor(bid.time.micros(), 10)).or_default().push(bid);
    }
    let highest = |bids: Vec<Bid>| {
        let price = bids.iter().map(|bid| bid.price).max();
        bids.into_iter().filter(move |bid| Some(bid.price) == price)
    };
    windows.into_values().flat_map(highest).collect()
}

pub fn q8(events: &[Event]) -> Vec<(EventTime, u64, (u32, u32))> {
    let mut names: BTreeMap<(i64, u64), (i64, (u32, u32))> = BTreeMap::new();
    for person in persons(events) {
        let named = (person.time.micros(), person.name_numbers());
        let first = names.entry((floor(named.0, 10), person.id)).or_insert(named);
        *first = named.min(*first);
    }
    let sold: std::collections::HashSet<(i64, u64)> =
        auctions(events).map(|a| (floor(a.time.micros(), 10), a.seller)).collect();
    let both = names.into_iter().filter(|(place, _)| sold.contains(place));
    both.map(|((from, id), (_, name))| (EventTime::from_micros(from), id, name)).collect()
}

pub fn q11(events: &[Event]) -> Vec<Active> {
    let mut times: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for bid in bids(events) {
        times.entry(bid.bidder).or_default().push(bid.time.micros());
    }
    let mut sessions = Vec::new();
    for (bidder, mut times) in times {
        times.sort_unstable();
        let mut rest = &times[..];
        while let Some(&first) = rest.first() {
            let pause = rest.windows(2).position(|pair| pair[1] - pair[0] >= 10_000_000);
            let len = pause.map_or(rest.len(), |at| at + 1);
            let from = EventTime::from_micros(first);
            sessions.push(Active { bidder, from, bids: len as u64 });
            rest = &rest[len..];
        }
    }
    sessions
}

/// What is compared of it: a bidder's bids, one by one.
pub fn q12(events: &[Event]) -> Vec<(u64, EventTime, u64)> {
    bids(events).map(|bid| (bid.bidder, EventTime::MIN, 1)).collect()
}
