//! The content of a file of a job on a tree, brought over as an image is, where one end is a block device.
//!
//! Both ends are open already, by their names below the roots of that job; the paths of a [`BlocksJob`] are
//! only told. No mark is kept: such a job compares all of both ends whenever it is run. What the mark of an
//! earlier job on images tells of a device is made void.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fs::File;
use fs::image::{Access, Image};
use model::blocks::{BlocksJob, BlocksSummary, Dangers};
use model::{Cause, FileGauge, Side, Verb};
use parking_lot::Mutex;

use super::ends::{self, Ends};
use super::journal;
use super::source::Source;
use super::{BlocksError, Work, bring_all, fault_at, internal};
use crate::endpoint::SourceFile;
use crate::run::Surroundings;

/// Who is told of a file while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// What is told of it where somebody listens.
    pub(crate) gauge: Option<Arc<FileGauge>>,
    progress: Mutex<Progress>,
}

/// How far all workers are.
#[derive(Debug, Default)]
struct Progress {
    passed_bytes: u64,
    changed_bytes: u64,
}

impl Watch {
    pub(crate) fn of(gauge: Option<Arc<FileGauge>>) -> Self {
        Self { gauge, ..Self::default() }
    }

    /// Nothing is left to be done of so many bytes; what was changed so far in all is asked for then.
    pub(super) fn pass(&self, bytes: u64, changed_bytes: impl FnOnce() -> u64) {
        let mut progress = self.progress.lock();
        progress.passed_bytes += bytes;
        let before = std::mem::replace(&mut progress.changed_bytes, changed_bytes());
        if let Some(gauge) = &self.gauge {
            gauge.add(progress.changed_bytes - before);
            gauge.keep(progress.passed_bytes.saturating_sub(progress.changed_bytes));
        }
    }

    /// How much was shown as done.
    pub(crate) fn passed_bytes(&self) -> u64 {
        self.progress.lock().passed_bytes
    }
}

/// The source of such a file.
#[derive(Debug)]
pub(crate) struct Content(Source);

impl Content {
    /// Takes what is open, of so many bytes.
    pub(crate) fn of(path: &Path, file: &SourceFile, bytes: u64) -> Result<Self, BlocksError> {
        let failed = |error| fault_at(path, Side::Source, Verb::LookAt, Cause::from(&error));
        let source = Source::of(file, bytes).map_err(failed)?;
        source.forget_cached();
        Ok(Self(source))
    }

    /// What is to be said of a device that is written to meanwhile.
    pub(crate) fn warning(&self, path: &Path) -> Option<String> {
        ends::mounted("source", path, self.0.opened())
    }

    /// Makes sure that a file may be written where it lies.
    pub(crate) fn check_target(&self, job: &BlocksJob, target: &File) -> Result<(), BlocksError> {
        let target = image_of(&job.target, target)?;
        ends::refuse_overlap(job, &self.0, &target)?;
        ends::refuse_in_use(&job.target, Dangers::empty(), &target)
    }

    /// Opens a device to be written, if nobody else uses it and all of the source has room on it.
    pub(crate) fn open_device(
        &self,
        job: &BlocksJob,
        open: impl Fn(Access) -> io::Result<File>,
    ) -> Result<File, BlocksError> {
        let path = &job.target;
        let open = |access| open(access).and_then(Image::of);
        let target = self.look_at_device(job, open)?;
        let opened = ends::open_again((path, open), Dangers::empty(), &target, Duration::ZERO)?;
        opened.forget_cached();
        journal::make_void(job, &opened)?;
        opened.file().duplicate().map_err(|error| {
            fault_at(path, Side::Destination, Verb::Open, Cause::from(&error)).into()
        })
    }

    /// Makes sure that a device may be written, as far as that shows when it is only read.
    pub(crate) fn check_device(
        &self,
        job: &BlocksJob,
        open: impl Fn(Access) -> io::Result<File>,
    ) -> Result<(), BlocksError> {
        self.look_at_device(job, |access| open(access).and_then(Image::of)).map(drop)
    }

    fn look_at_device(
        &self,
        job: &BlocksJob,
        open: impl Fn(Access) -> io::Result<Image>,
    ) -> Result<Image, BlocksError> {
        let path = &job.target;
        let target = open(Access::Read)
            .map_err(|error| fault_at(path, Side::Destination, Verb::Open, Cause::from(&error)))?;
        ends::refuse_empty_device(path, true, target.bytes())?;
        ends::refuse_overlap(job, &self.0, &target)?;
        ends::refuse_to_write(path, Dangers::empty(), &target)?;
        self.refuse_short(job, &target, "; nothing was written")?;
        Ok(target)
    }

    /// A device has to have room for all of the source.
    fn refuse_short(
        &self,
        job: &BlocksJob,
        target: &Image,
        what_is_left: &str,
    ) -> Result<(), BlocksError> {
        let (ours, room) = (self.0.bytes(), target.bytes());
        if target.device().is_none() || ours <= room {
            return Ok(());
        }
        let (from, to) = (job.source.display(), job.target.display());
        Err(BlocksError::refused(format!(
            "the source \"{from}\" has {ours} bytes and the target \"{to}\" {room}, and a device cannot be \
             made longer{what_is_left}"
        )))
    }

    /// Brings all of it over, into a device or a file, which becomes as long. Workers of its own do that, which
    /// end with the run.
    pub(crate) fn bring(
        self,
        job: &BlocksJob,
        target: &File,
        watch: &Arc<Watch>,
        around: &Surroundings,
    ) -> Result<BlocksSummary, BlocksError> {
        let target = image_of(&job.target, target)?;
        // It may have grown since the target was opened, and an earlier attempt may have written some of it.
        self.refuse_short(job, &target, "")?;
        let (image_bytes, target_bytes) = (self.0.bytes(), target.bytes());
        let watch = Some(Arc::clone(watch));
        let (source, target) = (self.0, Some(target));
        let ends = Ends { source, target, image_bytes, target_bytes, is_new: false, watch };
        let (summary, done) = bring_all(Work::new(job, ends, around)?);
        done?;
        summary.ok_or_else(|| internal("nothing is known of what was done"))
    }
}

fn image_of(path: &Path, target: &File) -> Result<Image, BlocksError> {
    target.duplicate().and_then(Image::of).map_err(|error| {
        fault_at(path, Side::Destination, Verb::LookAt, Cause::from(&error)).into()
    })
}
