//! The source and the destination, as rsync reads their words.
//!
//! A list for rsync is relative to a directory. So that rules, `--link-dest` and all else keep their meaning,
//! this is the directory that rsync itself would have taken for the root of the transfer: that above the
//! source, if the source was typed without a slash behind it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// How an end is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is on this host.
    Here,
    /// By a remote shell.
    Shell,
    /// By a daemon of rsync.
    Daemon,
}

/// What is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it was typed.
    pub typed: OsString,
    /// How it is reached.
    pub reach: Reach,
    /// The directory that lists are relative to, with its host; it ends with a slash.
    pub base: OsString,
    /// The way from there to the root of what is moved; empty if that is the same.
    pub below: Vec<u8>,
    /// The directory that lists are relative to, without its host.
    pub path: Vec<u8>,
}

impl Source {
    /// Reads a source as it was typed; `is_relative` is rsync's `-R`.
    ///
    /// Fails with why only one rsync with the whole job does it right.
    pub fn read(typed: &OsStr, is_relative: bool) -> Result<Self, &'static str> {
        let (reach, host, path) = split(typed.as_bytes());
        if reach != Reach::Here && path.iter().any(|byte| b"*?[\\".contains(byte)) {
            return Err("the source is a pattern that its host expands");
        }
        let (base, below) =
            if is_relative { part_relative(reach, path) } else { part(reach, path) };
        let below = tidy(below);
        if is_relative && below.split(|byte| *byte == b'/').any(|name| name == b"..") {
            return Err("the source, which is kept with its whole path, leads upwards");
        }
        let mut base = if base.is_empty() { b"./".to_vec() } else { base.to_vec() };
        if !base.ends_with(b"/") {
            base.push(b'/');
        }
        let path = base.clone();
        let base = OsString::from_vec([host, &base].concat());
        Ok(Self { typed: typed.to_owned(), reach, base, below, path })
    }
}

/// Where it is moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As it was typed.
    pub typed: OsString,
    /// How it is reached.
    pub reach: Reach,
    /// The same with a slash behind it: also the only entry of a list goes into it, not under its name.
    pub folder: OsString,
    /// The same without its host.
    pub path: Vec<u8>,
}

impl Destination {
    /// Reads a destination as it was typed.
    pub fn read(typed: &OsStr) -> Self {
        let (reach, host, path) = split(typed.as_bytes());
        let mut path = if path.is_empty() { b".".to_vec() } else { path.to_vec() };
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        let folder = OsString::from_vec([host, &path].concat());
        Self { typed: typed.to_owned(), reach, folder, path }
    }

    /// Whether the login names root, who may write below any directory.
    pub fn is_roots(&self) -> bool {
        self.reach == Reach::Shell && self.typed.as_bytes().starts_with(b"root@")
    }
}

/// How it is reached, what stands before the path, and the path.
fn split(typed: &[u8]) -> (Reach, &[u8], &[u8]) {
    const URL: &[u8] = b"rsync://";
    if typed.get(..URL.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(URL)) {
        let slash = typed[URL.len()..].iter().position(|byte| *byte == b'/');
        let path_at = slash.map_or(typed.len(), |at| URL.len() + at + 1);
        return (Reach::Daemon, &typed[..path_at], &typed[path_at..]);
    }
    // Colons in the address of a host stand in brackets.
    let address = match typed.iter().position(|byte| *byte == b'[') {
        Some(open) if !typed[..open].iter().any(|byte| b":/".contains(byte)) => {
            typed.iter().position(|byte| *byte == b']').unwrap_or(0)
        }
        _ => 0,
    };
    let colon =
        typed[address..].iter().position(|byte| b":/".contains(byte)).map(|at| at + address);
    match colon {
        Some(at) if at > 0 && typed[at..].starts_with(b"::") => {
            (Reach::Daemon, &typed[..at + 2], &typed[at + 2..])
        }
        Some(at) if at > 0 && typed[at] == b':' => (Reach::Shell, &typed[..=at], &typed[at + 1..]),
        _ => (Reach::Here, &[], typed),
    }
}

/// Parts a path at its last name, which is what is moved, if it has one.
fn part(reach: Reach, path: &[u8]) -> (&[u8], &[u8]) {
    let name_at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let name = &path[name_at..];
    // A module is always meant with what it holds.
    let is_module = reach == Reach::Daemon && name_at == 0;
    if is_module || name.is_empty() || name == b"." || name == b".." {
        (path, &[])
    } else {
        (&path[..name_at], name)
    }
}

/// Parts a path where `-R` begins to keep it.
fn part_relative(reach: Reach, path: &[u8]) -> (&[u8], &[u8]) {
    if let Some(at) = path.windows(3).position(|three| three == b"/./") {
        return (&path[..=at], &path[at + 3..]);
    }
    if let Some(at) = path.strip_suffix(b"/.").map(<[u8]>::len)
        && path[..at].iter().all(|byte| *byte == b'/')
    {
        return (b"/", &[]);
    }
    let root = if reach == Reach::Daemon {
        path.iter().position(|byte| *byte == b'/').map_or(path.len(), |at| at + 1)
    } else {
        path.iter().take_while(|byte| **byte == b'/').count()
    };
    (&path[..root], &path[root..])
}

/// A path without names that lead nowhere.
fn tidy(path: &[u8]) -> Vec<u8> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.collect::<Vec<_>>().join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_parted_as_rsync_would_root_it() {
        use Reach::{Daemon, Here, Shell};
        for (typed, is_relative, reach, base, below) in [
            ("src/", false, Here, "src/", ""),
            ("src/.", false, Here, "src/./", ""),
            ("src", false, Here, "./", "src"),
            ("/a/src", false, Here, "/a/", "src"),
            ("/src", false, Here, "/", "src"),
            ("/", false, Here, "/", ""),
            (".", false, Here, "./", ""),
            ("../..", false, Here, "../../", ""),
            ("./a:b", false, Here, "./", "a:b"),
            ("-x", false, Here, "./", "-x"),
            (":x", false, Here, "./", ":x"),
            ("/a/./b/c", true, Here, "/a/", "b/c"),
            ("/a/./b//c/", true, Here, "/a/", "b/c"),
            ("/a/./", true, Here, "/a/", ""),
            ("/./b", true, Here, "/", "b"),
            ("/.", true, Here, "/", ""),
            ("/b/c", true, Here, "/", "b/c"),
            ("b/c/.", true, Here, "./", "b/c"),
            ("./b", true, Here, "./", "b"),
            ("me@host:src", false, Shell, "me@host:./", "src"),
            ("host:/a/src/", false, Shell, "host:/a/src/", ""),
            ("host:", false, Shell, "host:./", ""),
            ("[::1]:/a/b", false, Shell, "[::1]:/a/", "b"),
            ("me@[fe80::1]:a/./b", true, Shell, "me@[fe80::1]:a/", "b"),
            ("host::mod", false, Daemon, "host::mod/", ""),
            ("host::mod/a/b", false, Daemon, "host::mod/a/", "b"),
            ("host::mod/a/b", true, Daemon, "host::mod/", "a/b"),
            ("rsync://h:873/mod", false, Daemon, "rsync://h:873/mod/", ""),
            ("rsync://h:873/mod/a", false, Daemon, "rsync://h:873/mod/", "a"),
            ("RSYNC://h/mod/a/", false, Daemon, "RSYNC://h/mod/a/", ""),
        ] {
            let source = Source::read(OsStr::new(typed), is_relative).unwrap();
            let told = (source.reach, source.base.to_str().unwrap(), &*source.below);
            assert_eq!(told, (reach, base, below.as_bytes()), "{typed} {is_relative}");
        }
    }

    #[test]
    fn what_only_rsync_can_resolve_is_told() {
        for (typed, is_relative) in
            [("host:a*", false), ("host::mod/[ab]", false), ("a/../b", true)]
        {
            assert!(Source::read(OsStr::new(typed), is_relative).is_err(), "{typed}");
        }
        assert!(Source::read(OsStr::new("a*"), false).is_ok(), "a name as any other here");
    }

    #[test]
    fn a_destination_ends_with_a_slash() {
        for (typed, reach, folder, path) in [
            ("dst", Reach::Here, "dst/", "dst/"),
            ("/", Reach::Here, "/", "/"),
            ("host:", Reach::Shell, "host:./", "./"),
            ("host:a", Reach::Shell, "host:a/", "a/"),
            ("host::mod", Reach::Daemon, "host::mod/", "mod/"),
            ("rsync://h/mod/a/", Reach::Daemon, "rsync://h/mod/a/", "mod/a/"),
        ] {
            let destination = Destination::read(OsStr::new(typed));
            assert_eq!(destination.reach, reach, "{typed}");
            assert_eq!(destination.folder, folder, "{typed}");
            assert_eq!(destination.path, path.as_bytes(), "{typed}");
        }
        assert!(Destination::read(OsStr::new("root@h:x")).is_roots());
        assert!(!Destination::read(OsStr::new("root@h::x")).is_roots());
        assert!(!Destination::read(OsStr::new("./root@h:x")).is_roots());
    }
}
