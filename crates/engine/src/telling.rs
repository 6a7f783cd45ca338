//! What is told of an entry: its verdict is counted, and an item made of it where somebody listens.

use std::sync::Arc;

use model::settings::ContentCheck;
use model::{
    Begun, Cause, Event, Fault, FileGauge, Gauges, Item, ItemFlags, Kind, Metadata, RelPath,
    Summary, Topic, Verb, Verdict,
};

use crate::entries::{Entry, sent_target, stored_target};
use crate::node::Node;
use crate::order::SegmentId;
use crate::run::Run;
use crate::task::Worker;
use crate::wanted::Wanted;
use crate::{attributes, checksum};

/// Why an entry that was begun has no copy, when nothing is wrong with it.
const RUN_ENDED: &str = "the run ended before it was brought over";

/// How an entry ended: what is counted of it, and the letters for what changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) verdict: Verdict,
    pub(crate) flags: ItemFlags,
}

impl Line {
    /// Of an entry that nothing was done to.
    pub(crate) fn bare(verdict: Verdict) -> Self {
        Self { verdict, flags: ItemFlags::empty() }
    }
}

impl From<&Item> for Line {
    fn from(item: &Item) -> Self {
        Self { verdict: item.verdict, flags: item.flags }
    }
}

impl Run {
    /// Counts an entry, and tells of it where somebody listens.
    pub(crate) fn conclude(
        &self,
        totals: &mut Summary,
        segment: SegmentId,
        line: Line,
        item: impl FnOnce() -> Item,
    ) {
        self.count(totals, segment, line, || Event::Item(Box::new(item())));
    }

    /// Counts an entry with the event that has its item. Nobody else counts verdicts, so that there
    /// are as many items as the summary says.
    /// Tests: `every_case_has_an_item_for_each_entry_it_counts`, `verdicts::*`.
    fn count(
        &self,
        totals: &mut Summary,
        segment: SegmentId,
        Line { verdict, flags }: Line,
        event: impl FnOnce() -> Event,
    ) {
        totals.verdicts.add(verdict);
        // What a pass that only deletes counts besides is dropped at its end.
        let stands = || verdict == Verdict::Deleted || self.pass().transfers();
        if self.wants(verdict, flags.is_significant()) && stands() {
            let event = event();
            if let Event::Item(item) | Event::Settled(item) = &event {
                debug_assert_eq!(item.verdict, verdict, "what is told is what is counted");
            }
            self.log.push(segment, event);
        }
    }
}

/// An entry of which nothing is told but why it was not brought over.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) node: &'a Node,
    pub(crate) name: &'a [u8],
    pub(crate) metadata: Metadata,
    pub(crate) segment: SegmentId,
}

impl Subject<'_> {
    /// Counts it as failed and tells why.
    pub(crate) fn fail(&self, worker: &mut Worker<'_>, fault: Fault) {
        let item = Item::failed(self.path(), self.metadata, &fault);
        worker.run.fault(&mut worker.scratch.totals, fault);
        conclude_failed(worker, self.segment, item);
    }

    /// Counts it as failed by a fault that is told once for all that it befell.
    pub(crate) fn fail_by(&self, worker: &mut Worker<'_>, fault: &Fault) {
        let item = Item::failed(self.path(), self.metadata, fault);
        conclude_failed(worker, self.segment, item);
    }

    /// Counts it as failed since the end of the run left it undone.
    pub(crate) fn stop(&self, worker: &mut Worker<'_>) {
        self.leave_out(worker, Verdict::Failed, || RUN_ENDED);
    }

    /// Counts it as left out, and says why.
    pub(crate) fn leave_out<R: Into<Box<str>>>(
        &self,
        worker: &mut Worker<'_>,
        verdict: Verdict,
        reason: impl FnOnce() -> R,
    ) {
        let item = || Item::new(self.path(), self.metadata, verdict).because(reason());
        worker.run.conclude(&mut worker.scratch.totals, self.segment, Line::bare(verdict), item);
    }

    fn path(&self) -> RelPath {
        self.node.path.child(self.name)
    }
}

fn conclude_failed(worker: &mut Worker<'_>, segment: SegmentId, item: Item) {
    done(worker, item.metadata.size);
    let line = Line::from(&item);
    worker.run.conclude(&mut worker.scratch.totals, segment, line, || item);
}

fn done(worker: &Worker<'_>, bytes: u64) {
    Gauges::add(&worker.run.progress.gauges.done_entries, 1);
    Gauges::add(&worker.run.progress.gauges.done_bytes, bytes);
}

/// What is told of an entry beside what is known of it anyway.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) line: Line,
    pub(crate) leader: Option<Box<[u8]>>,
    pub(crate) written_bytes: u64,
}

impl Told {
    pub(crate) fn new(verdict: Verdict, flags: ItemFlags) -> Self {
        Self { line: Line { verdict, flags }, leader: None, written_bytes: 0 }
    }

    fn creates(&self) -> bool {
        self.line.verdict == Verdict::Copied && self.line.flags.contains(ItemFlags::NEW)
    }
}

/// Tells what became of a directory, once what is extraneous in it has been told.
pub(crate) fn conclude_directory(worker: &mut Worker<'_>, node: &Node) {
    let (Some(line), Some(finish)) = (node.line.lock().take(), &node.finish) else { return };
    let run = worker.run;
    let item = || {
        let mode = crate::wanted::source_mode(&run.settings, &finish.source);
        let metadata = Metadata { mode, ..finish.source };
        // One that cannot be read is named by the directory that it lies in.
        let source = match &node.parent {
            Some(parent) if node.source.layers.is_empty() => {
                parent.source.argument_of(parent.source.itself)
            }
            _ => node.source.argument_of(node.source.itself),
        };
        let item = Item::new(node.path.clone(), metadata, line.verdict);
        Item { flags: line.flags, source, ..item }
    };
    run.conclude(&mut worker.scratch.totals, node.segment, line, item);
}

/// Counts a directory and prepares its line.
pub(crate) fn speak_of_directory(
    worker: &mut Worker<'_>,
    node: &Node,
    is_new: bool,
    flags: ItemFlags,
) {
    speak_to(worker.run, &mut worker.scratch.totals, node, is_new, flags);
}

/// Counts a directory in `totals` and prepares its line.
pub(crate) fn speak_to(
    run: &Run,
    totals: &mut Summary,
    node: &Node,
    is_new: bool,
    flags: ItemFlags,
) {
    if node.finish.is_none() {
        return;
    }
    run.progress.count_listed(1);
    if !run.pass().transfers() {
        return;
    }
    let verdict = match (is_new, flags.is_significant()) {
        (true, _) => Verdict::Copied,
        (false, true) => Verdict::Metadata,
        (false, false) => Verdict::Equal,
    };
    totals.listed.add(Kind::Directory, 1);
    if flags.contains(ItemFlags::NEW) {
        totals.created.add(Kind::Directory, 1);
    }
    *node.line.lock() = Some(Line { verdict, flags });
    Gauges::add(&run.progress.gauges.done_entries, 1);
}

impl Entry {
    /// Counts the entry and tells what became of it.
    pub(crate) fn conclude(&self, worker: &mut Worker<'_>, told: Told) {
        self.end(worker, told, Event::Item);
    }

    fn end(&self, worker: &mut Worker<'_>, told: Told, event: impl FnOnce(Box<Item>) -> Event) {
        done(worker, self.source.size);
        let (run, totals) = (worker.run, &mut worker.scratch.totals);
        if told.creates() {
            totals.created.add(self.source.kind, 1);
        }
        run.count(totals, self.segment, told.line, || event(Box::new(self.item(run, told))));
    }

    /// Tells of an entry that counts at another time.
    pub(crate) fn tell_line(&self, run: &Run, told: Told) {
        if run.wants(told.line.verdict, told.line.flags.is_significant()) {
            let item = Box::new(self.item(run, told));
            run.log.push(self.segment, Event::Line(item));
        }
    }

    /// Counts an entry whose line was told when its content was complete.
    pub(crate) fn settle(&self, worker: &mut Worker<'_>, told: Told) {
        self.end(worker, told, Event::Settled);
    }

    /// Tells that the transfer of a file begins, where somebody wants to see it go on.
    pub(crate) fn tell_begun(&self, run: &Run, flags: ItemFlags) -> Option<Arc<FileGauge>> {
        if !run.settings.tell_begun {
            return None;
        }
        let gauge = Arc::new(FileGauge::begin());
        let item = self.outline(run, Told::new(self.written_verdict(), flags));
        let begun = Begun { item, gauge: Arc::clone(&gauge) };
        run.log.push(self.segment, Event::Begun(Box::new(begun)));
        Some(gauge)
    }

    /// The verdict of an entry that was written or linked.
    pub(crate) fn written_verdict(&self) -> Verdict {
        if self.existing.is_none() { Verdict::Copied } else { Verdict::Updated }
    }

    fn item(&self, run: &Run, told: Told) -> Item {
        let checksum = self.checksum(run, told.line.flags);
        Item { checksum, ..self.outline(run, told) }
    }

    /// What can be told without reading content.
    fn outline(&self, run: &Run, told: Told) -> Item {
        let Told { line, leader, written_bytes } = told;
        let mode = crate::wanted::source_mode(&run.settings, &self.source);
        Item {
            flags: line.flags,
            link: self.link_text(run),
            leader,
            written_bytes,
            source: self.node.source.argument_of(self.layer),
            ..Item::new(self.path(), Metadata { mode, ..self.source }, line.verdict)
        }
    }

    /// The checksum of the content, where it is told: of what is transferred, and with `-c` of all.
    fn checksum(&self, run: &Run, flags: ItemFlags) -> Option<Box<str>> {
        let is_read = flags.contains(ItemFlags::TRANSFER)
            || run.settings.compare.content == ContentCheck::Checksum;
        if !run.settings.tell_checksums || self.source.kind != Kind::File || !is_read {
            return None;
        }
        let file = self.open_source_to_sum(run).ok()?;
        let algorithm = run.settings.compare.checksum;
        let whole = 0..self.source.size;
        let digest = file.checksum(algorithm, whole, || run.ending.go_on()).ok()?;
        Some(checksum::hex(&digest).into())
    }

    /// The target of a symlink, as it is told: as it is stored where rsync would tell it at the
    /// destination.
    fn link_text(&self, run: &Run) -> Option<Box<[u8]>> {
        if self.source.kind != Kind::Symlink {
            return None;
        }
        let target = run.read_link(&self.source_dir, &self.name).ok()?;
        Some(if run.tells_at_destination {
            stored_target(run, &target).into()
        } else {
            sent_target(run, &target).into()
        })
    }

    /// Counts the entry as left out and says why; `text` makes the sentence from its path.
    pub(crate) fn skip(
        &self,
        worker: &mut Worker<'_>,
        topic: Topic,
        text: impl Fn(&[u8]) -> Vec<u8>,
    ) {
        let text = || text(self.path().as_bytes());
        worker.run.say(self.segment, topic, text);
        self.skip_silently(worker, || String::from_utf8_lossy(&text()).into());
    }

    /// Counts the entry as left out for a reason that rsync does not say.
    pub(crate) fn skip_silently(&self, worker: &mut Worker<'_>, reason: impl FnOnce() -> Box<str>) {
        done(worker, self.source.size);
        self.subject().leave_out(worker, Verdict::Skipped, reason);
    }

    fn subject(&self) -> Subject<'_> {
        let Self { node, name, source, segment, .. } = self;
        Subject { node, name, metadata: *source, segment: *segment }
    }

    /// Counts the entry as failed since the end of the run left it undone.
    pub(crate) fn stop(&self, worker: &mut Worker<'_>) {
        self.subject().stop(worker);
    }

    /// Counts the entry as failed and tells why.
    pub(crate) fn fail(&self, worker: &mut Worker<'_>, fault: Fault) {
        worker.run.deletion.note_fault(&fault);
        self.subject().fail(worker, fault);
    }

    /// Counts the entry as failed after its transfer had begun. rsync tells of a transfer when it
    /// begins, so the line comes all the same.
    pub(crate) fn fail_in_transfer(&self, worker: &mut Worker<'_>, fault: Fault, flags: ItemFlags) {
        let run = worker.run;
        let mode = crate::wanted::source_mode(&run.settings, &self.source);
        let mut item = Item::failed(self.path(), Metadata { mode, ..self.source }, &fault);
        // Where the destination tells, it does when it has a place for the content.
        let is_early = run.tells_at_destination && fault.verb == Verb::CreateStaging;
        if fault.side == model::Side::Destination && !is_early {
            item.flags = flags;
            item.source = self.node.source.argument_of(self.layer);
        }
        run.fault(&mut worker.scratch.totals, fault);
        conclude_failed(worker, self.segment, item);
    }

    /// A fault at its source.
    pub(crate) fn source_fault(&self, verb: Verb, cause: impl Into<Cause>) -> Fault {
        self.node.source_fault(verb, self.layer, &self.name, cause)
    }

    /// A fault at its destination.
    pub(crate) fn target_fault(&self, verb: Verb, cause: impl Into<Cause>) -> Fault {
        self.node.target_fault(verb, &self.name, cause)
    }

    /// Its name at the destination.
    pub(crate) fn target_name(&self) -> &[u8] {
        self.node.target.name_of(&self.name)
    }

    /// Its path as rsync prints it.
    pub(crate) fn path(&self) -> RelPath {
        self.node.path.child(&self.name)
    }

    /// The attributes it shall have.
    pub(crate) fn wanted(&self, run: &Run) -> Wanted {
        self.wanted_in_place_of(run, self.existing.as_ref())
    }

    /// The attributes that it shall have where it takes the place of something.
    pub(crate) fn wanted_in_place_of(&self, run: &Run, existing: Option<&Metadata>) -> Wanted {
        let mask = match (existing, run.settings.preserve.perms) {
            (None, model::settings::Perms::Keep) | (Some(_), _) => 0,
            _ => attributes::default_mask(run, &self.node),
        };
        // As rsync: content that is sent takes the mode of the file that it is a change of.
        let reference = self.reference.as_ref().filter(|_| self.source.kind == Kind::File);
        let existing = existing.or(reference);
        Wanted::new(&run.settings, &run.identity, &self.source, existing, mask)
    }
}
