//! What arguments and lines of lists ask for, by their text alone: who serves a job to another host knows
//! by this what the other one may want.

use std::os::unix::ffi::OsStrExt;

use model::Job;
use model::settings::Depth;

use super::{Below, components, cut, held_at_the_base, split, split_last};

/// What a source argument or a line of a list asks for.
pub(crate) struct Asked<'a> {
    /// The directory that it is looked up from.
    pub(crate) base: &'a [u8],
    /// The way from there.
    pub(crate) way: &'a [&'a [u8]],
    /// How many components of the way lead to where the transfer begins, of which rules see nothing.
    pub(crate) begins_at: usize,
    /// All that lies at its end is listed.
    pub(crate) is_listed: bool,
    /// And all below that.
    pub(crate) is_deep: bool,
    /// A link at its end stands for the directory behind it.
    pub(crate) is_slashed: bool,
}

/// Tells of each source argument and each line of a list what it asks for.
pub(crate) fn for_each_argument(job: &Job, mut tell: impl FnMut(Asked<'_>)) {
    let traverse = &job.settings.traverse;
    let is_deep = traverse.depth == Depth::Recursive;
    let mut tell_one = |base: &[u8], below: &[u8], begins_at: usize| {
        // What cannot be looked up is told of by who looks it up.
        if let Ok(below) = Below::new(below, below) {
            let is_slashed = below.lists_content;
            let is_listed = is_deep || is_slashed && traverse.depth == Depth::Directories;
            let way = &below.components;
            tell(Asked { base, way, begins_at, is_listed, is_deep, is_slashed });
        }
    };
    for source in &job.sources {
        let argument = source.path.as_os_str().as_bytes();
        let Some(lines) = &traverse.files_from else {
            let (base, below) = split(argument, traverse.relative);
            tell_one(base, below, 0);
            continue;
        };
        for line in lines {
            let below = held_at_the_base(line, traverse.relative);
            let begins_at = components(&front_of_line(line, &below, traverse.relative)).len();
            tell_one(argument, &below, begins_at);
        }
    }
}

/// What of a line of `--files-from` leads to where its transfer begins: with `-R` all before the first
/// "/./", else all but the last name.
fn front_of_line(line: &[u8], below: &[u8], relative: bool) -> Vec<u8> {
    if !relative {
        let (front, last) = split_last(below);
        return if last == b"." { below } else { front }.to_vec();
    }
    cut(line).map(|(front, _)| held_at_the_base(front, relative)).unwrap_or_default()
}
