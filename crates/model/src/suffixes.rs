//! Suffixes of names, as `--skip-compress` lists them: files that are compressed already.

use borsh::{BorshDeserialize, BorshSerialize};

/// What rsync leaves out of compression by itself (rsync(1), `--skip-compress`).
const USUAL: &[u8] = b"3g2/3gp/7z/aac/ace/apk/avi/bz2/deb/dmg/ear/f4v/flac/flv/gpg/gz/iso/jar/jpeg/jpg/\
    lrz/lz/lz4/lzma/lzo/m1a/m1v/m2a/m2ts/m2v/m4a/m4b/m4p/m4r/m4v/mka/mkv/mov/mp1/mp2/mp3/mp4/mpa/mpeg/\
    mpg/mpv/mts/odb/odf/odg/odi/odm/odp/ods/odt/oga/ogg/ogm/ogv/ogx/opus/otg/oth/otp/ots/ott/oxt/png/qt/\
    rar/rpm/rz/rzip/spx/squashfs/sxc/sxd/sxg/sxm/sxw/sz/tbz/tbz2/tgz/tlz/ts/txz/tzo/vob/war/webm/webp/xz/\
    z/zip/zst";

/// A list of suffixes, parted by slashes and without their dots; `[12]` stands for one of these. Upper and
/// lower case are the same.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Suffixes(Box<[u8]>);

impl Default for Suffixes {
    fn default() -> Self {
        Self::new(USUAL)
    }
}

impl Suffixes {
    /// Takes a list; an empty one has none. A bracket that is not closed stands for itself.
    pub fn new(list: &[u8]) -> Self {
        Self(list.to_ascii_lowercase().into())
    }

    /// True of a name that ends in a dot and one of them, and does not begin with that dot.
    pub fn has_suffix_of(&self, name: &[u8]) -> bool {
        let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
            return false;
        };
        let suffix = &name[dot + 1..];
        !suffix.is_empty() && self.0.split(|byte| *byte == b'/').any(|one| is_like(one, suffix))
    }
}

fn is_like(pattern: &[u8], suffix: &[u8]) -> bool {
    let Some((first, rest)) = suffix.split_first() else { return pattern.is_empty() };
    let is_first = |byte: &u8| *byte == first.to_ascii_lowercase();
    match pattern {
        [b'[', class @ ..] if class.contains(&b']') => {
            let end = class.iter().position(|byte| *byte == b']').unwrap_or(class.len());
            class[..end].iter().any(is_first) && is_like(&class[end + 1..], rest)
        }
        [byte, pattern @ ..] => is_first(byte) && is_like(pattern, rest),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rsync_leaves_out_are_left_out() {
        let usual = Suffixes::default();
        for name in ["a.gz", "A.GZ", "b.tar.xz", "film.MKV", "x.7z", "page.webp", "y.squashfs"] {
            assert!(usual.has_suffix_of(name.as_bytes()), "{name}");
        }
        for name in ["a.txt", "gz", ".gz", "a.", "a.gzip", "a.g", "a.gz.log", "", "."] {
            assert!(!usual.has_suffix_of(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_list_may_have_classes() {
        let own = Suffixes::new(b"MP[34]/x[yz]w/[q");
        for name in ["a.mp3", "a.Mp4", "a.xyw", "a.[Q"] {
            assert!(own.has_suffix_of(name.as_bytes()), "{name}");
        }
        for name in ["a.mp5", "a.mp", "a.mp34", "a.xw", "a.gz", "a.q"] {
            assert!(!own.has_suffix_of(name.as_bytes()), "{name}");
        }
        assert!(!Suffixes::new(b"").has_suffix_of(b"a.gz"));
        assert!(!Suffixes::new(b"").has_suffix_of(b"a."));
    }
}
