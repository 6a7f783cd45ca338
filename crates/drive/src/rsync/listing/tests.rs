//! Lines as they are told, and what real rsyncs list.

#![expect(clippy::disallowed_methods, reason = "the tests put trees on disk for rsync")]

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::rsync::options::Words;

#[test]
fn lines_are_read_if_there_is_one_way_to() {
    let entry = |kind, bytes, path: &str, same_as: Option<&str>| {
        let same_as = same_as.map(Vec::from);
        Some(Listed { kind, bytes, path: path.into(), same_as })
    };
    for (line, expected) in [
        (r">f+++++++++|2||a|b", entry(Kind::File, 2, "a|b", None)),
        (r"cd+++++++++|4096||d/", entry(Kind::Directory, 4096, "d/", None)),
        (r"cL+++++++++|3| -> a|b|n", entry(Kind::Symlink, 3, "n", None)),
        (r"cL+++++++++|3| -> \#012\#|n|m", entry(Kind::Symlink, 3, "n|m", None)),
        (r"cL+++++++++|3| -> \#012\#n|m", None),
        (r"cL+++++++++|9| -> a|n", None),
        (r"hf+++++++++|2| => a/f|g", entry(Kind::File, 2, "g", Some("a/f"))),
        (r"hf+++++++++|2| => a|f|g", None),
        (r"cS+++++++++|0||p", entry(Kind::Fifo, 0, "p", None)),
        (r"cX+++++++++|0||p", None),
        (r">f+++++++++|x||p", None),
        (r"", None),
    ] {
        assert_eq!(listed(line.as_bytes()), expected, "{line}");
    }
}

#[derive(Default)]
struct All(Vec<Listed>);

impl HearListing for All {
    fn entry(&mut self, listed: Listed) {
        self.0.push(listed);
    }

    fn line(&mut self, _: &[u8]) {}
}

/// What is listed of a tree below `dir` but for its root, in the order of names, with words of which the last is the source.
fn list(dir: &Path, options: &[&str], source: &str) -> (End, Vec<String>) {
    let words = options.iter().map(|word| OsString::from(*word));
    let source = dir.join(source).into_os_string();
    let words = words.chain([source, dir.join("dst").into_os_string()]);
    let job = RsyncJob::new(vec!["rsync".into()], Words::read(words).unwrap(), true).unwrap();
    let empty = dir.join("empty");
    let mut all = All::default();
    let end =
        RsyncMover::new(job, Path::new("/")).list(empty.as_os_str(), &mut all, &Cancel::new());
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    let shown = |listed: Listed| {
        let path = listed.path.escape_ascii();
        let same_as = listed.same_as.map(|path| format!(" = {}", path.escape_ascii()));
        format!("{path}{}", same_as.unwrap_or_default())
    };
    let mut shown: Vec<String> =
        all.0.into_iter().filter(|listed| !listed.path.is_empty()).map(shown).collect();
    shown.sort();
    (end, shown)
}

#[test]
fn rsyncs_own_selection_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for name in ["src/a/b", "src/none/none", "empty", "dst"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    let odd = Path::new(OsStr::from_bytes(b"src/o|d\n\xff"));
    for name in [Path::new("src/f.o"), Path::new("src/a/b/f"), Path::new("src/a/k"), odd] {
        fs::write(dir.join(name), b"x").unwrap();
    }
    fs::write(dir.join("src/a/.rsync-filter"), b"- k\n").unwrap();
    fs::hard_link(dir.join("src/a/b/f"), dir.join("src/g")).unwrap();
    symlink("a|b\n", dir.join("src/l")).unwrap();
    let odd = r"o|d\n\xff";
    let (end, all) = list(dir, &["-aH", "--existing", "--link-dest=../src"], "src/");
    assert_eq!(end, End::Done);
    let expected = [
        "a",
        "a/.rsync-filter",
        "a/b",
        "a/b/f",
        "a/k",
        "f.o",
        "g = a/b/f",
        "l",
        "none",
        "none/none",
        odd,
    ];
    let turned = expected.map(|name| match name {
        "a/b/f" => "a/b/f = g",
        "g = a/b/f" => "g",
        name => name,
    });
    assert!(all == expected || all == turned, "{all:?}");
    let (end, chosen) = list(dir, &["-am", "-FF", "--exclude=*.o", "--delete"], "src");
    assert_eq!(end, End::Done);
    assert_eq!(chosen, ["a", "a/b", "a/b/f", "g", "l", odd]);
    let (end, part) = list(dir, &["-aR"], "src/./a/b");
    assert_eq!(end, End::Done);
    assert_eq!(part, ["f"]);
    for source in ["nowhere", "nowhere/"] {
        let (end, all) = list(dir, &["-a"], source);
        assert!(matches!(end, End::Partial { .. } | End::Hopeless(_)), "{end:?}");
        assert!(all.is_empty(), "{all:?}");
    }
}
