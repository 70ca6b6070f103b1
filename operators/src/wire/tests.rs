//! What was written is read, and what is damaged is not.

use super::container::Wire;
use super::*;
use crate::time::{EventTime, Span};
use proptest::prelude::*;
use timely::bytes::arc::BytesMut;
use timely::dataflow::channels::ContainerBytes;

fn timed<D>((time, behind, data): (i64, u32, D)) -> Timed<D> {
    let time = EventTime::from_micros(time);
    Timed { time, behind: Span::from_micros(behind.into()), data }
}

/// There and back as timely does it.
fn travel<D: Clone + 'static, C: Codec<D>>(rows: &[Timed<D>]) -> Vec<Timed<D>> {
    let wire = Wire::<D, C>::from(rows.to_vec());
    let length = wire.length_in_bytes();
    let mut bytes = Vec::new();
    wire.into_bytes(&mut bytes);
    assert_eq!((bytes.len(), length % 8), (length, 0));
    Wire::<D, C>::from_bytes(BytesMut::from(bytes).freeze()).take()
}

proptest! {
    #![proptest_config(crate::testing::cases(500))]

    #[test]
    fn rows_come_as_they_went(
        rows in prop::collection::vec((any::<i64>(), any::<u32>(), ("[a-zß]{0,9}", any::<u64>())), 0..40),
    ) {
        let rows: Vec<_> = rows.into_iter().map(timed).collect();
        prop_assert_eq!(&travel::<_, Serial>(&rows), &rows);
        prop_assert_eq!(&travel::<_, Columns>(&rows), &rows);
    }

    #[cfg(feature = "abomonation")]
    #[test]
    fn plain_rows_come_as_they_went(
        rows in prop::collection::vec((any::<i64>(), any::<u32>(), any::<[u64; 3]>()), 0..40),
    ) {
        let rows: Vec<_> = rows.into_iter().map(timed).collect();
        prop_assert_eq!(&travel::<_, Abomonated>(&rows), &rows);
        let small: Vec<_> = rows.iter().map(|row| (*row).map(|data| data[0] as u8)).collect();
        prop_assert_eq!(&travel::<_, Abomonated>(&small), &small);
    }

    /// Whatever bytes come, there is an error or there are rows.
    #[cfg(feature = "abomonation")]
    #[test]
    fn damage_is_seen(
        rows in prop::collection::vec((any::<i64>(), any::<u32>(), any::<u64>()), 1..9),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let rows: Vec<_> = rows.into_iter().map(timed).collect();
        let mut bytes = Vec::new();
        Abomonated::encode(&rows, &mut bytes);
        let decode = |bytes: &[u8]| -> Result<Vec<Timed<u64>>, String> { Abomonated::decode(bytes) };
        prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&bytes).is_err());
    }
}

#[test]
#[should_panic(expected = "rows from another process cannot be read")]
fn columns_of_nonsense_are_refused() {
    Wire::<u64, Columns>::from_bytes(BytesMut::from(vec![255u8; 64]).freeze());
}
