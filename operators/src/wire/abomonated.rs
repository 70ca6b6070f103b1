//! Rows as they lie in memory.

use abomonation::Abomonation;
use bytemuck::{AnyBitPattern, NoUninit};

use super::Codec;
use crate::time::{EventTime, Span, Timed};

/// Writes rows as they lie in memory.
///
/// `abomonation` reads values from bytes by pretending that they are there already, which is undefined
/// where a type has padding, where bits can be wrong for it, or where bytes are not aligned
/// (RUSTSEC-2021-0120). Here none of that can be: rows are [`NoUninit`] and [`AnyBitPattern`], of an
/// alignment of at most eight bytes, and are copied to memory of that alignment before; each frame
/// has a checksum. Only elements are written, never a `Vec` or anything that points somewhere. It is
/// for rows of numbers between processes of one program that trust each other, and nothing else: use
/// [`Columns`](super::Columns) if in doubt.
#[derive(Clone, Copy, Debug)]
pub struct Abomonated;

/// How many rows, and the checksum of what follows.
const HEAD: usize = 16;
/// Time, and how far it is behind.
const STAMPS: usize = 16;

impl<D: Abomonation + NoUninit + AnyBitPattern> Codec<D> for Abomonated {
    fn encode(rows: &[Timed<D>], out: &mut Vec<u8>) {
        const { assert!(align_of::<D>() <= align_of::<u64>(), "rows are aligned to 8 bytes at most") };
        let begin = out.len();
        out.reserve(HEAD + rows.len() * (STAMPS + size_of::<D>()));
        out.resize(begin + HEAD, 0);
        for row in rows {
            out.extend_from_slice(&row.time.micros().to_ne_bytes());
            out.extend_from_slice(&row.behind.micros().to_ne_bytes());
        }
        for row in rows {
            // SAFETY: every byte of the value is initialized, and none of it points anywhere.
            #[allow(unsafe_code)]
            let written = unsafe { abomonation::encode(&row.data, out) };
            written.expect("rows can be written to memory");
        }
        let sum = crc32fast::hash(&out[begin + HEAD..]);
        out[begin..begin + 8].copy_from_slice(&(rows.len() as u64).to_ne_bytes());
        out[begin + 8..begin + HEAD].copy_from_slice(&u64::from(sum).to_ne_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Timed<D>>, String> {
        let word = |at: usize| -> Option<u64> {
            Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
        };
        let (Some(rows), Some(sum)) = (word(0), word(8)) else {
            return Err(format!("{} bytes are less than a head", bytes.len()));
        };
        let each = (STAMPS + size_of::<D>()) as u64;
        let body = rows.checked_mul(each).and_then(|n| usize::try_from(n).ok());
        let body = body.and_then(|n| bytes[HEAD..].get(..n));
        let Some(body) = body else {
            return Err(format!("{} bytes are less than {rows} rows", bytes.len()));
        };
        if u64::from(crc32fast::hash(body)) != sum {
            return Err("the checksum is wrong".to_owned());
        }
        let (stamps, elements) = body.split_at(rows as usize * STAMPS);
        let mut aligned = vec![0u64; elements.len().div_ceil(8)];
        let mut left = &mut bytemuck::cast_slice_mut(&mut aligned)[..elements.len()];
        left.copy_from_slice(elements);
        let mut all = Vec::with_capacity(rows as usize);
        for stamp in stamps.chunks_exact(STAMPS) {
            // SAFETY: any bits are a value of this type, and they are aligned as it asks: the memory
            // is aligned to eight bytes, and values are as long as a multiple of their alignment.
            #[allow(unsafe_code)]
            let decoded = unsafe { abomonation::decode::<D>(left) };
            let Some((data, rest)) = decoded else { return Err("it is cut short".to_owned()) };
            let number = |at| i64::from_ne_bytes(std::array::from_fn(|byte| stamp[at + byte]));
            let (time, behind) = (EventTime::from_micros(number(0)), number(8));
            all.push(Timed { time, behind: Span::from_micros(behind), data: *data });
            left = rest;
        }
        Ok(all)
    }
}
