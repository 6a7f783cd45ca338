//! Which attributes are brought over.

use model::settings::{Atimes, Mtimes, Perms, Preserve, Privilege, Xattrs};

use super::ids::{self, Writes};
use super::one_side::Sides;
use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    perms: bool,
    executability: bool,
    times: bool,
    omit_dir_times: bool,
    omit_link_times: bool,
    atimes: u8,
    xattrs: u8,
    no_special_files: bool,
    ids: ids::Typed,
    plain: Preserve,
}

impl Typed {
    pub(super) fn take(
        &mut self,
        flag: &RawFlag,
        surroundings: &dyn Surroundings,
    ) -> Result<(), Refusal> {
        let on = flag.is_on();
        match flag.opt {
            Opt::Archive => self.take_archive(),
            Opt::Perms => self.perms = on,
            Opt::Executability => self.executability = true,
            Opt::Chmod => self.take_chmod(flag, surroundings.umask())?,
            Opt::Acls => {
                self.plain.acls = on;
                self.perms |= on;
            }
            Opt::Xattrs => self.xattrs = raised(self.xattrs, on),
            Opt::Owner => self.plain.owner = on,
            Opt::Group => self.plain.group = on,
            Opt::Devices => self.plain.devices = on,
            Opt::Specials => self.plain.specials = on,
            Opt::DevicesAndSpecials => (self.plain.devices, self.plain.specials) = (on, on),
            Opt::DropDevices => self.no_special_files = on,
            Opt::Times => self.times = on,
            Opt::Atimes => self.atimes = raised(self.atimes, on),
            Opt::OmitDirTimes => self.omit_dir_times = on,
            Opt::OmitLinkTimes => self.omit_link_times = on,
            Opt::NumericIds | Opt::Usermap | Opt::Groupmap | Opt::Chown => {
                let needed = self.ids.take(flag)?;
                self.plain.owner |= needed.owner;
                self.plain.group |= needed.group;
            }
            _ => {}
        }
        Ok(())
    }

    fn take_archive(&mut self) {
        self.perms = true;
        self.times = true;
        self.plain.owner = true;
        self.plain.group = true;
        self.plain.devices = true;
        self.plain.specials = true;
    }

    fn take_chmod(&mut self, flag: &RawFlag, umask: u32) -> Result<(), Refusal> {
        let added = self.plain.chmod.push(flag.text()?, umask);
        added.ok_or_else(|| flag.refuse("is not a list of modes such as D2775,F664 or u+rwX,go-w"))
    }

    /// How often `-U` was asked for: twice means `--open-noatime` too.
    pub(super) fn atimes(&self) -> u8 {
        self.atimes
    }

    /// Settles it; backups beside the files touch the times of directories, so these are not kept
    /// then. Returns warnings, too.
    pub(super) fn settle(
        self,
        backups_beside_files: bool,
        writes: Writes,
        sides: &Sides,
        surroundings: &dyn Surroundings,
    ) -> Result<(Preserve, Vec<String>), Refusal> {
        let mut preserve = self.plain;
        (preserve.privilege, preserve.source_pretends) = (sides.privilege, sides.source_pretends);
        let pretends_at = [sides.source_pretends, sides.privilege == Privilege::Fake];
        if preserve.acls && pretends_at[0] != pretends_at[1] {
            let sentence = "-A with --fake-super on one side only is not there yet; leave -A out";
            return Err(Refusal::unsupported(sentence));
        }
        preserve.perms = match (self.perms, self.executability) {
            (true, _) => Perms::Keep,
            (false, true) => Perms::Executability,
            (false, false) => Perms::New,
        };
        let directories = self.times && !self.omit_dir_times && !backups_beside_files;
        let symlinks = self.times && !self.omit_link_times;
        preserve.mtimes = Mtimes { files: self.times, directories, symlinks };
        let keeps_atimes = self.atimes > 0;
        preserve.atimes =
            Atimes { files: keeps_atimes, symlinks: keeps_atimes && !self.omit_link_times };
        preserve.xattrs = match self.xattrs {
            0 => Xattrs::Ignore,
            1 => Xattrs::Keep,
            _ if pretends_at.contains(&true) => {
                return Err(Refusal::usage("-XX would overwrite what --fake-super keeps; use -X"));
            }
            _ => Xattrs::KeepAll,
        };
        if self.no_special_files {
            (preserve.devices, preserve.specials) = (false, false);
        }
        let (ids, warnings) = self.ids.settle(writes, surroundings)?;
        preserve.ids = ids;
        Ok((preserve, warnings))
    }
}

fn raised(level: u8, on: bool) -> u8 {
    if on { level.saturating_add(1) } else { 0 }
}
