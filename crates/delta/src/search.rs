//! Finds what of the new file the basis has.
//!
//! A window of a block's length moves over the new bytes. Where its weak sum is known, the strong sum
//! decides; where that is known, too, the block is copied and the window goes on behind it, else it
//! moves by one byte. Blocks of the same content are told apart by what is best: the block behind the
//! one copied last, so that copies become one, the block at the same place, then any. In place it is
//! the block at the same place first, which need not be written.
//!
//! The work for each byte is bounded, whatever the bytes and the sums are. A window that is copied
//! pays for its strong sum by its length, and for the guess that the next block follows. Windows that are hashed for nothing are limited to a few
//! times the bytes searched; beyond, a known weak sum is passed over. That loses matches only in
//! files in which nearly every weak sum deceives. A weak sum leads to at most ten blocks.

use std::ops::Range;

use crate::index::Index;
use crate::operation::{MAX_LITERAL_BYTES, Operation};
use crate::rolling::{LANES, Rolling, sent};
use crate::shape::{WASTE_AT_START, WASTE_PER_BYTE};
use crate::{Part, Update};

/// How many new bytes are taken into the buffer before it is searched.
const STEP_BYTES: usize = 256 << 10;

/// The search of one part. Holds at most 512 KiB: a literal, a block, and a step of 256 KiB.
pub struct Search<'i> {
    index: &'i Index,
    rolling: Rolling,
    /// New bytes.
    buffer: Vec<u8>,
    /// Where the buffer begins in the new file.
    start: u64,
    /// How many bytes of the buffer have an operation.
    given: usize,
    /// Where in the buffer the window begins. All before it is not in the basis.
    at: usize,
    /// Whether `rolling` is about the window, which then has been looked up.
    is_filled: bool,
    /// The block behind the one copied last.
    following: Option<u32>,
    /// Bytes that may still be hashed for nothing.
    allowance: u64,
    answer: Answer,
}

impl<'i> Search<'i> {
    /// Searches a part with the index of its window.
    pub fn new(index: &'i Index, part: &Part) -> Self {
        Self {
            index,
            rolling: Rolling::new(index.weak_key(), index.block_bytes()),
            buffer: Vec::new(),
            start: part.read.start,
            given: 0,
            at: 0,
            is_filled: false,
            following: None,
            allowance: WASTE_AT_START * index.block_bytes() as u64,
            answer: Answer { wanted: part.range.clone(), copy: None },
        }
    }

    /// Takes the next bytes of [`Part::read`], as many as there are at hand: how they are cut changes
    /// nothing. Operations go to `sink`; together they give [`Part::range`], in order. After an error
    /// of the sink the search must be given up.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(Operation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for step in bytes.chunks(STEP_BYTES) {
            self.make_room(step.len());
            self.buffer.extend_from_slice(step);
            self.scan(&mut sink)?;
            self.forget_given();
        }
        Ok(())
    }

    /// Ends the search after the last byte.
    pub fn finish<E>(
        mut self,
        mut sink: impl FnMut(Operation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some((block, length)) = self.find_tail() {
            self.at = self.buffer.len() - length;
            self.copy(block, length, &mut sink)?;
        }
        self.at = self.buffer.len();
        self.give_literals(&mut sink)?;
        self.answer.give_copy(&mut sink)
    }

    /// Looks up all windows that lie in the buffer whole.
    fn scan<E>(&mut self, sink: &mut impl FnMut(Operation<'_>) -> Result<(), E>) -> Result<(), E> {
        let width = self.index.block_bytes();
        if !self.index.has_full_blocks() {
            self.at = self.at.max((self.buffer.len() + 1).saturating_sub(width));
        }
        while self.index.has_full_blocks() && self.buffer.len() - self.at >= width {
            if let Some(block) = self.find_following() {
                self.copy(block, width, sink)?;
                continue;
            }
            let is_known = if self.is_filled {
                self.roll_to_payable();
                self.roll_to_known()
            } else {
                self.rolling.fill(&self.buffer[self.at..][..width]);
                self.is_filled = true;
                self.index.is_known(self.rolling.value())
            };
            if is_known {
                if let Some(block) = self.find() {
                    self.copy(block, width, sink)?;
                }
            } else if self.buffer.len() - self.at == width {
                break;
            }
        }
        self.give_full_literals(sink)
    }

    /// Moves the window on, at least by one byte, until its weak sum is known. False when the buffer
    /// ends before.
    fn roll_to_known(&mut self) -> bool {
        let (index, mut moves) = (self.index, 0);
        let tags = index.tags();
        let comes = &self.buffer[self.at + index.block_bytes()..];
        let goes = &self.buffer[self.at..][..comes.len()];
        let ((goes, last_goes), (comes, last_comes)) = (goes.as_chunks(), comes.as_chunks());
        let mut known = None;
        for (&go, &come) in goes.iter().zip(comes) {
            let sums = self.rolling.roll_lanes(go, come);
            if sums.iter().fold(0, |any, &sum| any | tags.look_up(sum)) & 1 == 1 {
                known = sums.iter().position(|&sum| index.is_known(sum));
                if let Some(lane) = known {
                    self.rolling.go_back(sums[lane]);
                    moves += lane + 1;
                    break;
                }
            }
            moves += LANES;
        }
        let mut is_known = known.is_some();
        let mut last = last_goes.iter().zip(last_comes);
        while !is_known && let Some((&go, &come)) = last.next() {
            self.rolling.roll(go, come);
            moves += 1;
            is_known = index.is_known(self.rolling.value());
        }
        self.move_on(moves);
        is_known
    }

    /// Moves the window on as long as no strong sum could be paid for after the next move.
    fn roll_to_payable(&mut self) {
        let width = self.index.block_bytes();
        let lacking = (width as u64).saturating_sub(self.allowance).div_ceil(WASTE_PER_BYTE);
        let lacking = usize::try_from(lacking).expect("at most a block").saturating_sub(1);
        let comes = &self.buffer[self.at + width..];
        let moves = lacking.min(comes.len());
        for (&go, &come) in self.buffer[self.at..].iter().zip(&comes[..moves]) {
            self.rolling.roll(go, come);
        }
        self.move_on(moves);
    }

    fn move_on(&mut self, moves: usize) {
        self.at += moves;
        self.allowance += WASTE_PER_BYTE * moves as u64;
    }

    /// The block behind the one copied last, if the window stands behind it and is the same. Most of
    /// a file that has changed little is found so, without a weak sum; a wrong guess is paid for by
    /// the copy before it.
    fn find_following(&self) -> Option<u32> {
        let block = self.following.filter(|&block| !self.is_filled && self.index.is_full(block))?;
        let is_best = match self.index.update() {
            Update::Apart => true,
            Update::InPlace => self.index.offset(block) == self.start + self.at as u64,
        };
        (is_best && self.is_window(block)).then_some(block)
    }

    fn is_window(&self, block: u32) -> bool {
        let window = &self.buffer[self.at..][..self.index.block_bytes()];
        self.index.strong_key().sum(window).starts_with(self.index.strong(block))
    }

    /// The best block that is the same as the window.
    fn find(&mut self) -> Option<u32> {
        let (index, here) = (self.index, self.start + self.at as u64);
        let weak = sent(self.rolling.value());
        let same_place = index.block_at(here);
        let preferred = match index.update() {
            Update::Apart => [self.following, same_place],
            Update::InPlace => [same_place, self.following],
        };
        let preferred = preferred.into_iter().flatten().filter(|&block| index.has(block, weak));
        let candidates = preferred.chain(index.chained(weak));
        let mut candidates = candidates.filter(|&block| self.is_there(block)).peekable();
        candidates.peek()?;
        let cost = index.block_bytes() as u64;
        let left = self.allowance.checked_sub(cost)?;
        let strong = index.strong_key().sum(&self.buffer[self.at..][..index.block_bytes()]);
        let found = candidates.find(|&block| strong.starts_with(index.strong(block)));
        if found.is_none() {
            self.allowance = left;
        }
        found
    }

    /// Whether the block will still be there when the window is written.
    fn is_there(&self, block: u32) -> bool {
        match self.index.update() {
            Update::Apart => true,
            Update::InPlace => self.index.offset(block) >= self.start + self.at as u64,
        }
    }

    /// The short block at the end of the basis, if the new bytes end with it. As in rsync it is looked
    /// for nowhere else.
    fn find_tail(&self) -> Option<(u32, usize)> {
        let (block, length) = self.index.tail()?;
        let at = self.buffer.len().checked_sub(length).filter(|&at| at >= self.at)?;
        let (bytes, here) = (&self.buffer[at..], self.start + at as u64);
        let is_there = self.index.update() == Update::Apart || self.index.offset(block) >= here;
        let is_same = is_there
            && self.index.has_tail_sum(bytes)
            && self.index.strong_key().sum(bytes).starts_with(self.index.strong(block));
        is_same.then_some((block, length))
    }

    /// Gives the literals before the window, and the window as a copy.
    fn copy<E>(
        &mut self,
        block: u32,
        length: usize,
        sink: &mut impl FnMut(Operation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.give_literals(sink)?;
        let position = self.start + self.at as u64;
        self.answer.copy(position, self.index.offset(block), length as u64, sink)?;
        self.at += length;
        self.given = self.at;
        self.is_filled = false;
        self.following = Some(block + 1);
        Ok(())
    }

    /// Gives all that is before the window.
    fn give_literals<E>(
        &mut self,
        sink: &mut impl FnMut(Operation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.give_full_literals(sink)?;
        let position = self.start + self.given as u64;
        self.answer.literal(position, &self.buffer[self.given..self.at], sink)?;
        self.given = self.at;
        Ok(())
    }

    /// Gives of what is before the window as much as makes literals of full length. So they are cut
    /// at the same places however the new bytes came.
    fn give_full_literals<E>(
        &mut self,
        sink: &mut impl FnMut(Operation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.at - self.given >= MAX_LITERAL_BYTES {
            let position = self.start + self.given as u64;
            let literal = &self.buffer[self.given..][..MAX_LITERAL_BYTES];
            self.answer.literal(position, literal, sink)?;
            self.given += MAX_LITERAL_BYTES;
        }
        Ok(())
    }

    /// Lets the buffer grow, but not beyond what it can ever need.
    fn make_room(&mut self, bytes: usize) {
        let most = MAX_LITERAL_BYTES + self.index.block_bytes() + STEP_BYTES;
        let capacity = self.buffer.capacity();
        if capacity - self.buffer.len() < bytes {
            let wanted = (2 * capacity).min(most).max(self.buffer.len() + bytes);
            self.buffer.reserve_exact(wanted - self.buffer.len());
        }
    }

    /// Forgets what has an operation. What is left is less than a literal and a block.
    fn forget_given(&mut self) {
        self.buffer.drain(..self.given);
        self.start += self.given as u64;
        self.at -= self.given;
        self.given = 0;
    }
}

/// What goes to the sink: nothing but the range that is answered for, neighbouring copies made one.
struct Answer {
    /// What of the range has no operation yet.
    wanted: Range<u64>,
    /// The last copy, as offset and length, until it is known to grow no more.
    copy: Option<(u64, u64)>,
}

impl Answer {
    fn copy<E>(
        &mut self,
        position: u64,
        offset: u64,
        length: u64,
        sink: &mut impl FnMut(Operation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some((skipped, length)) = self.trim(position, length) else { return Ok(()) };
        let offset = offset + skipped;
        match &mut self.copy {
            Some((start, grown)) if *start + *grown == offset => *grown += length,
            _ => {
                self.give_copy(sink)?;
                self.copy = Some((offset, length));
            }
        }
        Ok(())
    }

    fn literal<E>(
        &mut self,
        position: u64,
        bytes: &[u8],
        sink: &mut impl FnMut(Operation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some((skipped, length)) = self.trim(position, bytes.len() as u64) else {
            return Ok(());
        };
        self.give_copy(sink)?;
        let whole = |bytes: u64| usize::try_from(bytes).expect("no more than the literal has");
        sink(Operation::Literal(&bytes[whole(skipped)..][..whole(length)]))
    }

    fn give_copy<E>(
        &mut self,
        sink: &mut impl FnMut(Operation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.copy.take() {
            Some((offset, length)) => sink(Operation::Copy { offset, length }),
            None => Ok(()),
        }
    }

    /// What of these bytes is wanted: how many to leave out before, and how many to give. None if
    /// there is nothing to give.
    fn trim(&mut self, position: u64, length: u64) -> Option<(u64, u64)> {
        let start = position.max(self.wanted.start);
        let end = (position + length).min(self.wanted.end);
        if start >= end {
            return None;
        }
        self.wanted.start = end;
        Some((start - position, end - start))
    }
}

#[cfg(test)]
mod tests;
