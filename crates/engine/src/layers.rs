//! The source directories that feed a directory of the transfer.

use std::io;

use model::settings::{Depth, OneFileSystem, Symlinks};
use model::{Cause, Fault, Kind, Metadata, Side, Topic, Verb};

use crate::attributes::Extra;
use crate::descend::way::Way;
use crate::endpoint::{Directory, SourceDir};
use crate::fake_super::check_pretence;
use crate::links::is_unsafe;
use crate::names::AlsoIn;
use crate::node::{Content, Handle, Layer, OpenedFor, Origin, ThroughLink};
use crate::run::Run;
use crate::selection::{InRoot, Pick, Reason};
use crate::task::Worker;

/// Layers of one directory that are open from the start: more are rare, and thousands would not fit.
const OPEN_LAYERS: usize = 4;

/// Opens the source directories that feed a child; with the last fault, which has been told, when
/// one cannot be opened.
pub(crate) fn open_layers(worker: &mut Worker<'_>, way: &Way<'_>) -> (Vec<Layer>, Option<Fault>) {
    let mut unopened = None;
    let mut layers: Vec<Layer> = Vec::with_capacity(1);
    for contribution in contributions(worker.run, way) {
        let Contribution { parent_layer, mut content, through_link } = contribution;
        let opened = match open_layer(way, parent_layer, content, through_link) {
            Err(error) if content == Content::Listed && !way.pick().is_none_or(is_leaf) => {
                // What is named in it is brought over though the rest cannot be listed.
                unopened = Some(tell_unopened(worker, way, parent_layer, &error));
                content = Content::Picked;
                let Ok(opened) = open_layer(way, parent_layer, content, through_link) else {
                    continue;
                };
                Ok(opened)
            }
            opened => opened,
        };
        match opened {
            Ok((dir, metadata)) => {
                let above = way.node.source.layer(parent_layer);
                let is_named = way.reason() == Some(Reason::Named);
                let handle = if layers.len() < OPEN_LAYERS {
                    Handle::new(dir, &metadata)
                } else {
                    Handle::closed(&metadata)
                };
                layers.push(Layer {
                    origin: Origin::Child { parent_layer, name: way.name().into(), through_link },
                    handle,
                    content,
                    root_device: if is_named { metadata.dev } else { above.root_device },
                    root: above.root,
                    source: above.source,
                    scope: above.scope.clone(),
                });
            }
            // Nothing in it is asked for (-d), so it need not be read.
            Err(_) if content == Content::Picked && way.pick().is_none_or(is_leaf) => {}
            Err(error) => unopened = Some(tell_unopened(worker, way, parent_layer, &error)),
        }
    }
    (layers, unopened)
}

fn tell_unopened(worker: &mut Worker<'_>, way: &Way<'_>, layer: u16, error: &io::Error) -> Fault {
    let fault = way.node.source_fault(Verb::OpenDirectory, layer, way.name(), error);
    worker.run.source_fault(&mut worker.scratch.totals, fault.clone());
    fault
}

/// True when nothing below a picked name is picked.
fn is_leaf(pick: &Pick) -> bool {
    pick.below.is_none()
}

/// As rsync: a directory whose attributes are asked for and cannot be read is not made at all.
pub(crate) fn can_read_attributes(run: &Run, way: &Way<'_>) -> bool {
    let read = way.node.layer_dir(way.entry.layer).and_then(|dir| {
        let scope = way.node.source.scope_of(way.entry.layer);
        Extra::of_source(run, scope, &dir.attributes_of(way.name()))
    });
    read.is_ok()
}

/// `--fake-super`: what a directory pretends to be must be known, though as in rsync it is brought over
/// all the same. Of one that is listed it is told there that it cannot be read.
/// Test: `what_a_directory_pretends_to_be_is_asked_for_where_it_is_not_listed`.
pub(crate) fn tell_unknown_pretence(worker: &mut Worker<'_>, way: &Way<'_>) {
    let run = worker.run;
    if !run.believes(Side::Source) || way.entry.is_followed || way.reason() == Some(Reason::Path) {
        return;
    }
    let layer = way.entry.layer;
    let read = way.node.layer_dir(layer).and_then(|dir| check_pretence(&dir, way.name()));
    if let Err(error) = read {
        let fault = way.node.source_fault(Verb::ReadAttributes, layer, way.name(), &error);
        run.fault(&mut worker.scratch.totals, fault);
    }
}

fn open_layer(
    way: &Way<'_>,
    parent_layer: u16,
    content: Content,
    through_link: ThroughLink,
) -> io::Result<(SourceDir, Metadata)> {
    let (run, parent) = (&way.node.run, way.node.layer_dir(parent_layer)?);
    let only_leads_on = content == Content::Picked && !way.pick().is_none_or(is_leaf);
    let opened_for = if only_leads_on { OpenedFor::Search } else { OpenedFor::Listing };
    let dir = run.open_source(&parent, way.name(), through_link, opened_for)?;
    let metadata = dir.as_opened()?;
    if !run.identity.is_root && !run.settings.links.follows_some() {
        // A directory that may be listed but not searched is as good as unreadable; as in rsync not
        // where links are followed, for then it is opened in another way.
        dir.check_search()?;
    }
    Ok((dir, metadata))
}

/// How a root comes to a directory of the picked name that another has; `None` where it has something else.
fn directory_in(way: &Way<'_>, in_root: InRoot, layer: u16) -> Option<ThroughLink> {
    let look = || -> io::Result<Option<ThroughLink>> {
        let dir = way.node.layer_dir(layer)?;
        let kind = dir.stat(way.name())?.kind;
        if kind != Kind::Symlink || !is_followed(way, in_root, &dir) {
            return Ok((kind == Kind::Directory).then_some(ThroughLink::No));
        }
        let behind = dir.stat_following(way.name()).ok();
        let is_directory = behind.is_some_and(|behind| behind.kind == Kind::Directory);
        Ok(is_directory.then_some(ThroughLink::Follow))
    };
    if layer == way.entry.layer {
        return Some(ThroughLink::at(way.entry.is_followed));
    }
    // What cannot be looked at is told when it is opened.
    look().unwrap_or(Some(ThroughLink::No))
}

/// True where a picked link may stand for the directory behind it.
fn is_followed(way: &Way<'_>, in_root: InRoot, dir: &SourceDir) -> bool {
    let links = &way.node.run.settings.links;
    let leaves_the_tree =
        || dir.read_link(way.name()).is_ok_and(|target| is_unsafe(&target, &way.node.path));
    in_root.reason.leads_on()
        || in_root.is_slashed
        || links.copy_dirlinks
        || links.symlinks == Symlinks::Follow
        || (links.copy_unsafe && leaves_the_tree())
}

/// A layer of the parent that has a directory of the name.
struct Contribution {
    parent_layer: u16,
    /// What of the directory belongs to the transfer.
    content: Content,
    through_link: ThroughLink,
}

/// The layers of the parent that have a directory of this name.
fn contributions(run: &Run, way: &Way<'_>) -> Vec<Contribution> {
    let recursive = run.settings.traverse.depth == Depth::Recursive;
    let found_by_listing = if recursive { Content::Listed } else { Content::Picked };
    let mut layers: Vec<Contribution> = Vec::with_capacity(1);
    let mut highest = None;
    let mut add = |parent_layer, content, through_link| {
        // Mostly they come in order: then none is searched for.
        let is_higher = highest < Some(parent_layer);
        highest = highest.max(Some(parent_layer));
        let is_same = |known: &&mut Contribution| known.parent_layer == parent_layer;
        match if is_higher { None } else { layers.iter_mut().find(is_same) } {
            Some(known) if content == Content::Listed => known.content = content,
            Some(_) => {}
            None => layers.push(Contribution { parent_layer, content, through_link }),
        }
    };
    if way.entry.is_listed {
        add(way.entry.layer, found_by_listing, ThroughLink::at(way.entry.is_followed));
    }
    let mut is_listed = way.entry.is_listed;
    for AlsoIn { layer, is_followed, .. } in way.found.also_in(way.name()) {
        add(*layer, found_by_listing, ThroughLink::at(*is_followed));
        is_listed = true;
    }
    for (pick, in_root) in
        way.pick().into_iter().flat_map(|pick| pick.roots.iter().map(move |root| (pick, *root)))
    {
        let Some(layer) = way.node.source.layer_of_root(in_root.root) else { continue };
        if let Some(through_link) = directory_in(way, in_root, layer) {
            let only_leads_on = way.is_hidden(pick, in_root);
            let content = if only_leads_on { Content::Picked } else { in_root.content };
            add(layer, content, through_link);
        }
    }
    // What two arguments have is the earlier one's, also where one lists it and the other names it.
    // Test: `what_two_sources_have_comes_from_the_first`.
    if is_listed {
        layers.sort_by_key(|contribution| contribution.parent_layer);
    }
    layers
}

/// `--ignore-existing`: what is there stays, though no directory; what the source has below has no
/// place to go to then.
pub(crate) fn leave_existing(
    worker: &mut Worker<'_>,
    way: &Way<'_>,
    found: &Metadata,
    layers: &[Layer],
) {
    let holds_something = |layer: &Layer| {
        let Ok(dir) = way.node.child_layer_dir(layer) else { return true };
        dir.list().is_ok_and(|names| !names.is_empty())
    };
    if layers.iter().any(holds_something) {
        let why = "something else is there, which --ignore-existing leaves alone";
        let fault =
            way.node.target_fault(Verb::MakeDirectory, way.name(), Cause::Refused(why.into()));
        return way.fail(worker, *found, fault);
    }
    worker.run.say(way.segment, Topic::Skip, || [way.path().as_bytes(), b" exists"].concat());
    worker.scratch.totals.listed.add(Kind::Directory, 1);
    way.skip(worker, *found, || "--ignore-existing leaves alone what is there".to_owned());
}

impl Run {
    /// True when `-x` keeps the run out of a directory: another file system than the source
    /// argument's is mounted there.
    pub(crate) fn stays_on_file_system(
        &self,
        layer: &Layer,
        source: &Metadata,
        pick: Option<&Pick>,
    ) -> bool {
        self.settings.traverse.one_file_system != OneFileSystem::Cross
            && pick.is_none()
            && source.dev != layer.root_device
    }
}
