//! Lists for rclone's `--files-from-raw`.
//!
//! They name files and nothing else: rclone passes over a directory that is named, and over links, pipes,
//! sockets and devices, without an error. So these are left out and counted.
//!
//! A name is told as rclone shows it (`rclone lsf`): control characters as their pictures, which are quoted
//! where they are meant themselves. The quote is the one character that rclone takes for its own wherever
//! it stands. Tried with 1.60 and 1.75 and a source on the local file system of Linux.

use model::{Kind, KindCounts};

use crate::format::{BucketFiles, Format, FormatError};
use crate::line::{Line, Span};

/// What rclone puts before a character that it would take for another.
const QUOTE: char = '\u{201b}';

/// The picture of a control character is so much further on.
const PICTURES: u32 = 0x2400;

const DELETE: char = '\u{7f}';
const PICTURE_OF_DELETE: char = '\u{2421}';

/// A list that is being written.
pub(super) struct Rclone {
    files: Box<dyn BucketFiles>,
    left_out: KindCounts,
}

impl Rclone {
    pub(super) fn new(files: Box<dyn BucketFiles>) -> Self {
        Self { files, left_out: KindCounts::default() }
    }
}

impl Format for Rclone {
    fn line(&mut self, line: &Line<'_>) -> Result<(), FormatError> {
        match (line.span, line.kind) {
            (Span::Entry, Kind::File) => {}
            // It comes into being with the files in it.
            (Span::Alone, _) => return Ok(()),
            (Span::Entry | Span::Bare, kind) => {
                self.left_out.add(kind, 1);
                return Ok(());
            }
            (Span::Whole, _) => {
                let reason =
                    "a list for rclone names files, and this stands for all that lies in it";
                return Err(FormatError::unfit(line, reason));
            }
        }
        let mut text = Vec::new();
        for part in line.path().utf8_chunks() {
            for letter in part.valid().chars() {
                push(&mut text, letter).ok_or_else(|| unfit(line))?;
            }
            text.extend(part.invalid());
        }
        text.push(b'\n');
        Ok(self.files.list().write_all(&text)?)
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        Ok(())
    }

    fn left_out(&self) -> KindCounts {
        self.left_out
    }
}

fn unfit(line: &Line<'_>) -> FormatError {
    let reason = "its name has the character U+201B in it, with which rclone quotes others, and so does not \
                  find the file; give it another name, or use --format=rsync0";
    FormatError::unfit(line, reason)
}

/// Adds a character as rclone shows it; `None` for one that it does not find again.
fn push(text: &mut Vec<u8>, letter: char) -> Option<()> {
    let mut put = |letter: char| text.extend(letter.encode_utf8(&mut [0; 4]).bytes());
    match letter {
        QUOTE => return None,
        DELETE => put(PICTURE_OF_DELETE),
        '\u{1}'..='\u{1f}' => put(char::from_u32(PICTURES + u32::from(letter))?),
        PICTURE_OF_DELETE | '\u{2401}'..='\u{241f}' => {
            put(QUOTE);
            put(letter);
        }
        _ => put(letter),
    }
    Some(())
}

#[cfg(test)]
mod tests;
