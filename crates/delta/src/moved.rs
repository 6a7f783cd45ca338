//! Where the content of a new image lies in an old one, by the sums of their chunks.
//!
//! 1. `OldChunks`: the chunks of the old image, ready to be looked up.
//! 2. `Finding`: takes chunks of the new one, in any order of its parts.
//! 3. `Moved`: for each place of the new image, where to take it from.
//!
//! What is said of places between chunks that were found is a guess: that they have moved as these have. So
//! what is made by this must be compared, and nothing is wrong with a guess but that it may be of no use.

use std::collections::HashMap;
use std::ops::Range;

use crate::chunks::{Bounds, ChunkSum, ChunkSums, ZEROS};

/// Chunks that are remembered of each image at most: of more, the rest counts as not found. With all that
/// is needed to find them they take about 100 MiB.
pub const CHUNKS_MAX: usize = 1 << 20;

/// A chunk of the old image: where it begins, how long it is, and its sum.
type OldChunk = (u64, u32, ChunkSum);

/// The chunks of an old image.
#[derive(Debug, Default)]
pub struct OldChunks {
    /// In order of their places, once they are settled.
    chunks: Vec<OldChunk>,
    first: HashMap<ChunkSum, u32>,
}

impl OldChunks {
    /// Takes the chunks of a part, given where it begins.
    pub fn add(&mut self, start: u64, sums: &ChunkSums) {
        let room = CHUNKS_MAX.saturating_sub(self.chunks.len());
        let chunks = sums.iter(start).filter(|(_, _, sum)| **sum != ZEROS).take(room);
        self.chunks.extend(chunks.map(|(start, length, sum)| (start, length, *sum)));
    }

    /// All were taken.
    pub fn settle(&mut self) {
        self.chunks.sort_unstable_by_key(|chunk| chunk.0);
        self.first.reserve(self.chunks.len());
        for (number, chunk) in (0..).zip(&self.chunks) {
            self.first.entry(chunk.2).or_insert(number);
        }
    }

    /// Where a chunk of the new image is in the old one: best at one of some places.
    fn find(&self, (length, sum): (u32, &ChunkSum), best: [Option<u64>; 2]) -> Option<u64> {
        let is_at = |start: &u64| {
            let number = self.chunks.binary_search_by_key(start, |chunk| chunk.0);
            number.is_ok_and(|number| {
                (self.chunks[number].1, &self.chunks[number].2) == (length, sum)
            })
        };
        let best = best.into_iter().flatten().find(is_at);
        let first = || self.first.get(sum).and_then(|number| self.chunks.get(*number as usize));
        best.or_else(|| first().filter(|chunk| chunk.1 == length).map(|chunk| chunk.0))
    }
}

/// A range of the new image that is somewhere in the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    new: Range<u64>,
    old: u64,
}

impl Run {
    fn old_end(&self) -> u64 {
        self.old + (self.new.end - self.new.start)
    }

    fn is_moved(&self) -> bool {
        self.old != self.new.start
    }

    /// Whether what lies between this one and the next may have moved as both have.
    fn goes_on_in(&self, next: &Self) -> bool {
        let between = next.new.start - self.new.end;
        self.old_end().checked_add(between) == Some(next.old)
    }
}

/// Collects what of a new image the old one has.
#[derive(Debug, Default)]
pub struct Finding {
    runs: Vec<Run>,
    moved_bytes: u64,
}

impl Finding {
    /// Takes the chunks of a part of the new image, given where it begins.
    pub fn note(&mut self, old: &OldChunks, start: u64, sums: &ChunkSums) {
        let mut last: Option<Run> = None;
        for (start, length, sum) in sums.iter(start) {
            let next = last.as_ref().map(|run| run.old_end() + (start - run.new.end));
            let Some(at) = old.find((length, sum), [Some(start), next]) else { continue };
            let run = Run { new: start..start + u64::from(length), old: at };
            if run.is_moved() {
                self.moved_bytes += u64::from(length);
            }
            match &mut last {
                Some(last) if last.goes_on_in(&run) => last.new.end = run.new.end,
                _ => {
                    if let Some(done) = last.replace(run) {
                        self.push(done);
                    }
                }
            }
        }
        if let Some(done) = last {
            self.push(done);
        }
    }

    fn push(&mut self, run: Run) {
        if self.runs.len() < CHUNKS_MAX {
            self.runs.push(run);
        }
    }

    /// How much was found in another place than it is.
    pub fn moved_bytes(&self) -> u64 {
        self.moved_bytes
    }

    /// What comes of it within a range of the new image, where the old one has so many bytes. Nothing is
    /// taken from beyond them.
    pub fn settle(mut self, within: &Range<u64>, old_bytes: u64, bounds: Bounds) -> Moved {
        self.runs.sort_unstable_by_key(|run| run.new.start);
        let reach = bounds.most_bytes() as u64;
        let mut moved: Vec<Run> = Vec::new();
        let mut runs = self.runs.into_iter().peekable();
        let mut free = within.start;
        while let Some(run) = runs.next() {
            // What is before it has moved as it has, as far as nobody else says otherwise.
            let back = (run.new.start - free.min(run.new.start)).min(reach).min(run.old);
            let gap_end = runs.peek().map_or(within.end, |next| next.new.start);
            let gap = gap_end.saturating_sub(run.new.end);
            let forth = match runs.peek() {
                Some(next) if run.goes_on_in(next) => gap,
                Some(_) => (gap / 2).min(reach),
                None => gap.min(reach),
            };
            let forth = forth.min(old_bytes.saturating_sub(run.old_end()));
            let new = run.new.start - back..run.new.end + forth;
            free = new.end;
            let run = Run { new, old: run.old - back };
            match moved.last_mut() {
                Some(last) if last.new.end == run.new.start && last.goes_on_in(&run) => {
                    last.new.end = run.new.end;
                }
                _ if run.is_moved() => moved.push(run),
                _ => {}
            }
        }
        Moved { runs: moved }
    }
}

/// What of a new image lies elsewhere in the old one: the rest is taken from where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    runs: Vec<Run>,
}

impl Moved {
    /// Whether nothing of a range has moved.
    pub fn is_still(&self, range: &Range<u64>) -> bool {
        let first = self.runs.partition_point(|run| run.new.end <= range.start);
        self.runs.get(first).is_none_or(|run| run.new.start >= range.end)
    }

    /// The parts of a range in order, and where each begins in the old image if it has moved.
    pub fn parts(&self, range: &Range<u64>) -> Vec<(Range<u64>, Option<u64>)> {
        let first = self.runs.partition_point(|run| run.new.end <= range.start);
        let (mut parts, mut start) = (Vec::new(), range.start);
        for run in self.runs[first..].iter().take_while(|run| run.new.start < range.end) {
            let new = run.new.start.max(range.start)..run.new.end.min(range.end);
            if start < new.start {
                parts.push((start..new.start, None));
            }
            start = new.end;
            let old = run.old + (new.start - run.new.start);
            parts.push((new, Some(old)));
        }
        if start < range.end {
            parts.push((start..range.end, None));
        }
        parts
    }

    /// What is taken from the old image, in order, without overlaps.
    pub fn old_ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<_> = self.runs.iter().map(|run| run.old..run.old_end()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests;
