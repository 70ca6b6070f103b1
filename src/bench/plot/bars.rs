//! Bars that lie below each other, in groups.

use super::axis::{Range, Scale};
use super::{Anchor, COLOURS, Svg, TEXT, number};

/// A chart of bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// What the numbers are, and in which unit.
    pub unit: String,
    /// The bars. All groups have the same scale.
    pub groups: Vec<Group>,
}

/// Bars that belong together.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// From the top down.
    pub bars: Vec<Bar>,
}

/// A number as long as it is great.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Whose number it is.
    pub name: String,
    /// The number. One that is not finite is told and has no bar.
    pub value: f64,
    /// Whether others are compared with it: it has a colour of its own.
    pub floor: bool,
}

/// Width of the names, of the bars, and of the numbers at their end.
const NAMES: f64 = 260.0;
const BARS: f64 = 480.0;
const NUMBERS: f64 = 80.0;

impl Bars {
    /// The chart.
    pub fn svg(&self) -> String {
        let lines: usize = self.groups.iter().map(|group| group.bars.len() + 1).sum();
        let mut svg = Svg::new(NAMES + BARS + NUMBERS, TEXT * (lines as f64 + 3.5));
        svg.heading((10.0, TEXT), &self.title);
        svg.text((NAMES, 2.0 * TEXT), Anchor::Start, &self.unit);
        let values = self.groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value.max(0.0));
        let range = Range::of(Scale::Linear, values);
        let mut y = 2.2 * TEXT;
        for group in &self.groups {
            svg.heading((10.0, y + 0.75 * TEXT), &group.name);
            y += TEXT;
            for bar in &group.bars {
                let place = range.as_ref().and_then(|range| range.place(bar.value.max(0.0)));
                let width = if bar.value.is_finite() { place.unwrap_or(0.0) * BARS } else { 0.0 };
                let colour = COLOURS[usize::from(bar.floor)];
                svg.text((NAMES - 8.0, y + 0.7 * TEXT), Anchor::End, &bar.name);
                svg.rect([NAMES, y + 2.0, width, TEXT - 4.0], colour);
                let told = if bar.value.is_finite() { number(bar.value) } else { "-".to_owned() };
                svg.text((NAMES + width + 6.0, y + 0.7 * TEXT), Anchor::Start, &told);
                y += TEXT;
            }
        }
        svg.line([NAMES, 2.2 * TEXT, NAMES, y], "#888888");
        svg.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar { name: name.to_owned(), value, floor: false }
    }

    #[test]
    fn bars_are_as_long_as_their_numbers() {
        let bars = vec![bar("one & only", 10.0), bar("half", 5.0), bar("none", f64::NAN)];
        let group = Group { name: "1000 keys".to_owned(), bars };
        let (title, unit) = ("window".to_owned(), "events/s".to_owned());
        let svg = Bars { title, unit, groups: vec![group] }.svg();
        assert!(svg.contains(r#"width="480.0""#) && svg.contains(r#"width="240.0""#), "{svg}");
        assert!(svg.contains("one &amp; only") && svg.contains(">10</text>"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_chart_of_nothing_is_still_one() {
        let (title, unit) = ("nothing".to_owned(), String::new());
        let svg = Bars { title, unit, groups: Vec::new() }.svg();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }
}
