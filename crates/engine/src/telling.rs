//! What is told of an entry that is not a directory: its verdict is counted, and an item made of
//! it where somebody listens.

use model::settings::ContentCheck;
use model::{Cause, Fault, Gauges, Item, ItemFlags, Kind, MessageClass, Metadata, Verdict};

use crate::entries::Entry;
use crate::node::Node;
use crate::order::SegmentId;
use crate::run::Run;
use crate::task::Worker;
use crate::wanted::Wanted;
use crate::{attributes, links};

/// Counts a failed entry and tells why.
pub(crate) fn failed(
    worker: &mut Worker<'_>,
    node: &Node,
    name: &[u8],
    metadata: Metadata,
    segment: SegmentId,
    fault: Fault,
) {
    let item = failed_item(node, name, metadata, &fault);
    done(worker, metadata.size);
    worker.run.fault(&mut worker.scratch.totals, fault);
    worker.run.conclude(&mut worker.scratch.totals, segment, item);
}

fn failed_item(node: &Node, name: &[u8], metadata: Metadata, fault: &Fault) -> Item {
    let verdict = match fault.cause {
        Cause::ChangedDuringCopy => Verdict::ChangedDuringCopy,
        _ => Verdict::Failed,
    };
    Item {
        path: node.path.child(name),
        metadata,
        flags: ItemFlags::empty(),
        verdict,
        link: None,
        leader: None,
        reason: Some(fault.to_string().into()),
        written_bytes: 0,
        checksum: None,
    }
}

fn done(worker: &Worker<'_>, bytes: u64) {
    Gauges::add(&worker.run.gauges.done_entries, 1);
    Gauges::add(&worker.run.gauges.done_bytes, bytes);
}

/// What was done for an entry, to be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) flags: ItemFlags,
    pub(crate) leader: Option<Box<[u8]>>,
    pub(crate) written_bytes: u64,
}

impl Told {
    pub(crate) fn flags(flags: ItemFlags) -> Self {
        Self { flags, ..Self::default() }
    }
}

impl Entry {
    /// Counts the entry and tells what became of it.
    pub(crate) fn conclude(&self, worker: &mut Worker<'_>, verdict: Verdict, told: Told) {
        done(worker, self.source.size);
        if verdict == Verdict::Copied && told.flags.contains(ItemFlags::NEW) {
            worker.scratch.totals.created.add(self.source.kind, 1);
        }
        worker.scratch.totals.verdicts.add(verdict);
        self.tell(worker.run, verdict, told);
    }

    /// Tells of the entry where somebody listens.
    pub(crate) fn tell(&self, run: &Run, verdict: Verdict, told: Told) {
        if !run.wants(verdict, told.flags.is_significant()) {
            return;
        }
        let mut metadata = self.source;
        metadata.mode = crate::wanted::source_mode(&run.settings, &self.source);
        let item = Item {
            path: self.node.path.child(&self.name),
            metadata,
            flags: told.flags,
            verdict,
            link: self.link_text(run),
            leader: told.leader,
            reason: None,
            written_bytes: told.written_bytes,
            checksum: self.checksum(run, told.flags),
        };
        run.log.push(self.segment, model::Event::Item(Box::new(item)), &*run.sink);
    }

    /// The checksum of the content, where it is told: of what is transferred, and with `-c` of all.
    fn checksum(&self, run: &Run, flags: ItemFlags) -> Option<Box<str>> {
        let is_read = flags.contains(ItemFlags::TRANSFER)
            || run.settings.compare.content == ContentCheck::Checksum;
        if !run.settings.tell_checksums || self.source.kind != Kind::File || !is_read {
            return None;
        }
        let file = if self.is_followed {
            self.source_dir.open_file_following(&self.name, run.access_time())
        } else {
            self.source_dir.open_file(&self.name, run.access_time())
        };
        let algorithm = run.settings.compare.checksum;
        let digest = crate::checksum::of_file(algorithm, &file.ok()?, self.source.size).ok()?;
        Some(crate::checksum::hex(&digest).into())
    }

    /// The target of a symlink, as it is told.
    fn link_text(&self, run: &Run) -> Option<Box<[u8]>> {
        if self.source.kind != Kind::Symlink {
            return None;
        }
        let target = run.read_link(&self.source_dir, &self.name).ok()?;
        let unmunge = run.settings.links.unmunge;
        Some(if unmunge { links::unmunged(&target).into() } else { target.into() })
    }

    /// Counts the entry as left out and says why.
    pub(crate) fn skip(&self, worker: &mut Worker<'_>, class: MessageClass, text: &[&[u8]]) {
        let run = worker.run;
        run.say(self.segment, class, text);
        done(worker, self.source.size);
        worker.scratch.totals.verdicts.add(Verdict::Skipped);
        if run.wants(Verdict::Skipped, false) {
            let reason = String::from_utf8_lossy(&text.concat()).into();
            let item = Item {
                path: self.path(),
                metadata: self.source,
                flags: ItemFlags::empty(),
                verdict: Verdict::Skipped,
                link: None,
                leader: None,
                reason: Some(reason),
                written_bytes: 0,
                checksum: None,
            };
            run.log.push(self.segment, model::Event::Item(Box::new(item)), &*run.sink);
        }
    }

    /// Counts the entry as failed and tells why.
    pub(crate) fn fail(&self, worker: &mut Worker<'_>, fault: Fault) {
        failed(worker, &self.node, &self.name, self.source, self.segment, fault);
    }

    /// Counts the entry as failed after its transfer had begun. rsync tells of a transfer when it
    /// begins, so the line comes all the same.
    pub(crate) fn fail_in_transfer(&self, worker: &mut Worker<'_>, fault: Fault, flags: ItemFlags) {
        let mut item = failed_item(&self.node, &self.name, self.source, &fault);
        if fault.side == model::Side::Destination {
            item.flags = flags;
        }
        done(worker, self.source.size);
        worker.run.fault(&mut worker.scratch.totals, fault);
        worker.run.conclude(&mut worker.scratch.totals, self.segment, item);
    }

    /// A fault at its source.
    pub(crate) fn source_fault(&self, verb: &'static str, cause: impl Into<Cause>) -> Fault {
        self.node.source_fault(verb, self.layer, &self.name, cause)
    }

    /// A fault at its destination.
    pub(crate) fn target_fault(&self, verb: &'static str, cause: impl Into<Cause>) -> Fault {
        self.node.target_fault(verb, &self.name, cause)
    }

    /// Its name at the destination.
    pub(crate) fn target_name(&self) -> &[u8] {
        self.node.target_name(&self.name)
    }

    /// Its path as rsync prints it.
    pub(crate) fn path(&self) -> model::RelPath {
        self.node.path.child(&self.name)
    }

    /// The attributes it shall have.
    pub(crate) fn wanted(&self, run: &Run) -> Wanted {
        let mask = match (&self.existing, run.settings.preserve.perms) {
            (None, model::settings::Perms::Keep) | (Some(_), _) => 0,
            _ => attributes::default_mask(run, &self.node),
        };
        // What a basis tree has a file for starts out with that file's attributes.
        let content = self.content.as_ref().map(|content| &content.metadata);
        let reference = self.reference.as_ref().filter(|_| self.source.kind == Kind::File);
        let existing = self.existing.as_ref().or(content).or(reference);
        Wanted::new(&run.settings, &run.identity, &self.source, existing, mask)
    }
}
