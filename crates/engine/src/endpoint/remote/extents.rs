//! Where files of the other host have data, as far as it was asked.

use std::io;
use std::ops::Range;

use parking_lot::Mutex;
use wire::{Answer, Request, Room, Span};

use super::{Held, of_another_kind};
use crate::endpoint::sums;

/// Room for some hundred of them.
const ROOM_BYTES: u32 = 16 << 10;

/// The parts of a file that hold data, in the stretch that was asked about last.
#[derive(Debug, Default)]
pub(super) struct Extents(Mutex<Told>);

/// What was told about a stretch.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) about: Range<u64>,
    pub(super) data: Vec<Range<u64>>,
}

impl Extents {
    /// The first part of a range that holds data. The file had `size` bytes when it was opened.
    pub(super) fn first(
        &self,
        file: &Held,
        size: u64,
        range: Range<u64>,
    ) -> io::Result<Option<Range<u64>>> {
        let mut told = self.0.lock();
        let mut from = range.start;
        while from < range.end {
            if !told.about.contains(&from) {
                *told = ask(file, from..size.max(range.end))?;
            }
            let next = told.data.iter().find(|extent| extent.end > from);
            match next {
                Some(extent) => {
                    let extent = extent.start.max(from)..extent.end.min(range.end);
                    return Ok((!extent.is_empty()).then_some(extent));
                }
                None => from = told.about.end,
            }
        }
        Ok(None)
    }
}

/// Asks where a file has data; what is told may end before what was asked about.
pub(super) fn ask(file: &Held, about: Range<u64>) -> io::Result<Told> {
    let span = Span::new(about.clone()).map_err(io::Error::other)?;
    let room = Room::new(ROOM_BYTES).map_err(io::Error::other)?;
    let request = Request::FindExtents { file: file.handle, span, room };
    let first = file.remote.start(request.clone())?;
    file.remote.undamaged(first, request, |answer| match answer {
        Answer::Extents { data, known_to, sum } => {
            let is_sound = sums::of_extents(&data, known_to) == sum;
            Ok(is_sound.then_some(Told { about: about.start..known_to, data }))
        }
        _ => Err(of_another_kind()),
    })
}
