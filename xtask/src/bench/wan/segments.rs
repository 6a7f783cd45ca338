//! Long packets of TCP, which a network card would cut: what is in one, and parts of it. Pure.
//!
//! A frame is what a TUN device gives: a header of virtio-net (ten bytes, little-endian), and a packet
//! of IPv4. A long one holds segments of one size each, the last of which may be shorter.

use std::ops::Range;

/// Header of virtio-net.
pub(super) const FRAME_HEAD: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const TCP_V4: u8 = 1;
/// Set beside the kind where congestion was met.
const ECN: u8 = 0x80;

const FIN_AND_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// A long packet.
#[derive(Debug)]
pub(super) struct Long<'a> {
    frame: &'a [u8],
    /// Where TCP begins in the packet, and where its content does.
    tcp: usize,
    head: usize,
    segment: usize,
}

impl<'a> Long<'a> {
    /// The frame, if it is long.
    pub(super) fn parse(frame: &'a [u8]) -> Option<Self> {
        let packet = frame.get(FRAME_HEAD..)?;
        let number = |at: usize| usize::from(u16::from_le_bytes([frame[at], frame[at + 1]]));
        let (segment, tcp) = (number(4), number(6));
        if frame[1] & !ECN != TCP_V4 || segment == 0 {
            return None;
        }
        let head = tcp + usize::from(packet.get(tcp + 12)? >> 4) * 4;
        (packet.len() > head + segment && tcp >= 20 && head >= tcp + 20).then_some(Self {
            frame,
            tcp,
            head,
            segment,
        })
    }

    fn content(&self) -> &'a [u8] {
        &self.frame[FRAME_HEAD + self.head..]
    }

    pub(super) fn count(&self) -> usize {
        self.content().len().div_ceil(self.segment)
    }

    fn range(&self, segments: &Range<usize>) -> Range<usize> {
        segments.start * self.segment..self.content().len().min(segments.end * self.segment)
    }

    /// Bytes of the packet that one segment goes in.
    pub(super) fn packet_bytes(&self, segment: usize) -> usize {
        self.head + self.range(&(segment..segment + 1)).len()
    }

    /// A frame of some of its segments.
    pub(super) fn part(&self, segments: Range<usize>) -> Vec<u8> {
        if segments == (0..self.count()) {
            return self.frame.to_vec();
        }
        let range = self.range(&segments);
        let mut frame = self.frame[..FRAME_HEAD + self.head].to_vec();
        frame.extend_from_slice(&self.content()[range.clone()]);
        if segments.len() == 1 {
            frame[1] = 0;
            frame[4..6].fill(0);
        }
        // Who gets it fills in the checksum of TCP, as he would for a card that has checked it.
        frame[0] |= NEEDS_CHECKSUM;
        let packet = &mut frame[FRAME_HEAD..];
        self.dress_ip(packet, segments.start);
        let is_last = segments.end == self.count();
        self.dress_tcp(packet, range.start, is_last);
        frame
    }

    fn dress_ip(&self, packet: &mut [u8], first: usize) {
        let length = u16::try_from(packet.len()).expect("a part is shorter than the whole");
        let id = u16::from_be_bytes([packet[4], packet[5]]);
        let id = id.wrapping_add(u16::try_from(first).expect("a packet has fewer segments"));
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[10..12].fill(0);
        let sum = !folded(words(&packet[..self.tcp]));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }

    fn dress_tcp(&self, packet: &mut [u8], offset: usize, is_last: bool) {
        const TCP: u64 = 6;
        let tcp = self.tcp;
        let at = &mut packet[tcp + 4..tcp + 8];
        let sequence = u32::from_be_bytes([at[0], at[1], at[2], at[3]]);
        let offset_bytes = u32::try_from(offset).expect("a packet has at most 64 KiB");
        at.copy_from_slice(&sequence.wrapping_add(offset_bytes).to_be_bytes());
        if !is_last {
            packet[tcp + 13] &= !FIN_AND_PSH;
        }
        if offset > 0 {
            packet[tcp + 13] &= !CWR;
        }
        let length = (packet.len() - tcp) as u64;
        let pseudo_header = folded(words(&packet[12..20]) + TCP + length);
        packet[tcp + 16..tcp + 18].copy_from_slice(&pseudo_header.to_be_bytes());
    }
}

/// The sum of the numbers of two bytes each.
fn words(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| (u64::from(pair[0]) << 8) + u64::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

/// A sum with its carries added to it.
fn folded(mut sum: u64) -> u16 {
    while let Some(carry) = Some(sum >> 16).filter(|carry| *carry > 0) {
        sum = (sum & 0xffff) + carry;
    }
    u16::try_from(sum).expect("no carry is left")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: usize = 1000;
    const HEADS: usize = 40;

    /// Two segments and a half; the sequence number of the first byte wraps around in the third.
    fn long() -> Vec<u8> {
        let mut frame = vec![NEEDS_CHECKSUM, TCP_V4, 40, 0, 0xe8, 3, 20, 0, 16, 0];
        let mut packet = vec![0; HEADS];
        packet[0] = 0x45;
        packet[4..6].copy_from_slice(&[0xff, 0xff]);
        packet[9] = 6;
        packet[12..20].copy_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
        packet[24..28].copy_from_slice(&(u32::MAX - 1500).to_be_bytes());
        packet[32] = 5 << 4;
        packet[33] = CWR | 0x10 | FIN_AND_PSH;
        packet.extend((0..2500_u32).map(|byte| u8::try_from(byte % 251).unwrap()));
        frame.extend(packet);
        frame
    }

    fn sequence(packet: &[u8]) -> u32 {
        u32::from_be_bytes(packet[24..28].try_into().unwrap())
    }

    #[test]
    fn the_parts_of_a_long_packet_are_sound_packets_in_a_row() {
        let frame = long();
        let whole = Long::parse(&frame).unwrap();
        assert_eq!(whole.count(), 3);
        let sizes: Vec<_> = (0..3).map(|segment| whole.packet_bytes(segment)).collect();
        assert_eq!(sizes, [HEADS + SEGMENT, HEADS + SEGMENT, HEADS + 500]);
        let parts = [0..1, 1..2, 2..3].map(|range| whole.part(range));
        let mut content = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            let packet = &part[FRAME_HEAD..];
            assert_eq!(part[..6], [NEEDS_CHECKSUM, 0, 40, 0, 0, 0]);
            assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
            assert_eq!(folded(words(&packet[..20])), 0xffff, "the checksum of the header");
            let sent = u32::try_from(place * SEGMENT).unwrap();
            assert_eq!(sequence(packet), (u32::MAX - 1500).wrapping_add(sent));
            let flags = [CWR | 0x10, 0x10, 0x10 | FIN_AND_PSH][place];
            assert_eq!(packet[33], flags);
            content.extend_from_slice(&packet[HEADS..]);
        }
        assert!(content == whole.content());
    }

    #[test]
    fn neighbours_stay_together_and_the_whole_as_it_is() {
        let frame = long();
        let whole = Long::parse(&frame).unwrap();
        assert!(whole.part(0..3) == frame);
        let rest = whole.part(1..3);
        let rest = Long::parse(&rest).unwrap();
        assert_eq!((rest.count(), rest.packet_bytes(1)), (2, HEADS + 500));
    }

    #[test]
    fn what_is_short_or_no_tcp_is_not_cut() {
        let mut frame = long();
        assert!(Long::parse(&frame[..FRAME_HEAD + HEADS + SEGMENT]).is_none());
        assert!(Long::parse(&frame[..FRAME_HEAD + 20]).is_none());
        assert!(Long::parse(&frame[..5]).is_none());
        frame[1] = 0;
        assert!(Long::parse(&frame).is_none());
    }
}
