//! How a directory was reached, and what the rules of the job say of the names in it.
//!
//! The engine judges all this by itself, at the requester. Here it is judged again, for a requester that
//! lies: so the rules that are in force stay with the handle, and no name costs more than a look at them.

use std::sync::Arc;

use filter::{Perishable, RuleError, Rules, Scope, Side};
use fs::Dir;
use model::{Inode, Kind, RelPath};

use super::reach::{Reach, Shown};
use crate::merge_files::rules_in_force;
use crate::scan::node_kind;

/// How a directory was reached.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) inode: Inode,
    /// The directory that it was opened in, by its name or through a link; `None` of a root.
    pub(super) above: Option<Arc<Self>>,
    pub(super) reach: Arc<Reach>,
    /// `None` where no rule hides anything.
    views: Option<Views>,
}

/// A directory as rules see it. One that several arguments lead to may lie in several transfers.
#[derive(Debug)]
struct Views {
    rules: Arc<Rules>,
    /// Its path from `/`, where a transfer may begin in it or below.
    place: Option<Box<[u8]>>,
    seen: Vec<View>,
}

/// A directory in a transfer.
#[derive(Debug)]
struct View {
    path: RelPath,
    /// What is in force above all merge files: names that were typed are asked of these.
    typed: Scope,
    scope: Scope,
}

impl Drop for Way {
    /// One after the other: dropped within one another they would need a stack as deep as the tree.
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(mut way) = above.and_then(Arc::into_inner) {
            above = way.above.take();
        }
    }
}

impl Way {
    /// That of a root, which has this path from `/`.
    pub(super) fn of_root(
        dir: &Dir,
        inode: Inode,
        reach: Arc<Reach>,
        rules: Option<(&Arc<Rules>, Vec<u8>)>,
    ) -> Result<Self, RuleError> {
        let views = rules.map(|(rules, place)| {
            let place = Some(place.into());
            Views { rules: Arc::clone(rules), place, seen: Vec::new() }.begin(dir, &reach)
        });
        Ok(Self { inode, above: None, reach, views: views.transpose()? })
    }

    /// That of a directory which has a name in this one.
    pub(super) fn child(
        self: &Arc<Self>,
        name: &[u8],
        dir: &Dir,
        inode: Inode,
        reach: Arc<Reach>,
    ) -> Result<Self, RuleError> {
        let enter = |views: &Views| {
            let mut seen = Vec::with_capacity(views.seen.len());
            // Nothing in it can be seen.
            if !reach.is_closed() {
                for view in &views.seen {
                    let (path, typed) = (view.path.child(name), view.typed.clone());
                    let scope = rules_in_force(&view.scope, &path, Some(dir))?;
                    seen.push(View { path, typed, scope });
                }
            }
            let place = views.place.as_deref().filter(|_| self.reach.has_picked(name));
            let place = place.map(|place| crate::run::join(place, name));
            Views { rules: Arc::clone(&views.rules), place, seen }.begin(dir, &reach)
        };
        let views = self.views.as_ref().map(enter).transpose()?;
        Ok(Self { inode, above: Some(Arc::clone(self)), reach, views })
    }

    /// Where it begins.
    pub(super) fn root(&self) -> Inode {
        let mut way = self;
        while let Some(above) = &way.above {
            way = above;
        }
        way.inode
    }

    /// What rules say of a name in it, by its kind.
    pub(super) fn shown(&self, name: &[u8], kind: Option<Kind>) -> Shown {
        let Some(Views { seen, .. }) = &self.views else { return Shown::FULLY };
        let mut shown = Shown { is_listed: false, is_picked: false };
        for View { path, typed, scope } in seen {
            let path = path.child(name);
            let shows = |scope: &Scope| {
                let (path, kind) = (path.as_bytes(), node_kind(kind));
                !scope.check(path, kind, Side::Sender, Perishable::Honoured).is_excluded()
            };
            shown.is_listed |= shows(scope);
            shown.is_picked |= shows(typed);
        }
        shown
    }

    /// True when a name is left out of its listing, whatever it turns out to be.
    pub(super) fn hides(&self, name: &[u8], kind: Option<Kind>) -> bool {
        let may_be = |kind| self.shown(name, Some(kind)).is_listed;
        let is_shown = match kind {
            // What a link leads to may be meant.
            None | Some(Kind::Symlink) => may_be(Kind::File) || may_be(Kind::Directory),
            Some(kind) => may_be(kind),
        };
        self.views.is_some() && !is_shown
    }
}

impl Views {
    /// Adds that of a transfer which begins here. As in the engine, a directory that only names were
    /// picked from has no say on the others.
    fn begin(mut self, dir: &Dir, reach: &Reach) -> Result<Self, RuleError> {
        if let Some(place) = self.place.as_deref().filter(|_| reach.begins()) {
            let typed = Scope::root(Arc::clone(&self.rules), place);
            let path = RelPath::root();
            let scope = if reach.is_listed() {
                rules_in_force(&typed, &path, Some(dir))?
            } else {
                typed.clone()
            };
            self.seen.push(View { path, typed, scope });
        }
        Ok(self)
    }
}
