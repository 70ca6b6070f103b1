//! Each row one of several ways, by what is in it.
//!
//! *Every row goes out once*: by the way that is chosen for it, or else by the default one. Times
//! and frontiers stay as they are, so each way can be used like the stream itself. The operator
//! counts its rows under its name, and those of each way under `name.way`.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let seen = Arc::new(Mutex::new(Vec::new()));
//! let (alarms, others, late) = (seen.clone(), seen.clone(), seen.clone());
//! let observer = Observer::default();
//! let counts = observer.clone();
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (input, degrees) = EventInput::<i32>::new(scope, 0, Policy::ascending(), &observer);
//!         let by_heat = degrees
//!             .route("by_heat")
//!             .to("alarm", |&degrees| degrees >= 90)
//!             .to("warm", |&degrees| degrees >= 30)
//!             .split();
//!         by_heat.way("alarm").inspect(move |row| alarms.lock().unwrap().push(("alarm", row.data)));
//!         by_heat.rest().inspect(move |row| others.lock().unwrap().push(("rest", row.data)));
//!         // A way is a stream of events: the row at 1 s is late here too.
//!         let warm = by_heat.way("warm").key_by(|_| 0u8).window(Tumbling::every(secs(1)));
//!         let warm = warm.aggregate("warm", Count);
//!         warm.late().inspect(move |row| late.lock().unwrap().push(("late", row.data)));
//!         input
//!     });
//!     for (at, degrees) in [(1, 20), (2, 95), (3, 40), (1, 50)] {
//!         input.send(0, EventTime::from_secs(at), degrees);
//!         input.end_tick();
//!     }
//!     input.finish();
//! });
//! let mut seen = seen.lock().unwrap().clone();
//! seen.sort();
//! assert_eq!(seen, [("alarm", 95), ("late", 50), ("rest", 20)]);
//! assert_eq!(counts.counts("by_heat.warm").kept, 2);
//! ```

use std::marker::PhantomData;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::events::{Data, Events, Tick};
use crate::time::Timed;

/// A stream that was split.
pub struct Split<'scope, T: Tick, D: 'static> {
    name: String,
    names: Vec<String>,
    ways: Vec<Events<'scope, T, D>>,
    rest: Events<'scope, T, D>,
}

impl<'scope, T: Tick, D: Data> Split<'scope, T, D> {
    /// The way with this name. Those of [`Events::split`] are called by their numbers.
    ///
    /// # Panics
    /// If there is none.
    pub fn way(&self, name: &str) -> Events<'scope, T, D> {
        let place = self.names.iter().position(|known| known == name);
        let Some(place) = place else {
            panic!("`{}`: there is no way `{name}`, but {:?}", self.name, self.names)
        };
        self.ways[place].clone()
    }

    /// All ways in order, without the default one.
    pub fn ways(&self) -> &[Events<'scope, T, D>] {
        &self.ways
    }

    /// The default way: the rows that go none of the others.
    pub fn rest(&self) -> Events<'scope, T, D> {
        self.rest.clone()
    }
}

/// Chooses the first way whose predicate a row satisfies.
pub trait Choose<D>: 'static {
    /// The number of the way.
    fn choose(&mut self, row: &D) -> Option<usize>;
}

/// No way at all.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl<D> Choose<D> for Nowhere {
    fn choose(&mut self, _: &D) -> Option<usize> {
        None
    }
}

/// One more way after others.
#[derive(Clone, Copy, Debug)]
pub struct OrElse<C, P> {
    first: C,
    then: P,
    number: usize,
}

impl<D, C: Choose<D>, P: FnMut(&D) -> bool + 'static> Choose<D> for OrElse<C, P> {
    #[inline]
    fn choose(&mut self, row: &D) -> Option<usize> {
        self.first.choose(row).or_else(|| (self.then)(row).then_some(self.number))
    }
}

/// A split that is being described.
pub struct Route<'scope, T: Tick, D: 'static, C> {
    events: Events<'scope, T, D>,
    name: String,
    names: Vec<String>,
    choose: C,
    row: PhantomData<fn(&D)>,
}

impl<'scope, T: Tick, D: Data, C: Choose<D>> Route<'scope, T, D, C> {
    /// Rows that satisfy this predicate, and none of those before, go this way.
    ///
    /// # Panics
    /// If there is a way of this name already.
    #[must_use]
    pub fn to<P: FnMut(&D) -> bool + 'static>(
        self,
        way: &str,
        predicate: P,
    ) -> Route<'scope, T, D, OrElse<C, P>> {
        let Route { events, name, mut names, choose, row } = self;
        assert!(!names.iter().any(|known| known == way), "`{name}`: two ways are called `{way}`");
        let choose = OrElse { first: choose, then: predicate, number: names.len() };
        names.push(way.to_owned());
        Route { events, name, names, choose, row }
    }

    /// That is all; other rows go the default way.
    pub fn split(self) -> Split<'scope, T, D> {
        let Route { events, name, names, mut choose, .. } = self;
        split(&events, name, names, move |row| choose.choose(row).unwrap_or(usize::MAX))
    }
}

impl<'scope, T: Tick, D: Data> Events<'scope, T, D> {
    /// Each row the first way whose predicate it satisfies; see the [module](crate::flow::split).
    pub fn route(&self, name: &str) -> Route<'scope, T, D, Nowhere> {
        Route {
            events: self.clone(),
            name: name.to_owned(),
            names: Vec::new(),
            choose: Nowhere,
            row: PhantomData,
        }
    }

    /// Each row one of `ways` ways, by a number from 0; rows with a number that is too high go the
    /// default way.
    pub fn split(
        &self,
        name: &str,
        ways: usize,
        number: impl FnMut(&D) -> usize + 'static,
    ) -> Split<'scope, T, D> {
        let names = (0..ways).map(|way| way.to_string()).collect();
        split(self, name.to_owned(), names, number)
    }
}

fn split<'scope, T: Tick, D: Data>(
    events: &Events<'scope, T, D>,
    name: String,
    names: Vec<String>,
    mut number: impl FnMut(&D) -> usize + 'static,
) -> Split<'scope, T, D> {
    let (rows, clock) = events.parts();
    let worker = rows.scope().index();
    let counters = clock.observer().register(&name, "split", worker);
    let mut builder = OperatorBuilder::new(name.clone(), rows.scope());
    let mut input = builder.new_input(rows, Pipeline);
    let (mut outputs, mut ways) = (Vec::new(), Vec::new());
    for way in names.iter().map(String::as_str).chain(["rest"]) {
        let (output, stream) = builder.new_output::<Vec<Timed<D>>>();
        let counters = clock.observer().register(&format!("{name}.{way}"), "way", worker);
        outputs.push((output, Vec::<Timed<D>>::new(), counters));
        ways.push(Events::from_parts(stream, clock.clone()));
    }
    let last = outputs.len() - 1;
    builder.build(move |_| {
        move |_| {
            input.for_each(|tick, rows| {
                let all = rows.len() as u64;
                counters.input.add(all);
                counters.kept.add(all);
                counters.output.add(all);
                for row in rows.drain(..) {
                    let way = number(&row.data).min(last);
                    outputs[way].1.push(row);
                }
                for (output, rows, counters) in &mut outputs {
                    if !rows.is_empty() {
                        let sent = rows.len() as u64;
                        counters.input.add(sent);
                        counters.kept.add(sent);
                        counters.output.add(sent);
                        output.activate().give(&tick, rows);
                        rows.clear();
                    }
                }
            });
        }
    });
    let rest = ways.pop().expect("there is the default way");
    Split { name, names, ways, rest }
}
