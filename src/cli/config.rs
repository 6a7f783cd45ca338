//! The configuration file: what a site wants for every run.
//!
//! `$XDG_CONFIG_HOME/lanesync/config`, else `~/.config/lanesync/config`, in TOML:
//!
//! ```toml
//! no-empty-source = true
//! workers = 8             # or "auto"
//! ```
//!
//! The command line wins. A key that is not known is an error, so that no safety a person relies
//! on is missing for want of a letter.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use model::settings::Workers;
use serde::Deserialize;

use super::refusal::Refusal;
use super::resolve::limits::workers;
use super::surroundings::Surroundings;
use crate::exit_code::Exit;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) no_empty_source: bool,
    pub(super) workers: Workers,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Contents {
    no_empty_source: bool,
    workers: Option<toml::Spanned<WorkersValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WorkersValue {
    Number(i64),
    Word(String),
}

/// Reads the file, if there is one.
pub(super) fn read(surroundings: &dyn Surroundings) -> Result<Config, Refusal> {
    let Some(name) = place(surroundings) else { return Ok(Config::default()) };
    match surroundings.read_file(&name) {
        Ok(contents) => parse(&contents, &name),
        Err(error) if is_absent(&error) && !surroundings.has_name(&name) => Ok(Config::default()),
        Err(error) => {
            let name = name.as_os_str().as_encoded_bytes();
            Err(Refusal::file(Exit::Usage, "configuration", name, &error))
        }
    }
}

/// A home that may not be entered is somebody else's, as under `sudo -u`: it holds no settings of
/// ours. A file that is seen and may not be read is no such: a setting in it may be what keeps files.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

fn place(surroundings: &dyn Surroundings) -> Option<PathBuf> {
    Some(user_dir(surroundings, "XDG_CONFIG_HOME", ".config")?.join("config"))
}

/// Our folder for files of a kind: below what a variable names, else below the home of the user.
pub(super) fn user_dir(
    surroundings: &dyn Surroundings,
    variable: &str,
    in_home: &str,
) -> Option<PathBuf> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|dir| dir.is_absolute());
    let xdg = surroundings.variable(variable).and_then(absolute);
    let home = || surroundings.variable("HOME").and_then(absolute).map(|dir| dir.join(in_home));
    Some(xdg.or_else(home)?.join("lanesync"))
}

fn parse(contents: &[u8], name: &Path) -> Result<Config, Refusal> {
    let refuse =
        |line: usize, what: &str| Refusal::usage(format!("{}:{line}: {what}", name.display()));
    let text = std::str::from_utf8(contents).map_err(|_| refuse(1, "is not text in UTF-8"))?;
    let line_at = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let contents: Contents = toml::from_str(text).map_err(|error| {
        refuse(error.span().map_or(1, |span| line_at(span.start)), error.message())
    })?;
    let workers = match contents.workers {
        None => Workers::Auto,
        Some(value) => {
            let line = line_at(value.span().start);
            let typed = match value.into_inner() {
                WorkersValue::Number(number) => number.to_string(),
                WorkersValue::Word(word) => word,
            };
            let what = "workers is not a number above 0 nor \"auto\"";
            workers(&typed).ok_or_else(|| refuse(line, what))?
        }
    };
    Ok(Config { no_empty_source: contents.no_empty_source, workers })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::path::Path;

    use model::settings::Workers;

    use super::{Config, parse};

    fn check(text: &str, expected: Result<Config, &str>) {
        let got = parse(text.as_bytes(), Path::new("c")).map_err(|refusal| refusal.sentence);
        match expected {
            Ok(config) => assert_eq!(got, Ok(config), "{text}"),
            Err(beginning) => {
                let sentence = got.unwrap_err();
                assert!(sentence.starts_with(beginning), "{text}: {sentence}");
            }
        }
    }

    fn workers(number: usize) -> Workers {
        Workers::Fixed(NonZeroUsize::new(number).unwrap())
    }

    #[test]
    fn reads_what_a_site_wants() {
        check("", Ok(Config::default()));
        check("# nothing\n", Ok(Config::default()));
        check(
            "no-empty-source = true\nworkers = 8\n",
            Ok(Config { no_empty_source: true, workers: workers(8) }),
        );
        check("workers = \"auto\"", Ok(Config::default()));
        check("workers = \"3\"", Ok(Config { workers: workers(3), ..Config::default() }));
    }

    #[test]
    fn says_where_it_is_wrong() {
        check("no-empty-source = true\nno-empty-sourse = true\n", Err("c:2: unknown field"));
        check("\n\nworkers = 0", Err("c:3: workers is not"));
        check("workers = -1", Err("c:1: workers is not"));
        check("workers = \"many\"", Err("c:1: workers is not"));
        check("no-empty-source = 1", Err("c:1: "));
        check("[section]", Err("c:1: unknown field"));
        check("no equals", Err("c:1: "));
    }
}
