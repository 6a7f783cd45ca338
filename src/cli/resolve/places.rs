//! Where the sources and the destination lie, by rsync's rules: all sources on one host. Other than
//! with rsync both sides may be on other hosts.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use net::Target;

use crate::cli::host::{Remote, remote};
use crate::cli::refusal::Refusal;

/// The paths of a command line, without the names of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) sources: Vec<PathBuf>,
    pub(super) destination: Option<PathBuf>,
    pub(super) there: Option<There>,
}

/// What of them lies on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct There {
    /// The host.
    pub(crate) target: Target,
    /// Which side lies there.
    pub(crate) side: FarSide,
    /// The host that the source lies on, where the destination is on another one, too.
    pub(crate) source: Option<Target>,
}

/// The side of a job that lies on another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FarSide {
    /// It is pulled from there.
    Source,
    /// It is pushed there.
    Destination,
}

impl fmt::Display for FarSide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// Takes the paths apart.
pub(super) fn read(paths: &[OsString]) -> Result<Places, Refusal> {
    if paths.is_empty() {
        let sentence = "name a source and a destination: lanesync -a SOURCE/ DESTINATION/";
        return Err(Refusal::usage(format!("{sentence} (lanesync --help says more)")));
    }
    if paths.iter().any(|path| path.is_empty()) {
        return Err(Refusal::usage("an empty argument names nothing; write . for this directory"));
    }
    let (sources, destination) = match paths {
        [source] => (std::slice::from_ref(source), None),
        [sources @ .., destination] => (sources, Some(destination)),
        [] => (paths, None),
    };
    let first = sources.first().and_then(|source| remote(source.as_bytes()));
    let last = destination.and_then(|destination| remote(destination.as_bytes()));
    match (first, last) {
        (Some(first), last) => {
            let Places { sources, there, .. } = pulled(first, sources)?;
            let pulls = Places { sources, destination: here(destination), there };
            let (Some(last), Some(typed)) = (last, destination) else { return Ok(pulls) };
            let (login, path) = parts(last, typed)?;
            let source = pulls.there.map(|there| there.target);
            let there = There { target: target(login, typed)?, side: FarSide::Destination, source };
            Ok(Places { destination: Some(far_path(path)), there: Some(there), ..pulls })
        }
        (None, last) => pushed(sources, destination, last),
    }
}

/// The sources, which lie on one host.
fn pulled(first: Remote<'_>, sources: &[OsString]) -> Result<Places, Refusal> {
    let (login, _) = parts(first, &sources[0])?;
    let paths = sources.iter().map(|source| {
        let Some(place) = remote(source.as_bytes()) else {
            let source = shown(source);
            return Err(Refusal::usage(format!(
                "Unexpected local arg: {source}; if it is on the other host, prefix it with a colon (:)"
            )));
        };
        let (own_login, path) = parts(place, source)?;
        if !own_login.is_empty() && own_login != login {
            return Err(Refusal::usage("All source args must come from the same machine."));
        }
        Ok(far_path(path))
    });
    let target = target(login, &sources[0])?;
    let there = Some(There { target, side: FarSide::Source, source: None });
    Ok(Places { sources: paths.collect::<Result<_, _>>()?, destination: None, there })
}

fn pushed(
    sources: &[OsString],
    destination: Option<&OsString>,
    last: Option<Remote<'_>>,
) -> Result<Places, Refusal> {
    if let Some(source) = sources.iter().find(|source| remote(source.as_bytes()).is_some()) {
        return Err(Refusal::usage(format!("Unexpected remote arg: {}", shown(source))));
    }
    let sources = sources.iter().map(PathBuf::from).collect();
    let (Some(place), Some(typed)) = (last, destination) else {
        return Ok(Places { sources, destination: here(destination), there: None });
    };
    let (login, path) = parts(place, typed)?;
    let there = There { target: target(login, typed)?, side: FarSide::Destination, source: None };
    Ok(Places { sources, destination: Some(far_path(path)), there: Some(there) })
}

fn here(path: Option<&OsString>) -> Option<PathBuf> {
    path.map(PathBuf::from)
}

/// Login and path of what is reached over a remote shell.
fn parts<'a>(place: Remote<'a>, typed: &OsStr) -> Result<(&'a [u8], &'a [u8]), Refusal> {
    match place {
        Remote::Path { login, path } => Ok((login, path)),
        Remote::Url | Remote::Module => {
            let (name, what) = (shown(typed), place.in_words());
            Err(Refusal::unsupported(format!(
                "\"{name}\" is {what}, and daemons are not spoken to; name a path on the host (host:path), \
                 and a name with a colon on this machine ./name:x"
            )))
        }
    }
}

fn target(login: &[u8], typed: &OsStr) -> Result<Target, Refusal> {
    Target::parse(login).map_err(|error| Refusal::usage(format!("\"{}\": {error}", shown(typed))))
}

/// A path as it was typed for another host, where it begins in the login folder. What a shell would do
/// with a `~` or a wildcard is done there.
fn far_path(path: &[u8]) -> PathBuf {
    let path = if path.is_empty() { b"." } else { path };
    PathBuf::from(OsString::from_vec(path.to_vec()))
}

fn shown(typed: &OsStr) -> String {
    typed.as_bytes().escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{FarSide, read};
    use crate::cli::testing::words;
    use crate::exit_code::Exit;

    /// Sources, destination, and which side is on which host.
    #[track_caller]
    fn check(
        line: &str,
        sources: &[&str],
        destination: Option<&str>,
        there: Option<(&str, FarSide)>,
    ) {
        let places = read(&words(line)).unwrap();
        let text = |path: &std::path::PathBuf| path.to_str().unwrap().to_owned();
        assert_eq!(places.sources.iter().map(text).collect::<Vec<_>>(), sources, "{line}");
        assert_eq!(places.destination.as_ref().map(text).as_deref(), destination, "{line}");
        let host = places.there.as_ref().map(|there| (there.target.shown(), there.side));
        let host = host.as_ref().map(|(host, side)| (host.as_str(), *side));
        assert_eq!(host, there, "{line}");
    }

    #[track_caller]
    fn check_refused(line: &str, exit: Exit, part: &str) {
        let refusal = read(&words(line)).unwrap_err();
        assert_eq!(refusal.exit, exit, "{line}: {}", refusal.sentence);
        assert!(refusal.sentence.contains(part), "{line}: {}", refusal.sentence);
    }

    #[test]
    fn either_side_may_be_on_another_host() {
        check("s d", &["s"], Some("d"), None);
        check("s", &["s"], None, None);
        check("s t/ u@h:/d", &["s", "t/"], Some("/d"), Some(("h", FarSide::Destination)));
        check("s h:", &["s"], Some("."), Some(("h", FarSide::Destination)));
        check("s h:~//a", &["s"], Some("~//a"), Some(("h", FarSide::Destination)));
        check("h:*.c d", &["*.c"], Some("d"), Some(("h", FarSide::Source)));
        check("[::1]:a ./d:x", &["a"], Some("./d:x"), Some(("::1", FarSide::Source)));
        check("h:a :b h:c d", &["a", "b", "c"], Some("d"), Some(("h", FarSide::Source)));
        check("h:", &["."], None, Some(("h", FarSide::Source)));
    }

    #[test]
    fn both_sides_may_be_on_other_hosts() {
        check("h:a :b u@i:c", &["a", "b"], Some("c"), Some(("i", FarSide::Destination)));
        let there = read(&words("h:a i:c")).unwrap().there.unwrap();
        assert_eq!(there.source.map(|source| source.shown()).as_deref(), Some("h"));
        check_refused(
            "h:a j:b i:c",
            Exit::Usage,
            "All source args must come from the same machine.",
        );
        check_refused("h:a b i:c", Exit::Usage, "Unexpected local arg: b");
    }

    #[test]
    fn a_path_on_another_host_is_taken_as_it_is() {
        let words = [OsString::from("s"), OsString::from("h:a b'c\"$(x)\n;")];
        let places = read(&words).unwrap();
        assert_eq!(places.destination, Some("a b'c\"$(x)\n;".into()));
    }

    #[test]
    fn sides_that_do_not_go_together_are_refused_as_by_rsync() {
        check_refused("h:a b d", Exit::Usage, "Unexpected local arg: b");
        check_refused("a h:b d", Exit::Usage, "Unexpected remote arg: h:b");
        check_refused("a h:b h:d", Exit::Usage, "Unexpected remote arg: h:b");
        let sentence = "All source args must come from the same machine.";
        check_refused("h:a i:b d", Exit::Usage, sentence);
        check_refused("h:a u@h:b d", Exit::Usage, sentence);
        check_refused(":a d", Exit::Usage, "no host before the colon");
        check_refused("s -oProxyCommand=x:d", Exit::Usage, "dash");
    }

    #[test]
    fn what_is_not_there_yet_is_refused() {
        check_refused("h::m d", Exit::Unsupported, "a module of a daemon");
        check_refused("s rsync://h/m", Exit::Unsupported, "the address of a daemon");
        check_refused("h:a h::m d", Exit::Unsupported, "a module of a daemon");
        check_refused("h:a h::m", Exit::Unsupported, "a module of a daemon");
    }
}
