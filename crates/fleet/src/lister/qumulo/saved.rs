//! Logins that a client of Qumulo has saved: a token in a file, in the form of both of its generations.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Secret;
use crate::lister::{Refused, Why};

/// The longest file that is read.
const MOST_BYTES: u64 = 64 << 10;

/// What both generations write into it.
const VERSION: u64 = 1;

/// Read and write permission of anybody but the owner, octal.
const OTHERS: u32 = 0o066;

/// A login that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The token.
    pub token: Secret,
    /// Where it lay.
    pub path: PathBuf,
    /// What the user should be told about it.
    pub notice: Option<String>,
}

/// Where logins are saved for a cluster, in the order in which they are looked for: that of the cluster, below
/// the directory of configurations (`$XDG_CONFIG_HOME`, else `~/.config`), then that of whichever cluster it
/// was: who uses it tells its token to a host that may be another one.
pub fn saved_paths(host: &str, port: u16, home: &Path, config_home: Option<&Path>) -> [PathBuf; 2] {
    let config = match config_home {
        Some(path) if path.is_absolute() => path.to_owned(),
        _ => home.join(".config"),
    };
    let name = format!("{}_{port}", host.to_lowercase());
    [config.join("qumulo/credentials").join(name), home.join(".qfsd_cred")]
}

/// The login that is saved in a file; `None` where there is no file, or nothing in it.
pub fn read_saved(path: &Path) -> Result<Option<Saved>, Refused> {
    let shown = path.display();
    let refused = |reason: &str| {
        let sentence = format!(
            "saved login \"{shown}\": {reason}; log in anew with the client, or by password"
        );
        Refused { why: Why::Login, sentence }
    };
    let mut text = Vec::new();
    let mode = match fs::operator::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&error.to_string())),
        Ok(file) => {
            let mode = file.metadata().map(|metadata| metadata.permissions().mode());
            let read = file.take(MOST_BYTES).read_to_end(&mut text);
            read.and(mode).map_err(|error| refused(&error.to_string()))?
        }
    };
    let Some(token) = parse_saved(&text).map_err(refused)? else { return Ok(None) };
    let notice = (mode & OTHERS != 0).then(|| {
        format!(
            "saved login \"{shown}\": others may read it or write to it; take that away: chmod 600"
        )
    });
    Ok(Some(Saved { token, path: path.to_owned(), notice }))
}

/// The token in a saved login; `None` in an empty one. Fails with what is wrong, and never with what is in it.
pub fn parse_saved(text: &[u8]) -> Result<Option<Secret>, &'static str> {
    #[derive(serde::Deserialize)]
    struct File {
        version: Option<u64>,
        bearer_token: Option<String>,
    }

    if text.is_empty() {
        return Ok(None);
    }
    let file: File =
        serde_json::from_slice(text).map_err(|_| "it is no saved login of a client")?;
    match file {
        File { version: Some(VERSION), bearer_token: Some(token) } => Ok(Some(Secret::new(&token))),
        File { version: Some(VERSION), bearer_token: None } => Err("there is no token in it"),
        File { .. } => Err("it is of a client of another generation"),
    }
}
