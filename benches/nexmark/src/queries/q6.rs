//! Average price by seller: the last ten of a key.

use crate::query::{Answer, House, Query};
use crate::{Event, naive};
use tiderace_operators::prelude::*;
use super::winning::{Winner, winning};

/// The average price of a seller's last ten closed auctions, at each that closes.
pub struct Q6;

impl Query for Q6 {
    type Row = (u64, u64);

    const NAME: &'static str = "q6";
    const ABOUT: &'static str = "The average price of a seller's last ten closed auctions, at each that closes.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (u64, u64)> {
        let of = Of::<Winner>::rows();
        let average = of.mapped((of.sum(|won| won.bid.price), Count), |(sum, count)| sum as u64 / count);
        let closed = winning(house).key_by(|won| won.auction.seller).sort("closed", Sort::by_time());
        let last = closed.key_by(|won| won.auction.seller).count_window(CountWindow::last(10));
        Answer::Rows(last.aggregate("averages", average).map(|row| (row.key, row.value)))
    }

    fn naive(events: &[Event]) -> Vec<(u64, u64)> {
        naive::q6(events)
    }
}
