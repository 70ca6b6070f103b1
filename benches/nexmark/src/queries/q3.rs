//! Local sellers: an incremental join of everything there has been.

use serde::{Deserialize, Serialize};

use crate::query::{Answer, House, Query};
use crate::{Event, naive};
use tiderace_operators::prelude::*;

/// Persons in OR, ID and CA with their auctions of category 10.
pub struct Q3;

/// Somebody who sells something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seller {
    /// First and last name.
    pub name: String,
    /// Where they live.
    pub city: String,
    /// The state they live in.
    pub state: String,
    /// What they sell.
    pub auction: u64,
}

impl Query for Q3 {
    type Row = Seller;

    const NAME: &'static str = "q3";
    const ABOUT: &'static str = "Persons in OR, ID and CA with their auctions of category 10.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Seller> {
        let local = house.persons().filter("local", |p| matches!(p.state(), "OR" | "ID" | "CA"));
        let local = local.map(|person| {
            let (first, last) = person.name();
            let at = (person.city().to_owned(), person.state().to_owned());
            (person.id, (format!("{first} {last}"), at))
        });
        let auctions = house.auctions().filter("category", |auction| auction.category == 10);
        let auctions = auctions.map(|auction| (auction.seller, auction.id));
        let persons = local.view("persons", Retain::forever());
        let sold = persons.join(&auctions.view("auctions", Retain::forever()));
        let sellers = sold.map(|(_, ((name, (city, state)), auction))| Seller { name, city, state, auction });
        Answer::Changes(sellers.changelog("sellers"))
    }

    fn naive(events: &[Event]) -> Vec<Seller> {
        naive::q3(events)
    }
}
