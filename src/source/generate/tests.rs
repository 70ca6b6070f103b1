//! The series against a plain walk over its partitions.

use super::*;

/// Walks the series as a reader of the partitions would, and compares with the truth.
fn verify(sensors: Sensors, events: u64) -> (u64, u64) {
    sensors.check().unwrap();
    let bound = sensors.disorder().as_millis() as i64;
    let mut newest = vec![None::<i64>; sensors.partition_count() as usize];
    let mut ids = std::collections::HashMap::new();
    let (mut late, mut duplicates) = (0, 0);
    for index in 0..events {
        let (event, truth) = (sensors.event(index), sensors.truth(index));
        let partition = sensors.partition_of(index);
        let newest = &mut newest[partition as usize];
        let is_late = newest.is_some_and(|newest| event.at < newest - bound);
        assert_eq!(truth.late, is_late, "event {index}: {event:?}, newest {newest:?}");
        *newest = (*newest).max(Some(event.at));
        match ids.insert(event.id, (event, partition)) {
            None => assert_eq!(truth.original, index),
            Some(first) => {
                assert_eq!(first, (event, partition), "a duplicate is the same event");
                assert_ne!(truth.original, index);
                duplicates += 1;
            }
        }
        late += u64::from(is_late);
    }
    (late, duplicates)
}

#[test]
fn lateness_and_duplicates_are_exactly_as_told() {
    let (late, duplicates) = verify(Sensors::default(), 200_000);
    for share in [late, duplicates] {
        assert!((1_600..=2_100).contains(&share), "of 200,000: {late} {duplicates}");
    }
}

#[test]
fn the_truth_holds_in_the_corners() {
    let hard = Sensors::default()
        .late(0.5, Duration::from_millis(1))
        .duplicates(0.5)
        .start(EventTime::from_millis(-5_000));
    for seed in 0..20 {
        verify(hard.seed(seed), 5_000);
        verify(hard.seed(seed).partitions(1).bound(Duration::from_millis(3)), 5_000);
        verify(hard.seed(seed).partitions(7).step(Duration::from_micros(333)), 5_000);
        verify(hard.seed(seed).duplicates(0.0).bound(Duration::ZERO), 5_000);
        let still = hard.seed(seed).step(Duration::ZERO);
        verify(still, 5_000);
    }
}

#[test]
fn without_disorder_the_series_is_in_order() {
    let plain = Sensors::default().bound(Duration::ZERO).late(0.0, Duration::ZERO).duplicates(0.0);
    assert_eq!(verify(plain, 1_000), (0, 0));
    let times: Vec<_> = (0..1_000).map(|index| plain.event(index).at - NEW_YEAR).collect();
    assert_eq!(times, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn with_disorder_it_is_not() {
    let sensors = Sensors::default();
    let times: Vec<_> = (0..1_000).map(|index| sensors.event(index).at).collect();
    let falls = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(falls > 300, "{falls}");
}

#[test]
fn the_same_seed_gives_the_same_series_for_ever() {
    // Written down: a changed series would silently change every golden file.
    let event = Sensors::default().event(123_465);
    let line = serde_json::to_string(&event).unwrap();
    assert_eq!(line, GOLDEN);
    assert_ne!(event, Sensors::default().seed(2).event(123_465));
}

const GOLDEN: &str = r#"{"id":123465,"sensor":36,"at":1767225722401,"celsius":18.28}"#;

#[test]
fn temperatures_are_exact_hundredths_of_every_sensor() {
    let sensors = Sensors::default().keys(7);
    let mut seen = [0; 7];
    for event in (0..10_000).map(|index| sensors.event(index)) {
        assert_eq!(event.celsius, event.hundredths() as f64 / 100.0);
        assert!((-1_000..4_000).contains(&event.hundredths()));
        seen[event.sensor as usize] += 1;
    }
    assert!(seen.iter().all(|count| *count > 1_000), "{seen:?}");
}

#[test]
fn a_series_that_cannot_be_is_refused() {
    let sensors = Sensors::default();
    for (wrong, says) in [
        (sensors.late(0.7, Duration::from_secs(1)), "late events is 0.7"),
        (sensors.duplicates(f64::NAN), "duplicate events is NaN"),
        (sensors.late(0.1, Duration::ZERO), "at least one millisecond"),
        (sensors.bound(Duration::ZERO), "duplicates would be late"),
        (sensors.bound(Duration::MAX), "century"),
    ] {
        let error = wrong.check().unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.kind(), Kind::Config);
    }
}
