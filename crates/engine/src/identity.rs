//! What this process may set: owners, groups, devices; and how owners translate.

use model::settings::{Preserve, Privilege};
use model::{IdMap, Metadata};

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
    /// Owner of what it creates.
    pub(crate) uid: u32,
    /// The process itself is root, whatever it pretends.
    pub(crate) is_root: bool,
    umask: u32,
    users: Option<IdMap>,
    groups: Option<IdMap>,
    owner: bool,
    group: bool,
}

impl Identity {
    /// `umask` is that of the process as it was started.
    pub(crate) fn new(preserve: &Preserve, umask: u32) -> Self {
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
            uid: fs::process::effective_uid(),
            is_root,
            umask,
            users: map(&preserve.ids.users),
            groups: map(&preserve.ids.groups),
            owner: preserve.owner,
            group: preserve.group,
        }
    }

    /// The mode bits that new entries may have where nothing else says.
    pub(crate) fn default_mask(&self) -> u32 {
        0o777 & !self.umask
    }

    /// The owner that a copy of `source` shall have; `None` where it is left alone.
    pub(crate) fn wanted_owner(&self, source: &Metadata) -> Option<u32> {
        let may = self.owner && self.power != Power::User;
        may.then(|| translate(self.users.as_ref(), source.uid, fs::names::user_name))
    }

    /// The group that a copy of `source` shall have; `None` where it is left alone.
    pub(crate) fn wanted_group(&self, source: &Metadata) -> Option<u32> {
        if !self.group {
            return None;
        }
        let group = translate(self.groups.as_ref(), source.gid, fs::names::group_name);
        (self.power != Power::User || fs::names::is_group_member(group)).then_some(group)
    }

    /// True when owners are translated.
    pub(crate) fn translates(&self) -> bool {
        self.users.is_some() || self.groups.is_some()
    }

    /// The user that a user becomes.
    pub(crate) fn user(&self, uid: u32) -> u32 {
        translate(self.users.as_ref(), uid, fs::names::user_name)
    }

    /// The group that a group becomes.
    pub(crate) fn group(&self, gid: u32) -> u32 {
        translate(self.groups.as_ref(), gid, fs::names::group_name)
    }

    /// True where device nodes can be made.
    pub(crate) fn may_make_devices(&self) -> bool {
        self.power != Power::User
    }
}

type NameOf = fn(u32) -> Option<std::sync::Arc<[u8]>>;

fn translate(map: Option<&IdMap>, id: u32, name: NameOf) -> u32 {
    let name = |id| name(id).map(|name| name.to_vec());
    map.map_or(id, |map| map.apply(id, name, filter::matches_name))
}
