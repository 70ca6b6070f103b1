//! The events as files, so that other engines can be fed the same.

use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Kind};
use tiderace_nexmark::{Event, Field, Generator, Text};

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// All of them in one file, in the order of arrival, an object of JSON a line.
    #[default]
    Ndjson,
    /// A file for each kind, with the names of the columns in the first line.
    Csv,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Persons.
    pub persons: u64,
    /// Auctions.
    pub auctions: u64,
    /// Bids.
    pub bids: u64,
}

/// Writes the first so many events to files in a directory, over what is there.
pub fn write_events(
    directory: &Path,
    format: Format,
    generator: &Generator,
    events: u64,
) -> Result<Written, Error> {
    let names: &[&str] = match format {
        Format::Ndjson => &["events.ndjson"],
        Format::Csv => &["persons.csv", "auctions.csv", "bids.csv"],
    };
    create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let mut files = Vec::new();
    for name in names {
        let path = directory.join(name);
        let file = File::create(&path).map_err(|error| failed(&path, error))?;
        files.push((path, BufWriter::with_capacity(1 << 18, file), false));
    }
    let mut written = Written::default();
    for number in 0..events {
        let event = generator.event(number);
        let (count, place) = match event {
            Event::Person(_) => (&mut written.persons, 0),
            Event::Auction(_) => (&mut written.auctions, 1),
            Event::Bid(_) => (&mut written.bids, 2),
        };
        *count += 1;
        let (path, file, begun) = &mut files[if names.len() == 1 { 0 } else { place }];
        let line = match format {
            Format::Ndjson => json_line(&event, file),
            Format::Csv => csv_line(&Text(&event).fields(), std::mem::replace(begun, true), file),
        };
        line.map_err(|error| failed(path, error))?;
    }
    for (path, mut file, _) in files {
        file.flush().map_err(|error| failed(&path, error))?;
        written.files.push(path);
    }
    Ok(written)
}

/// Writes an event as a line of JSON.
pub fn json_line(event: &Event, file: &mut impl Write) -> std::io::Result<()> {
    serde_json::to_writer(&mut *file, &Text(event))?;
    file.write_all(b"\n")
}

/// Writes the fields of an event, and before those of the first one their names.
fn csv_line(fields: &[(&str, Field)], begun: bool, file: &mut impl Write) -> std::io::Result<()> {
    if !begun {
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        writeln!(file, "{}", names.join(","))?;
    }
    for (at, (_, field)) in fields.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        match field {
            Field::Number(number) => write!(file, "{comma}{number}")?,
            Field::Word(word) if word.contains([',', '"', '\n', '\r']) => {
                write!(file, "{comma}\"{}\"", word.replace('"', "\"\""))?;
            }
            Field::Word(word) => write!(file, "{comma}{word}")?,
        }
    }
    file.write_all(b"\n")
}

pub(super) fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Storage, format!("cannot write {}", path.display())).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_csv_is_quoted() {
        let fields = [("a", Field::Number(-1)), ("b", Field::Word("x,\"y\"".to_owned()))];
        let mut lines = Vec::new();
        csv_line(&fields, false, &mut lines).unwrap();
        csv_line(&fields, true, &mut lines).unwrap();
        let row = "-1,\"x,\"\"y\"\"\"\n";
        assert_eq!(String::from_utf8(lines).unwrap(), format!("a,b\n{row}{row}"));
    }
}
