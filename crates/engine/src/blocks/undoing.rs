//! The mark of a target that an undo file brings back: it takes the place of the one that the run before may
//! have left, for what that said is right is not any more, and remembers whether one is to stay.

use fs::staging::Staging;
use model::blocks::{BlocksJob, Dangers};
use model::{Sink, Topic};

use super::journal;
use super::mark::{self, Found, Missing, Place, Told};
use super::records::Writer;
use super::source::Source;
use super::{BlocksError, tell};

/// It is held as long as the run lives.
pub(super) struct Undoing {
    place: Place,
    /// The target was incomplete before the run whose undo file it is.
    stays: bool,
    _mark: Writer<Staging>,
}

impl Undoing {
    /// Marks the target, before it is changed; where that cannot be, says so.
    ///
    /// Fails if another run lives that has marked it.
    pub(super) fn begin(
        job: &BlocksJob,
        (undo, target): (&Source, &fs::image::Image),
        lengths: (u64, u64),
        sink: &dyn Sink,
    ) -> Result<Option<Self>, BlocksError> {
        let warn = |why: &str| {
            tell(
                sink,
                Topic::Warning,
                format!(
                    "lanesync: should this run be interrupted, no later one will be told of it: the target cannot \
                     be marked as incomplete: {why}"
                ),
            );
        };
        let state_dir = job.settings.state_dir.as_deref();
        let place = match Place::of(&job.target, target, state_dir, Missing::Make) {
            Ok(Some(place)) => place,
            Ok(None) => {
                warn("there is no folder for it");
                return Ok(None);
            }
            Err(error) => {
                warn(&error.to_string());
                return Ok(None);
            }
        };
        let Source::Here(file, _) = undo else {
            return Err(super::internal("an undo file lies here"));
        };
        let mut told = Told::of(job, (undo, target), lengths);
        told.undo = mark::inode_of(file);
        let stays = match place.find() {
            Found::Nothing => false,
            Found::InWork if !job.settings.allowed.contains(Dangers::IN_USE) => {
                return Err(journal::refused_in_work(job));
            }
            Found::Mark(mark) => mark.told.undo != told.undo || mark.told.was_marked != 0,
            Found::InWork | Found::Damaged(_) => true,
        };
        told.was_marked = stays.into();
        match journal::make(&place, told) {
            Ok(mark) => Ok(Some(Self { place, stays, _mark: mark })),
            Err(error) => {
                warn(&error.to_string());
                Ok(None)
            }
        }
    }

    /// The target was brought back: it is complete, if it was when the run began whose file that is. Says what
    /// else.
    pub(super) fn settle(self, job: &BlocksJob) -> Option<String> {
        if !self.stays {
            return journal::remove(&self.place);
        }
        Some(format!(
            "\"{}\" stays marked as incomplete (\"{}\"): it was so before the run that this undo file is of, or \
             another has gone on since",
            job.target.display(),
            self.place.path.display()
        ))
    }
}
