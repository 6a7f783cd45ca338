//! The delta algorithm slow and obvious, for tests to compare with, and what they share.

use std::io;

use crate::patch::{Output, Patch};
use crate::{
    Decoder, Encoder, Index, Operation, Part, Plan, Search, Seed, Shape, Signature, Update,
};

/// An operation that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    Copy { offset: u64, length: u64 },
    Literal(Vec<u8>),
}

impl From<Operation<'_>> for Given {
    fn from(operation: Operation<'_>) -> Self {
        match operation {
            Operation::Copy { offset, length } => Self::Copy { offset, length },
            Operation::Literal(bytes) => Self::Literal(bytes.to_vec()),
        }
    }
}

impl Given {
    pub(crate) fn as_operation(&self) -> Operation<'_> {
        match self {
            Self::Copy { offset, length } => Operation::Copy { offset: *offset, length: *length },
            Self::Literal(bytes) => Operation::Literal(bytes),
        }
    }
}

/// The seed of all tests.
pub(crate) fn seed() -> Seed {
    Seed::from([0x5e; 32])
}

/// Reads from bytes in memory.
pub(crate) fn read_at(bytes: &[u8]) -> impl Fn(u64, &mut [u8]) -> io::Result<()> {
    |offset, buffer| {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = bytes.get(start..).and_then(|bytes| bytes.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Bytes that look random and are the same on each run.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    };
    (0..length).map(|_| next()).collect()
}

/// What a search of one part with the whole basis must answer. It compares the bytes themselves.
pub(crate) fn operations(
    basis: &[u8],
    new: &[u8],
    block_bytes: usize,
    update: Update,
) -> Vec<Given> {
    let mut given: Vec<Given> = Vec::new();
    let mut following = None;
    let (mut start, mut at) = (0, 0);
    while at < new.len() {
        let Some(offset) = best_block(basis, new, at, block_bytes, update, following) else {
            at += 1;
            continue;
        };
        let length = block_bytes.min(basis.len() - offset);
        push_literals(&mut given, &new[start..at]);
        push_copy(&mut given, offset as u64, length as u64);
        following = Some(offset + length);
        at += length;
        start = at;
    }
    push_literals(&mut given, &new[start..]);
    given
}

/// Where in the basis the best block lies that is the same as the new bytes at `at`.
fn best_block(
    basis: &[u8],
    new: &[u8],
    at: usize,
    block_bytes: usize,
    update: Update,
    following: Option<usize>,
) -> Option<usize> {
    let is_same = |offset: &usize| {
        let block = &basis[*offset..basis.len().min(offset + block_bytes)];
        let is_whole = block.len() == block_bytes || new.len() - at == block.len();
        let is_there = update == Update::Apart || *offset >= at;
        is_whole && is_there && new[at..].starts_with(block)
    };
    let same: Vec<usize> = (0..basis.len()).step_by(block_bytes).filter(is_same).collect();
    let is_in = |offset: Option<usize>| offset.filter(|offset| same.contains(offset));
    match update {
        Update::Apart => is_in(following).or(is_in(Some(at))).or(same.first().copied()),
        Update::InPlace => is_in(Some(at)).or(is_in(following)).or(same.last().copied()),
    }
}

fn push_literals(given: &mut Vec<Given>, bytes: &[u8]) {
    given
        .extend(bytes.chunks(crate::MAX_LITERAL_BYTES).map(|bytes| Given::Literal(bytes.to_vec())));
}

fn push_copy(given: &mut Vec<Given>, offset: u64, length: u64) {
    match given.last_mut() {
        Some(Given::Copy { offset: start, length: grown }) if *start + *grown == offset => {
            *grown += length;
        }
        _ => given.push(Given::Copy { offset, length }),
    }
}

/// Searches one part, the bytes to be read cut as `cuts` says, over and over.
pub(crate) fn search_part(index: &Index, part: &Part, new: &[u8], cuts: &[usize]) -> Vec<Given> {
    let mut given = Vec::new();
    let mut sink = |operation: Operation<'_>| -> Result<(), std::convert::Infallible> {
        given.push(operation.into());
        Ok(())
    };
    let mut search = Search::new(index, part);
    let whole = |at: u64| usize::try_from(at).expect("in memory");
    let mut rest = &new[whole(part.read.start)..whole(part.read.end)];
    for &length in cuts.iter().cycle() {
        let (bytes, behind) = rest.split_at(length.min(rest.len()));
        let Ok(()) = search.push(bytes, &mut sink);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    let Ok(()) = search.finish(sink);
    given
}

/// Plans and searches all parts. What one side says to the other goes through bytes.
pub(crate) fn search(
    shape: Shape,
    basis: &[u8],
    new: &[u8],
    update: Update,
) -> Vec<(Part, Vec<Given>)> {
    let plan = Plan::new(shape, basis.len() as u64, new.len() as u64, update);
    let sign = |piece| {
        let mut bytes = Vec::new();
        Signature::new(&seed(), shape, plan.piece(piece), read_at(basis))
            .expect("can be made")
            .encode(&mut bytes);
        Signature::decode(&bytes).expect("was encoded")
    };
    let pieces: Vec<_> = (0..plan.piece_count()).map(sign).collect();
    let answer = |part: Part| {
        let window = part.pieces.clone().map(|piece| &pieces[usize::try_from(piece).expect("few")]);
        let index = Index::new(&seed(), shape, window, update).expect("a window");
        let given = search_part(&index, &part, new, &[100_000]);
        let (mut encoder, mut bytes) = (Encoder::new(part.range.start), Vec::new());
        for operation in &given {
            encoder.encode(operation.as_operation(), &mut bytes);
        }
        let mut decoder = Decoder::new(part.range.start);
        let decoded =
            decoder.decode(&bytes).map(|operation| operation.expect("was encoded").into());
        let decoded = decoded.collect();
        (part, decoded)
    };
    plan.parts().map(answer).collect()
}

/// Collects a range in memory.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kept: usize,
}

impl Output for Collected {
    fn write(&mut self, _position: u64, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn keep(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.kept += bytes.len();
        self.write(position, bytes)
    }
}

/// A file in memory that is written over while it is read.
pub(crate) struct Overwritten<'f>(pub(crate) &'f std::cell::RefCell<Vec<u8>>);

impl Output for Overwritten<'_> {
    fn write(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(position).map_err(io::Error::other)?;
        let mut file = self.0.borrow_mut();
        let end = file.len().max(start + bytes.len());
        file.resize(end, 0);
        file[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn keep(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(position).map_err(io::Error::other)?;
        assert_eq!(&self.0.borrow()[start..start + bytes.len()], bytes, "is not there");
        Ok(())
    }
}

/// What all parts together make of the basis.
pub(crate) fn patched(
    basis: &[u8],
    new_bytes: usize,
    parts: &[(Part, Vec<Given>)],
    update: Update,
) -> Vec<u8> {
    match update {
        Update::Apart => {
            let mut output = Collected::default();
            for (part, given) in parts {
                let mut patch = Patch::new(part, update);
                for operation in given {
                    patch
                        .apply(operation.as_operation(), read_at(basis), &mut output)
                        .expect("can be applied");
                }
                patch.finish().expect("complete");
            }
            output.bytes
        }
        Update::InPlace => {
            let file = std::cell::RefCell::new(basis.to_vec());
            let read = |offset, buffer: &mut [u8]| read_at(&file.borrow())(offset, buffer);
            for (part, given) in parts {
                let mut patch = Patch::new(part, update);
                for operation in given {
                    patch
                        .apply(operation.as_operation(), read, &mut Overwritten(&file))
                        .expect("can be applied");
                }
                patch.finish().expect("complete");
            }
            let mut file = file.into_inner();
            file.truncate(new_bytes);
            file
        }
    }
}

/// How many bytes were not found in the basis.
pub(crate) fn literal_bytes(given: &[Given]) -> usize {
    let length = |given: &Given| match given {
        Given::Copy { .. } => 0,
        Given::Literal(bytes) => bytes.len(),
    };
    given.iter().map(length).sum()
}
