//! Many short texts, one after the other in blocks that never move.
//!
//! So they grow without being copied, and a text costs two bytes more than it has.

/// The size of a block.
const BLOCK_BYTES: usize = 1 << 20;
/// Bits of a place that say where in its block it is.
const OFFSET_BITS: u32 = 20;
/// What is before each text: its length, and the mark.
const HEADER_BYTES: usize = 2;
/// The bit of the header that is the mark.
const MARK: u16 = 1 << 15;

/// Texts of up to 32,767 bytes, each of which may bear a mark.
#[derive(Debug, Default)]
pub(super) struct Text {
    blocks: Vec<Vec<u8>>,
}

/// Where a text lies: further than all texts that came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

impl Place {
    fn new(block: usize, offset: usize) -> Self {
        Self((block as u64) << OFFSET_BITS | offset as u64)
    }

    fn split(self) -> (usize, usize) {
        let as_usize = |number| usize::try_from(number).expect("it was one when it was made");
        (as_usize(self.0 >> OFFSET_BITS), as_usize(self.0 & ((1 << OFFSET_BITS) - 1)))
    }
}

impl Text {
    /// Adds a text.
    pub(super) fn push(&mut self, text: &[u8]) {
        let len = u16::try_from(text.len()).expect("longer lines are refused");
        debug_assert!(len < MARK);
        let fits = |block: &Vec<u8>| block.len() + HEADER_BYTES + text.len() <= BLOCK_BYTES;
        if !self.blocks.last().is_some_and(fits) {
            self.blocks.push(Vec::with_capacity(BLOCK_BYTES));
        }
        let block = self.blocks.last_mut().expect("one was added");
        block.extend(len.to_ne_bytes());
        block.extend(text);
    }

    /// The texts that came first, up to so many.
    pub(super) fn first(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        let texts = self.blocks.iter().enumerate().flat_map(move |(number, block)| {
            let mut offset = 0;
            std::iter::from_fn(move || {
                (offset < block.len()).then(|| {
                    let text = self.get(Place::new(number, offset));
                    offset += HEADER_BYTES + text.len();
                    text
                })
            })
        });
        texts.take(count)
    }

    /// Hands out all texts, in the order in which they came, to be made shorter: by how long they are
    /// then, and whether they bear the mark.
    pub(super) fn shorten<E>(
        &mut self,
        mut change: impl FnMut(Place, &mut [u8]) -> Result<(usize, bool), E>,
    ) -> Result<(), E> {
        for (number, block) in self.blocks.iter_mut().enumerate() {
            let mut offset = 0;
            while let Some(header) = block[offset..].first_chunk() {
                let end = offset + HEADER_BYTES + usize::from(u16::from_ne_bytes(*header));
                let text = &mut block[offset + HEADER_BYTES..end];
                let (len, is_marked) = change(Place::new(number, offset), text)?;
                assert!(len <= text.len(), "a text only becomes shorter");
                let len = u16::try_from(len).expect("it is no longer than it was");
                let header = if is_marked { len | MARK } else { len };
                block[offset..offset + HEADER_BYTES].copy_from_slice(&header.to_ne_bytes());
                offset = end;
            }
        }
        Ok(())
    }

    fn header(&self, place: Place) -> u16 {
        let (block, offset) = place.split();
        let header = self.blocks[block][offset..].first_chunk();
        u16::from_ne_bytes(*header.expect("every text has one"))
    }

    /// The text there.
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let (block, offset) = place.split();
        let len = usize::from(self.header(place) & !MARK);
        &self.blocks[block][offset + HEADER_BYTES..][..len]
    }

    /// Whether it bears the mark.
    pub(super) fn is_marked(&self, place: Place) -> bool {
        self.header(place) & MARK != 0
    }

    /// Marks it.
    pub(super) fn mark(&mut self, place: Place) {
        let header = self.header(place) | MARK;
        let (block, offset) = place.split();
        self.blocks[block][offset..offset + HEADER_BYTES].copy_from_slice(&header.to_ne_bytes());
    }

    /// What it takes of memory.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.blocks.iter().map(Vec::capacity).sum()
    }
}
