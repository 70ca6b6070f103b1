//! A large incremental join.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Auction, Bid};
use tiderace_operators::prelude::*;

/// All bids for auctions of category 10, each with its auction.
pub struct Q20;

impl Query for Q20 {
    type Row = (Bid, Auction);

    const NAME: &'static str = "q20";
    const ABOUT: &'static str = "All bids for auctions of category 10, each with its auction.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (Bid, Auction)> {
        let auctions = house.auctions().filter("category", |auction| auction.category == 10);
        let auctions = auctions.map(|auction| (auction.id, auction));
        let bids = house.bids().map(|bid| (bid.auction, bid));
        let bids = bids.view("bids.view", Retain::forever());
        let both = bids.join(&auctions.view("auctions.view", Retain::forever()));
        Answer::Changes(both.map(|(_, both)| both).changelog("both"))
    }

    fn naive(events: &[Event]) -> Vec<(Bid, Auction)> {
        naive::q20(events)
    }
}
