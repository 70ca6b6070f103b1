//! An axis: where a number stands on it, and which numbers are written beside it.

/// How numbers are laid out along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From zero, or from the least number if that is negative; the same distance for the same sum.
    Linear,
    /// The same distance for the same factor. Numbers that are not above zero have no place on it.
    Log,
}

/// An axis of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What the numbers are, and in which unit.
    pub label: String,
    /// How they are laid out.
    pub scale: Scale,
}

impl Axis {
    /// An axis on which the same distance is the same sum.
    pub fn linear(label: impl Into<String>) -> Self {
        Axis { label: label.into(), scale: Scale::Linear }
    }

    /// An axis on which the same distance is the same factor.
    pub fn log(label: impl Into<String>) -> Self {
        Axis { label: label.into(), scale: Scale::Log }
    }
}

/// The part of an axis that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    scale: Scale,
    from: f64,
    to: f64,
    /// The numbers that are written beside it.
    pub marks: Vec<f64>,
}

impl Range {
    /// One with room for these numbers; `None` if none of them has a place.
    pub fn of(scale: Scale, numbers: impl Iterator<Item = f64>) -> Option<Range> {
        let (least, most) = numbers
            .filter(|&n| has_place(scale, n))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), n| (a.min(n), b.max(n)));
        (least <= most).then(|| match scale {
            Scale::Linear => linear(least.min(0.0), most.max(0.0)),
            Scale::Log => log(least, most),
        })
    }

    /// Where a number stands: 0 at the beginning, 1 at the end. `None` if it has no place.
    pub fn place(&self, n: f64) -> Option<f64> {
        has_place(self.scale, n).then(|| match self.scale {
            Scale::Linear => (n - self.from) / (self.to - self.from),
            Scale::Log => (n / self.from).ln() / (self.to / self.from).ln(),
        })
    }
}

fn has_place(scale: Scale, n: f64) -> bool {
    n.is_finite() && (scale == Scale::Linear || n > 0.0)
}

/// Steps of 1, 2 or 5 times a power of ten, at most ten of them.
fn linear(from: f64, to: f64) -> Range {
    let span = if to > from { to - from } else { 1.0 };
    let power = 10f64.powf((span / 10.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|n| n * power);
    let step = steps.into_iter().find(|step| span / step <= 10.0).unwrap_or(span);
    let (first, last) = ((from / step).floor(), ((from + span) / step).ceil());
    let marks: Vec<f64> =
        (0..=(last - first) as usize).map(|n| (first + n as f64) * step).collect();
    Range { scale: Scale::Linear, from: first * step, to: last * step, marks }
}

/// 1, 2 and 5 times the powers of ten, or these powers alone where they are many.
fn log(least: f64, most: f64) -> Range {
    let powers = least.log10().floor() as i32..=most.log10().ceil() as i32;
    let of_ten: &[f64] = if powers.clone().count() > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let all: Vec<f64> =
        powers.flat_map(|power| of_ten.iter().map(move |n| n * 10f64.powi(power))).collect();
    // The marks just outside, so that there are always two.
    let below = all.iter().rposition(|&mark| mark <= least).unwrap_or(0);
    let above = all.iter().position(|&mark| mark >= most && mark > all[below]);
    let marks = all[below..=above.unwrap_or(all.len() - 1)].to_vec();
    let (from, to) = (marks[0], marks[marks.len() - 1]);
    Range { scale: Scale::Log, from, to, marks }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(scale: Scale, numbers: &[f64]) -> Vec<f64> {
        Range::of(scale, numbers.iter().copied()).expect("they have a place").marks
    }

    #[test]
    fn a_linear_axis_begins_at_zero() {
        assert_eq!(
            marks(Scale::Linear, &[3.0, 42.0]),
            [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0]
        );
        assert_eq!(marks(Scale::Linear, &[-1.0, 1.0]).first(), Some(&-1.0));
        assert_eq!(marks(Scale::Linear, &[0.0]).len(), 11);
        let range = Range::of(Scale::Linear, [10.0].into_iter()).unwrap();
        assert_eq!(
            (range.place(0.0), range.place(5.0), range.place(10.0)),
            (Some(0.0), Some(0.5), Some(1.0))
        );
    }

    #[test]
    fn a_logarithmic_axis_goes_by_factors() {
        assert_eq!(marks(Scale::Log, &[3e6, 40e6]), [2e6, 5e6, 1e7, 2e7, 5e7]);
        assert_eq!(marks(Scale::Log, &[1.0, 1e6]), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
        assert_eq!(marks(Scale::Log, &[100.0]), [100.0, 200.0]);
        let range = Range::of(Scale::Log, [1.0, 100.0].into_iter()).unwrap();
        assert!((range.place(10.0).unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        assert_eq!(Range::of(Scale::Log, [0.0, -1.0, f64::NAN].into_iter()), None);
        assert_eq!(Range::of(Scale::Linear, std::iter::empty()), None);
        let range = Range::of(Scale::Log, [0.0, 1.0, 10.0].into_iter()).unwrap();
        assert_eq!(range.place(0.0), None);
    }
}
