//! Names of users and groups of this host: those of owners that were told, and no others, so that nobody learns
//! all accounts by asking for number after number.

use std::collections::HashSet;

use fs::acl::{Acl, Tag};
use model::Metadata;
use parking_lot::RwLock;
use wire::{Owner, OwnerName, Piece, Reply, Seen};

use super::Halt;

/// Owners that were told in this session.
#[derive(Debug, Default)]
pub(super) struct ToldOwners(RwLock<HashSet<Owner>>);

impl ToldOwners {
    /// Takes note of those that a piece tells of.
    pub(super) fn note(&self, piece: &Piece) {
        let Piece::Reply(reply) = piece else { return };
        match reply {
            Reply::Opened(metadata) => self.note_of_metadata(metadata),
            Reply::Seen(seen) => self.note_of_seen(seen),
            Reply::After(after) => self.note_of_metadata(&after.metadata),
            Reply::Page { page, .. } => {
                let seen =
                    page.entries().iter().filter_map(|entry| entry.seen.as_ref()?.as_ref().ok());
                seen.for_each(|seen| self.note_of_seen(seen));
            }
            Reply::Files { files, .. } => {
                for file in files.as_slice().iter().flatten() {
                    self.note_of_seen(&file.before);
                    file.after.iter().for_each(|after| self.note_of_metadata(after));
                }
            }
            _ => {}
        }
    }

    fn note_of_seen(&self, seen: &Seen) {
        self.note_of_metadata(&seen.metadata);
        let Some(Ok(acls)) = &seen.acls else { return };
        for acl in [&acls.access, &acls.default].into_iter().flatten() {
            // What is none names nobody.
            let Ok(acl) = Acl::parse(acl.as_bytes()) else { continue };
            for entry in acl.entries() {
                match entry.tag {
                    Tag::User(uid) => self.note_of(Owner::User(uid)),
                    Tag::Group(gid) => self.note_of(Owner::Group(gid)),
                    _ => {}
                }
            }
        }
    }

    fn note_of_metadata(&self, metadata: &Metadata) {
        self.note_of(Owner::User(metadata.uid));
        self.note_of(Owner::Group(metadata.gid));
    }

    fn note_of(&self, owner: Owner) {
        if !self.0.read().contains(&owner) {
            self.0.write().insert(owner);
        }
    }

    /// The name of one of them, if it has one that the protocol can carry.
    pub(super) fn name_of(&self, owner: Owner) -> Result<Option<OwnerName>, Halt> {
        if !self.0.read().contains(&owner) {
            return Err(Halt::refused("nothing was told that belongs to this owner"));
        }
        Ok(name_of(owner))
    }
}

/// The name of any owner.
pub(super) fn name_of(owner: Owner) -> Option<OwnerName> {
    let name = match owner {
        Owner::User(uid) => fs::names::user_name(uid),
        Owner::Group(gid) => fs::names::group_name(gid),
    };
    name.and_then(|name| OwnerName::new(name).ok())
}
