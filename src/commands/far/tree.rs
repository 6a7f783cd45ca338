//! A tree that is brought over.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use engine::serve::{Server, Terms};
use engine::{RemoteSource, Surroundings};
use errand::{Asks, Besides, Found, List, Service, TooLong, Work};
use filter::Rules;
use model::settings::Method;
use model::{Job, Summary};
use wire::Task;

use super::{FarJob, refused};
use crate::cli::{FarList, FarSide, Refusal};
use crate::commands::sync::{SourceAt, bring_over};
use crate::commands::typed;
use crate::exit_code::{Ending, Exit};

/// A job about a tree.
#[derive(Clone)]
pub(in crate::commands) struct FarTree {
    pub(in crate::commands) job: Job,
    pub(in crate::commands) rules: Arc<Rules>,
    /// The list of `--files-from`, where that lies on another host.
    pub(in crate::commands) list: Option<FarList>,
}

impl FarTree {
    fn list_at(&self, side: FarSide) -> Option<&List> {
        self.list.as_ref().filter(|far| far.side == side).map(|far| &far.list)
    }
}

impl FarJob for FarTree {
    type Summary = Summary;
    const SERVE: Task = Task::ServeSource;
    const BRING: Task = Task::RunDestination;

    fn service(&self, asks: Asks) -> Result<Vec<u8>, TooLong> {
        let list = self.list_at(FarSide::Source);
        let asks = match asks {
            Asks::AnotherHost if self.list.is_some() && list.is_none() => {
                Asks::AnotherHostByItsList
            }
            asks => asks,
        };
        let mut asked = self.job.clone();
        // No business of that host.
        asked.destination = None;
        if asks != Asks::AnotherHost
            && let Some(names) = &mut asked.settings.traverse.files_from
        {
            names.clear();
        }
        Service::to_bytes(&asked, &self.rules, list, asks)
    }

    fn sources(&self) -> Vec<&Path> {
        self.job.sources.iter().map(|source| source.path.as_path()).collect()
    }

    fn take_found(&mut self, found: Found) -> Result<(), Refusal> {
        self.job.sources = typed::sources_at(&found.sources);
        if let Some(list) = self.list_at(FarSide::Source) {
            let lacks = || refused(Exit::Protocol, "the source was asked for a list and told none");
            let names = typed::names_told(&found.list.ok_or_else(lacks)?, list)?;
            self.job.settings.traverse.files_from = Some(names);
        }
        Ok(())
    }

    fn work(&self, source_directory: &[u8]) -> Result<Vec<u8>, TooLong> {
        let besides = Besides {
            source_directory: source_directory.into(),
            list: self.list_at(FarSide::Destination).cloned(),
        };
        Work::to_bytes(&self.job, &self.rules, &besides, SystemTime::now())
    }

    fn server(&self) -> Server {
        // What is in its list is known to the other host alone.
        let terms = match self.list_at(FarSide::Destination) {
            Some(_) => Terms::for_far_list(&self.job, &self.rules),
            None => Terms::for_job(&self.job, &self.rules),
        };
        Server::new(terms)
    }

    fn compression(&self) -> Option<Method> {
        self.job.settings.compression.as_ref().map(|it| it.method)
    }

    fn bring_over(&self, source: RemoteSource, around: &Surroundings) -> (Ending, Summary) {
        bring_over(&self.job, &self.rules, &SourceAt::There(source), around)
    }
}
