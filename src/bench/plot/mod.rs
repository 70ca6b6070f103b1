//! Charts as SVG: bars side by side, and lines over an axis. No script, no font, no dependency: a file
//! that every browser shows.

mod axis;
mod bars;
mod lines;

use std::fmt::Write as _;
use std::path::Path;

pub use axis::{Axis, Scale};
pub use bars::{Bar, Bars, Group};
pub use lines::{Line, Lines};

use crate::error::{Error, Kind};

/// Colours that are told apart also by eyes that see fewer of them (Okabe and Ito).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
/// Height of a line of text, in pixels.
const TEXT: f64 = 20.0;

/// Writes a chart to a file.
pub fn write(path: &Path, svg: &str) -> Result<(), Error> {
    std::fs::write(path, svg).map_err(|error| {
        Error::new(Kind::Storage, format!("cannot write {}", path.display())).caused_by(error)
    })
}

/// An SVG document that is being drawn. All sizes are in pixels, from the upper left corner.
struct Svg {
    body: String,
    width: f64,
    height: f64,
}

/// What of a text stands at the given place.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    fn new(width: f64, height: f64) -> Self {
        Svg { body: String::new(), width, height }
    }

    fn rect(&mut self, [x, y, width, height]: [f64; 4], colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        );
    }

    fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}"/>"#
        );
    }

    /// A line through some points, each of which is marked.
    fn path(&mut self, points: &[(f64, f64)], colour: &str) {
        let list: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            list.join(" ")
        );
        for (x, y) in points {
            let _ =
                writeln!(self.body, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#);
        }
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        self.styled((x, y), anchor, text, "");
    }

    fn heading(&mut self, (x, y): (f64, f64), text: &str) {
        self.styled((x, y), Anchor::Start, text, r#" font-weight="bold""#);
    }

    fn styled(&mut self, (x, y): (f64, f64), anchor: Anchor, text: &str, style: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}"{style}>{}</text>"#,
            escaped(text)
        );
    }

    fn finish(self) -> String {
        let Svg { body, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" \
             font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}

/// A text as it may stand in the document. Characters that XML does not have are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A number in three digits: `1.5M`, `20k`, `0.25`.
fn number(n: f64) -> String {
    let (n, unit) = match n.abs() {
        size if size >= 999.5e6 => (n / 1e9, "G"),
        size if size >= 999.5e3 => (n / 1e6, "M"),
        size if size >= 999.5 => (n / 1e3, "k"),
        _ => (n, ""),
    };
    let digits = match n.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.0995 || size == 0.0 => 2,
        _ => 4,
    };
    let text = format!("{n:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a<b & \"c\">\u{1}\n"), "a&lt;b &amp; &quot;c&quot;&gt;\u{fffd} ");
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((1.0, 1.0), Anchor::End, "</svg><script>");
        let svg = svg.finish();
        assert!(svg.contains(">&lt;/svg&gt;&lt;script&gt;</text>"), "{svg}");
        assert_eq!(svg.matches("</svg>").count(), 1);
    }

    #[test]
    fn numbers_are_short() {
        let all =
            [0.0, 0.25, 9.999, 20.0, 100.0, 999.9, 1_500.0, 20_000.0, 1e6, 2.5e9, -3.0, 0.002];
        let told = all.map(number);
        let wanted =
            ["0", "0.25", "10", "20", "100", "1k", "1.5k", "20k", "1M", "2.5G", "-3", "0.002"];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write(Path::new("/nowhere/at/all.svg"), "").unwrap_err();
        assert_eq!(error.kind(), Kind::Storage);
        assert!(error.to_string().contains("all.svg"));
    }
}
