//! Frames that were read together, decoded by portions.
//!
//! A few bytes may be a large frame when they are unpacked, and thousands of them come with one read. Whether
//! they may come at all is known to the state, so it gets them before they take more memory than this.

use std::vec;

use wire::{Arrived, Frame, Topic, Unpacker, Violation};

/// So much is unpacked before it is looked at. What keeps the rules is seldom more.
const PORTION_BYTES: u64 = 4 << 20;

/// What arrived on a lane.
pub(super) enum Arrival {
    /// A piece of a response, decoded where nobody waits for it.
    Response(Arrived),
    Other(Topic, Frame),
}

/// What is left of frames that were read together.
pub(super) struct Portions<'a> {
    frames: vec::IntoIter<Frame>,
    unpacker: &'a mut Unpacker,
}

impl<'a> Portions<'a> {
    pub(super) fn of(frames: Vec<Frame>, unpacker: &'a mut Unpacker) -> Self {
        Self { frames: frames.into_iter(), unpacker }
    }
}

impl Iterator for Portions<'_> {
    /// What arrived, and whether a rule was broken behind it: then nothing counts that follows.
    type Item = (Vec<Arrival>, Result<(), Violation>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.frames.as_slice().is_empty() {
            return None;
        }
        let (mut arrivals, mut bytes) = (Vec::new(), 0);
        while bytes < PORTION_BYTES
            && let Some(frame) = self.frames.next()
        {
            match frame.header.kind.topic() {
                Some(Topic::Response) => match Arrived::decode(frame, self.unpacker) {
                    Ok(arrived) => {
                        bytes += arrived.wire_bytes();
                        arrivals.push(Arrival::Response(arrived));
                    }
                    Err(violation) => return Some((arrivals, Err(violation))),
                },
                Some(topic) => arrivals.push(Arrival::Other(topic, frame)),
                None => {}
            }
        }
        Some((arrivals, Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use wire::{Flags, FrameKind, Header, RequestId};

    use super::*;

    /// Operations of so many equal bytes, in a thousandth of them or so.
    fn bomb(length: u32) -> Frame {
        let repeated = length as usize - 6 - 4 - 15;
        let mut body = length.to_le_bytes().to_vec();
        // One byte, its repetition, and five to end with: a block of LZ4.
        body.extend([0x1f, b'x', 1, 0]);
        body.extend(vec![255; repeated / 255]);
        body.push(u8::try_from(repeated % 255).unwrap());
        body.extend(b"\x50xxxxx");
        let kind = FrameKind::Operations;
        Frame { header: Header { kind, flags: Flags::LZ4, attempt: 0, id: RequestId(7) }, body }
    }

    #[test]
    fn a_few_bytes_that_are_many_are_looked_at_before_they_take_all_memory() {
        let frames = vec![bomb(250_000); 200];
        assert!(frames.iter().map(|frame| frame.body.len()).sum::<usize>() < 256 * 1024);
        let mut unpacker = Unpacker::default();
        let mut count = 0;
        for (arrivals, decoded) in Portions::of(frames, &mut unpacker) {
            decoded.unwrap();
            let bytes = arrivals.iter().map(|arrival| match arrival {
                Arrival::Response(arrived) => arrived.wire_bytes(),
                Arrival::Other(..) => 0,
            });
            assert!(bytes.sum::<u64>() < PORTION_BYTES + 300_000);
            count += arrivals.len();
        }
        assert_eq!(count, 200);
    }

    #[test]
    fn what_came_before_a_broken_rule_counts() {
        let mut broken = bomb(1000);
        broken.body.truncate(12);
        let frames = vec![bomb(1000), broken, bomb(1000)];
        let mut unpacker = Unpacker::default();
        let (arrivals, decoded) = Portions::of(frames, &mut unpacker).next().unwrap();
        assert_eq!(arrivals.len(), 1);
        decoded.unwrap_err();
    }
}
