//! How content is compressed on its way to or from another host. On one machine there is no such way.

use std::os::unix::ffi::OsStrExt;

use model::Suffixes;
use model::settings::{Compression, Method};

use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    asked: bool,
    /// `--compress-choice`, which asks for it, too, unless it is `none`.
    choice: Option<String>,
    /// `--compress-level`: likewise.
    level: Option<i32>,
    skipped: Option<Suffixes>,
}

impl Typed {
    /// Whether an option is about this.
    pub(super) fn knows(opt: Opt) -> bool {
        matches!(
            opt,
            Opt::Compress
                | Opt::OldCompress
                | Opt::NewCompress
                | Opt::CompressChoice
                | Opt::CompressLevel
                | Opt::SkipCompress
        )
    }

    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        match flag.opt {
            Opt::Compress | Opt::OldCompress | Opt::NewCompress => self.asked = flag.is_on(),
            Opt::CompressChoice => self.choice = Some(flag.text()?.to_ascii_lowercase()),
            Opt::CompressLevel => self.level = Some(flag.number()?),
            Opt::SkipCompress => self.skipped = Some(Suffixes::new(flag.value.as_bytes())),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn settle(self) -> Option<Compression> {
        let Self { asked, choice, level, skipped } = self;
        let choice = choice.as_deref();
        let is_asked = match choice {
            Some(choice) => choice != "none",
            None => asked || level.is_some(),
        };
        // Between two of ours zlib is zstd; that this level of it is none at all is what was asked for.
        let is_off = matches!(choice, Some("zlib" | "zlibx")) && level == Some(0);
        let method = match choice {
            Some("lz4") => Method::Lz4,
            _ => Method::Zstd { level: level.unwrap_or_default() },
        };
        let skipped = skipped.unwrap_or_default();
        (is_asked && !is_off).then_some(Compression { method, skipped })
    }
}
