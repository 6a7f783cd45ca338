//! What a lane is given to carry.
//!
//! Who asks for content waits for it in order, so what is queued on a lane that has become slow holds
//! up more than itself. A lane therefore begins with little, and for all that it brings while it is kept
//! busy it is given as much more: so the amount doubles in each round trip, as a connection's own does,
//! and what is out on a lane is about as much as it has ever brought.

/// Content that a lane begins with: more than a connection sends in its first two round trips.
const BEGIN_BYTES: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct Load {
    /// Cost of all that is out.
    used_bytes: u64,
    /// Cost of the content among it.
    content_bytes: u64,
    /// Most bytes of content that it is given, but for one piece.
    limit: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self { used_bytes: 0, content_bytes: 0, limit: BEGIN_BYTES }
    }
}

impl Load {
    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Whether there is room for content; for one piece there always is.
    pub(super) fn has_room(&self, cost: u64) -> bool {
        self.content_bytes == 0 || self.content_bytes + cost <= self.limit
    }

    pub(super) fn sent(&mut self, cost: u64, is_content: bool) {
        self.used_bytes += cost;
        self.content_bytes += if is_content { cost } else { 0 };
    }

    pub(super) fn answered(&mut self, cost: u64, is_content: bool) {
        let was_busy = self.content_bytes > self.limit / 2;
        self.used_bytes -= cost;
        if is_content {
            self.content_bytes -= cost;
            self.limit = self.limit.saturating_add(if was_busy { cost } else { 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = BEGIN_BYTES / 64;

    fn fill(load: &mut Load) -> u64 {
        let mut count = 0;
        while load.has_room(PIECE) {
            load.sent(PIECE, true);
            count += 1;
        }
        count
    }

    #[test]
    fn what_a_busy_lane_is_given_doubles_in_each_round_trip() {
        let mut load = Load::default();
        let mut out = 0;
        for round_trip in 0..6 {
            out += fill(&mut load);
            assert_eq!(out, 64 << round_trip);
            for _ in 0..out {
                load.answered(PIECE, true);
                if load.has_room(PIECE) {
                    load.sent(PIECE, true);
                }
            }
        }
    }

    #[test]
    fn what_brings_nothing_is_given_no_more() {
        let mut load = Load::default();
        assert_eq!(fill(&mut load), 64);
        load.sent(PIECE, false);
        load.answered(PIECE, false);
        assert_eq!(fill(&mut load), 0);
        assert_eq!(load.used_bytes(), BEGIN_BYTES);
    }

    #[test]
    fn one_piece_goes_however_large() {
        let mut load = Load::default();
        assert!(load.has_room(BEGIN_BYTES * 9));
        load.sent(BEGIN_BYTES * 9, true);
        assert!(!load.has_room(1));
    }
}
