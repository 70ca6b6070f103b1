//! Lines through points over an axis.

use super::axis::{Axis, Range};
use super::{Anchor, COLOURS, Svg, TEXT, number};

/// A chart of lines.
#[derive(Clone, Debug)]
pub struct Lines {
    /// What it shows.
    pub title: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// The lines. Each has a colour of its own, as long as there are no more than seven.
    pub lines: Vec<Line>,
}

/// Points that belong together, from left to right.
#[derive(Clone, Debug)]
pub struct Line {
    /// What they show.
    pub name: String,
    /// The points. One that has no place on an axis is left out.
    pub points: Vec<(f64, f64)>,
}

/// The place of the lines: left, top, width, height.
const FRAME: [f64; 4] = [70.0, 50.0, 600.0, 320.0];
/// Width of the names of the lines.
const NAMES: f64 = 150.0;

impl Lines {
    /// The chart.
    pub fn svg(&self) -> String {
        let [left, top, width, height] = FRAME;
        let bottom = top + height;
        let mut svg = Svg::new(left + width + NAMES, bottom + 3.0 * TEXT);
        svg.heading((10.0, TEXT), &self.title);
        svg.text((left, top - 8.0), Anchor::Start, &self.y.label);
        let middle = left + width / 2.0;
        svg.text((middle, bottom + 2.2 * TEXT), Anchor::Middle, &self.x.label);
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let ranges = Range::of(self.x.scale, points().map(|point| point.0))
            .zip(Range::of(self.y.scale, points().map(|point| point.1)));
        let Some((x, y)) = ranges else { return svg.finish() };
        let at = |point: (f64, f64)| {
            let (x, y) = x.place(point.0).zip(y.place(point.1))?;
            Some((left + x * width, bottom - y * height))
        };
        for (&mark, place) in x.marks.iter().filter_map(|mark| Some((mark, x.place(*mark)?))) {
            let x = left + place * width;
            svg.line([x, top, x, bottom], "#dddddd");
            svg.text((x, bottom + 0.9 * TEXT), Anchor::Middle, &number(mark));
        }
        for (&mark, place) in y.marks.iter().filter_map(|mark| Some((mark, y.place(*mark)?))) {
            let y = bottom - place * height;
            svg.line([left, y, left + width, y], "#dddddd");
            svg.text((left - 6.0, y + 4.0), Anchor::End, &number(mark));
        }
        for (n, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            let points: Vec<(f64, f64)> = line.points.iter().copied().filter_map(at).collect();
            svg.path(&points, colour);
            let y = top + (n as f64 + 0.5) * TEXT;
            svg.line([left + width + 10.0, y, left + width + 30.0, y], colour);
            svg.text((left + width + 36.0, y + 4.0), Anchor::Start, &line.name);
        }
        svg.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_where_the_axes_say() {
        let points = vec![(1e6, 1.0), (1e7, 2.0), (1e8, 4.0), (0.0, 3.0), (1e6, f64::NAN)];
        let chart = Lines {
            title: "latency".to_owned(),
            x: Axis::log("records/s"),
            y: Axis::linear("ms"),
            lines: vec![Line { name: "p99 <all>".to_owned(), points }],
        };
        let svg = chart.svg();
        // Factors of ten are the same distance, and the greatest number is the upper end.
        assert!(svg.contains(r#"points="70.0,290.0 370.0,210.0 670.0,50.0""#), "{svg}");
        assert!(svg.contains("p99 &lt;all&gt;") && svg.contains(">10M</text>"), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn without_points_there_are_no_lines() {
        let (x, y) = (Axis::log("x"), Axis::log("y"));
        let svg = Lines { title: String::new(), x, y, lines: Vec::new() }.svg();
        assert!(svg.ends_with("</svg>\n") && !svg.contains("<polyline"));
    }
}
