//! How a sum is written down.

use serde::{Deserialize, Serialize};

use super::near::Near;
use super::wide::Wide;
use super::{ExactSum, Far, Held, LARGEST, LEAST};

/// The parts as they are, checked when they come back.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    near: i128,
    base: i16,
    special: [u64; 3],
    wide: Option<Vec<i64>>,
}

impl From<ExactSum> for Saved {
    fn from(sum: ExactSum) -> Self {
        let near = *sum.near();
        let (special, wide) = match sum.0 {
            Held::Near(_) => ([0; 3], None),
            Held::Far(far) => (far.special, far.wide),
        };
        let wide = wide.map(|wide| wide.into_digits());
        Saved { near: near.sum(), base: near.base, special, wide }
    }
}

impl TryFrom<Saved> for ExactSum {
    type Error = &'static str;

    fn try_from(saved: Saved) -> Result<Self, Self::Error> {
        if !(LEAST..=LARGEST).contains(&i32::from(saved.base)) {
            return Err("not an exact sum: the unit is out of its bounds");
        }
        let wide = match saved.wide {
            None => None,
            Some(digits) => {
                Some(Box::new(Wide::from_digits(digits).ok_or("not an exact sum: bad digits")?))
            }
        };
        let near = Near::of(saved.near, saved.base);
        let special = saved.special;
        if wide.is_none() && special == [0; 3] {
            return Ok(ExactSum(Held::Near(near)));
        }
        Ok(ExactSum(Held::Far(Box::new(Far { near, special, wide }))))
    }
}
