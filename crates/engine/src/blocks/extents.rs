//! Where there is something to read: what lies between reads as zeros.

use std::io;
use std::ops::Range;

use fs::File;
use fs::image::Image;
use parking_lot::Mutex;

/// Ranges in ascending order, with gaps between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extents(Vec<Range<u64>>);

/// What the file system has told of an image. It is asked where data ends, which may be far behind what
/// was asked for, and in some takes as long as that is far: so the last answer is remembered.
#[derive(Debug, Default)]
pub(crate) struct Map(Mutex<Range<u64>>);

impl Map {
    /// The extents of an image within a range. What lies beyond its end is a hole, and so is all of an
    /// image that is not there.
    pub(crate) fn of(&self, image: Option<&Image>, range: &Range<u64>) -> io::Result<Extents> {
        let Some(image) = image else { return Ok(Extents::default()) };
        let range = range.start..range.end.min(image.bytes());
        if image.device().is_some() && !range.is_empty() {
            return Ok(Extents(vec![range]));
        }
        let (mut extents, mut start) = (Vec::new(), range.start);
        while start < range.end {
            let Some(extent) = self.first_from(image, start)? else { break };
            start = extent.end;
            let within = extent.start.max(range.start)..extent.end.min(range.end);
            if within.is_empty() {
                break;
            }
            extents.push(within);
        }
        Ok(Extents(extents))
    }

    /// The extent that a place is in, or the next one.
    fn first_from(&self, image: &Image, start: u64) -> io::Result<Option<Range<u64>>> {
        // Who comes meanwhile would ask the same.
        let mut known = self.0.lock();
        if known.contains(&start) {
            return Ok(Some(known.clone()));
        }
        let found = image.file().data_extents(start..image.bytes()).next().transpose()?;
        if let Some(found) = &found {
            known.clone_from(found);
        }
        Ok(found)
    }
}

impl Extents {
    /// Those parts that lie within a range.
    pub(crate) fn within(&self, range: &Range<u64>) -> Self {
        let first = self.0.partition_point(|extent| extent.end <= range.start);
        let behind = self.0[first..].iter().take_while(|extent| extent.start < range.end);
        Self(
            behind.map(|extent| extent.start.max(range.start)..extent.end.min(range.end)).collect(),
        )
    }

    /// One that has all of a range.
    pub(crate) fn whole(range: Range<u64>) -> Self {
        Self(vec![range])
    }

    /// Of ranges that are in ascending order and do not overlap.
    pub(crate) fn of(ranges: Vec<Range<u64>>) -> Self {
        Self(ranges)
    }

    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a range of a file that has these extents in it, and zeros between them.
    ///
    /// Fails with [`io::ErrorKind::UnexpectedEof`] if the file ends before one of them does: it was cut.
    pub(crate) fn read(
        &self,
        file: &File,
        range: &Range<u64>,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let place = |at| usize::try_from(at - range.start).map_err(io::Error::other);
        let mut filled = 0;
        for extent in &self.0 {
            let (start, end) = (place(extent.start)?, place(extent.end)?);
            buffer[filled..start].fill(0);
            if file.read_at(&mut buffer[start..end], extent.start)? < end - start {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled = end;
        }
        buffer[filled..].fill(0);
        Ok(())
    }

    /// What of them is a hole in `other`.
    pub(crate) fn without(&self, other: &Self) -> Vec<Range<u64>> {
        let mut left = Vec::new();
        for extent in &self.0 {
            let mut start = extent.start;
            for hole_ends in other.within(extent).0 {
                left.push(start..hole_ends.start);
                start = hole_ends.end;
            }
            left.push(start..extent.end);
        }
        left.retain(|range| !range.is_empty());
        left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extents(bits: &[bool]) -> Extents {
        let mut extents: Vec<Range<u64>> = Vec::new();
        for at in (0..).zip(bits).filter_map(|(at, bit)| bit.then_some(at)) {
            match extents.last_mut() {
                Some(last) if last.end == at => last.end += 1,
                _ => extents.push(at..at + 1),
            }
        }
        Extents(extents)
    }

    fn bits(ranges: &[Range<u64>], count: usize) -> Vec<bool> {
        let has = |at| ranges.iter().any(|range| range.contains(&at));
        (0..count as u64).map(has).collect()
    }

    proptest! {
        #[test]
        fn they_are_cut_and_taken_from_each_other_as_bits(
            both in prop::collection::vec(any::<(bool, bool)>(), 0..40),
            start in 0..40_u64,
            length in 0..40_u64,
        ) {
            let (ours, theirs): (Vec<_>, Vec<_>) = both.iter().copied().unzip();
            let range = start..start + length;
            let cut: Vec<_> = (0..)
                .zip(&ours)
                .map(|(at, bit)| *bit && range.contains(&at))
                .collect();
            prop_assert_eq!(bits(&extents(&ours).within(&range).0, ours.len()), cut);
            let without: Vec<_> = both.iter().map(|(ours, theirs)| *ours && !theirs).collect();
            prop_assert_eq!(bits(&extents(&ours).without(&extents(&theirs)), ours.len()), without);
        }
    }
}
