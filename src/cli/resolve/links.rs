//! What links mean.

use model::settings::{Links, Symlinks};

use super::one_side::Sides;
use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    keep: bool,
    follow: bool,
    plain: Links,
}

impl Typed {
    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let on = flag.is_on();
        match flag.opt {
            Opt::Archive => self.keep = true,
            Opt::Links => self.keep = on,
            Opt::CopyLinks => self.follow = true,
            Opt::CopyUnsafeLinks => self.plain.copy_unsafe = true,
            Opt::SafeLinks => self.plain.skip_unsafe = true,
            Opt::CopyDirlinks => self.plain.copy_dirlinks = true,
            Opt::KeepDirlinks => self.plain.keep_dirlinks = true,
            Opt::HardLinks => self.plain.hard_links = on,
            Opt::ConfineRoot => confine(flag)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn settle(self, sides: &Sides) -> Links {
        let symlinks = match (self.follow, self.keep) {
            (true, _) => Symlinks::Follow,
            (false, true) => Symlinks::Keep,
            (false, false) => Symlinks::Skip,
        };
        Links { symlinks, munge: sides.munge, unmunge: sides.unmunge, ..self.plain }
    }
}

fn confine(flag: &RawFlag) -> Result<(), Refusal> {
    match flag.bytes() {
        b"/" => Ok(()),
        path if path.starts_with(b"/") => {
            Err(Refusal::unsupported("--confine-root is not there yet, except for /"))
        }
        _ => Err(flag.refuse("is not an absolute path")),
    }
}
