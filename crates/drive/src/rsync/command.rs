//! What rsync is called with: the words of the user, and what a list, directories or deletions need.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use fleet::line::Span;

use crate::bucket::Class;
use crate::lines::{self, ListLine, NotLines};
use crate::mover::{Unfit, Work};
use crate::rsync::ends::{Destination, Reach, Source};
use crate::rsync::options::{Purpose, Words};

/// How what is said is to be read: each entry on a line of its own, progress of the whole, and no more.
const TOLD: [&str; 4] =
    ["--no-h", "--outbuf=L", "--out-format=@%i|%l|%n", "--info=progress2,name0,stats0,flist0"];

/// A list on standard input.
const LISTED: [&str; 2] = ["-0", "--files-from=-"];

/// Nothing is made or changed but attributes of directories.
const NO_FILES: [&str; 2] = ["--existing", "--ignore-existing"];

/// A job for many rsyncs, settled.
#[derive(Clone, Debug)]
pub struct RsyncJob {
    /// The words with which rsync is started, its own name the last.
    pub program: Vec<OsString>,
    /// What the user typed.
    pub words: Words,
    /// What is moved.
    pub source: Source,
    /// Where to.
    pub destination: Destination,
    /// Whether the receiving side may write below directories that their modes close.
    pub is_receiver_root: bool,
}

/// A command, and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its words.
    pub argv: Vec<OsString>,
    /// What is on its standard input.
    pub list: Vec<u8>,
}

impl RsyncJob {
    /// Settles a job of words with a source and a destination; `is_root` is who calls.
    ///
    /// Fails with the reason where only one rsync with the whole job does it right, as is said of words, too.
    pub fn new(program: Vec<OsString>, words: Words, is_root: bool) -> Result<Self, String> {
        if let Some(why) = &words.one_mover {
            return Err(why.clone());
        }
        let [source, destination] = &*words.paths else {
            return Err("several sources may have names in common".to_owned());
        };
        let source = Source::read(source, words.is_relative)?;
        let destination = Destination::read(destination);
        let is_local = destination.reach == Reach::Here;
        let may = if is_local { is_root } else { destination.is_roots() };
        let is_receiver_root = may && !words.is_as_another_user();
        Ok(Self { program, words, source, destination, is_receiver_root })
    }

    /// The command for a piece of work.
    ///
    /// Fails if lines are none.
    pub fn command(&self, work: &Work<'_>) -> Result<Command, NotLines> {
        match *work {
            Work::Bucket { lines, class, .. } => self.bucket(lines, class),
            Work::Directories { lines } if self.is_receiver_root => self.directories(lines),
            Work::Directories { .. } => Ok(self.all_directories()),
            Work::Delete => Ok(self.delete()),
        }
    }

    fn bucket(&self, lines: &[u8], class: Class) -> Result<Command, NotLines> {
        let List { bytes, more } = self.list(lines, class, |span| span != Span::Alone)?;
        let mut argv = self.begin(Purpose::Bucket(class));
        if class == Class::Deep {
            argv.push("-r".into());
        }
        // Deletions come at the end, and a directory in the way of a file would stay until then.
        if self.words.deletes {
            argv.push("--force".into());
        }
        // Else who is done first closes directories that others still write to.
        if !self.is_receiver_root && self.words.sets_modes() {
            argv.push("--chmod=Du+w".into());
        }
        Ok(self.listed(argv, more, bytes))
    }

    fn directories(&self, lines: &[u8]) -> Result<Command, NotLines> {
        let List { bytes, more } = self.list(lines, Class::Flat, |_| true)?;
        Ok(self.listed(self.begin(Purpose::Directories), more, bytes))
    }

    /// Every directory and no file: rules of the user that let files in come first.
    fn all_directories(&self) -> Command {
        let mut argv = self.begin(Purpose::AllDirectories);
        argv.extend(NO_FILES.map(OsString::from));
        argv.extend(["--filter=+ */", "--filter=- *"].map(OsString::from));
        self.whole(argv)
    }

    fn delete(&self) -> Command {
        let mut argv = self.begin(Purpose::Delete);
        argv.extend(NO_FILES.map(OsString::from));
        self.whole(argv)
    }

    fn begin(&self, purpose: Purpose) -> Vec<OsString> {
        let mut argv = self.program.clone();
        argv.extend(self.words.for_purpose(purpose));
        argv
    }

    fn listed(&self, mut argv: Vec<OsString>, more: &[&str], list: Vec<u8>) -> Command {
        argv.extend(more.iter().map(OsString::from));
        argv.extend(LISTED.iter().chain(&TOLD).map(OsString::from));
        argv.extend(["--".into(), self.source.base.clone(), self.destination.folder.clone()]);
        Command { argv, list }
    }

    fn whole(&self, mut argv: Vec<OsString>) -> Command {
        argv.extend(TOLD.map(OsString::from));
        argv.extend(["--".into(), self.source.typed.clone(), self.destination.typed.clone()]);
        Command { argv, list: Vec::new() }
    }

    /// What rsync reads for lines of which some `spans` are meant.
    fn list(
        &self,
        lines: &[u8],
        class: Class,
        spans: impl Fn(Span) -> bool,
    ) -> Result<List, NotLines> {
        let mut list = List { bytes: Vec::with_capacity(lines.len()), more: &[] };
        let mut is_top_meant = false;
        for line in lines::read(lines) {
            let ListLine { span, path, .. } = line?;
            if !spans(span) {
                continue;
            }
            match (&*self.source.below, path) {
                (b"", b"") => {
                    is_top_meant = true;
                    continue;
                }
                // So rsync sends attributes of the top, too, as of all directories above a name.
                (b"", path) => list.bytes.extend_from_slice(&[b"./", path].concat()),
                (below, b"") => list.bytes.extend_from_slice(below),
                (below, path) => list.bytes.extend_from_slice(&[below, b"/", path].concat()),
            }
            list.bytes.push(0);
        }
        if is_top_meant && (list.bytes.is_empty() || class == Class::Deep) {
            list.bytes.extend_from_slice(b".\0");
            if class == Class::Flat {
                // Named so it is meant with what lies in it, also without -r.
                list.more = &["--filter=- *"];
            }
        }
        Ok(list)
    }
}

/// A list, and what has to be said beside it.
struct List {
    bytes: Vec<u8>,
    more: &'static [&'static str],
}

/// Words as a person would type them into a shell.
pub fn shown(argv: &[OsString]) -> String {
    argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_=+,./:@%^".contains(byte);
    let text = word.to_string_lossy();
    if !word.is_empty() && word.as_bytes().iter().all(is_plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Why there is no command.
impl From<NotLines> for Unfit {
    fn from(error: NotLines) -> Self {
        Self { code: 14, sentence: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
