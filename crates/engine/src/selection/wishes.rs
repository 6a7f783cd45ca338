//! What the options and rules of a job want of its arguments.

use std::io;
use std::sync::Arc;

use filter::{Rules, Scope};
use model::Kind;
use model::settings::{DeleteWhen, Depth, MissingArgs, Settings};

use super::Ruling;
use super::place::Base;
use crate::endpoint::Endpoint;
use crate::node::Content;

/// What the arguments are read by.
pub(super) struct Wishes<'a> {
    pub(super) settings: &'a Settings,
    pub(super) rules: &'a Arc<Rules>,
    /// Where they are looked up.
    pub(super) endpoint: &'a Endpoint,
}

impl std::ops::Deref for Wishes<'_> {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        self.settings
    }
}

impl Wishes<'_> {
    /// False when a name of `--files-from` leads through no link that another user may have set.
    pub(super) fn trusts_listed_links(&self) -> bool {
        self.settings.links.follows_some() || !self.settings.traverse.relative
    }

    /// True when a name that cannot be looked at for `error` is to be deleted at the destination.
    pub(super) fn deletes_at_destination(&self, error: &io::Error) -> bool {
        self.settings.traverse.missing_args == MissingArgs::Delete
            && error.kind() == io::ErrorKind::NotFound
    }

    /// True when a name that cannot be looked at for `error` is passed over.
    pub(super) fn ignores(&self, error: &io::Error) -> bool {
        self.settings.traverse.missing_args == MissingArgs::Ignore
            && error.kind() == io::ErrorKind::NotFound
    }

    /// What of a named directory belongs to the transfer.
    pub(super) fn content(&self, lists_content: bool) -> Content {
        match self.settings.traverse.depth {
            Depth::Recursive => Content::Listed,
            Depth::Directories if lists_content => Content::Listed,
            _ => Content::Picked,
        }
    }

    /// True when an empty directory must not empty its copy (`--no-empty-source`).
    pub(super) fn refuses_empty(&self) -> bool {
        let delete = &self.settings.delete;
        delete.refuse_empty_source && delete.when != DeleteWhen::Never
    }

    /// True when the root on the way to a name is left out since nothing asks for directories.
    pub(super) fn passes_over_root(&self) -> bool {
        let traverse = &self.settings.traverse;
        traverse.relative && traverse.depth == Depth::Files
    }

    /// True when the root counts as one of the directories on the way.
    pub(super) fn names_implied_root(&self, base: &Base) -> bool {
        let traverse = &self.settings.traverse;
        traverse.relative
            && traverse.depth != Depth::Files
            && self.ruling(base, &[b"."], Kind::Directory).is_none_or(|ruling| !ruling.hides)
    }

    /// What a rule of the command line says of an argument; no merge file is asked.
    pub(super) fn ruling(&self, base: &Base, components: &[&[u8]], kind: Kind) -> Option<Ruling> {
        if self.rules.is_empty() || components.is_empty() {
            return None;
        }
        let scope = Scope::root(Arc::clone(self.rules), &base.place.absolute());
        let path = components.join(&b'/');
        let kind = crate::scan::node_kind(Some(kind));
        let side = filter::Side::Sender;
        let verdict = match &path[..] {
            b"." => scope.check_leading_dot(side),
            path => scope.check(path, kind, side, filter::Perishable::Honoured),
        };
        let (hides, rule) = match verdict {
            filter::Verdict::Excluded(rule) => (true, rule),
            filter::Verdict::Included(rule) => (false, rule),
            filter::Verdict::Unmatched => return None,
        };
        let rule = scope.describe(rule);
        Some(Ruling { hides, pattern: rule.pattern().into(), rule: rule.to_string() })
    }
}
