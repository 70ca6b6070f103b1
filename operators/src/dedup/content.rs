//! Keys from contents: 16 bytes that stand for a whole row.

use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::key::StableHash;

/// The key of the hash function: the numbers 0 to 15, as in its definition.
const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// 128 bits that stand for a value's contents, made by [`content_hash`]. It is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentHash([u8; 16]);

impl StableHash for ContentHash {
    #[inline]
    fn stable_hash(&self) -> u64 {
        // Its bits are as good as random already.
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h]).stable_hash()
    }
}

/// A key that stands for the contents of a value: for rows without an id, or with keys so large that
/// 16 bytes each are a gain.
///
/// It is SipHash-2-4 with 128 bits of output over the value's postcard bytes, with a fixed key: the same
/// on every machine and part of the format of checkpoints. The bytes must be a function of the value,
/// which they are not for hash maps and hash sets, whose order varies; floats count by their bits.
///
/// Two different values get one key with a probability of 2⁻¹²⁸: among n remembered keys about n² / 2¹²⁹
/// that any two do, which for a billion of them is 10⁻²¹. That is for values which nobody chose to
/// collide; where a stranger makes up the rows, take a cryptographic hash that they cannot.
///
/// ```
/// use tiderace_operators::dedup::content_hash;
///
/// let reading = ("sensor 7", 20_250_101_u64, 21.5_f64.to_bits());
/// assert_eq!(content_hash(&reading), content_hash(&reading));
/// assert_ne!(content_hash(&reading), content_hash(&("sensor 7", 20_250_102_u64, 0_u64)));
/// // Several fields of a row rather than all of it:
/// assert_ne!(content_hash(&(reading.0, reading.1)), content_hash(&reading));
/// ```
///
/// # Panics
/// If the value cannot be written down in postcard: sequences of unknown length.
pub fn content_hash<V: Serialize + ?Sized>(value: &V) -> ContentHash {
    let hash = postcard::serialize_with_flavor(value, Sip(SipHasher24::new_with_key(&KEY)));
    ContentHash(hash.expect("a row can be written down: its sequences have lengths"))
}

/// Takes in bytes as they are written.
struct Sip(SipHasher24);

impl postcard::ser_flavors::Flavor for Sip {
    type Output = [u8; 16];

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.write(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.write(&[data]);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<[u8; 16]> {
        Ok(self.0.finish128().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The vectors of the reference implementation, over the bytes 0, 1, 2 …
    #[test]
    fn is_siphash_2_4_of_128_bits() {
        // Of no bytes, and of one.
        let of = |bytes: &[u8]| {
            let mut sip = SipHasher24::new_with_key(&KEY);
            sip.write(bytes);
            sip.finish128().as_bytes()
        };
        let hex = |hash: [u8; 16]| hash.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex(content_hash(&()).0), "a3817f04ba25a8e66df67214c7550293");
        assert_eq!(hex(content_hash(&0u8).0), "da87c1d86b99af44347659119b22fc45");
        // However the bytes come.
        let text = "some text of more than eight bytes";
        let bytes = postcard::to_stdvec(&(7u8, text)).unwrap();
        assert_eq!(content_hash(&(7u8, text)).0, of(&bytes));
    }

    #[test]
    fn does_not_collide_and_spreads() {
        let hashes: BTreeSet<_> = (0..20_000u32).map(|n| content_hash(&(n, "row"))).collect();
        assert_eq!(hashes.len(), 20_000);
        let groups: BTreeSet<_> =
            hashes.iter().map(|hash| crate::key::group(hash.stable_hash())).collect();
        assert!(groups.len() > 4_000, "{}", groups.len());
    }
}
