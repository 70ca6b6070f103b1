//! A tuple of aggregates is an aggregate.

use super::{Aggregate, Retract};
use crate::time::EventTime;

macro_rules! tuples {
    ($($($name:ident $index:tt)+;)+) => {$(
        impl<Row, $($name: Aggregate<Row>),+> Aggregate<Row> for ($($name,)+) {
            type State = ($($name::State,)+);
            type Output = ($($name::Output,)+);

            #[inline]
            fn create(&self) -> Self::State {
                ($(self.$index.create(),)+)
            }

            #[inline]
            fn add(&self, state: &mut Self::State, row: &Row) {
                $(self.$index.add(&mut state.$index, row);)+
            }

            #[inline]
            fn add_at(&self, state: &mut Self::State, time: EventTime, row: &Row) {
                $(self.$index.add_at(&mut state.$index, time, row);)+
            }

            #[inline]
            fn merge(&self, state: &mut Self::State, other: &Self::State) {
                $(self.$index.merge(&mut state.$index, &other.$index);)+
            }

            fn is_small(&self) -> bool {
                true $(&& self.$index.is_small())+
            }

            #[inline]
            fn finish(&self, state: &Self::State) -> Self::Output {
                ($(self.$index.finish(&state.$index),)+)
            }
        }

        impl<Row, $($name: Retract<Row>),+> Retract<Row> for ($($name,)+) {
            #[inline]
            fn retract(&self, state: &mut Self::State, time: EventTime, row: &Row) {
                $(self.$index.retract(&mut state.$index, time, row);)+
            }
        }
    )+};
}

tuples! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
}
