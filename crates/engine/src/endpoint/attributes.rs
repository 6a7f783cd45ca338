//! Extended attributes and ACLs, of either side.

use std::io;

use fs::Acl;
use fs::acl::{self, Which};
use fs::xattr::{self, Behind, Node as Carrier};

use super::remote::RemoteAttributes;

/// What has extended attributes and ACLs, at either side.
pub(crate) trait Attributed {
    /// Names of all attributes; none where there can be none.
    fn names(&self) -> io::Result<Vec<Box<[u8]>>>;

    /// The value of an attribute; `None` when there is no such attribute.
    fn value(&self, name: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// An ACL; `None` when there is none beyond the mode.
    fn acl(&self, which: Which) -> io::Result<Option<Acl>>;
}

impl Attributed for Carrier<'_> {
    fn names(&self) -> io::Result<Vec<Box<[u8]>>> {
        xattr::list(*self)
    }

    fn value(&self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        xattr::get(*self, name)
    }

    fn acl(&self, which: Which) -> io::Result<Option<Acl>> {
        acl::read(*self, which)
    }
}

/// The extended attributes and ACLs of an entry of the source.
#[derive(Debug)]
pub(crate) enum SourceAttributes<'a> {
    /// Those of an entry on this host, read as they are asked for.
    Local(Carrier<'a>),
    /// The same, of what a name leads to.
    LocalBehind(Behind),
    /// Those of an entry on another host.
    Remote(RemoteAttributes<'a>),
}

impl Attributed for SourceAttributes<'_> {
    fn names(&self) -> io::Result<Vec<Box<[u8]>>> {
        match self {
            Self::Local(carrier) => carrier.names(),
            Self::LocalBehind(behind) => Carrier::from(behind).names(),
            Self::Remote(attributes) => attributes.names(),
        }
    }

    fn value(&self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Local(carrier) => carrier.value(name),
            Self::LocalBehind(behind) => Carrier::from(behind).value(name),
            Self::Remote(attributes) => attributes.value(name),
        }
    }

    fn acl(&self, which: Which) -> io::Result<Option<Acl>> {
        match self {
            Self::Local(carrier) => carrier.acl(which),
            Self::LocalBehind(behind) => Carrier::from(behind).acl(which),
            Self::Remote(attributes) => attributes.acl(which),
        }
    }
}
