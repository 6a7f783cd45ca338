//! How the descriptors that the process may have are shared out.
//!
//! Directories that are open only to save opening them again get a share that leaves the tasks
//! enough.

/// Open all the time: standard streams, logs, roots of the destination and of basis trees.
const ALWAYS: u64 = 24;

/// The most that a task opens for itself: both directories and those above them while they are
/// opened again, the file, its basis and its staging file; or the levels of a tree that is removed or
/// searched, if they are few, and what it takes to keep a backup.
pub(crate) const PER_TASK: u64 = 8;

/// Levels of one tree that stay open where descriptors are left for them: enough that common trees
/// are never opened twice. They are asked for beside those of the task.
pub(crate) const MANY_LEVELS: usize = 8;

/// The same where none are left.
pub(crate) const FEW_LEVELS: usize = 1;

/// Directories of one kind that stay open at most: more would save next to nothing.
const DIRS_MAX: u64 = 4096;

/// How many descriptors each part of a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// Source directories that were named and stay open to the end.
    pub(crate) roots: usize,
    /// Directories that stay open between the tasks that work in them.
    pub(crate) dirs: usize,
    /// Left for the tasks at work.
    pub(crate) tasks: u64,
}

impl Descriptors {
    /// Raises the limit of the process and shares it out.
    pub(crate) fn raise() -> Self {
        Self::of_limit(fs::process::raise_open_files())
    }

    /// The same where what is open at the source takes room of another host, too: so many handles. There
    /// a quarter of them is for what is asked ahead.
    pub(crate) fn within(self, handles: Option<u64>) -> Self {
        let Some(handles) = handles else { return self };
        let at_most = |count: usize, share: u64| {
            count.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1)
        };
        Self {
            roots: at_most(self.roots, handles / 8),
            dirs: at_most(self.dirs, handles * 3 / 8),
            // Of what a task opens, less than half lies at the source.
            tasks: self.tasks.min(handles / 2).max(PER_TASK),
        }
    }

    /// An eighth for roots, three eighths for other directories, the rest for tasks.
    fn of_limit(limit: u64) -> Self {
        let free = limit.saturating_sub(ALWAYS).max(PER_TASK);
        let (roots, dirs) = ((free / 8).min(DIRS_MAX), (free * 3 / 8).min(DIRS_MAX));
        let count = |share| usize::try_from(share).unwrap_or(usize::MAX);
        Self { roots: count(roots), dirs: count(dirs), tasks: free - roots - dirs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_fit_the_limit() {
        for limit in [ALWAYS + PER_TASK, 64, 256, 1024, 65_536] {
            let Descriptors { roots, dirs, tasks } = Descriptors::of_limit(limit);
            assert!(roots > 0 && dirs > 0 && tasks >= (limit - ALWAYS) / 2, "{limit}");
            assert!(ALWAYS + roots as u64 + dirs as u64 + tasks <= limit, "{limit}");
        }
    }

    #[test]
    fn the_shares_fit_what_another_host_can_hold_open() {
        let here = Descriptors::of_limit(1 << 20);
        assert_eq!(here.within(None), here);
        for handles in [256, 768, 4096] {
            let Descriptors { roots, dirs, tasks } = here.within(Some(handles));
            let held = roots as u64 + dirs as u64 + tasks / PER_TASK * 3;
            assert!(held <= handles * 3 / 4, "{handles}: {held}");
        }
        let few = here.within(Some(1));
        assert!(few.roots > 0 && few.dirs > 0 && few.tasks >= PER_TASK);
    }

    #[test]
    fn a_limit_that_is_too_low_leaves_something_to_everybody() {
        let Descriptors { roots, dirs, tasks } = Descriptors::of_limit(3);
        assert!(roots > 0 && dirs > 0 && tasks > 0);
    }
}
