//! Extended attributes and ACLs of entries on the other host.

use std::io;
use std::sync::{Arc, OnceLock};

use fs::Acl;
use fs::acl::{self, ACCESS_ATTRIBUTE, DEFAULT_ATTRIBUTE, Which};
use wire::{Acls, Attribute, AttributeValue, IoFault, Wants};

use super::known::Known;
use super::{Remote, RemoteDir, RemoteFile};
use crate::endpoint::Attributed;

/// Both are asked for together: one without the other saves nothing.
pub(super) const ATTRIBUTES_AND_ACLS: Wants = Wants::ATTRIBUTES.union(Wants::ACLS);

/// What carries them.
#[derive(Debug)]
enum Carrier<'a> {
    Dir(&'a RemoteDir),
    Name(&'a RemoteDir, &'a [u8]),
    File(&'a RemoteFile),
    /// What a name leads to, which was looked at.
    Behind(Arc<Remote>),
}

/// The extended attributes and ACLs of an entry; asked for by the first question, if they were not
/// told before.
#[derive(Debug)]
pub(crate) struct RemoteAttributes<'a> {
    carrier: Carrier<'a>,
    known: OnceLock<Arc<Known>>,
}

impl<'a> RemoteAttributes<'a> {
    /// Those of a directory itself.
    pub(crate) fn of_dir(dir: &'a RemoteDir) -> Self {
        Self { carrier: Carrier::Dir(dir), known: OnceLock::new() }
    }

    /// Those of a name; of a link, the link's own.
    pub(crate) fn of_name(dir: &'a RemoteDir, name: &'a [u8]) -> Self {
        Self { carrier: Carrier::Name(dir, name), known: OnceLock::new() }
    }

    /// Those of an open file.
    pub(crate) fn of_file(file: &'a RemoteFile) -> Self {
        Self { carrier: Carrier::File(file), known: OnceLock::new() }
    }

    /// Those of what a name leads to.
    pub(super) fn behind(remote: &Arc<Remote>, known: Arc<Known>) -> Self {
        Self { carrier: Carrier::Behind(Arc::clone(remote)), known: known.into() }
    }

    fn remote(&self) -> &Remote {
        match &self.carrier {
            Carrier::Dir(dir) | Carrier::Name(dir, _) => dir.remote(),
            Carrier::File(file) => file.remote(),
            Carrier::Behind(remote) => remote,
        }
    }

    fn known(&self) -> io::Result<&Known> {
        if let Some(known) = self.known.get() {
            return Ok(&**known);
        }
        let wants = wanted(self.remote());
        let known = match &self.carrier {
            Carrier::Dir(dir) => dir.look_at_itself(wants)?,
            Carrier::Name(dir, name) => dir.look_at(name, wants)?,
            Carrier::File(file) => file.look(wants)?,
            Carrier::Behind(_) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(&**self.known.get_or_init(|| known))
    }

    fn attributes(&self) -> io::Result<&[Attribute]> {
        let told = part(self.remote(), self.known()?.attributes.as_ref())?;
        Ok(told.map_or(&[][..], Vec::as_slice))
    }

    fn acls(&self) -> io::Result<Option<&Acls>> {
        part(self.remote(), self.known()?.acls.as_ref())
    }

    fn acl_bytes(&self, which: Which) -> io::Result<Option<&[u8]>> {
        let acls = self.acls()?;
        let list = acls.and_then(|acls| match which {
            Which::Access => acls.access.as_ref(),
            Which::Default => acls.default.as_ref(),
        });
        Ok(list.map(AttributeValue::as_bytes))
    }
}

/// What a job wants of them; all, if somebody asks though it wants none.
pub(super) fn wanted(remote: &Remote) -> Wants {
    let wants = remote.wants & ATTRIBUTES_AND_ACLS;
    if wants.is_empty() { ATTRIBUTES_AND_ACLS } else { wants }
}

/// A part of what is known; `None` of one that the job does not want.
fn part<'a, T>(remote: &Remote, part: Option<&'a Result<T, IoFault>>) -> io::Result<Option<&'a T>> {
    part.map(|told| told.as_ref().map_err(|fault| remote.fault(fault))).transpose()
}

impl Attributed for RemoteAttributes<'_> {
    fn names(&self) -> io::Result<Vec<Box<[u8]>>> {
        let mut names: Vec<Box<[u8]>> =
            self.attributes()?.iter().map(|one| one.name.as_bytes().into()).collect();
        // Linux lists them among the others.
        for (which, name) in
            [(Which::Access, ACCESS_ATTRIBUTE), (Which::Default, DEFAULT_ATTRIBUTE)]
        {
            if self.acl_bytes(which)?.is_some() {
                names.push(name.into());
            }
        }
        Ok(names)
    }

    fn value(&self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let value = match name {
            ACCESS_ATTRIBUTE => self.acl_bytes(Which::Access)?,
            DEFAULT_ATTRIBUTE => self.acl_bytes(Which::Default)?,
            _ => {
                let found = self.attributes()?.iter().find(|one| one.name.as_bytes() == name);
                found.map(|one| one.value.as_bytes())
            }
        };
        Ok(value.map(<[u8]>::to_vec))
    }

    fn acl(&self, which: Which) -> io::Result<Option<Acl>> {
        match self.acl_bytes(which)? {
            Some(bytes) => acl::from_attribute(which, bytes),
            None => Ok(None),
        }
    }
}
