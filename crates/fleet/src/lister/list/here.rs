//! What a list names, looked at in SOURCE on this host.
//!
//! Nothing outside of SOURCE is looked at: no link is followed.

use std::io;

use fs::Dir;

use super::line::{SEPARATOR, Shape, Ways};
use super::text::Text;

/// So many lines tell what all of them are.
const SAMPLE_LINES: usize = 16;

/// SOURCE on this host.
#[derive(Clone, Debug)]
pub(super) struct Here(pub(super) Dir);

impl Here {
    /// A directory below it, of whose path no component is a link.
    pub(super) fn directory(&self, path: &[u8]) -> io::Result<Dir> {
        if path.is_empty() { Ok(self.0.clone()) } else { self.0.open_descendant(path) }
    }

    /// What some lines are, of which it is known what they look like: that of which most is there.
    pub(super) fn shape_of(&self, lines: &Text, looks_like: Shape, ways: &Ways<'_>) -> Shape {
        let found = |shape: Shape| {
            let sample = lines.first(SAMPLE_LINES);
            sample.filter(|line| self.has(line, shape, ways)).count()
        };
        let (mut likeliest, mut most) = (looks_like, found(looks_like));
        for shape in [Shape::Sizes, Shape::Paths] {
            let found = found(shape);
            if found > most {
                (likeliest, most) = (shape, found);
            }
        }
        likeliest
    }

    /// Whether what a line names is there, if it is of this shape.
    fn has(&self, line: &[u8], shape: Shape, ways: &Ways<'_>) -> bool {
        let mut line = line.to_vec();
        let Ok((_, start)) = shape.cut(&line) else { return false };
        let Ok((len, _)) = ways.settle(&mut line, start) else { return false };
        let path = &line[..len];
        let (above, name) = match path.iter().rposition(|&byte| byte == SEPARATOR) {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&[][..], path),
        };
        let is_in = |dir: Dir| dir.stat(name).is_ok();
        !name.is_empty() && self.directory(&slashed(above)).is_ok_and(is_in)
    }
}

/// A path as the system takes it, of one with separators between its components.
pub(super) fn slashed(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == SEPARATOR { b'/' } else { byte }).collect()
}
