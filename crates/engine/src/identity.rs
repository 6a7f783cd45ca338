//! What this process may set: owners, groups, devices; and how owners translate.

use std::sync::Arc;

use model::settings::{Preserve, Privilege};
use model::{IdMap, Metadata};

use crate::endpoint::Owners;

/// How far the process can go in setting owners and devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// As root: owners, any group, devices.
    Root,
    /// As root, but kept in an attribute instead (`--fake-super`).
    Fake,
    /// Only its own groups.
    User,
}

/// What this process may set.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) power: Power,
    /// Entries of the source are what they pretend to be (`--fake-super` of that side).
    pub(crate) believes_source: bool,
    /// Owner of what it creates.
    pub(crate) uid: u32,
    /// The process itself is root, whatever it pretends.
    pub(crate) is_root: bool,
    pub(crate) umask: u32,
    users: Option<IdMap>,
    groups: Option<IdMap>,
    owner: bool,
    group: bool,
    /// By what names the source knows its owners.
    owners: Owners,
    /// Owners keep their names, and not their numbers.
    goes_by_name: bool,
}

impl Identity {
    /// `umask` is that of the process as it was started.
    pub(crate) fn new(preserve: &Preserve, umask: u32, owners: Owners) -> Self {
        let is_root = fs::process::is_root();
        let power = match preserve.privilege {
            Privilege::Fake => Power::Fake,
            Privilege::Assume => Power::Root,
            Privilege::Auto if is_root => Power::Root,
            Privilege::Auto | Privilege::Renounce => Power::User,
        };
        let map = |map: &IdMap| (!map.rules.is_empty()).then(|| map.clone());
        Self {
            power,
            believes_source: preserve.source_pretends,
            uid: fs::process::effective_uid(),
            is_root,
            umask,
            users: map(&preserve.ids.users),
            groups: map(&preserve.ids.groups),
            owner: preserve.owner,
            group: preserve.group,
            goes_by_name: owners.are_elsewhere() && !preserve.ids.numeric,
            owners,
        }
    }

    /// The mode bits that new entries may have where nothing else says.
    pub(crate) fn default_mask(&self) -> u32 {
        0o777 & !self.umask
    }

    /// The owner that a copy of `source` shall have; `None` where it is left alone.
    pub(crate) fn wanted_owner(&self, source: &Metadata) -> Option<u32> {
        let may = self.owner && self.power != Power::User;
        may.then(|| self.user(source.uid))
    }

    /// The group that a copy of `source` shall have; `None` where it is left alone.
    pub(crate) fn wanted_group(&self, source: &Metadata) -> Option<u32> {
        if !self.group {
            return None;
        }
        let group = self.group(source.gid);
        (self.power != Power::User || fs::names::is_group_member(group)).then_some(group)
    }

    /// True when owners are translated.
    pub(crate) fn translates(&self) -> bool {
        self.goes_by_name || self.users.is_some() || self.groups.is_some()
    }

    /// The user that a user becomes.
    pub(crate) fn user(&self, uid: u32) -> u32 {
        self.translate(
            self.users.as_ref(),
            uid,
            |uid| self.owners.user_name(uid),
            fs::names::uid_of,
        )
    }

    /// The group that a group becomes.
    pub(crate) fn group(&self, gid: u32) -> u32 {
        let name = |gid| self.owners.group_name(gid);
        self.translate(self.groups.as_ref(), gid, name, fs::names::gid_of)
    }

    /// True where device nodes can be made.
    pub(crate) fn may_make_devices(&self) -> bool {
        self.power != Power::User
    }

    /// What a rule says of an id, else the id that its name has here. As in rsync root is root, and an
    /// id without a name, or with one that nobody has here, stays.
    fn translate(
        &self,
        map: Option<&IdMap>,
        id: u32,
        name: impl Fn(u32) -> Option<Arc<[u8]>>,
        id_here: impl Fn(&[u8]) -> Option<u32>,
    ) -> u32 {
        let name_bytes = |id| name(id).map(|name| name.to_vec());
        let ruled = map.and_then(|map| map.find(id, name_bytes, filter::matches_name));
        let goes_by_name = self.goes_by_name && id != 0;
        let named = || goes_by_name.then(|| name(id)).flatten().and_then(|name| id_here(&name));
        ruled.or_else(named).unwrap_or(id)
    }
}
