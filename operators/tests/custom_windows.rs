//! Windows by an assigner of one's own, and the window of all time, against the model.

mod oracle;

use oracle::{check, check_cut, model, ordered};
use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::cuts;
use tiderace_operators::testing::{Feed, Row, Workers, feeds, run};

/// Windows without a rule: some instants are in none, some in several, with equal ends and
/// different starts, equal starts and different ends.
#[derive(Clone, Debug)]
struct Odd {
    seed: i64,
}

impl Odd {
    fn windows(&self, t: i64) -> Vec<(i64, i64)> {
        let ten = t.div_euclid(10);
        let (start, end) = (ten * 10, ten * 10 + 10);
        match (ten + self.seed).rem_euclid(5) {
            0 => vec![],
            1 => vec![(start, end)],
            2 => vec![(start, end), (start - 7, end), (start - 20, end)],
            3 => vec![(start, end), (start, end + 13), (start - 4, end + 13)],
            _ => vec![(t, t + 1), (start - 40, end + 60)],
        }
    }
}

impl Assigner for Odd {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        for (start, end) in self.windows(time.micros()) {
            let [start, end] = [start, end].map(EventTime::from_micros);
            f(Window { start, end });
        }
    }
}

fn wanted(feed: &Feed<Row>, by: &Odd, lateness: i64) -> oracle::Wanted {
    model(feed, lateness, |t| by.windows(t))
}

fn all_time(feed: &Feed<Row>) -> oracle::Wanted {
    model(feed, 0, |_| vec![(i64::MIN, i64::MAX)])
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn agree_with_the_model(feed in feeds(), seed in 0i64..5, late in 0i64..40) {
        let by = Odd { seed };
        let wanted = wanted(&feed, &by, late);
        for workers in [1, 2, 5] {
            check(&feed, workers, &wanted, program!(Custom::by(by.clone()), late));
        }
        check(&feed.ticks(true), 2, &wanted, program!(Custom::by(by.clone()), late));
        check(&feed.ticks(false), 2, &wanted, program!(Custom::by(by.clone()), late));
    }

    #[test]
    fn go_on_after_cuts(
        feed in feeds(),
        cuts in cuts(),
        last in 1usize..6,
        seed in 0i64..5,
        late in 0i64..40,
    ) {
        let by = Odd { seed };
        let wanted = wanted(&feed, &by, late);
        check_cut(&feed, &cuts, last, &wanted, program!(Custom::by(by.clone()), late));
    }

    #[test]
    fn all_time_is_one_window(feed in feeds(), cuts in cuts(), workers in 1usize..6) {
        let wanted = all_time(&feed);
        assert_eq!((wanted.late, wanted.filtered), (0, 0));
        check(&feed, workers, &wanted, program!(Global, 0));
        check_cut(&feed, &cuts, workers, &wanted, program!(Global, 0));
    }
}

/// Windows that lie side by side are the same by an assigner of one's own as they are built in.
#[test]
fn side_by_side_windows_are_the_same_either_way() {
    let feed = ordered((0..300).map(|i| i * 3 - 400 - (i % 4) * 9));
    let by = Tumbling::every(std::time::Duration::from_micros(17));
    let one = Workers::threads(1);
    let (built_in, custom) =
        (run(&feed, one, program!(by, 4)), run(&feed, one, program!(Custom::by(by), 4)));
    use tiderace_operators::testing::sorted;
    assert_eq!(sorted(custom.rows), sorted(built_in.rows));
    assert!(built_in.observer.counts("windows").late > 0);
}

#[test]
#[should_panic(expected = "which is not in it: Wrong")]
fn a_window_without_the_instant_is_refused() {
    #[derive(Clone, Debug)]
    struct Wrong;
    impl Assigner for Wrong {
        fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
            f(Window { start: EventTime::MIN, end: time });
        }
    }
    timely::execute_directly(|worker| {
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::ascending();
            let (input, events) = EventInput::<u64>::new(scope, 0, policy, &Observer::default());
            let windows = events.key_by(|&key| key).window(Custom::by(Wrong));
            windows.aggregate("wrong", Count);
            input
        });
        input.send(0, EventTime::from_secs(1), 1);
        input.finish();
    });
}
