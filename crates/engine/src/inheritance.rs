//! What a directory passes on to all that is made in it: its group, and what its default ACL allows.
//! These are set before anything is made in it; all else waits until the directory is finished.

use fs::Dir;
use fs::acl::{self, Which};
use model::Metadata;
use model::settings::Perms;

use crate::endpoint::{Attributed, Directory};
use crate::node::{Before, Layer, Target, ThroughLink};
use crate::run::Run;
use crate::wanted::Wanted;

/// Sets at once what is passed on to all that is made in a directory: the set-group-id bit and, with
/// it, the group. The rest waits until the directory is finished, and so does telling what cannot be
/// set.
pub(crate) fn pass_on(run: &Run, dir: &Dir, now: &Metadata, wanted: &Wanted, listing: Before) {
    let keeps_inherited =
        matches!(listing, Before::Empty) && run.settings.preserve.perms != Perms::Keep;
    let bit = match run.keeps_pretence() {
        true => 0,
        false if keeps_inherited => now.mode & 0o2000,
        false => wanted.mode & 0o2000,
    };
    let gid = wanted.gid.filter(|gid| bit != 0 && *gid != now.gid && !run.keeps_pretence());
    if bit == now.mode & 0o2000 && gid.is_none() {
        return;
    }
    if gid.is_some() && dir.set_own_owner(None, gid).is_err() {
        // The wrong group is not passed on.
        return;
    }
    drop(dir.set_own_mode(now.mode & !0o2000 | bit));
}

/// `-A` without `-p`: what is made in a directory is born with what its default ACL allows, which
/// is the source's from the start. A fault is told when the directory is finished. A directory that
/// only pretends to have a list is not given one.
pub(crate) fn pass_on_acl(run: &Run, layers: &[Layer], target: &Target) {
    let preserve = &run.settings.preserve;
    let is_real = preserve.acls && !run.keeps_pretence();
    if !is_real || preserve.perms == Perms::Keep || run.settings.dry_run {
        return;
    }
    let Target::Present { handle, through_link: ThroughLink::No, .. } = target else { return };
    let source = layers.first().and_then(|layer| layer.handle.if_open());
    let (Some(source), Some(target)) = (source, handle.if_open()) else { return };
    if !run.pass().transfers() {
        return;
    }
    if let Ok(list) = source.attributes().acl(Which::Default) {
        drop(acl::write((&target).into(), Which::Default, list.as_ref()));
    }
}
