//! What there is to move, as rsync itself selects it: a dry run into a directory that is empty.

use std::ffi::{OsStr, OsString};

use model::Kind;
use sched::Cancel;

use crate::mover::{End, Stream, Unfit};
use crate::process;
use crate::rsync::RsyncMover;
use crate::rsync::command::RsyncJob;
use crate::rsync::complaints::{self, Complaint};
use crate::rsync::exit::{self, Heard};
use crate::rsync::options::Purpose;
use crate::rsync::output::{Lines, number, unescaped};

/// An entry that rsync would move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub kind: Kind,
    /// Its bytes; of a symlink, those of its target.
    pub bytes: u64,
    /// Its path below the root; empty for the root itself.
    pub path: Vec<u8>,
    /// The path of the first of the names that the same file has, if there was one before.
    pub same_as: Option<Vec<u8>>,
}

/// Who hears of what there is to move.
pub trait HearListing {
    /// An entry; each directory before what lies in it.
    fn entry(&mut self, listed: Listed);

    /// A line on standard error, without its end.
    fn line(&mut self, text: &[u8]);
}

impl RsyncJob {
    /// The command that lists, into a directory that is `empty`.
    fn listing(&self, empty: &OsStr) -> Vec<OsString> {
        let mut argv = self.program.clone();
        argv.extend(self.words.for_purpose(Purpose::Listing));
        let told = ["-n", "--no-h", "--outbuf=L", "--info=name0,stats0,flist0,progress0"];
        argv.extend(told.map(OsString::from));
        argv.extend(["--out-format=@%i|%l|%L|%n", "--"].map(OsString::from));
        let mut empty = empty.to_owned();
        empty.push("/");
        argv.extend([self.source.typed.clone(), empty]);
        argv
    }
}

impl RsyncMover {
    /// Tells all that there is to move; the root itself only if it differs from `empty`. This is a directory
    /// with nothing in it, which stays so.
    ///
    /// [`End::Done`] and [`End::Vanished`] are ends of which it is sure that nothing is missing.
    pub fn list(&self, empty: &OsStr, hear: &mut dyn HearListing, cancel: &Cancel) -> End {
        let (mut out, mut err) = (Lines::default(), Lines::default());
        let mut told =
            Told { heard: Heard { is_told: true, ..Heard::default() }, is_unclear: false };
        let mut take = |stream, bytes: &[u8]| match stream {
            Stream::Out => out.take(bytes, &mut |line| told.out(line, self, hear)),
            Stream::Err => err.take(bytes, &mut |line| told.err(line, hear)),
        };
        let ending = process::run(&self.job.listing(empty), b"", &mut take, cancel);
        out.finish(&mut |line| told.out(line, self, hear));
        err.finish(&mut |line| told.err(line, hear));
        match ending {
            Err(error) => super::not_started(&self.job, &error),
            Ok(_) if told.is_unclear => {
                let sentence =
                    "the names of a file with several names cannot be told apart in what rsync \
                                lists; rename those with \"|\", or leave out -H"
                        .to_owned();
                End::Hopeless(Unfit { code: 4, sentence })
            }
            Ok(ending) => exit::end(ending, told.heard),
        }
    }
}

/// What was told so far.
struct Told {
    heard: Heard,
    is_unclear: bool,
}

impl Told {
    fn out(&mut self, line: &[u8], mover: &RsyncMover, hear: &mut dyn HearListing) {
        self.heard.is_up = true;
        let Some(line) = line.strip_prefix(b"@") else { return };
        match listed(line) {
            Some(mut listed) => {
                let below = |name: &[u8]| mover.paths.of_name(name).map(<[u8]>::to_vec);
                let same_as = listed.same_as.as_deref().map(below);
                // What lies above the root is implied by what lies below.
                if let Some(path) = below(&listed.path) {
                    listed.path = path;
                    listed.same_as = same_as.flatten();
                    hear.entry(listed);
                }
            }
            None => self.is_unclear = true,
        }
    }

    fn err(&mut self, line: &[u8], hear: &mut dyn HearListing) {
        hear.line(line);
        match complaints::read(line) {
            Complaint::Known => return,
            Complaint::Busy => self.heard.is_busy = true,
            // A source that is not there is not one of which nothing is missing.
            _ => self.heard.failed += 1,
        }
        if self.heard.why.is_empty() {
            self.heard.why = String::from_utf8_lossy(line).into_owned();
        }
    }
}

/// Reads `cL+++++++++|4| -> a|b\#012|name`. `None` if it may be read in more than one way.
fn listed(line: &[u8]) -> Option<Listed> {
    let mut parts = line.splitn(3, |byte| *byte == b'|');
    let (item, bytes, rest) = (parts.next()?, number(parts.next()?)?, parts.next()?);
    let (linked, kind) = (item.first() == Some(&b'h'), kind_of(*item.get(1)?)?);
    let (name, same_as) = if let Some(rest) = rest.strip_prefix(b"|") {
        (rest, None)
    } else if let Some(leader) = rest.strip_prefix(b" => ").filter(|_| linked) {
        let mut bars = leader.iter().enumerate().filter(|(_, byte)| **byte == b'|');
        let (bar, _) = bars.next()?;
        if bars.next().is_some() {
            return None;
        }
        (&leader[bar + 1..], Some(unescaped(&leader[..bar])))
    } else {
        (behind_target(rest.strip_prefix(b" -> ")?, bytes)?, None)
    };
    Some(Listed { kind, bytes, path: unescaped(name), same_as })
}

/// What comes behind the target of a symlink, whose bytes are known, and a bar.
fn behind_target(mut rest: &[u8], bytes: u64) -> Option<&[u8]> {
    for _ in 0..bytes {
        let escaped = rest.get(..5).is_some_and(|told| unescaped(told).len() == 1);
        rest = rest.get(if escaped { 5 } else { 1 }..)?;
    }
    rest.strip_prefix(b"|")
}

/// The kinds, as `--itemize-changes` tells them. It does not tell which kind of device, nor does it matter.
fn kind_of(letter: u8) -> Option<Kind> {
    match letter {
        b'f' => Some(Kind::File),
        b'd' => Some(Kind::Directory),
        b'L' => Some(Kind::Symlink),
        b'D' => Some(Kind::CharDevice),
        b'S' => Some(Kind::Fifo),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
