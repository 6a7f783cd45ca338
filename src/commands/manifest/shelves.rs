//! The files that buckets go to.

use std::path::PathBuf;

use fleet::amount::Amount;
use fleet::exec::{self, Commands};
use fleet::format::{FilterFiles, Form, Format, Header, Origin, Writing};
use fleet::line::{Line, Recursion};
use fleet::lister::{Refused, Why};
use fleet::output::{Batch, Draft};
use fleet::pack::Shelf;
use fleet::plot::Picture;
use model::KindCounts;
use model::manifest::BucketSummary;

use super::{Failure, stopped};

/// The files that buckets go to.
pub(super) struct Shelves {
    pub(super) batch: Batch,
    pub(super) form: Form,
    pub(super) root: Vec<u8>,
    pub(super) origin: Origin,
    /// How many buckets there will be, if that is known.
    pub(super) count: Option<u64>,
    /// What no bucket has, since its mover has no words for it.
    pub(super) left_out: KindCounts,
    /// What is to be seen of them.
    pub(super) picture: Option<Picture>,
    /// What is run for each bucket as soon as it is full.
    pub(super) live: Option<Commands>,
    pub(super) filled: Vec<Filled>,
}

/// A bucket that is being filled.
pub(super) struct Filling {
    number: u64,
    draft: Draft,
    format: Box<dyn Format>,
    recursion: Recursion,
}

/// A bucket that is whole.
pub(super) struct Filled {
    pub(super) number: u64,
    pub(super) file: PathBuf,
    pub(super) amount: Amount,
    pub(super) recursion: Recursion,
}

impl Filled {
    pub(super) fn summary(&self, form: Form, all: Recursion) -> BucketSummary {
        let Amount { entries, bytes } = self.amount;
        let recursion = if all == Recursion::Torn { self.recursion } else { all };
        let command = form.command(recursion).map(str::to_owned);
        BucketSummary { number: self.number, file: self.file.clone(), entries, bytes, command }
    }

    pub(super) fn bucket(&self) -> exec::Bucket {
        let Self { number, amount, recursion, .. } = *self;
        exec::Bucket { file: self.file.clone(), number, amount, recursion }
    }
}

impl Shelves {
    /// Writes a bucket whose file says what all others hold.
    pub(super) fn write_together(
        &mut self,
        files: &FilterFiles,
        number: u64,
        amount: Amount,
    ) -> Result<(), Failure> {
        let (draft, mut out) = self.batch.begin(number)?;
        files.write(number, out.list())?;
        drop(out);
        let file = self.batch.publish(draft)?;
        self.filled.push(Filled { number, file, amount, recursion: Recursion::Either });
        Ok(())
    }
}

impl Shelf for Shelves {
    type Bucket = Filling;
    type Error = Failure;

    fn begin(&mut self, number: u64) -> Result<Filling, Failure> {
        let (draft, files) = self.batch.begin(number)?;
        let header = Header {
            version: env!("CARGO_PKG_VERSION"),
            root: &self.root,
            origin: self.origin,
            bucket: number,
            buckets: self.count,
        };
        let Writing::Streamed(streamed) = self.form.writing() else {
            let sentence = "a filter file was begun before the others were known".to_owned();
            return Err(Refused { why: Why::Internal, sentence }.into());
        };
        let format = streamed.begin(&header, files)?;
        Ok(Filling { number, draft, format, recursion: Recursion::Either })
    }

    fn add(&mut self, filling: &mut Filling, line: &Line<'_>) -> Result<(), Failure> {
        filling.recursion = filling.recursion.and(Recursion::of(line));
        if let Some(picture) = &mut self.picture {
            picture.add(filling.number, line);
        }
        Ok(filling.format.line(line)?)
    }

    fn hand_out(&mut self, filling: Filling, amount: Amount) -> Result<(), Failure> {
        let Filling { number, draft, mut format, recursion } = filling;
        format.finish()?;
        self.left_out.merge(&format.left_out());
        drop(format);
        let file = self.batch.publish(draft)?;
        let filled = Filled { number, file, amount, recursion };
        if let Some(commands) = &self.live {
            commands.hand_over(filled.bucket()).map_err(|_| stopped())?;
        }
        self.filled.push(filled);
        Ok(())
    }
}
