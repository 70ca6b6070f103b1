//! The queries, as they would be written by a user of the library.

mod all_max;
mod days;
mod winning;

macro_rules! queries {
    ($($name:ident $type:ident,)+) => {
        $(mod $name;)+

        /// Something that is done with a query, whatever its rows are.
        pub trait Visit {
            /// What comes of it.
            type Out;

            /// Does it.
            fn visit<Q: crate::Query>(self) -> Self::Out;
        }

        /// The names of all queries.
        pub const NAMES: &[&str] = &[$(<$name::$type as crate::Query>::NAME),+];

        /// Does something with the query of this name, if there is one.
        pub fn visit<V: Visit>(name: &str, visitor: V) -> Option<V::Out> {
            match name {
                $(<$name::$type as crate::Query>::NAME => Some(visitor.visit::<$name::$type>()),)+
                _ => None,
            }
        }
    };
}

pub use days::Day;
pub use q3::Seller;
pub use q5::Hot;
pub use q11::Active;
pub(crate) use q13::value as table_value;
pub use q14::{Computed, Hour};
pub use q17::Prices;
pub use winning::Winner;

queries! {
    q0 Q0, q1 Q1, q2 Q2, q3 Q3, q4 Q4, q5 Q5, q6 Q6, q7 Q7, q8 Q8, q9 Q9, q10 Q10, q11 Q11,
    q12 Q12, q13 Q13, q14 Q14, q15 Q15, q16 Q16, q17 Q17, q18 Q18, q19 Q19, q20 Q20, q21 Q21,
    q22 Q22,
}
