//! What is known of an entry: what was wanted of it, and could be read.

use model::{Kind, Metadata};
use wire::{Acls, Attribute, Detailed, IoFault, LinkText, Seen, Wants};

use super::{foreign, had_no_room};

/// An entry as it was told.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) metadata: Metadata,
    /// Where it leads to; `None` if that was not asked, or it is no link.
    pub(super) link: Option<Result<LinkText, IoFault>>,
    pub(super) attributes: Option<Result<Vec<Attribute>, IoFault>>,
    pub(super) acls: Option<Result<Acls, IoFault>>,
}

impl Known {
    /// True when all of this was told, if only by why it could not be read.
    pub(super) fn tells(&self, wants: Wants) -> bool {
        let is_link = self.metadata.kind == Kind::Symlink;
        (!wants.contains(Wants::LINK) || !is_link || is_told(self.link.as_ref()))
            && (!wants.contains(Wants::ATTRIBUTES) || is_told(self.attributes.as_ref()))
            && (!wants.contains(Wants::ACLS) || is_told(self.acls.as_ref()))
    }

    /// What it takes of memory, about.
    pub(super) fn byte_count(&self) -> usize {
        let link = self.link.iter().flatten().map(|text| text.as_bytes().len());
        let attributes = self.attributes.iter().flatten().flatten();
        let attributes = attributes.map(|one| {
            size_of::<Attribute>() + one.name.as_bytes().len() + one.value.as_bytes().len()
        });
        let acls = self.acls.iter().flatten().flat_map(|acls| [&acls.access, &acls.default]);
        let acls = acls.flatten().map(|acl| acl.as_bytes().len());
        size_of::<Self>() + link.chain(attributes).chain(acls).sum::<usize>()
    }
}

/// True unless it was not asked, or had no room where it was told.
fn is_told<T>(part: Option<&Result<T, IoFault>>) -> bool {
    match part {
        None => false,
        Some(Ok(_)) => true,
        Some(Err(fault)) => !had_no_room(fault),
    }
}

impl From<Seen> for Known {
    fn from(Seen { metadata, link, attributes, acls }: Seen) -> Self {
        let attributes = attributes.map(|told| told.map(wire::Attributes::into_vec));
        Self { metadata: foreign(metadata), link, attributes, acls }
    }
}

impl From<Detailed> for Known {
    fn from(Detailed { seen, more_attributes }: Detailed) -> Self {
        let mut known = Self::from(*seen);
        if let Some(Ok(attributes)) = &mut known.attributes {
            attributes.extend(more_attributes);
        }
        known
    }
}
