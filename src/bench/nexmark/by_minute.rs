//! Files by the minute of event time.

use std::collections::BTreeMap;
use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use crate::error::{Error, Kind};
use crate::sink::{Commit, Guarantee, Sink, Staged, Write};
use tiderace_nexmark::Bid;

const MINUTE: i64 = 60_000_000;
/// Files that are held open: the last minutes, which rows still come for.
const OPEN: usize = 8;

/// Writes bids as lines, a file for each minute and worker: `minute-29453760.3.csv`.
pub struct ByMinute {
    directory: PathBuf,
    worker: usize,
    open: BTreeMap<i64, BufWriter<File>>,
    unstaged: u64,
}

impl ByMinute {
    pub fn new(directory: PathBuf, worker: usize) -> Result<Self, Error> {
        create_dir_all(&directory).map_err(failed)?;
        Ok(ByMinute { directory, worker, open: BTreeMap::new(), unstaged: 0 })
    }

    fn file(&mut self, minute: i64) -> std::io::Result<&mut BufWriter<File>> {
        if !self.open.contains_key(&minute) {
            if self.open.len() == OPEN
                && let Some((_, mut oldest)) = self.open.pop_first()
            {
                oldest.flush()?;
            }
            let path = self.directory.join(format!("minute-{minute}.{}.csv", self.worker));
            let file = File::options().create(true).append(true).open(path)?;
            self.open.insert(minute, BufWriter::with_capacity(1 << 16, file));
        }
        Ok(self.open.get_mut(&minute).expect("it is open"))
    }

    fn write_all(&mut self, bids: &[Bid]) -> std::io::Result<()> {
        for bid in bids {
            let Bid { auction, bidder, price, time, channel, .. } = bid;
            let file = self.file(time.micros().div_euclid(MINUTE))?;
            writeln!(file, "{auction},{bidder},{price},{},{channel}", time.micros())?;
        }
        Ok(())
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(Kind::Storage, "q10 cannot write its files").caused_by(error)
}

impl Sink for ByMinute {
    type Record = Bid;

    fn name(&self) -> &str {
        "files"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn write(&mut self, _: u64, rows: &mut Vec<Bid>) -> Result<Write, Error> {
        self.write_all(rows).map_err(failed)?;
        self.unstaged += rows.len() as u64;
        rows.clear();
        Ok(Write::All)
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        self.open.values_mut().try_for_each(BufWriter::flush).map_err(failed)?;
        Ok(Staged { tick, rows: std::mem::take(&mut self.unstaged), bytes: Vec::new() })
    }

    fn commit(&mut self, _: &Staged) -> Result<Commit, Error> {
        Ok(Commit::Done)
    }

    fn close(&mut self) {
        self.open.clear();
    }
}
