//! Text: the parts of an address.

use crate::query::{Answer, House, Query};
use crate::{Event, naive};

/// Bids with the folders of their page.
pub struct Q22;

impl Query for Q22 {
    type Row = (u64, u64, u64, String, [String; 3]);

    const NAME: &'static str = "q22";
    const ABOUT: &'static str = "Bids with the folders of their page.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (u64, u64, u64, String, [String; 3])> {
        let mut url = String::new();
        Answer::Rows(house.bids().map(move |bid| {
            bid.url(&mut url);
            let mut parts = url.split('/').skip(3);
            let folders = [(); 3].map(|()| parts.next().unwrap_or("").to_owned());
            (bid.auction, bid.bidder, bid.price, bid.channel_name(), folders)
        }))
    }

    fn naive(events: &[Event]) -> Vec<(u64, u64, u64, String, [String; 3])> {
        naive::q22(events)
    }
}
