//! An image that is brought over.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use engine::serve::{Server, Terms};
use engine::{RemoteSource, Surroundings};
use errand::{Asks, Found, ImageService, TooLong};
use model::blocks::{BlocksJob, BlocksSummary};
use model::settings::Method;
use wire::Task;

use super::{FarJob, refused};
use crate::cli::Refusal;
use crate::commands::blocks;
use crate::exit_code::{Ending, Exit};

/// A job about an image.
#[derive(Clone)]
pub(in crate::commands) struct FarImage(pub(in crate::commands) BlocksJob);

impl FarJob for FarImage {
    type Summary = Option<BlocksSummary>;
    const SERVE: Task = Task::ServeImage;
    const BRING: Task = Task::BringImage;

    fn service(&self, _: Asks) -> Result<Vec<u8>, TooLong> {
        let source = self.0.source.as_os_str().as_bytes().into();
        ImageService { source, compression: self.0.settings.compression.clone() }.to_bytes()
    }

    fn sources(&self) -> Vec<&Path> {
        vec![&self.0.source]
    }

    fn take_found(&mut self, found: Found) -> Result<(), Refusal> {
        let [source] = found.sources.as_slice() else { return Err(not_one()) };
        let [path] = source.as_slice() else { return Err(not_one()) };
        self.0.source = OsStr::from_bytes(path).into();
        Ok(())
    }

    fn work(&self, _: &[u8]) -> Result<Vec<u8>, TooLong> {
        errand::image_to_bytes(&self.0)
    }

    fn server(&self) -> Server {
        let skipped = self.0.settings.compression.as_ref().map(|it| it.skipped.clone());
        Server::new(Terms::for_image(&self.0.source, skipped))
    }

    fn compression(&self) -> Option<Method> {
        self.0.settings.compression.as_ref().map(|it| it.method)
    }

    fn bring_over(&self, source: RemoteSource, around: &Surroundings) -> (Ending, Self::Summary) {
        blocks::bring_over(&self.0, Some(&source), around)
    }
}

fn not_one() -> Refusal {
    refused(Exit::Protocol, "the source was asked for one image and told of more or less")
}
