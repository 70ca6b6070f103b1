//! Queries that bring persons, auctions and bids together.

use std::collections::{BTreeMap, HashMap};

use super::{auctions, bids, persons};
use crate::queries::{Seller, Winner};
use crate::{Auction, Bid, Event};

pub fn q3(events: &[Event]) -> Vec<Seller> {
    let mut sold: HashMap<u64, Vec<u64>> = HashMap::new();
    for auction in auctions(events) {
        if auction.category == 10 {
            sold.entry(auction.seller).or_default().push(auction.id);
        }
    }
    let mut sellers = Vec::new();
    for person in persons(events) {
        if !["OR", "ID", "CA"].contains(&person.state()) {
            continue;
        }
        let (first, last) = person.name();
        for &auction in sold.get(&person.id).into_iter().flatten() {
            sellers.push(Seller {
                name: [first, last].join(" "),
                city: person.city().to_owned(),
                state: person.state().to_owned(),
                auction,
            });
        }
    }
    sellers
}

/// The winners, by the auction's number.
pub fn q9(events: &[Event]) -> Vec<Winner> {
    let all: BTreeMap<u64, Auction> =
        auctions(events).map(|auction| (auction.id, auction)).collect();
    let mut best: BTreeMap<u64, Bid> = BTreeMap::new();
    for bid in bids(events) {
        let Some(auction) = all.get(&bid.auction) else { continue };
        if bid.time < auction.time || auction.expires < bid.time {
            continue;
        }
        let held = best.entry(bid.auction).or_insert(bid);
        let earlier = (bid.time, bid.bidder) < (held.time, held.bidder);
        if bid.price > held.price || bid.price == held.price && earlier {
            *held = bid;
        }
    }
    best.into_iter().map(|(id, bid)| Winner { auction: all[&id], bid }).collect()
}

pub fn q4(events: &[Event]) -> Vec<(u32, u64)> {
    let mut prices: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for Winner { auction, bid } in q9(events) {
        prices.entry(auction.category).or_default().push(bid.price);
    }
    let average = |prices: Vec<u64>| prices.iter().sum::<u64>() / prices.len() as u64;
    prices.into_iter().map(|(category, prices)| (category, average(prices))).collect()
}

pub fn q6(events: &[Event]) -> Vec<(u64, u64)> {
    let mut sellers: BTreeMap<u64, Vec<Winner>> = BTreeMap::new();
    for winner in q9(events) {
        sellers.entry(winner.auction.seller).or_default().push(winner);
    }
    let mut averages = Vec::new();
    for (seller, mut won) in sellers {
        // Auctions that close at one instant count in the order of their bytes.
        let bytes = |won: &Winner| postcard::to_stdvec(won).expect("a winner has bytes");
        won.sort_by_cached_key(|won| (won.auction.expires, bytes(won)));
        for end in 1..=won.len() {
            let last = &won[end.saturating_sub(10)..end];
            let sum: u64 = last.iter().map(|won| won.bid.price).sum();
            averages.push((seller, sum / last.len() as u64));
        }
    }
    averages
}

pub fn q20(events: &[Event]) -> Vec<(Bid, Auction)> {
    let mut all: HashMap<u64, Vec<Auction>> = HashMap::new();
    for auction in auctions(events).filter(|auction| auction.category == 10) {
        all.entry(auction.id).or_default().push(auction);
    }
    let mut both = Vec::new();
    for bid in bids(events) {
        both.extend(all.get(&bid.auction).into_iter().flatten().map(|auction| (bid, *auction)));
    }
    both
}
