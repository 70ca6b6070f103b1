//! The stable hash of the types keys are made of.

use std::rc::Rc;
use std::sync::Arc;

use super::{Parts, StableHash, mix};
use crate::time::{EventTime, Span};

macro_rules! integers {
    ($($int:ty as $wide:ty),+ $(,)?) => {$(
        impl StableHash for $int {
            #[inline]
            fn stable_hash(&self) -> u64 {
                mix(*self as $wide as u64)
            }
        }
    )+};
}

integers!(
    bool as u64,
    char as u64,
    u16 as u64,
    u32 as u64,
    u64 as u64,
    usize as u64,
    i8 as i64,
    i16 as i64,
    i32 as i64,
    i64 as i64,
    isize as i64,
);

impl StableHash for u8 {
    #[inline]
    fn stable_hash(&self) -> u64 {
        mix(u64::from(*self))
    }

    #[inline]
    fn stable_hash_slice(values: &[u8]) -> u64 {
        rapidhash::v3::rapidhash_v3(values)
    }
}

macro_rules! wide_integers {
    ($($int:ty),+) => {$(
        impl StableHash for $int {
            #[inline]
            fn stable_hash(&self) -> u64 {
                ((*self >> 64) as u64, *self as u64).stable_hash()
            }
        }
    )+};
}

wide_integers!(u128, i128);

impl StableHash for EventTime {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.micros().stable_hash()
    }
}

impl StableHash for Span {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.micros().stable_hash()
    }
}

impl StableHash for str {
    #[inline]
    fn stable_hash(&self) -> u64 {
        u8::stable_hash_slice(self.as_bytes())
    }
}

impl StableHash for String {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.as_str().stable_hash()
    }
}

impl<T: StableHash> StableHash for [T] {
    #[inline]
    fn stable_hash(&self) -> u64 {
        T::stable_hash_slice(self)
    }
}

impl<T: StableHash> StableHash for Vec<T> {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.as_slice().stable_hash()
    }
}

impl<T: StableHash, const N: usize> StableHash for [T; N] {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.as_slice().stable_hash()
    }
}

impl<T: StableHash> StableHash for Option<T> {
    #[inline]
    fn stable_hash(&self) -> u64 {
        match self {
            None => Parts::of(0).hash(),
            Some(value) => Parts::of(1).with(value).hash(),
        }
    }
}

macro_rules! pointers {
    ($($pointer:ty),+) => {$(
        impl<T: StableHash + ?Sized> StableHash for $pointer {
            #[inline]
            fn stable_hash(&self) -> u64 {
                (**self).stable_hash()
            }
        }
    )+};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

macro_rules! tuples {
    ($($count:literal: $($name:ident)*;)+) => {$(
        impl<$($name: StableHash),*> StableHash for ($($name,)*) {
            #[inline]
            #[allow(non_snake_case, reason = "a part is named like its type")]
            fn stable_hash(&self) -> u64 {
                let ($($name,)*) = self;
                Parts::of($count)$(.with($name))*.hash()
            }
        }
    )+};
}

tuples! {
    0: ;
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
}
