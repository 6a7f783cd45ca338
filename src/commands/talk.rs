//! A session as the two ends of an errand see it.

use std::sync::Arc;

use errand::{Over, Post};
use net::{Session, Setup};
use wire::{EventBytes, Failure, OutcomeBytes, ProgressBytes, Told};

/// What either side says of itself.
pub(super) fn setup(peer: &str) -> Setup {
    let mut setup = Setup::new(env!("CARGO_PKG_VERSION"), peer);
    let handles = &mut setup.hello.capacity.handles;
    // Each is a descriptor, and there are others.
    let descriptors = fs::process::raise_open_files() / 4 * 3;
    *handles = u32::try_from(descriptors).unwrap_or(u32::MAX).min(*handles);
    setup
}

/// A session, spoken through by one of the two.
pub(super) struct Talk(pub(super) Arc<Session>);

impl Post for Talk {
    fn told(&self) -> Result<Told, Over> {
        match self.0.hear() {
            Ok(told) => Ok(told.unwrap_or(Told::Bye)),
            Err(over) => Err(Over(over.to_string().into())),
        }
    }

    fn cancel(&self) {
        // What has ended needs not be stopped.
        self.0.cancel().ok();
    }

    fn event(&self, event: EventBytes) -> Result<(), Over> {
        self.0.event(event).map_err(|error| Over(error.to_string().into()))
    }

    fn progress(&self, progress: ProgressBytes) {
        // Nobody waits for it.
        self.0.progress(progress).ok();
    }

    fn ended(&self, outcome: OutcomeBytes) -> Result<(), Over> {
        self.0.ended(outcome).map_err(|error| Over(error.to_string().into()))
    }

    fn bye(&self) {
        self.0.bye();
    }

    fn fail(&self, failure: Failure) {
        self.0.fail(failure.kind, failure.text.as_str());
    }
}
