//! Mistakes of a pipeline file, shown with the word underlined and a way out.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
    ThemeCharacters, ThemeStyles,
};
use serde::Serialize;

use super::tree::Place;
use crate::error::{Error, Kind};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The pipeline cannot run.
    Error,
    /// It can run, but perhaps not as its author thinks.
    Warning,
    /// Nothing is wrong; something is worth knowing.
    Note,
}

/// One thing wrong with a pipeline file.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The words it is about.
    pub place: Place,
    /// What stands under the underline.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that matter, with what stands under them.
    pub also: Vec<(Place, String)>,
}

impl Mistake {
    /// A mistake at a place.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Mistake {
            severity: Severity::Error,
            message: message.into(),
            place,
            label: "here".into(),
            help: None,
            also: Vec::new(),
        }
    }

    /// A warning at a place.
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Mistake { severity: Severity::Warning, ..Mistake::new(place, message) }
    }

    /// Says something under the underline.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Says the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at another place too.
    #[must_use]
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }

    /// Suggests the most similar of some names, if one is similar enough.
    #[must_use]
    pub fn suggest<'a>(
        mut self,
        word: &str,
        names: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        if let Some(name) = similar(word, names.clone()) {
            self.label = format!("did you mean `{name}`?");
        } else {
            let names: Vec<_> = names.into_iter().take(24).map(|n| format!("`{n}`")).collect();
            if !names.is_empty() {
                self.help.get_or_insert_with(|| format!("known here: {}", names.join(", ")));
            }
        }
        self
    }
}

/// The name most similar to a word, if one is similar enough to be meant.
pub fn similar<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&word.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// All the mistakes of one file, with its text.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The name of the file, as the user gave it.
    pub file: String,
    /// Its text.
    pub text: String,
    /// What is wrong with it, in the order of the text.
    pub mistakes: Vec<Mistake>,
}

/// One mistake as a program reads it. Lines and columns count from one, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// How many characters are underlined.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// The way out, if one is known.
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

impl Report {
    /// Puts the mistakes into the order of the text and drops those said twice.
    pub fn sort(&mut self) {
        self.mistakes.sort_by(|a, b| {
            let key = |m: &'_ Mistake| (m.place.start, m.severity);
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        self.mistakes.dedup_by(|a, b| a.place == b.place && a.message == b.message);
    }

    /// How many mistakes of this severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.mistakes.iter().filter(|m| m.severity == severity).count()
    }

    /// The mistakes for programs.
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |mistake: &Mistake| {
            let start = floor_boundary(&self.text, mistake.place.start);
            let end = floor_boundary(&self.text, mistake.place.start + mistake.place.len);
            let before = &self.text[..start];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let label = (mistake.label != "here").then(|| mistake.label.clone());
            let hint = match (label, mistake.help.clone()) {
                (Some(label), Some(help)) => Some(format!("{label}; {help}")),
                (one, other) => one.or(other),
            };
            Finding {
                file: self.file.clone(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                length: self.text[start..end].chars().count(),
                message: mistake.message.clone(),
                hint,
                severity: mistake.severity,
            }
        };
        self.mistakes.iter().map(finding).collect()
    }

    /// The mistakes and warnings for a person: each with the line it is in.
    pub fn render(&self, color: bool) -> String {
        let theme = GraphicalTheme {
            characters: ThemeCharacters::unicode(),
            styles: if color { ThemeStyles::ansi() } else { ThemeStyles::none() },
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(100)
            // One line of context is asked for; `WholeLines` gives the line itself.
            .with_context_lines(1)
            .with_links(false);
        let source = WholeLines(NamedSource::new(&self.file, self.text.clone()));
        let mut out = String::new();
        for mistake in self.mistakes.iter().filter(|m| m.severity != Severity::Note) {
            let shown = Shown { mistake, source: &source, text: &self.text };
            // Formatting into a string fails only if a Display does; then the sentence must do.
            if handler.render_report(&mut out, &shown).is_err() {
                out.push_str(&mistake.message);
                out.push('\n');
            }
        }
        out
    }
}

/// The largest character boundary not after `at`.
pub(super) fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl From<Report> for Error {
    fn from(report: Report) -> Error {
        let count = report.count(Severity::Error);
        let plural = if count == 1 { "mistake" } else { "mistakes" };
        Error::new(
            Kind::Config,
            format!("{}{count} {plural} in {}", report.render(false), report.file),
        )
    }
}

/// Shows the lines a mistake is in, from end to end, and no others.
#[derive(Debug)]
struct WholeLines(NamedSource<String>);

impl SourceCode for WholeLines {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        // Without context the exact place is wanted, for the line and column in the heading.
        if (before, after) == (0, 0) {
            return self.0.read_span(span, 0, 0);
        }
        let text = self.0.inner();
        let start = floor_boundary(text, span.offset());
        let end = floor_boundary(text, span.offset() + span.len());
        let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[end..].find('\n').map_or(text.len(), |at| end + at);
        self.0.read_span(&(start, end - start).into(), 0, 0)
    }
}

/// One mistake as miette wants to see it.
struct Shown<'a> {
    mistake: &'a Mistake,
    source: &'a WholeLines,
    text: &'a str,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.mistake, f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mistake.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.mistake.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.mistake.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.text.is_empty()).then_some(self.source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = |place: Place, label: &str| {
            let start = floor_boundary(self.text, place.start);
            let end = floor_boundary(self.text, place.start + place.len);
            // A value over several lines is shown by its first one.
            let len = self.text[start..end].lines().next().map_or(0, |line| line.trim_end().len());
            LabeledSpan::new(Some(label.into()), start, len)
        };
        let first = std::iter::once(span(self.mistake.place, &self.mistake.label));
        let others = self.mistake.also.iter().map(move |(place, label)| span(*place, label));
        Some(Box::new(first.chain(others)))
    }
}
