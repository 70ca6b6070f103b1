//! The frames on a control connection: a kind, a length, a body. Bounded, so that a mistake at the
//! other end cannot fill the memory here.

use std::io::{self, Read, Write};

/// The largest body: a snapshot of what a process knows about itself.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// What one process tells another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// I am alive.
    Beat,
    /// The job was asked to stop by this signal.
    Stop(i32),
    /// What a process wants process 0 to know; a newer one replaces it.
    Snapshot(Vec<u8>),
    /// The last snapshot, if there is any; the process is about to leave.
    Final(Option<Vec<u8>>),
    /// You may leave.
    Bye,
    /// This process has failed, and why.
    Failed(u32, String),
}

impl Frame {
    pub(super) fn write(&self, mut to: impl Write) -> io::Result<()> {
        let (kind, body) = match self {
            Frame::Beat => (0u8, Vec::new()),
            Frame::Stop(signal) => (1, signal.to_le_bytes().to_vec()),
            Frame::Snapshot(bytes) => (2, bytes.clone()),
            Frame::Final(None) => (3, vec![0]),
            Frame::Final(Some(bytes)) => (3, [&[1], &bytes[..]].concat()),
            Frame::Bye => (4, Vec::new()),
            Frame::Failed(index, why) => (5, [&index.to_le_bytes(), why.as_bytes()].concat()),
        };
        let length = u32::try_from(body.len())
            .ok()
            .filter(|&length| length as usize <= MOST_BYTES + 1)
            .ok_or_else(|| wrong("a frame that is too large"))?;
        let mut frame = vec![kind];
        frame.extend(length.to_le_bytes());
        frame.extend(body);
        to.write_all(&frame)
    }

    pub(super) fn read(mut from: impl Read) -> io::Result<Frame> {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        if length > MOST_BYTES + 1 {
            return Err(wrong("a frame that is too large"));
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        Ok(match (kind, &body[..]) {
            (0, []) => Frame::Beat,
            (1, signal) if signal.len() == 4 => {
                Frame::Stop(i32::from_le_bytes(signal.try_into().expect("it has four bytes")))
            }
            (2, _) => Frame::Snapshot(body),
            (3, [0]) => Frame::Final(None),
            (3, [1, ..]) => Frame::Final(Some(body.split_off(1))),
            (4, []) => Frame::Bye,
            (5, [a, b, c, d, why @ ..]) => Frame::Failed(
                u32::from_le_bytes([*a, *b, *c, *d]),
                String::from_utf8_lossy(why).into_owned(),
            ),
            _ => return Err(wrong("a frame that is not understood")),
        })
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back() {
        for frame in [
            Frame::Beat,
            Frame::Stop(15),
            Frame::Snapshot(vec![1, 2, 3]),
            Frame::Snapshot(vec![7; MOST_BYTES]),
            Frame::Final(None),
            Frame::Final(Some(Vec::new())),
            Frame::Final(Some(vec![7; MOST_BYTES])),
            Frame::Bye,
            Frame::Failed(3, "no disk".into()),
        ] {
            let mut bytes = Vec::new();
            frame.write(&mut bytes).unwrap();
            assert_eq!(Frame::read(&bytes[..]).unwrap(), frame);
        }
    }

    #[test]
    fn wrong_frames_are_errors() {
        for bytes in [&[9, 0, 0, 0, 0][..], &[2, 255, 255, 255, 255], &[1, 1, 0, 0, 0, 7], &[0, 0]]
        {
            assert!(Frame::read(bytes).is_err(), "{bytes:?}");
        }
        assert!(Frame::Snapshot(vec![0; MOST_BYTES + 2]).write(io::sink()).is_err());
    }
}
