//! The hash is a format: its values are pinned, and its spread is measured.

use std::sync::Arc;

use super::*;
use crate::time::EventTime;

/// The fullest of `buckets` is not much fuller than chance would fill it.
fn assert_even(what: &str, hashes: &[u64], bucket: impl Fn(u64) -> usize, buckets: usize) {
    let mut loads = vec![0_u32; buckets];
    for &hash in hashes {
        loads[bucket(hash)] += 1;
    }
    let mean = hashes.len() as f64 / buckets as f64;
    let most = f64::from(*loads.iter().max().expect("there are buckets"));
    let least = f64::from(*loads.iter().min().expect("there are buckets"));
    // Nine standard deviations of a random filling.
    let slack = 9.0 * mean.sqrt();
    assert!(
        most <= mean + slack && least >= mean - slack,
        "{what}: {least} to {most} a bucket, {mean} expected"
    );
}

fn assert_spread(what: &str, hashes: &[u64]) {
    assert_even(&format!("{what}: groups"), hashes, |h| group(h) as usize, GROUPS as usize);
    assert_even(&format!("{what}: low bits"), hashes, |h| h as usize & 4_095, 4_096);
    assert_even(&format!("{what}: high bits"), hashes, |h| (h >> 57) as usize, 128);
    assert_even(
        &format!("{what}: low and high bits together"),
        hashes,
        |h| (h as usize & 31) << 7 | (h >> 57) as usize,
        4_096,
    );
    // The keys of one worker of four: its table must not suffer from what routed them there.
    let own: Vec<u64> = hashes.iter().copied().filter(|&h| route(h) % 4 == 1).collect();
    assert_even(&format!("{what}: low bits on one worker"), &own, |h| h as usize & 255, 256);
}

const N: u64 = 262_144;

#[test]
fn integers_of_any_stride_spread() {
    for shift in 0..46 {
        let hashes: Vec<u64> = (0..N).map(|i| (i << shift).stable_hash()).collect();
        assert_spread(&format!("multiples of 2^{shift}"), &hashes);
    }
    for stride in [3_u64, 10, 60, 1_000, 4_097, 86_400, 1_000_000, 3_600_000_000] {
        let hashes: Vec<u64> = (0..N).map(|i| (i * stride).stable_hash()).collect();
        assert_spread(&format!("multiples of {stride}"), &hashes);
        let hashes: Vec<u64> = (0..N).map(|i| (-((i * stride) as i64)).stable_hash()).collect();
        assert_spread(&format!("negative multiples of {stride}"), &hashes);
    }
}

#[test]
fn strings_and_tuples_spread() {
    let strings: Vec<u64> = (0..N).map(|i| format!("sensor-{i}").stable_hash()).collect();
    assert_spread("strings", &strings);
    let pairs: Vec<u64> =
        (0..N).map(|i| ((i / 512) as u32, (i % 512) as u16).stable_hash()).collect();
    assert_spread("pairs", &pairs);
    let mut distinct = pairs.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), pairs.len());
}

#[test]
fn equal_keys_of_other_types_hash_alike() {
    let name = "Pärnu";
    assert_eq!(name.stable_hash(), String::from(name).stable_hash());
    assert_eq!(name.stable_hash(), Box::<str>::from(name).stable_hash());
    assert_eq!(name.stable_hash(), Arc::<str>::from(name).stable_hash());
    assert_eq!(name.stable_hash(), name.as_bytes().to_vec().stable_hash());
    assert_eq!(7_u8.stable_hash(), 7_i64.stable_hash());
    assert_eq!((-7_i8).stable_hash(), (-7_i64).stable_hash());
    assert_eq!([1_u32, 2].stable_hash(), vec![1_u32, 2].stable_hash());
    assert_eq!((&1_u32, &2_u32).stable_hash(), (1_u32, 2_u32).stable_hash());
}

#[test]
fn order_nesting_and_absence_count() {
    let hashes = [
        (1_u32, 2_u32).stable_hash(),
        (2_u32, 1_u32).stable_hash(),
        ((1_u32, 2_u32),).stable_hash(),
        (1_u32, 2_u32, 0_u32).stable_hash(),
        ("a", "bc").stable_hash(),
        ("ab", "c").stable_hash(),
        None::<u32>.stable_hash(),
        Some(0_u32).stable_hash(),
        Some(Some(0_u32)).stable_hash(),
        0_u32.stable_hash(),
        1_u128.stable_hash(),
        (1_u128 << 64).stable_hash(),
    ];
    for (i, a) in hashes.iter().enumerate() {
        for b in &hashes[i + 1..] {
            assert_ne!(a, b);
        }
    }
}

/// A route is the group, which is twelve bits from bit 32 on.
#[test]
fn groups_are_bits_32_to_43() {
    assert_eq!(group(0xffff_f000_ffff_ffff), 0);
    assert_eq!(group(0x0000_0fff_0000_0000), 4_095);
    assert_eq!(route(0x1234_5abc_0000_0000), 0xabc);
}

/// Whichever bit of a number changes, about half of its hash does, low bits and high bits alike.
#[test]
fn every_bit_spreads_over_the_hash() {
    const TRIES: u64 = 4_096;
    let mut by_place = [0_u64; 64];
    for bit in 0..64 {
        let mut by_bit = 0;
        for i in 0..TRIES {
            // Numbers of all sizes, made by other arithmetic than the hash.
            let x = i.wrapping_mul(0xd134_2543_de82_ef95) >> (i % 60);
            let changed = x.stable_hash() ^ (x ^ 1 << bit).stable_hash();
            by_bit += u64::from(changed.count_ones());
            for (place, flips) in by_place.iter_mut().enumerate() {
                *flips += changed >> place & 1;
            }
        }
        let share = by_bit as f64 / (64 * TRIES) as f64;
        assert!((0.4..0.6).contains(&share), "bit {bit} changes {share} of the hash");
    }
    for (place, &flips) in by_place.iter().enumerate() {
        let share = flips as f64 / (64 * TRIES) as f64;
        assert!((0.4..0.6).contains(&share), "bit {place} of the hash changes in {share}");
    }
}

/// If one of these fails, checkpoints that exist can no longer be read: change the code back.
#[test]
fn golden_values() {
    struct Trip {
        zone: u32,
        night: bool,
    }
    stable_hash_fields!(Trip, zone, night);

    let golden: [(&str, u64, u64); 26] = [
        ("0_u64", 0_u64.stable_hash(), 0xca81_3bf4_c7ab_f0a9),
        ("1_u64", 1_u64.stable_hash(), 0x238a_5cce_395f_ac50),
        ("4_096_u32", 4_096_u32.stable_hash(), 0x0e7a_5656_8244_44d6),
        ("u64::MAX", u64::MAX.stable_hash(), 0xd4a5_bbf4_c7a3_8549),
        ("-1_i64", (-1_i64).stable_hash(), 0xd4a5_bbf4_c7a3_8549),
        ("-1_i8", (-1_i8).stable_hash(), 0xd4a5_bbf4_c7a3_8549),
        ("i64::MIN", i64::MIN.stable_hash(), 0x8507_9555_fabd_9685),
        ("7_u16", 7_u16.stable_hash(), 0x06a6_2385_1f41_e954),
        ("300_usize", 300_usize.stable_hash(), 0x9e22_3b42_e2bb_d5d1),
        ("-300_isize", (-300_isize).stable_hash(), 0x8c9c_51c4_d276_8afa),
        ("true", true.stable_hash(), 0x238a_5cce_395f_ac50),
        ("'é'", 'é'.stable_hash(), 0x19cc_205a_2d78_e760),
        ("u128::MAX", u128::MAX.stable_hash(), 0xc283_af7a_a89b_16f1),
        ("-2_i128", (-2_i128).stable_hash(), 0xe6ba_cda8_ffe7_ae9a),
        (
            "EventTime::from_micros(-5)",
            EventTime::from_micros(-5).stable_hash(),
            0xb889_c70c_aad4_8cf7,
        ),
        ("()", ().stable_hash(), 0x4b33_a62e_d433_d4a3),
        ("(1_u32, 2_u32)", (1_u32, 2_u32).stable_hash(), 0x1441_ebf6_86c8_457a),
        ("[1_u32, 2, 3]", [1_u32, 2, 3].stable_hash(), 0x588e_a76b_bea1_4c28),
        ("None::<u8>", None::<u8>.stable_hash(), 0x4b33_a62e_d433_d4a3),
        ("Some(9_u8)", Some(9_u8).stable_hash(), 0xae8f_5dd1_071e_cf46),
        (
            "Trip { zone: 3, night: true }",
            Trip { zone: 3, night: true }.stable_hash(),
            0xc823_fcce_9654_540c,
        ),
        ("empty", "".stable_hash(), 0x0338_dc4b_e2ce_cdae),
        ("a", "a".stable_hash(), 0x599f_47df_33a2_e1eb),
        ("sensor-17", "sensor-17".stable_hash(), 0xdfa2_03b8_80fc_fd59),
        ("97 bytes", [b'x'; 97].stable_hash(), 0x9736_ced5_9af7_1182),
        ("pair", ("u6", 4_u8).stable_hash(), 0xa9b0_0558_e349_2c87),
    ];
    let wrong: Vec<String> = golden
        .iter()
        .filter(|(_, found, expected)| found != expected)
        .map(|(what, found, _)| format!("{what} hashes to {found:#018x}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
