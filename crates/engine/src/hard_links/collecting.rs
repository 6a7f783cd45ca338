//! Members of groups that are not complete.
//!
//! With `-H` there may be as many as the tree has files, so they are kept small: an arena for the
//! names, 48 bytes for the rest, and an index of five. A test holds it to that.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Found;
use model::Inode;

use super::Member;
use crate::names::Presence;
use crate::node::Node;
use crate::order::SegmentId;

/// An arena is not rid of dead names before so many bytes of it are dead.
const DEAD_BYTES: usize = 4096;

/// Groups that are not complete.
#[derive(Default)]
pub(super) struct Shard {
    hasher: RandomState,
    /// The first member of each group.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    /// Slots that hold no member.
    free: Vec<u32>,
    names: Vec<u8>,
    /// How many bytes of `names` belong to no member.
    dead_bytes: usize,
    /// The slots before hold no first member.
    next: usize,
}

/// A member. The members of a group are a chain.
struct Slot {
    inode: Inode,
    node: Option<Arc<Node>>,
    name_at: u32,
    segment: SegmentId,
    /// The next member of the group; the slot itself in the last.
    next: u32,
    /// In the first member of a group, how many there are; 0 in the others.
    count: u32,
    layer: u16,
    name_len: u16,
    is_followed: bool,
    presence: Presence,
}

impl Shard {
    /// Takes a member in; gives all of its group when they are `wanted` many.
    pub(super) fn push(
        &mut self,
        inode: Inode,
        member: Member,
        wanted: u32,
    ) -> Option<Vec<Member>> {
        let at = self.place(inode, member);
        let Self { hasher, index, slots, .. } = self;
        let hash = hasher.hash_one(inode);
        let is_same = |other: &u32| slots[*other as usize].inode == inode;
        let hash_of = |other: &u32| hasher.hash_one(slots[*other as usize].inode);
        let first = match index.entry(hash, is_same, hash_of) {
            Found::Occupied(first) => *first.get(),
            Found::Vacant(vacant) => {
                vacant.insert(at);
                at
            }
        };
        if first != at {
            let second = slots[first as usize].next;
            slots[at as usize].next = if second == first { at } else { second };
            slots[first as usize].next = at;
        }
        let count = &mut slots[first as usize].count;
        *count += 1;
        (*count >= wanted).then(|| self.take(first))
    }

    /// Takes the members of one group out, of those that came first if they can be told apart.
    pub(super) fn take_one(&mut self) -> Option<(Inode, Vec<Member>)> {
        while let Some(slot) = self.slots.get(self.next) {
            if slot.count > 0 {
                let first = u32::try_from(self.next).ok()?;
                return Some((slot.inode, self.take(first)));
            }
            self.next += 1;
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Puts a member, and its name, where there is room.
    fn place(&mut self, inode: Inode, member: Member) -> u32 {
        let Member { node, name, segment, layer, is_followed, presence } = member;
        let at = self.free.pop().unwrap_or_else(|| {
            u32::try_from(self.slots.len()).expect("fewer than 2^32 members wait")
        });
        let slot = Slot {
            inode,
            node: Some(node),
            name_at: u32::try_from(self.names.len()).expect("names that wait fit 4 GiB"),
            segment,
            next: at,
            count: 0,
            layer,
            name_len: u16::try_from(name.len()).expect("a name has fewer than 65,536 bytes"),
            is_followed,
            presence,
        };
        self.names.extend_from_slice(&name);
        match self.slots.get_mut(at as usize) {
            Some(freed) => *freed = slot,
            None => self.slots.push(slot),
        }
        at
    }

    /// Takes the members of a group out, given its first.
    fn take(&mut self, first: u32) -> Vec<Member> {
        let slot = &self.slots[first as usize];
        let mut members = Vec::with_capacity(slot.count as usize);
        let hash = self.hasher.hash_one(slot.inode);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == first) {
            found.remove();
        }
        let mut at = first;
        loop {
            let next = self.slots[at as usize].next;
            members.extend(self.empty(at));
            if next == at {
                break;
            }
            at = next;
        }
        if self.dead_bytes > DEAD_BYTES && self.dead_bytes > self.names.len() / 2 {
            self.bury();
        }
        members
    }

    fn empty(&mut self, at: u32) -> Option<Member> {
        let slot = &mut self.slots[at as usize];
        let node = slot.node.take()?;
        slot.count = 0;
        let len = usize::from(slot.name_len);
        let name = self.names[slot.name_at as usize..][..len].into();
        let Slot { segment, layer, is_followed, presence, .. } = *slot;
        self.dead_bytes += len;
        self.free.push(at);
        Some(Member { node, name, segment, layer, is_followed, presence })
    }

    /// Rids the arena of the names that belong to no member.
    /// Test: `extremes::very_many_links_wait_and_keep_their_names`.
    fn bury(&mut self) {
        let mut alive = Vec::with_capacity(self.names.len() - self.dead_bytes);
        for slot in self.slots.iter_mut().filter(|slot| slot.node.is_some()) {
            let name = &self.names[slot.name_at as usize..][..usize::from(slot.name_len)];
            slot.name_at = u32::try_from(alive.len()).expect("fewer bytes than before");
            alive.extend_from_slice(name);
        }
        self.names = alive;
        self.dead_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_waits_is_small() {
        assert_eq!(size_of::<Slot>(), 48);
    }
}
