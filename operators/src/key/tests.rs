//! The hash is a format: its values are pinned, and its spread is measured.

use super::*;

/// The fullest of `buckets` is not much fuller than chance would fill it.
fn assert_even(what: &str, hashes: &[u64], bucket: impl Fn(u64) -> usize, buckets: usize) {
    let mut loads = vec![0_u32; buckets];
    for &hash in hashes {
        loads[bucket(hash)] += 1;
    }
    let mean = hashes.len() as f64 / buckets as f64;
    let most = f64::from(*loads.iter().max().expect("there are buckets"));
    let least = f64::from(*loads.iter().min().expect("there are buckets"));
    // Six standard deviations of a random filling.
    let slack = 1.5 * mean + 6.0 * mean.sqrt();
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

/// If one of these fails, checkpoints that exist can no longer be read: change the code back.
#[test]
fn golden_values() {
    struct Trip {
        zone: u32,
        night: bool,
    }
    stable_hash_fields!(Trip, zone, night);

    let golden: [(&str, u64, u64); 26] = [
        ("0_u64", 0_u64.stable_hash(), 0xd923_1afc_3a59_0eb6),
        ("1_u64", 1_u64.stable_hash(), 0xa71b_a03b_bb93_8aa2),
        ("4_096_u32", 4_096_u32.stable_hash(), 0x514e_b2e9_92a6_48d2),
        ("u64::MAX", u64::MAX.stable_hash(), 0x9592_12f9_3896_0e26),
        ("-1_i64", (-1_i64).stable_hash(), 0x9592_12f9_3896_0e26),
        ("-1_i8", (-1_i8).stable_hash(), 0x9592_12f9_3896_0e26),
        ("i64::MIN", i64::MIN.stable_hash(), 0x0847_579f_7bbe_c0bc),
        ("7_u16", 7_u16.stable_hash(), 0xf0d4_7a5c_bfd5_7228),
        ("300_usize", 300_usize.stable_hash(), 0x435e_2cb5_6187_a8b2),
        ("-300_isize", (-300_isize).stable_hash(), 0x60b7_be55_e3d0_3cfa),
        ("true", true.stable_hash(), 0xa71b_a03b_bb93_8aa2),
        ("'é'", 'é'.stable_hash(), 0x4a83_c677_22b5_18c3),
        ("u128::MAX", u128::MAX.stable_hash(), 0x2d64_6911_aa4a_28d0),
        ("-2_i128", (-2_i128).stable_hash(), 0x6185_830f_0c85_d5f9),
        (
            "EventTime::from_micros(-5)",
            EventTime::from_micros(-5).stable_hash(),
            0x1eac_f403_3e6f_fe5c,
        ),
        ("()", ().stable_hash(), 0x4b33_a62e_d433_d4a3),
        ("(1_u32, 2_u32)", (1_u32, 2_u32).stable_hash(), 0xb5c6_1e78_45da_675b),
        ("[1_u32, 2, 3]", [1_u32, 2, 3].stable_hash(), 0x50a4_8a79_4677_8664),
        ("None::<u8>", None::<u8>.stable_hash(), 0x4b33_a62e_d433_d4a3),
        ("Some(9_u8)", Some(9_u8).stable_hash(), 0x49ec_01c9_c72e_7c76),
        (
            "Trip { zone: 3, night: true }",
            Trip { zone: 3, night: true }.stable_hash(),
            0x13ec_2140_5c51_0a89,
        ),
        ("empty", "".stable_hash(), 0x0338_dc4b_e2ce_cdae),
        ("a", "a".stable_hash(), 0x599f_47df_33a2_e1eb),
        ("sensor-17", "sensor-17".stable_hash(), 0xdfa2_03b8_80fc_fd59),
        ("97 bytes", [b'x'; 97].stable_hash(), 0x9736_ced5_9af7_1182),
        ("pair", ("u6", 4_u8).stable_hash(), 0x531e_2a35_7f13_0277),
    ];
    let wrong: Vec<String> = golden
        .iter()
        .filter(|(_, found, expected)| found != expected)
        .map(|(what, found, _)| format!("{what} hashes to {found:#018x}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
