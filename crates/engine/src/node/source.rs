//! What feeds a directory of the transfer: its layers, and what is known of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use filter::Scope;

use super::Handle;
use crate::endpoint::SourceDir;
use crate::names::NameRef;
use crate::selection::Picked;
use crate::selection::place::Place;

/// Where a layer's directory is opened from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A directory that the user named.
    Root(Place),
    /// A name in a layer of the parent node.
    Child { parent_layer: u16, name: Box<[u8]>, through_link: ThroughLink },
}

/// Whether a directory is reached by following a link at its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThroughLink {
    /// It is a directory itself.
    No,
    /// It is a link and the settings say to follow it.
    Follow,
}

impl ThroughLink {
    /// Of a name that is followed if it is a link, or is not.
    pub(crate) fn at(is_followed: bool) -> Self {
        if is_followed { Self::Follow } else { Self::No }
    }
}

/// What a directory of the source is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenedFor {
    /// To be listed.
    Listing,
    /// To reach what is in it: it was open before, or nothing asks what else is there.
    Search,
}

/// What of a layer belongs to the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Everything that a listing shows.
    Listed,
    /// Only the names that were picked.
    Picked,
}

/// One source directory that feeds a node. Most nodes have one; several sources may share names.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) origin: Origin,
    pub(crate) handle: Handle<SourceDir>,
    pub(crate) content: Content,
    /// Device of the source argument it belongs to, for `-x`.
    pub(crate) root_device: u64,
    /// Number of the root it descends from.
    pub(crate) root: u16,
    /// Number of the source argument that named it first.
    pub(crate) source: u32,
    /// The rules in force in it: each source has its own merge files.
    pub(crate) scope: Scope,
}

/// True when all of what one of the layers has is in the transfer.
pub(crate) fn is_listed(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| layer.content == Content::Listed)
}

/// The source side of a node.
#[derive(Debug)]
pub(crate) struct SourceSide {
    pub(crate) layers: Vec<Layer>,
    /// The layer whose directory gives the attributes.
    pub(crate) itself: u16,
    /// The rules of that layer.
    pub(crate) scope: Scope,
    pub(crate) picked: Option<Arc<Picked>>,
    /// A layer whose content is in the transfer could not be opened.
    pub(crate) has_unread_content: bool,
    /// The listing, or that of an ancestor, is incomplete: nothing in the directory is deleted.
    incomplete: AtomicBool,
}

impl SourceSide {
    /// `above` gives the rules where no layer could be opened.
    pub(crate) fn new(layers: Vec<Layer>, itself: usize, above: impl FnOnce() -> Scope) -> Self {
        let scope = layers.get(itself).map_or_else(above, |layer| layer.scope.clone());
        Self {
            layers,
            itself: u16::try_from(itself).unwrap_or(0),
            scope,
            picked: None,
            has_unread_content: false,
            incomplete: AtomicBool::new(false),
        }
    }

    /// Notes that it is not known what the source lacks.
    pub(crate) fn note_incomplete(&self) {
        self.incomplete.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Relaxed)
    }

    /// True when all of what a source has in it is in the transfer.
    pub(crate) fn is_listed(&self) -> bool {
        is_listed(&self.layers)
    }

    pub(crate) fn layer(&self, number: u16) -> &Layer {
        &self.layers[usize::from(number)]
    }

    /// The rules in force in a layer.
    pub(crate) fn scope_of(&self, layer: u16) -> &Scope {
        &self.layer(layer).scope
    }

    /// The source argument that a layer belongs to.
    pub(crate) fn argument_of(&self, layer: u16) -> Option<u32> {
        self.layers.get(usize::from(layer)).map(|layer| layer.source)
    }

    /// What is picked in a directory of which nothing else is asked for.
    pub(crate) fn picked_alone_in(&self, entry: &NameRef) -> Option<&Picked> {
        let picked = self.picked.as_deref().filter(|_| !entry.is_listed)?;
        picked.names.get((entry.picked as usize).checked_sub(1)?)?.alone_below()
    }

    /// The layer that descends from a root.
    pub(crate) fn layer_of_root(&self, root: u16) -> Option<u16> {
        // In the transfer root each layer has the number of its root.
        if self.layers.get(usize::from(root)).is_some_and(|layer| layer.root == root) {
            return Some(root);
        }
        let at = self.layers.iter().position(|layer| layer.root == root)?;
        u16::try_from(at).ok()
    }
}
