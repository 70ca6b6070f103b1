//! Exactness, against arithmetic on long numbers written naively.
