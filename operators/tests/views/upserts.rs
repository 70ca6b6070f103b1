//! Views as the last value of each key.

use super::*;

/// The sums of the values of each key above −20 that are not zero, as upserts.
fn upserted(inputs: &[Events<'_, u64, Row>], out: &Gathered) {
    take_in(&inputs[0], out);
    let rows = inputs[0].view("rows", Retain::forever()).map(|row| (row.key, row.value));
    let sums = rows.sum(|&value| i64::from(value / 20)).filter(|&(_, sum)| sum != 0);
    out.gather(&with_ticks(&sums.upserts("sums")), |row| {
        let (tick, (key, sum)) = row.data;
        let sum = sum.map(|sum| sum as i64);
        (tick, Seen::Out(u8::from(sum.is_none()), vec![key.into()], sum.unwrap_or(0)))
    });
}

/// One row per key and tick, only where something has changed, and always the last value.
fn last_values(mut seen: Vec<(u64, Seen)>) -> Result<(), TestCaseError> {
    seen.sort();
    let (mut rows, mut table) = (Vec::new(), BTreeMap::new());
    for tick in seen.chunk_by(|a, b| a.0 == b.0) {
        let mut keys = BTreeSet::new();
        for (_, seen) in tick {
            match seen {
                Seen::In(row) => rows.push(*row),
                Seen::Out(none, key, sum) => {
                    prop_assert!(keys.insert(key));
                    let new = (*none == 0).then_some(*sum);
                    let old = match new {
                        Some(new) => table.insert(key[0], new),
                        None => table.remove(&key[0]),
                    };
                    prop_assert!(old != new, "nothing has changed");
                }
            }
        }
        let sums = by_key(&rows)
            .into_iter()
            .map(|(key, values)| (key, values.iter().map(|value| value / 20).sum::<i64>()));
        let model: BTreeMap<_, _> = sums.filter(|&(_, sum)| sum != 0).collect();
        prop_assert_eq!(&table, &model);
    }
    Ok(())
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn upserts_say_the_last_value(feed in feeds(), cuts in cuts(), last in 1usize..6) {
        for feed in variants(&feed) {
            last_values(run(&feed, Workers::threads(last), upserted).rows)?;
        }
        last_values(run_cut(&feed, &cuts, Workers::threads(last), upserted).rows)?;
    }
}

/// Two values of a key, in one tick or taken away in one tick, are no upserts.
fn several_values(taken_away: bool) {
    timely::execute_directly(move |worker| {
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let observer = Observer::default();
            let (input, rows) =
                EventInput::<Change<(u8, i64)>>::new(scope, 0, Policy::ascending(), &observer);
            let view = Changes::from_events(rows).view("rows", Retain::forever());
            view.upserts("values");
            input
        });
        for value in [1, 2] {
            let data = (7, value);
            let change = if taken_away { Change::remove(data) } else { Change::add(data) };
            input.send(0, EventTime::from_secs(1), change);
        }
        input.finish();
    });
}

#[test]
#[should_panic(expected = "upserts `values`: the view has several rows for one key")]
fn a_key_with_two_values_is_no_upsert() {
    several_values(false);
}

#[test]
#[should_panic(expected = "upserts `values`: the view has several rows for one key")]
fn a_key_that_loses_two_values_is_no_upsert() {
    several_values(true);
}
