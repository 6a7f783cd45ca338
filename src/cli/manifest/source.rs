//! Where the tree of `lanesync manifest` is told from.

use std::ffi::{OsStr, OsString};
use std::net::Ipv6Addr;
use std::num::NonZeroU16;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fleet::amount::Measure;
use fleet::lister::list;
use fleet::lister::qumulo::{Address, Counted, PASSWORD_VARIABLE, PORT, Secret, Tls};
use lexopt::Parser;

use super::{COMMAND, Measured, usage};
use crate::cli::config::user_dir;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;
use crate::exit_code::Exit;

/// Who logs in on a cluster where nobody says otherwise: the user that each one has.
const USER: &str = "admin";

/// Where the tree is told from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A directory of this host.
    Tree { path: PathBuf, measure: Measure, one_file_system: bool },
    /// A list of what lies in a directory.
    List { path: PathBuf, file: PathBuf, form: list::Form, ends: list::Ends },
    /// A directory of a Qumulo cluster.
    Cluster(Box<Cluster>),
}

/// A directory of a Qumulo cluster, and how it is asked for.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// As typed.
    pub(crate) typed: PathBuf,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: Vec<u8>,
    pub(crate) tls: Tls,
    pub(crate) login: Login,
    pub(crate) snapshot: Option<u64>,
    pub(crate) counted: Counted,
    /// How often a request that failed is repeated, where the user says so.
    pub(crate) retries: Option<u32>,
    /// What the user should hear of how it was typed.
    pub(crate) warnings: Vec<&'static str>,
}

/// Who asks a cluster.
#[derive(Debug)]
pub(crate) enum Login {
    /// Whoever has this token.
    Token(Secret),
    /// A user with this password.
    Password(String, Secret),
    /// Whoever is saved in this file.
    Saved(PathBuf),
    /// A user whose password is not known yet. Where none was named, whoever has logged in before.
    Open { user: String, is_named: bool, home: Option<PathBuf>, config_home: Option<PathBuf> },
}

/// What was typed about it.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// A cluster's, as with qsplit.
    host: Option<String>,
    port: Option<NonZeroU16>,
    from_list: Option<PathBuf>,
    list_form: Option<list::Form>,
    ca: Option<PathBuf>,
    is_insecure: bool,
    is_http: bool,
    user: Option<String>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    credentials: Option<PathBuf>,
    snapshot: Option<u64>,
    retries: Option<u32>,
}

impl Typed {
    /// Takes an option; `false` where it is another one.
    pub(super) fn option(&mut self, name: &str, parser: &mut Parser) -> Result<bool, Refusal> {
        let mut value = || COMMAND.value(parser, name);
        match name {
            "--host" | "--ip" => self.host = Some(text(name, &value()?)?),
            "--port" | "-P" => {
                let number = value()?;
                self.port = Some(COMMAND.number(name, &number)?);
            }
            "--from-list" => self.from_list = Some(value()?.into()),
            "--list-format" => self.list_form = Some(list_form(&value()?)?),
            "--ca" => self.ca = Some(value()?.into()),
            "--insecure" => self.is_insecure = true,
            "--http" => self.is_http = true,
            "--user" | "-u" => self.user = Some(text(name, &value()?)?),
            // As with qsplit, whose users have scripts with it.
            "--password" | "-p" => self.password = Some(Secret::new(&text(name, &value()?)?)),
            "--password-file" => self.password_file = Some(value()?.into()),
            "--token-file" => self.token_file = Some(value()?.into()),
            "--credentials" | "--credentials-store" => self.credentials = Some(value()?.into()),
            "--snapshot" | "-s" => {
                let number = value()?;
                self.snapshot = Some(COMMAND.number(name, &number)?);
            }
            "--retries" => {
                let number = value()?;
                self.retries = Some(COMMAND.number(name, &number)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether a cluster is named as with qsplit.
    pub(super) fn is_by_host(&self) -> bool {
        self.host.is_some()
    }

    /// What names the source: the one path, or `qumulo://` where that is a path of `--host`.
    pub(super) fn name(&self, paths: Vec<OsString>) -> Result<OsString, Refusal> {
        let Some(host) = &self.host else {
            if self.port.is_some() {
                return Err(usage("--port goes with --host; qumulo://HOST:PORT/PATH has both"));
            }
            let [path] = <[OsString; 1]>::try_from(paths)
                .map_err(|_| usage("it takes one path, the source"))?;
            return Ok(path);
        };
        let path = match &*paths {
            [] => OsStr::new("/"),
            [path] if path.as_bytes().starts_with(b"/") => path,
            _ => {
                return Err(usage(
                    "with --host it takes one path of that cluster, which begins with a slash",
                ));
            }
        };
        if host.contains('/') {
            return Err(usage("--host takes a name or an address, and nothing else"));
        }
        let is_bare = host.parse::<Ipv6Addr>().is_ok();
        let host = if is_bare { format!("[{host}]") } else { host.clone() };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let mut name = OsString::from(format!("{}{host}{port}", Address::SCHEME));
        name.push(path);
        Ok(name)
    }

    /// Whether a list was named.
    pub(super) fn is_list(&self) -> bool {
        self.from_list.is_some()
    }

    pub(super) fn resolve(
        self,
        path: OsString,
        by: Measured,
        from0: bool,
        one_file_system: bool,
        surroundings: &dyn Surroundings,
    ) -> Result<Source, Refusal> {
        let is_cluster = Address::is_meant(path.as_bytes());
        if !is_cluster && self.is_about_clusters() {
            return Err(usage(
                "--ca, --insecure, --http, --user, --password, --password-file, --token-file, --credentials, \
                 --snapshot and --retries go with a source of the form qumulo://HOST/PATH",
            ));
        }
        let ends = if from0 { list::Ends::Nul } else { list::Ends::Newline };
        match (self.from_list.clone(), self.list_form) {
            (Some(_), _) if is_cluster => Err(usage(
                "--from-list tells what a cluster would be asked for: say one or the other",
            )),
            (Some(_), _) if one_file_system => Err(usage(
                "--one-file-system looks at directories, and --from-list at none: say one or the other",
            )),
            (Some(_), _) if by == Measured::Capacity => {
                Err(usage("--by=capacity looks at files, and --from-list at none"))
            }
            (Some(file), form) => {
                let form = form.unwrap_or_default();
                Ok(Source::List { path: path.into(), file, form, ends })
            }
            (None, Some(_)) => Err(usage("--list-format goes with --from-list")),
            (None, None) if is_cluster => {
                if one_file_system {
                    return Err(usage("--one-file-system is about a tree of this host"));
                }
                self.cluster(path, by, surroundings).map(|it| Source::Cluster(Box::new(it)))
            }
            (None, None) => {
                let measure = match by {
                    Measured::Capacity => Measure::Allocated,
                    _ => Measure::Content,
                };
                Ok(Source::Tree { path: path.into(), measure, one_file_system })
            }
        }
    }

    fn is_about_clusters(&self) -> bool {
        let is_login =
            self.user.is_some() || self.password.is_some() || self.password_file.is_some();
        let is_token = self.token_file.is_some() || self.credentials.is_some();
        let is_tls = self.ca.is_some() || self.is_insecure || self.is_http;
        is_login || is_token || is_tls || self.snapshot.is_some() || self.retries.is_some()
    }

    fn cluster(
        self,
        typed: OsString,
        by: Measured,
        surroundings: &dyn Surroundings,
    ) -> Result<Cluster, Refusal> {
        // What was typed is not told: there may be a password in it.
        let address = Address::read(typed.as_bytes())
            .map_err(|error| usage(&format!("the cluster: {error}")))?;
        let mut warnings = Vec::new();
        let tls = match (self.ca.clone(), self.is_insecure, self.is_http) {
            (ca, false, false) => Tls::Verified { ca },
            (None, true, false) => {
                warnings.push(
                    "--insecure: the certificate of the cluster is not checked, so anybody between may read \
                     the password; --ca=FILE names the one to trust",
                );
                Tls::Unverified
            }
            (None, false, true) => {
                warnings.push("--http: everybody on the way reads the password and all names");
                Tls::PlainHttp
            }
            _ => return Err(usage("--ca, --insecure and --http exclude each other")),
        };
        if self.password.is_some() {
            warnings.push(
                "a password on the command line is seen by everybody on this host: \
                 LANESYNC_QUMULO_PASSWORD or --password-file keep it",
            );
        }
        let user = self.user.clone().or(address.user);
        let (snapshot, retries) = (self.snapshot, self.retries);
        let login = self.login(user, surroundings)?;
        let counted = match by {
            Measured::Capacity => Counted::Capacity,
            Measured::Size | Measured::Cost => Counted::Data,
            Measured::Files => Counted::Files,
        };
        let (host, port) = (address.host, address.port.unwrap_or(PORT));
        let (path, typed) = (address.path, typed.into());
        Ok(Cluster { typed, host, port, path, tls, login, snapshot, counted, retries, warnings })
    }

    fn login(
        self,
        user: Option<String>,
        surroundings: &dyn Surroundings,
    ) -> Result<Login, Refusal> {
        let given = [
            self.password.is_some(),
            self.password_file.is_some(),
            self.token_file.is_some(),
            self.credentials.is_some(),
        ];
        if given.iter().filter(|is_given| **is_given).count() > 1 {
            return Err(usage(
                "--password, --password-file, --token-file and --credentials exclude each other",
            ));
        }
        let (is_named, name) = (user.is_some(), user.unwrap_or_else(|| USER.to_owned()));
        if let Some(file) = self.token_file {
            return Ok(Login::Token(secret("--token-file", &file, surroundings)?));
        }
        if let Some(file) = self.credentials {
            return Ok(Login::Saved(file));
        }
        if let Some(file) = self.password_file {
            return Ok(Login::Password(name, secret("--password-file", &file, surroundings)?));
        }
        if let Some(password) = self.password {
            return Ok(Login::Password(name, password));
        }
        if let Some(password) = surroundings.variable(PASSWORD_VARIABLE) {
            return Ok(Login::Password(name, Secret::new(&text(PASSWORD_VARIABLE, &password)?)));
        }
        let home = surroundings.variable("HOME").map(PathBuf::from);
        let config_home = user_dir(surroundings, "XDG_CONFIG_HOME", ".config");
        let config_home = config_home.and_then(|dir| dir.parent().map(Path::to_owned));
        Ok(Login::Open { user: name, is_named, home, config_home })
    }
}

/// The first line of a file.
fn secret(option: &str, file: &Path, surroundings: &dyn Surroundings) -> Result<Secret, Refusal> {
    let name = file.as_os_str().as_bytes();
    let bytes = surroundings
        .read_file(file)
        .map_err(|error| Refusal::file(Exit::FileIo, option, name, &error))?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        _ => Err(usage(&format!("{option}={}: its first line is no text", file.display()))),
    }
}

fn text(name: &str, value: &OsStr) -> Result<String, Refusal> {
    value.to_str().map(str::to_owned).ok_or_else(|| usage(&format!("{name} takes text")))
}

fn list_form(value: &OsStr) -> Result<list::Form, Refusal> {
    let found = list::Form::NAMES.into_iter().find(|(word, _)| value == *word);
    found.map(|(_, form)| form).ok_or_else(|| {
        let words = list::Form::NAMES.map(|(word, _)| word).join(", ");
        usage(&format!("--list-format={} is none of {words}", value.display()))
    })
}
