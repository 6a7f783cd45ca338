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

/// Names in a list that another host tells; each takes some 50 bytes beside its own.
const NAMES_TOLD_MAX: usize = 16 << 20;

/// What is looked through at most for one path.
const LOOKS_MAX: usize = 1_000_000;

/// Looks up the sources of a job, and a list of names that is to be brought over.
pub(super) fn find(job: &mut Job, list: Option<&List>) -> Result<Found, Refusal> {
    let mut sources = Vec::new();
    for source in &job.sources {
        let paths = expand(source.path.as_os_str().as_bytes())?;
        sources.push(paths.into_iter().map(Vec::into_boxed_slice).collect());
    }
    let list = list.map(read_list).transpose()?;
    job.sources = sources_at(&sources);
    Ok(found(sources, list))
}

/// What is told of what was looked up here.
pub(super) fn found(sources: Vec<Vec<Box<[u8]>>>, list: Option<Vec<u8>>) -> Found {
    let directory = fs::below::absolute(Path::new(".")).into_os_string().into_encoded_bytes();
    Found { directory: directory.into(), sources, list: list.map(Vec::into_boxed_slice) }
}

/// Sources by their paths.
pub(super) fn sources_at(paths: &[Vec<Box<[u8]>>]) -> Vec<Source> {
    paths.iter().flatten().map(|found| Source { path: path(found).to_owned() }).collect()
}

/// True when these may be the paths that something typed for another host stands for there: what was typed
/// is believed, and of the other host only what a home is called and which names there are. They are the
/// names of what is written here. Test: `only_what_was_typed_is_taken_for_the_source`.
pub(super) fn may_stand_for(typed: &[u8], paths: &[Box<[u8]>]) -> bool {
    let Some(first) = paths.first() else { return false };
    let are_ordered = paths.is_sorted_by(|one, next| parts(one).lt(parts(next)));
    let are_of = |home: &[u8], rest: &[u8]| match paths {
        [path] if **path == *[home, &literal(rest)].concat() => true,
        _ => paths.iter().all(|path| path.strip_prefix(home).is_some_and(|path| fits(rest, path))),
    };
    let are_below_a_home = |tilde: &[u8]| {
        let login = parts(tilde).next().map_or(0, <[u8]>::len);
        let rest = &tilde[login..];
        let home = front(first, parts(rest).count() - 1);
        home.is_some_and(|home| is_home(home, rest) && are_of(home, rest))
    };
    paths.len() <= NAMES_MAX
        && are_ordered
        && (are_of(b"", typed) || typed.strip_prefix(b"~").is_some_and(are_below_a_home))
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
}

/// What is in front of the last components of a path, each with its slash.
fn front(path: &[u8], count: usize) -> Option<&[u8]> {
    (0..count).try_fold(path, |front, _| {
        let slash = front.iter().rposition(|&byte| byte == b'/')?;
        Some(&front[..slash])
    })
}

/// True when something is the text of a home, which has a name: it is not a slash that changes what a
/// source is.
fn is_home(home: &[u8], rest: &[u8]) -> bool {
    let Some(home) = home.strip_prefix(b"/") else { return home.is_empty() && !rest.is_empty() };
    parts(home).all(|part| !matches!(part, b"" | b"." | b".."))
}

/// True when each component of a path may stand for that of something typed.
fn fits(typed: &[u8], path: &[u8]) -> bool {
    let part_fits = |(part, name): (&[u8], &[u8])| {
        if has_wildcard(part) { matches(part, name) } else { literal(part) == name }
    };
    parts(typed).count() == parts(path).count() && parts(typed).zip(parts(path)).all(part_fits)
}

/// Whether a name of a directory matches a part that is a pattern.
fn matches(part: &[u8], name: &[u8]) -> bool {
    (part.starts_with(b".") || !name.starts_with(b"."))
        && !matches!(name, b"" | b"." | b"..")
        && filter::matches_name(&pattern(part), name)
}

/// What is in a list on this host.
pub(super) fn read_list(list: &List) -> Result<Vec<u8>, Refusal> {
    let name = expand_one(&list.path)?;
    // The agent's own is the session.
    if name == b"-" {
        let why =
            "--files-from: \"-\" is the standard input of this side, and another host has none";
        return Err(Refusal::usage(why));
    }
    // Of a device there is no end.
    fs::operator::read_file_up_to(path(&name), wire::limits::WORK_BYTES)
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
    match home.and_then(|home| spell_home(home.as_os_str().as_bytes(), rest)) {
        Some(home) => (home, rest),
        None => (Vec::new(), typed),
    }
}

/// A home without slashes that say nothing, so that nothing of it can be taken for what was typed.
fn spell_home(home: &[u8], rest: &[u8]) -> Option<Vec<u8>> {
    let named = parts(home.strip_prefix(b"/")?).filter(|part| !matches!(*part, b"" | b"."));
    let spelt: Vec<u8> = named.flat_map(|part| [&b"/"[..], part].concat()).collect();
    Some(if spelt.is_empty() && rest.is_empty() { b"/".to_vec() } else { spelt })
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
        let mut paths = Vec::new();
        for front in std::mem::take(&mut self.paths) {
            // As in a shell: what cannot be listed has no names.
            let Ok(listing) = open(&front).and_then(|dir| dir.list()) else { continue };
            self.look(listing.len())?;
            let is_matched = |name: &&[u8]| matches(part, name);
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

/// The names that a list says which another host has told: not so many that they take all memory.
pub(super) fn names_told(contents: &[u8], list: &List) -> Result<Vec<Box<[u8]>>, Refusal> {
    let ends = contents.iter().filter(|&&byte| matches!(byte, b'\0' | b'\n' | b'\r')).count();
    if ends > NAMES_TOLD_MAX {
        return Err(Refusal::usage(format!(
            "--files-from: the list has more than {NAMES_TOLD_MAX} names"
        )));
    }
    names_of(contents, list, Marked::Comments)
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

    use errand::List;

    use super::{NAMES_MAX, NAMES_TOLD_MAX};
    use super::{expand, expand_one, may_stand_for, names_told, read_list};

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

    #[test]
    fn only_what_was_typed_is_taken_for_the_source() {
        let boxed = |paths: &[&str]| -> Vec<Box<[u8]>> {
            paths.iter().map(|path| path.as_bytes().into()).collect()
        };
        for (typed, paths) in [
            ("docs", &["docs"][..]),
            ("docs/", &["docs/"]),
            ("/a/./b", &["/a/./b"]),
            ("../x", &["../x"]),
            ("*/x", &["a/x", "a!/x", "b/x"]),
            (".*", &[".h"]),
            ("z*", &["z*"]),
            ("f[1]", &["f[1]"]),
            ("a\\*", &["a*"]),
            ("~", &["/h/u"]),
            ("~/", &["/h/u/"]),
            ("~u/*/", &["/h/u/a/", "/h/u/b/"]),
            ("~/x", &["/x"]),
            ("~none/x", &["~none/x"]),
            ("~none/*", &["~none/a", "~none/b"]),
        ] {
            assert!(may_stand_for(typed.as_bytes(), &boxed(paths)), "{typed} {paths:?}");
        }
        for (typed, paths) in [
            ("docs", &[][..]),
            ("docs", &["/evil/"]),
            ("docs", &["docs/"]),
            ("docs/", &["docs"]),
            ("docs", &["docs", "other"]),
            ("docs", &["x/docs"]),
            ("*", &["../evil"]),
            ("*", &["a/"]),
            ("*", &["a/./b"]),
            ("*", &[".ssh"]),
            (".*", &[".."]),
            (".*", &["."]),
            ("*/", &["/"]),
            ("a*", &["b"]),
            ("*", &["b", "a"]),
            ("*", &["a", "a"]),
            ("z*", &["z*", "y"]),
            ("~", &["/h/u/"]),
            ("~", &["/"]),
            ("~", &["home"]),
            ("~", &["/h/./u"]),
            ("~", &["/h/../u"]),
            ("~/x", &["/h/u/./x"]),
            ("~/x", &["/h//x"]),
            ("~/x", &["/h/u/y"]),
            ("~/x/", &["/h/u/x"]),
            ("~/*", &["/h/u/a", "/v/b"]),
            ("./~", &["/h/u"]),
        ] {
            assert!(!may_stand_for(typed.as_bytes(), &boxed(paths)), "{typed} {paths:?}");
        }
        let many: Vec<_> = (0..=NAMES_MAX).map(|number| format!("{number:06}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(may_stand_for(b"*", &boxed(&many[1..])) && !may_stand_for(b"*", &boxed(&many)));
    }

    #[test]
    fn what_is_found_is_what_may_be_told() {
        for typed in
            ["~", "~/", "~root/x", "~/*", "/etc/h*", "/*/h*s", "./[", "a/../b", "~no-one/x"]
        {
            let found: Vec<_> = expand(typed.as_bytes()).unwrap();
            let found: Vec<_> = found.into_iter().map(Vec::into_boxed_slice).collect();
            assert!(may_stand_for(typed.as_bytes(), &found), "{typed} {found:?}");
        }
    }

    #[test]
    fn a_list_is_no_stream_of_the_agent_and_ends_somewhere() {
        let list = List { path: b"-"[..].into(), from0: false };
        assert!(read_list(&list).unwrap_err().sentence.contains("standard input"));
        let mut contents = vec![b'\n'; NAMES_TOLD_MAX];
        assert!(names_told(&contents, &list).is_ok());
        contents.push(b'\n');
        assert!(names_told(&contents, &list).is_err());
    }
}
