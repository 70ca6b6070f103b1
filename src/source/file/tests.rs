//! The file source against plain models.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::source::Waker;

/// Takes each line as text; a line that begins with `!` is refused.
struct Text;

impl Decode for Text {
    type Record = String;

    fn decode(&mut self, raw: Raw<'_>) -> Result<String, Reject> {
        let line = raw.payload.unwrap();
        match line {
            [b'!', ..] => Err(Reject::new("test", "refused", line)),
            _ => Ok(String::from_utf8_lossy(line).into_owned()),
        }
    }
}

fn context(worker: usize, peers: usize) -> SourceContext {
    SourceContext { worker, peers, waker: Waker::new(|| {}) }
}

fn read<F: Fn() -> Text>(builder: &FileBuilder<F>, limit: usize) -> Batch<String> {
    let mut source = builder.build(context(0, 1)).unwrap();
    let mut batch = Batch::default();
    let mut before = 0;
    while source.consume(limit, &mut batch).unwrap() != Poll::Finished {
        assert!(batch.len() - before <= limit);
        before = batch.len();
    }
    source.close();
    batch
}

/// Records and refusals in a short form.
fn seen(batch: &Batch<String>) -> Vec<Result<&str, &str>> {
    let records = batch.messages.iter().map(|message| message.record.as_ref());
    records.map(|r| r.map(String::as_str).map_err(|reject| &*reject.class)).collect()
}

fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.ndjson");
    fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn newlines_of_both_kinds_empty_lines_and_a_last_line_without() {
    let (_folder, path) = file(b"\xef\xbb\xbfone\r\n\n  \r\ntwo\n!\nthree");
    let batch = read(&FileSource::new("test", [&path], || Text), 100);
    assert_eq!(seen(&batch), [Ok("one"), Ok("two"), Err("test"), Ok("three")]);
    let next: Vec<_> = batch.messages.iter().map(|message| message.next).collect();
    assert_eq!(next, [8, 17, 19, 24]);
    let reject = batch.messages[2].record.as_ref().unwrap_err();
    assert_eq!(reject.message, format!("{}:5 (byte 17): refused", path.display()));
    assert_eq!(
        batch.events,
        [(0, 0, PartitionEvent::Assigned(0)), (4, 0, PartitionEvent::Finished)]
    );
}

#[test]
fn an_empty_file_ends_at_once() {
    let (_folder, path) = file(b"");
    let batch = read(&FileSource::new("test", [path], || Text), 1);
    assert!(batch.is_empty());
    assert_eq!(batch.events.len(), 2);
}

#[test]
fn it_goes_on_from_every_position() {
    let (_folder, path) = file(b"one\ntwo\r\n\n!\nfour");
    let builder = FileSource::new("test", [path], || Text);
    let whole = read(&builder, 100);
    for (index, message) in whole.messages.iter().enumerate() {
        let rest = read(&builder.clone().start_at(vec![(0, message.next)]), 1);
        assert_eq!(seen(&rest), seen(&whole)[index + 1..]);
        assert_eq!(rest.events[0], (0, 0, PartitionEvent::Assigned(message.next)));
    }
    let rest = read(&builder.start_at(vec![(0, 4)]), 1);
    let reject = rest.messages[1].record.as_ref().unwrap_err();
    assert!(reject.message.contains("at byte 10: refused"), "{}", reject.message);
}

#[test]
fn a_position_beyond_the_end_is_an_error() {
    let (_folder, path) = file(b"one\n");
    let builder = FileSource::new("test", [&path], || Text).start_at(vec![(0, 5)]);
    let error = builder.build(context(0, 1)).err().unwrap();
    assert_eq!(error.kind(), Kind::Storage);
    assert!(error.to_string().contains("ends at byte 4"), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_line_too_long_is_a_reject_and_the_next_one_is_read() {
    for long in [11, 14, 15, 5_000, 300 << 10, 9 << 20] {
        let line = "x".repeat(long);
        let (_folder, path) = file(format!("0123456789\r\n{line}\nlast").as_bytes());
        let batch = read(&FileSource::new("test", [&path], || Text).max_line(10), 1);
        assert_eq!(seen(&batch), [Ok("0123456789"), Err("too-long"), Ok("last")], "{long}");
        let reject = batch.messages[1].record.as_ref().unwrap_err();
        assert_eq!(
            reject.message,
            format!(
                "{}:2 (byte 12): the line has {long} bytes, more than the 10 allowed",
                path.display()
            )
        );
        assert_eq!(reject.payload, line.as_bytes()[..long.min(Reject::PAYLOAD_LIMIT)]);
        assert_eq!(batch.messages[1].next, 13 + long as u64);
        let rest = FileSource::new("test", [&path], || Text).start_at(vec![(0, 13 + long as u64)]);
        assert_eq!(seen(&read(&rest, 1)), [Ok("last")]);
    }
}

#[test]
fn a_last_line_too_long_is_told_too() {
    let (_folder, path) = file("y".repeat(600 << 10).as_bytes());
    let batch = read(&FileSource::new("test", [&path], || Text).max_line(10), 1);
    assert_eq!(seen(&batch), [Err("too-long")]);
    assert_eq!(batch.messages[0].next, 600 << 10);
}

#[test]
fn one_call_reads_a_bounded_part_of_a_long_line() {
    let (_folder, path) = file("z".repeat(BYTES_PER_CALL + (1 << 20)).as_bytes());
    let mut source = FileSource::new("test", [&path], || Text).build(context(0, 1)).unwrap();
    let mut batch = Batch::default();
    assert_eq!(source.consume(1, &mut batch).unwrap(), Poll::Ready);
    assert!(batch.is_empty());
    assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Finished);
    assert_eq!(batch.len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.ndjson");
    for (path, says) in [(missing.as_path(), "No such file"), (folder.path(), "a directory")] {
        let error = FileSource::new("test", [path], || Text).build(context(0, 1)).err().unwrap();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    let error = FileSource::new("test", Vec::<PathBuf>::new(), || Text).build(context(0, 1));
    assert!(error.err().unwrap().to_string().contains("no path"));
}

#[test]
fn many_files_take_turns_and_workers_share_them() {
    let folder = tempfile::tempdir().unwrap();
    let count = 2 * OPEN_FILES + 9;
    let paths: Vec<_> = (0..count)
        .map(|index| {
            let path = folder.path().join(format!("{index}"));
            let lines: String = (0..10).map(|line| format!("{index}/{line}\n")).collect();
            fs::write(&path, lines.repeat(1 + index % 3 * 40)).unwrap();
            path
        })
        .collect();
    for peers in [1, 3] {
        let builder = FileSource::new("test", &paths, || Text);
        let mut lines = 0;
        for worker in 0..peers {
            let mut source = builder.build(context(worker, peers)).unwrap();
            let mut batch = Batch::default();
            while source.consume(1_000, &mut batch).unwrap() != Poll::Finished {}
            for message in &batch.messages {
                assert_eq!(message.partition as usize % peers, worker);
                let record = message.record.as_ref().unwrap();
                assert!(record.starts_with(&format!("{}/", message.partition)));
            }
            lines += batch.len();
            let ends = batch.events.iter().filter(|e| e.2 == PartitionEvent::Finished);
            assert_eq!(ends.count(), (worker..count).step_by(peers).count());
        }
        let expected: usize = (0..count).map(|index| 10 * (1 + index % 3 * 40)).sum();
        assert_eq!(lines, expected);
    }
}

#[test]
fn a_followed_file_gives_lines_as_they_are_finished() {
    use std::io::Write;
    let (folder, path) = file(b"one\ntw");
    let quiet = folder.path().join("quiet");
    fs::write(&quiet, "").unwrap();
    let builder = FileSource::new("test", [&path, &quiet], || Text).follow();
    let mut source = builder.build(context(0, 1)).unwrap();
    let mut look = || {
        let mut batch = Batch::default();
        let poll = source.consume(100, &mut batch).unwrap();
        let events: Vec<_> = batch.events.iter().map(|(_, p, event)| (*p, *event)).collect();
        let records = batch.messages.into_iter().map(|message| message.record.unwrap());
        (records.collect::<Vec<_>>(), poll, events)
    };
    let (records, poll, mut events) = look();
    assert_eq!((records, poll), (vec!["one".to_owned()], Poll::Pending));
    let told = events.split_off(2);
    assert_eq!(told, [(0, PartitionEvent::CaughtUp), (1, PartitionEvent::CaughtUp)]);
    assert_eq!(look(), (vec![], Poll::Pending, vec![]), "half a line is none");

    let mut growing = fs::OpenOptions::new().append(true).open(&path).unwrap();
    growing.write_all(b"o\nthree\n").unwrap();
    let again = (vec!["two".to_owned(), "three".to_owned()], Poll::Pending);
    let (records, poll, events) = look();
    assert_eq!((records, poll), again);
    assert_eq!(events, [(0, PartitionEvent::CaughtUp)]);
}

#[test]
fn a_followed_file_that_shrinks_or_is_replaced_is_an_error() {
    for (replace, says) in [(false, "cut to 2 bytes"), (true, "replaced by another file")] {
        let (folder, path) = file(b"one\ntwo\n");
        let builder = FileSource::new("test", [&path], || Text).follow();
        let mut source = builder.build(context(0, 1)).unwrap();
        let mut batch = Batch::default();
        assert_eq!(source.consume(100, &mut batch).unwrap(), Poll::Pending);
        if replace {
            let other = folder.path().join("other");
            fs::write(&other, "one\ntwo\nthree\n").unwrap();
            fs::rename(&other, &path).unwrap();
        } else {
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2).unwrap();
        }
        let error = source.consume(100, &mut batch).unwrap_err();
        assert_eq!(error.kind(), Kind::Storage);
        assert!(error.to_string().contains(says), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Against the plain model: split at newlines, drop blanks, refuse what is too long.
    #[test]
    fn every_line_comes_once(
        lines in prop::collection::vec(("[ab! \r]{0,12}", 1_usize..40_000), 0..60),
        last in any::<bool>(),
        limit in 1_usize..50,
    ) {
        let mut content: String =
            lines.iter().map(|(line, times)| line.repeat(times / 30 + 1) + "\n").collect();
        if !last {
            content.pop();
        }
        let (_folder, path) = file(content.as_bytes());
        let max = 3_000;
        let batch = read(&FileSource::new("test", [path], || Text).max_line(max), limit);
        let terminated = content.matches('\n').count();
        let model: Vec<_> = content
            .split('\n')
            .enumerate()
            .map(|(i, line)| {
                if i < terminated { line.strip_suffix('\r').unwrap_or(line) } else { line }
            })
            .filter(|line| line.len() > max || !line.trim_ascii().is_empty())
            .map(|line| match line {
                _ if line.len() > max => Err("too-long"),
                _ if line.starts_with('!') => Err("test"),
                _ => Ok(line),
            })
            .collect();
        prop_assert_eq!(seen(&batch), model);
    }
}
