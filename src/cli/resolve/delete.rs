//! What is removed.

use model::settings::{Delete, DeleteLimit, DeleteWhen, Depth};

use crate::cli::config::Config;
use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    asked: bool,
    before: bool,
    /// `--delete-during` and `--delete-delay` are one choice: the later counts.
    during: Option<DeleteWhen>,
    after: bool,
    excluded: bool,
    plain: Delete,
}

/// Share of the destination that `--max-delete=100%` stands for, percent.
const WHOLE: u8 = 100;

impl Typed {
    /// Begins with what the configuration file says.
    pub(super) fn new(config: &Config) -> Self {
        let plain = Delete { refuse_empty_source: config.no_empty_source, ..Delete::default() };
        Self { plain, ..Self::default() }
    }

    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let on = flag.is_on();
        match flag.opt {
            Opt::Delete => self.asked = true,
            Opt::DeleteBefore => self.before = true,
            Opt::DeleteDuring => self.during = Some(DeleteWhen::During),
            Opt::DeleteDelay => self.during = Some(DeleteWhen::Delay),
            Opt::DeleteAfter => self.after = true,
            Opt::DeleteExcluded => self.excluded = true,
            Opt::MaxDelete => self.plain.limit = limit(flag)?,
            Opt::IgnoreErrors => self.plain.ignore_errors = on,
            Opt::Force => self.plain.force = on,
            Opt::DeleteAcrossMounts => self.plain.across_mounts = on,
            Opt::NoEmptySource => self.plain.refuse_empty_source = on,
            _ => {}
        }
        Ok(())
    }

    /// True when rules do not protect from removal.
    pub(super) fn spares_nothing_excluded(&self) -> bool {
        self.excluded
    }

    pub(super) fn settle(self, depth: Depth) -> Result<Delete, Refusal> {
        let when = match (self.before, self.during, self.after) {
            (false, None, false) if self.asked || self.excluded => DeleteWhen::During,
            (false, None, false) => DeleteWhen::Never,
            (true, None, false) => DeleteWhen::Before,
            (false, Some(when), false) => when,
            (false, None, true) => DeleteWhen::After,
            _ => {
                let sentence = "--delete-before, --delete-during and --delete-after: choose one";
                return Err(Refusal::usage(sentence));
            }
        };
        if when != DeleteWhen::Never && depth == Depth::Files {
            let sentence = "--delete removes from directories that are copied: add -r or -d";
            return Err(Refusal::usage(sentence));
        }
        Ok(Delete { when, ..self.plain })
    }
}

/// A number, of which one below zero means zero as with rsync, or a percentage.
fn limit(flag: &RawFlag) -> Result<DeleteLimit, Refusal> {
    if let Some(percent) = flag.text()?.strip_suffix('%') {
        let percent = percent.parse().ok().filter(|percent| *percent <= WHOLE);
        return percent
            .map(DeleteLimit::Percent)
            .ok_or_else(|| flag.refuse("is not a percentage from 0% to 100%"));
    }
    Ok(DeleteLimit::Entries(u64::try_from(flag.number()?).unwrap_or(0)))
}
