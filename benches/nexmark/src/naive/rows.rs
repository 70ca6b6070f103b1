//! Queries that look at one row at a time.

use super::bids;
use crate::queries::{Computed, Hour, table_value};
use crate::{Bid, Event};

pub fn q0(events: &[Event]) -> Vec<Bid> {
    bids(events).collect()
}

pub fn q1(events: &[Event]) -> Vec<Bid> {
    let mut bids = q0(events);
    for bid in &mut bids {
        bid.price = (bid.price * 908) / 1_000;
    }
    bids
}

pub fn q2(events: &[Event]) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    for bid in bids(events) {
        if bid.auction % 123 == 0 {
            found.push((bid.auction, bid.price));
        }
    }
    found
}

pub fn q10(events: &[Event]) -> Vec<Bid> {
    bids(events).collect()
}

pub fn q13(events: &[Event]) -> Vec<(Bid, u64)> {
    bids(events).map(|bid| (bid, table_value(bid.auction % 10_000))).collect()
}

pub fn q14(events: &[Event]) -> Vec<Computed> {
    let mut found = Vec::new();
    for bid in q1(events) {
        if bid.price <= 1_000_000 || bid.price >= 50_000_000 {
            continue;
        }
        let mut remarks = String::new();
        bid.remarks(&mut remarks);
        let hour_of_day = bid.time.micros() / 1_000_000 % 86_400 / 3_600;
        let hour = if (8..=18).contains(&hour_of_day) {
            Hour::Day
        } else if hour_of_day <= 6 || hour_of_day >= 20 {
            Hour::Night
        } else {
            Hour::Other
        };
        let letters = remarks.matches('c').count() as u32;
        let Bid { auction, bidder, price, time, .. } = bid;
        found.push(Computed { auction, bidder, price, hour, time, letters });
    }
    found
}

pub fn q21(events: &[Event]) -> Vec<(u64, u64, u64, String, String)> {
    let known = [("Apple", "0"), ("Google", "1"), ("Facebook", "2"), ("Baidu", "3")];
    let mut found = Vec::new();
    for bid in bids(events) {
        let channel = bid.channel_name();
        let mut url = String::new();
        bid.url(&mut url);
        let number = match known.iter().find(|(name, _)| *name == channel) {
            Some((_, number)) => (*number).to_owned(),
            None => match url.find("channel_id=") {
                Some(at) => url[at + 11..].chars().take_while(|&c| c != '&').collect(),
                None => continue,
            },
        };
        found.push((bid.auction, bid.bidder, bid.price, channel, number));
    }
    found
}

pub fn q22(events: &[Event]) -> Vec<(u64, u64, u64, String, [String; 3])> {
    let folders = |bid: &Bid| {
        let mut url = String::new();
        bid.url(&mut url);
        let parts: Vec<&str> = url.splitn(7, '/').collect();
        [parts[3].to_owned(), parts[4].to_owned(), parts[5].to_owned()]
    };
    let row = |bid: Bid| (bid.auction, bid.bidder, bid.price, bid.channel_name(), folders(&bid));
    bids(events).map(row).collect()
}
