//! All rows with the greatest score.

use std::cmp::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use tiderace_operators::prelude::*;

/// The rows with the greatest score, in order: more than one where several share it.
#[derive(Clone, Copy)]
pub struct AllMax<F>(F);

impl<F> AllMax<F> {
    pub fn of<D, S: Ord>(score: F) -> Self
    where
        F: Fn(&D) -> S,
    {
        AllMax(score)
    }
}

impl<D, S, F> Aggregate<D> for AllMax<F>
where
    D: Clone + Ord + Serialize + DeserializeOwned + Send + 'static,
    S: Ord,
    F: Fn(&D) -> S + Clone + 'static,
{
    type State = Vec<D>;
    type Output = Vec<D>;

    fn create(&self) -> Vec<D> {
        Vec::new()
    }

    #[inline]
    fn add(&self, best: &mut Vec<D>, row: &D) {
        let order =
            best.first().map_or(Ordering::Greater, |held| (self.0)(row).cmp(&(self.0)(held)));
        match order {
            Ordering::Less => return,
            Ordering::Greater => best.clear(),
            Ordering::Equal => {}
        }
        best.push(row.clone());
    }

    fn merge(&self, best: &mut Vec<D>, other: &Vec<D>) {
        other.iter().for_each(|row| self.add(best, row));
    }

    fn finish(&self, best: &Vec<D>) -> Vec<D> {
        let mut best = best.clone();
        best.sort();
        best
    }
}
