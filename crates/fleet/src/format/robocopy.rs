//! Scripts for cmd.exe that call robocopy.
//!
//! robocopy takes no list of paths: it is called for each directory that goes whole, and for each directory
//! with the names of the files in it. The names stand in the call. Where there are more of them than a line
//! of cmd.exe takes, they stand in a job file. What is about a directory itself comes last.
//!
//! What is told of a job file by its own program is ASCII, so other names are never in one. A script is
//! read as UTF-8 after its `chcp`. Between quotes cmd.exe takes no character for more than it is but `%`;
//! it goes by no label, since it looks for one by reading the whole script.

use std::io::{self, Write};

use model::{Kind, KindCounts};

use crate::format::{BucketFiles, Format, FormatError};
use crate::line::{Line, Span};

mod windows;

/// What a script begins with. `SRC` and `DST` lose a backslash at their ends, which would make the quote
/// after it a part of the path.
const BEGIN: &str = "\
@echo off
chcp 65001 >nul
setlocal EnableExtensions DisableDelayedExpansion
if \"%~2\"==\"\" (
  echo usage: \"%~nx0\" SOURCE DEST
  exit /b 16
)
set \"SRC=%~1\"
set \"DST=%~2\"
if \"%SRC:~-1%\"==\"\\\" set \"SRC=%SRC:~0,-1%\"
if \"%DST:~-1%\"==\"\\\" set \"DST=%DST:~0,-1%\"
if not defined ROBOCOPY_OPTIONS set \"ROBOCOPY_OPTIONS=/R:3 /W:5 /MT:16 /COPY:DAT /DCOPY:DAT\"
set \"ERRORLEVEL=\"
set \"WORST=7\"
";

/// What follows each call: below 8 robocopy says what it did, from there on what it failed to do, and a
/// program that crashed leaves a negative number.
const AFTER_EACH: &str = "if %ERRORLEVEL% lss 0 (set \"WORST=16\") else if %ERRORLEVEL% gtr %WORST% set \
                          \"WORST=%ERRORLEVEL%\"\n";

const END: &str = "\
if %WORST% geq 8 exit /b %WORST%
exit /b 0
";

/// What a job file begins with: both directories are named by the call.
const BEGIN_JOB: &str = "\
/NOSD
/NODD
/LEV:1
/IF
";

/// What a line of cmd.exe may have (in UTF-16), less room for what SRC, DST, the options and the folder of
/// the script turn out to be: four of 500.
const LINE_MAX: usize = 8191 - 2000;

/// A script that is being written.
pub(super) struct Robocopy {
    files: Box<dyn BucketFiles>,
    /// The directory of which files are being told.
    loose: Option<Loose>,
    /// Calls about directories themselves. They stay as they are then, unless another bucket changes them.
    last: String,
    jobs: u64,
    left_out: KindCounts,
}

/// Files of one directory.
struct Loose {
    folder: Vec<u8>,
    /// The first words of a call, without names.
    call: String,
    /// Names, each quoted and with a blank before it.
    names: Vec<String>,
    /// How long a call with these names is.
    length: usize,
    job: Option<Job>,
}

/// A job file that is being written.
struct Job {
    name: String,
    file: Box<dyn Write + Send>,
}

impl Robocopy {
    pub(super) fn begin(mut files: Box<dyn BucketFiles>) -> Result<Self, FormatError> {
        files.list().write_all(with_line_ends(BEGIN).as_bytes())?;
        let left_out = KindCounts::default();
        Ok(Self { files, loose: None, last: String::new(), jobs: 0, left_out })
    }

    /// The beginning of a call that is about a directory.
    fn call(line: &Line<'_>, directory: &[u8]) -> Result<String, FormatError> {
        let place = windows::path(directory).map_err(|why| FormatError::unfit(line, why))?;
        let place = place.replace('%', "%%");
        let call = format!("robocopy \"%SRC%\\{place}\" \"%DST%\\{place}\"");
        if length_of(&call) > LINE_MAX / 2 {
            let reason =
                "its path is longer than a line of cmd.exe takes; move it with another --format";
            return Err(FormatError::unfit(line, reason));
        }
        Ok(call)
    }

    fn file(&mut self, line: &Line<'_>) -> Result<(), FormatError> {
        let name = windows::file_name(line.name).map_err(|why| FormatError::unfit(line, why))?;
        if self.loose.as_ref().is_none_or(|loose| loose.folder != line.folder) {
            let call = Self::call(line, line.folder)?;
            self.end_folder()?;
            let length = length_of(&call);
            let (folder, names) = (line.folder.to_vec(), Vec::new());
            self.loose = Some(Loose { folder, call, names, length, job: None });
        }
        let Some(loose) = &mut self.loose else { return Ok(()) };
        if let Some(job) = &mut loose.job
            && may_be_in_job(name)
        {
            return Ok(write!(job.file, "\t{name}\r\n")?);
        }
        let word = quoted(name);
        if loose.length + length_of(&word) > LINE_MAX {
            self.make_room()?;
            return self.file(line);
        }
        loose.length += length_of(&word);
        loose.names.push(word);
        Ok(())
    }

    /// Puts names away when a call has no room for more: into a job file, and where that is begun already,
    /// into a call of their own.
    fn make_room(&mut self) -> Result<(), FormatError> {
        let Some(loose) = &mut self.loose else { return Ok(()) };
        if loose.job.is_some() {
            let call = loose.take_call();
            return Ok(write_call(self.files.list(), &call)?);
        }
        self.jobs += 1;
        let (name, mut file) = self.files.beside(self.jobs, "RCJ")?;
        if let Err(why) = windows::name(name.as_bytes()) {
            let reason = format!("the name of a file that --name-template asks for: {why}");
            return Err(FormatError::Unfit { path: name.into_bytes(), reason });
        }
        file.write_all(with_line_ends(BEGIN_JOB).as_bytes())?;
        for word in std::mem::take(&mut loose.names) {
            let plain = unquoted(&word);
            if may_be_in_job(&plain) {
                write!(file, "\t{plain}\r\n")?;
            } else {
                loose.names.push(word);
            }
        }
        loose.length =
            length_of(&loose.call) + loose.names.iter().map(|word| length_of(word)).sum::<usize>();
        loose.job = Some(Job { name, file });
        Ok(())
    }

    /// Writes the calls for the files of a directory.
    fn end_folder(&mut self) -> Result<(), FormatError> {
        let Some(mut loose) = self.loose.take() else { return Ok(()) };
        if !loose.names.is_empty() {
            let call = loose.take_call();
            write_call(self.files.list(), &call)?;
        }
        if let Some(mut job) = loose.job {
            job.file.flush()?;
            let call = format!("{} \"/JOB:%~dp0{}\"", loose.call, job.name.replace('%', "%%"));
            write_call(self.files.list(), &call)?;
        }
        Ok(())
    }
}

impl Loose {
    /// The call for the names so far, which are then taken care of.
    fn take_call(&mut self) -> String {
        let names = self.names.drain(..).collect::<String>();
        self.length = length_of(&self.call);
        format!("{}{names} /LEV:1", self.call)
    }
}

impl Format for Robocopy {
    fn line(&mut self, line: &Line<'_>) -> Result<(), FormatError> {
        match (line.span, line.kind) {
            (Span::Entry, Kind::File) => self.file(line),
            (Span::Entry | Span::Alone | Span::Bare, Kind::Directory) => {
                let call = Self::call(line, &line.path())?;
                self.last.push_str(&text_of_call(&format!("{call} /LEV:1 /XF *")));
                Ok(())
            }
            (Span::Whole, _) => {
                let call = Self::call(line, &line.path())?;
                Ok(write_call(self.files.list(), &format!("{call} /E"))?)
            }
            (_, kind) => {
                self.left_out.add(kind, 1);
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.end_folder()?;
        let list = self.files.list();
        list.write_all(self.last.as_bytes())?;
        Ok(list.write_all(with_line_ends(END).as_bytes())?)
    }

    fn left_out(&self) -> KindCounts {
        self.left_out
    }
}

fn write_call(list: &mut dyn Write, call: &str) -> io::Result<()> {
    list.write_all(text_of_call(call).as_bytes())
}

fn text_of_call(call: &str) -> String {
    with_line_ends(&format!("{call} %ROBOCOPY_OPTIONS%\n{AFTER_EACH}"))
}

fn with_line_ends(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// A name as a word of a call, with a blank before it.
fn quoted(name: &str) -> String {
    format!(" \"{}\"", name.replace('%', "%%"))
}

/// The name that [`quoted`] was given.
fn unquoted(word: &str) -> String {
    word[2..word.len() - 1].replace("%%", "%")
}

/// Whether a job file says a name as it is: it is read in a code page of its own, and blanks before and
/// after a name are none of it.
fn may_be_in_job(name: &str) -> bool {
    name.bytes().all(|byte| matches!(byte, b' '..=b'~')) && name.trim() == name
}

/// As cmd.exe counts.
fn length_of(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests;
