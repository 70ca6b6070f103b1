//! Rows on their way to the worker that has their key.

use timely::communication::Push;
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;

/// Bytes of rows that go to a worker together: enough that a hand-over costs a row next to nothing,
/// little enough that they stay in a cache until they are taken.
const TOGETHER: usize = 16 << 10;

/// Brings each row to the worker that its hash says. This is timely's exchange for vectors of rows,
/// without asking for each row whether a container is to be begun or ended.
pub(crate) fn exchange_by<R, H>(hash: H) -> DistributorPact<impl FnOnce(usize) -> ByHash<R, H>>
where
    R: 'static,
    H: FnMut(&R) -> u64 + 'static,
{
    DistributorPact(move |peers| {
        let most = (TOGETHER / size_of::<R>().max(1)).max(1);
        let out = (0..peers).map(|_| Vec::new()).collect();
        ByHash { hash, out, most }
    })
}

/// Rows that have not been handed over, by worker.
pub(crate) struct ByHash<R, H> {
    hash: H,
    out: Vec<Vec<R>>,
    /// How many are handed over together.
    most: usize,
}

impl<R: 'static, H: FnMut(&R) -> u64> ByHash<R, H> {
    #[inline(always)]
    fn spread<T: Clone, P: Push<Message<T, Vec<R>>>>(
        &mut self,
        rows: &mut Vec<R>,
        time: &T,
        pushers: &mut [P],
        worker: impl Fn(u64) -> usize,
    ) {
        for row in rows.drain(..) {
            let worker = worker((self.hash)(&row));
            let out = &mut self.out[worker];
            if out.len() == out.capacity() {
                hand_over(out, self.most, time, &mut pushers[worker]);
            }
            out.push(row);
        }
    }
}

/// Hands over rows if there are as many as go together. There is room for one more afterwards.
#[cold]
fn hand_over<R, T: Clone, P: Push<Message<T, Vec<R>>>>(
    out: &mut Vec<R>,
    most: usize,
    time: &T,
    pusher: &mut P,
) {
    if out.len() >= most {
        Message::push_at(out, time.clone(), pusher);
        // It may be one that came back.
        out.clear();
    }
    out.reserve_exact(most.saturating_sub(out.len()).max(1));
}

impl<R: 'static, H: FnMut(&R) -> u64> Distributor<Vec<R>> for ByHash<R, H> {
    fn partition<T: Clone, P: Push<Message<T, Vec<R>>>>(
        &mut self,
        rows: &mut Vec<R>,
        time: &T,
        pushers: &mut [P],
    ) {
        let peers = pushers.len() as u64;
        if peers.is_power_of_two() {
            self.spread(rows, time, pushers, |hash| (hash & (peers - 1)) as usize);
        } else {
            self.spread(rows, time, pushers, |hash| (hash % peers) as usize);
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Vec<R>>>>(&mut self, time: &T, pushers: &mut [P]) {
        for (out, pusher) in self.out.iter_mut().zip(pushers) {
            if !out.is_empty() {
                Message::push_at(out, time.clone(), pusher);
                out.clear();
            }
        }
    }

    fn relax(&mut self) {
        self.out.iter_mut().for_each(|out| *out = Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes what is pushed, and gives a container back now and then.
    #[derive(Default)]
    struct Taken(Vec<(u64, Vec<u64>)>);

    impl Push<Message<u64, Vec<u64>>> for Taken {
        fn push(&mut self, message: &mut Option<Message<u64, Vec<u64>>>) {
            if let Some(message) = message {
                self.0.push((message.time, message.data.clone()));
                if self.0.len().is_multiple_of(2) {
                    message.data = Vec::with_capacity(3);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(crate::testing::cases(500))]

        /// Every row comes to its worker, at its time, in the order in which it was sent.
        #[test]
        fn nothing_is_lost(
            batches in prop::collection::vec((0u64..3, 0usize..5_000), 0..9),
            peers in 1usize..6,
        ) {
            let DistributorPact(new) = exchange_by(|row: &u64| row / 7);
            let mut distributor = new(peers);
            let mut pushers: Vec<_> = (0..peers).map(|_| Taken::default()).collect();
            let mut wanted: Vec<Vec<(u64, u64)>> = vec![Vec::new(); peers];
            let mut number = 0;
            for (time, rows) in batches {
                let mut batch: Vec<u64> = (number..).take(rows).collect();
                number += rows as u64;
                batch.iter().for_each(|&row| wanted[(row / 7) as usize % peers].push((time, row)));
                distributor.partition(&mut batch, &time, &mut pushers);
                prop_assert!(batch.is_empty());
                distributor.flush(&time, &mut pushers);
            }
            for (Taken(taken), wanted) in pushers.into_iter().zip(wanted) {
                prop_assert!(taken.iter().all(|(_, rows)| rows.len() <= TOGETHER / 8));
                let flat = taken.into_iter().flat_map(|(t, rows)| rows.into_iter().map(move |r| (t, r)));
                prop_assert_eq!(flat.collect::<Vec<_>>(), wanted);
            }
        }
    }
}
