//! How a run ended, as the caller's table of exit codes says it.

use crate::outputs::Lost;

/// The exit code of a run and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub exit_code: u8,
    /// The last line on standard error; `None` when all went well.
    pub closing: Option<Closing>,
}

/// The two ends that a run can have.
#[derive(Clone, Copy, Debug)]
pub struct Endings {
    /// When all of the output was written.
    pub run: Ended,
    /// When a part of it was lost: a run that was to be seen or logged and was not has not
    /// succeeded.
    pub unseen: Ended,
    /// Whether the lines of statistics are printed.
    pub statistics: Statistics,
    /// What went over the way to another host, where there is one.
    pub traffic: Option<Traffic>,
}

/// What went between this host and another, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// To the other host.
    pub sent_bytes: u64,
    /// From it.
    pub received_bytes: u64,
}

/// Whether a run has statistics to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// It has, also where it was interrupted or its time is over.
    Shown,
    /// As in rsync: an error ended it, and only that is said.
    Withheld,
}

impl Endings {
    pub(crate) fn given(&self, lost: Lost) -> Ended {
        match lost {
            Lost::Nothing => self.run,
            Lost::Something => self.unseen,
        }
    }
}

/// The last line on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// How bad it is.
    pub severity: Severity,
    /// What the exit code means: `some entries were not brought over; they are named above`.
    pub sentence: &'static str,
}

/// How bad the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// `lanesync warning:`, as rsync says where entries vanished (24).
    Warning,
    /// `lanesync error:`.
    Error,
}

impl Ended {
    /// All went well.
    pub const WELL: Self = Self { exit_code: 0, closing: None };

    /// `lanesync error: some entries were ... (code 23)`.
    pub(crate) fn line(&self) -> Option<String> {
        let Closing { severity, sentence } = self.closing?;
        let severity = match severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        Some(format!("lanesync {severity}: {sentence} (code {})", self.exit_code))
    }
}

#[cfg(test)]
mod tests {
    use super::{Closing, Ended, Severity};

    #[test]
    fn the_last_line_is_that_of_rsync() {
        let closing = Closing { severity: Severity::Warning, sentence: "some files vanished" };
        let ended = Ended { exit_code: 24, closing: Some(closing) };
        assert_eq!(ended.line().unwrap(), "lanesync warning: some files vanished (code 24)");
        assert_eq!(Ended::WELL.line(), None);
    }
}
