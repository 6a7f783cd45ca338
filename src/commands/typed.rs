//! Paths that were typed for this host on another one: what a shell would do with a `~` and with
//! wildcards is done here, where the homes and the names are.
//!
//! The rules are those of rsync's arguments (rsync(1), "ADVANCED USAGE"): wildcards are expanded, a
//! backslash before one takes its meaning away, and nothing else of a shell is heeded. As in a shell, a
//! pattern that matches nothing stands for itself, and no wildcard matches a leading dot.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use errand::{Found, List};
use fs::Dir;
use model::{Job, Source};

use crate::cli::{self, Marked, Refusal};
use crate::exit_code::Exit;

/// More names than this are none that a person means, and would not fit a command line either.
const NAMES_MAX: usize = 100_000;

/// What is looked through at most for one path.
const LOOKS_MAX: usize = 1_000_000;

/// Looks up the sources of a job, and a list of names that is to be brought over.
pub(super) fn find(job: &mut Job, list: Option<&List>) -> Result<Found, Refusal> {
    let mut sources = Vec::new();
    for source in &job.sources {
        sources.extend(expand(source.path.as_os_str().as_bytes())?);
    }
    let list = list.map(read_list).transpose()?;
    job.sources = sources.iter().map(|source| Source { path: path(source).to_owned() }).collect();
    let directory = fs::below::absolute(Path::new(".")).into_os_string().into_encoded_bytes();
    let sources = sources.into_iter().map(Vec::into_boxed_slice).collect();
    Ok(Found { directory: directory.into(), sources, list: list.map(Vec::into_boxed_slice) })
}

/// What is in a list on this host.
pub(super) fn read_list(list: &List) -> Result<Vec<u8>, Refusal> {
    let name = expand_one(&list.path)?;
    fs::operator::read_file(path(&name))
        .map_err(|error| Refusal::file(Exit::Usage, "--files-from", &name, &error))
}

/// The one path that something typed stands for.
pub(super) fn expand_one(typed: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut paths = expand(typed)?;
    if paths.len() > 1 {
        let (typed, count) = (typed.escape_ascii(), paths.len());
        return Err(Refusal::usage(format!(
            "\"{typed}\" stands for {count} names, and one is needed"
        )));
    }
    Ok(paths.swap_remove(0))
}

/// All paths that something typed stands for; at least one.
fn expand(typed: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let (home, rest) = split_home(typed);
    let mut fronts = Fronts { paths: vec![home.clone()], looks_left: LOOKS_MAX };
    let mut has_matched = false;
    for (number, part) in rest.split(|&byte| byte == b'/').enumerate() {
        if number > 0 {
            fronts.paths.iter_mut().for_each(|front| front.push(b'/'));
        }
        let expanded = if has_wildcard(part) {
            has_matched = true;
            fronts.match_names(part)
        } else {
            fronts.add(&literal(part), has_matched)
        };
        expanded.map_err(|TooMany| {
            Refusal::usage(format!(
                "\"{}\" stands for too many names; name a directory, and choose by --include and \
                 --exclude",
                typed.escape_ascii()
            ))
        })?;
    }
    if fronts.paths.is_empty() {
        fronts.paths.push([home, literal(rest)].concat());
    }
    Ok(fronts.paths)
}

/// Takes a `~` or `~user` from the front; one that nobody has stands for itself.
fn split_home(typed: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(behind) = typed.strip_prefix(b"~") else { return (Vec::new(), typed) };
    let end = behind.iter().position(|&byte| byte == b'/').unwrap_or(behind.len());
    let (login, rest) = behind.split_at(end);
    let home = match login {
        b"" => std::env::var_os("HOME").map(Into::into),
        login => fs::names::home_of(login),
    };
    match home {
        Some(home) => (home.into_os_string().into_encoded_bytes(), rest),
        None => (Vec::new(), typed),
    }
}

const WILDCARDS: &[u8] = b"*?[";

/// Whether a backslash takes the meaning of what is behind it.
fn is_escape(at: &[u8]) -> bool {
    matches!(at, [b'\\', b'*' | b'?' | b'[' | b']', ..])
}

fn has_wildcard(part: &[u8]) -> bool {
    let mut rest = part;
    while let Some(&byte) = rest.first() {
        if WILDCARDS.contains(&byte) {
            return true;
        }
        rest = &rest[if is_escape(rest) { 2 } else { 1 }..];
    }
    false
}

/// The name that a part stands for which is no pattern.
fn literal(part: &[u8]) -> Vec<u8> {
    let kept = (0..part.len()).filter(|&at| !is_escape(&part[at..]));
    kept.map(|at| part[at]).collect()
}

/// A part as a pattern, in which each backslash takes the meaning of what is behind it.
fn pattern(part: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(part.len());
    for (at, &byte) in part.iter().enumerate() {
        if byte == b'\\' && !is_escape(&part[at..]) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}

/// More names or directories than are looked at.
struct TooMany;

/// The paths so far, each with the slash behind it.
struct Fronts {
    paths: Vec<Vec<u8>>,
    looks_left: usize,
}

impl Fronts {
    /// Puts a name behind all of them. Behind a pattern only those stay that are there.
    fn add(&mut self, name: &[u8], must_be_there: bool) -> Result<(), TooMany> {
        if must_be_there {
            self.look(self.paths.len())?;
            self.paths.retain(|front| is_there(front, name));
        }
        self.paths.iter_mut().for_each(|front| front.extend_from_slice(name));
        Ok(())
    }

    /// Puts the names behind each that match, in the order of their bytes.
    fn match_names(&mut self, part: &[u8]) -> Result<(), TooMany> {
        let pattern = pattern(part);
        let takes_dots = part.starts_with(b".");
        let mut paths = Vec::new();
        for front in std::mem::take(&mut self.paths) {
            // As in a shell: what cannot be listed has no names.
            let Ok(listing) = open(&front).and_then(|dir| dir.list()) else { continue };
            self.look(listing.len())?;
            let is_matched = |name: &&[u8]| {
                (takes_dots || !name.starts_with(b".")) && filter::matches_name(&pattern, name)
            };
            let mut names: Vec<_> =
                listing.iter().map(|(name, _)| name).filter(is_matched).collect();
            names.sort_unstable();
            if paths.len() + names.len() > NAMES_MAX {
                return Err(TooMany);
            }
            paths.extend(names.into_iter().map(|name| [&front, name].concat()));
        }
        self.paths = paths;
        Ok(())
    }

    fn look(&mut self, count: usize) -> Result<(), TooMany> {
        self.looks_left = self.looks_left.checked_sub(count.max(1)).ok_or(TooMany)?;
        Ok(())
    }
}

/// Whether a directory has a name; whether it is one, for those that name itself.
fn is_there(front: &[u8], name: &[u8]) -> bool {
    open(front).is_ok_and(|dir| matches!(name, b"" | b"." | b"..") || dir.stat(name).is_ok())
}

fn open(front: &[u8]) -> io::Result<Dir> {
    let front = if front.is_empty() { b"." } else { front };
    Dir::open_operator(path(front)).or_else(|_| Dir::open_operator_to_search(path(front)))
}

fn path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// The names that a list says, which replace the sources' own.
pub(super) fn names_of(
    contents: &[u8],
    list: &List,
    marked: Marked,
) -> Result<Vec<Box<[u8]>>, Refusal> {
    cli::parse_list(contents, list.from0, marked)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::{expand, expand_one};

    /// What patterns below a directory with some names stand for.
    #[track_caller]
    fn check(pattern: &str, expected: &[&str]) {
        let scratch = tempfile::tempdir().unwrap();
        let root = fs::Dir::open_operator(scratch.path()).unwrap();
        for name in ["a", "b", ".h"] {
            root.make_dir(name.as_bytes(), 0o755).unwrap();
            let dir = root.open_child(name.as_bytes(), fs::AccessTime::Keep).unwrap();
            dir.create_file(b"x.c", 0o644).unwrap();
        }
        for name in ["a*", "f\\g", "f[1]", "new\nline"] {
            root.create_file(name.as_bytes(), 0o644).unwrap();
        }
        let top = [scratch.path().as_os_str().as_bytes(), b"/"].concat();
        let found = expand(&[&top, pattern.as_bytes()].concat()).unwrap();
        let below = |path: &Vec<u8>| String::from_utf8(path[top.len()..].to_vec()).unwrap();
        assert_eq!(found.iter().map(below).collect::<Vec<_>>(), expected, "{pattern}");
    }

    #[test]
    fn wildcards_stand_for_what_is_there_as_in_a_shell() {
        check("a", &["a"]);
        check("*", &["a", "a*", "b", "f[1]", "f\\g", "new\nline"]);
        check("?", &["a", "b"]);
        check(".*", &[".h"]);
        check("[ab]/*.c", &["a/x.c", "b/x.c"]);
        check("*/x.c", &["a/x.c", "b/x.c"]);
        check("*/", &["a/", "b/"]);
        check("./*/./", &["./a/./", "./b/./"]);
        check("new?line", &["new\nline"]);
    }

    #[test]
    fn what_matches_nothing_or_is_escaped_stands_for_itself() {
        check("z*", &["z*"]);
        check("*/none", &["*/none"]);
        check("a\\*", &["a*"]);
        check("a\\**", &["a*"]);
        check("f\\g", &["f\\g"]);
        check("f\\[1]", &["f[1]"]);
        check("f[1]", &["f[1]"]);
        check("$(x) `y` {a,b} ~", &["$(x) `y` {a,b} ~"]);
    }

    #[test]
    fn a_home_is_that_of_the_user_or_of_the_one_that_is_named() {
        let home = std::env::var_os("HOME").unwrap();
        let home = home.as_bytes();
        assert_eq!(expand(b"~").unwrap(), [home]);
        assert_eq!(expand(b"~/a").unwrap(), [[home, b"/a"].concat()]);
        assert_eq!(expand_one(b"~root/a").unwrap(), [&b"/root"[..], b"/a"].concat());
        assert_eq!(expand_one(b"~nobody-of-that-name/a").unwrap(), b"~nobody-of-that-name/a");
        assert_eq!(expand_one(b"./~").unwrap(), b"./~");
        assert!(expand_one(b"/*").is_err());
    }
}
