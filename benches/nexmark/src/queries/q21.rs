//! Text: a name or what an address says.

use crate::query::{Answer, House, Query};
use crate::{Event, naive};

/// Bids with the number of their channel.
pub struct Q21;

impl Query for Q21 {
    type Row = (u64, u64, u64, String, String);

    const NAME: &'static str = "q21";
    const ABOUT: &'static str = "Bids with the number of their channel.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (u64, u64, u64, String, String)> {
        let mut url = String::new();
        Answer::Rows(house.bids().flat_map("channels", move |bid| {
            let channel = bid.channel_name();
            let number = match channel.as_str() {
                "Apple" => "0".to_owned(),
                "Google" => "1".to_owned(),
                "Facebook" => "2".to_owned(),
                "Baidu" => "3".to_owned(),
                _ => {
                    bid.url(&mut url);
                    let (_, rest) = url.split_once("channel_id=")?;
                    rest.split('&').next()?.to_owned()
                }
            };
            Some((bid.auction, bid.bidder, bid.price, channel, number))
        }))
    }

    fn naive(events: &[Event]) -> Vec<(u64, u64, u64, String, String)> {
        naive::q21(events)
    }
}
