//! How another host is reached, where one side of the job lies there.
//!
//! On one machine these options are taken and change nothing, as with rsync; what rsync refuses of them
//! is refused in `unused`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use model::Settings;
use model::settings::{Append, ContentCheck, DeleteLimit, Partial, Staging};
use net::RemoteShell;
use net::further::Plan;
use net::shell::Family;

use super::lanes;
use super::places::There;
use super::traverse::FarList;
use crate::cli::host::remote;
use crate::cli::options::Opt;
use crate::cli::raw::{RawArgs, RawFlag};
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;

/// Another host and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The host, and which side lies there.
    pub(crate) there: There,
    /// `-e`, `RSYNC_RSH`, `-4`, `-6`.
    pub(crate) shell: RemoteShell,
    /// `--agent-path`, `--rsync-path`.
    pub(crate) agent_path: Option<OsString>,
    /// False with `--no-upload`.
    pub(crate) may_upload: bool,
    /// `--remote-sudo`.
    pub(crate) as_root: bool,
    /// `--contimeout`: for the first word of the agent.
    pub(crate) patience_at_start: Option<Duration>,
    /// `--timeout`: for a sign of life.
    pub(crate) patience: Option<Duration>,
    /// `--reconnect`: how long a session that is lost is tried to be had again.
    pub(crate) reconnect: Option<Duration>,
    /// `--lanes`, `--lane-kind`, `--lane-ports`, `--lanes-from`.
    pub(crate) lanes: Plan,
    /// The list of `--files-from`, where that lies on another host.
    pub(crate) list: Option<FarList>,
}

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    shell: Option<RawFlag>,
    agent_path: Option<OsString>,
    no_upload: bool,
    as_root: bool,
    family: Option<Family>,
    start: Option<RawFlag>,
    silence: Option<RawFlag>,
    lanes: lanes::Typed,
    reconnect: Option<Duration>,
}

impl Typed {
    /// Whether an option is about this.
    pub(super) fn knows(opt: Opt) -> bool {
        matches!(
            opt,
            Opt::Rsh
                | Opt::RsyncPath
                | Opt::NoUpload
                | Opt::RemoteSudo
                | Opt::Ipv4
                | Opt::Ipv6
                | Opt::Contimeout
                | Opt::Timeout
                | Opt::Lanes
                | Opt::LaneKind
                | Opt::LanePorts
                | Opt::LanesFrom
                | Opt::Reconnect
        )
    }

    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let on = flag.is_on();
        match flag.opt {
            Opt::Rsh => self.shell = Some(flag.clone()),
            Opt::RsyncPath => self.agent_path = Some(flag.value.clone()),
            Opt::NoUpload => self.no_upload = on,
            Opt::RemoteSudo => self.as_root = on,
            Opt::Ipv4 => self.family = Some(Family::V4),
            Opt::Ipv6 => self.family = Some(Family::V6),
            Opt::Contimeout => self.start = Some(flag.clone()),
            Opt::Timeout => self.silence = Some(flag.clone()),
            Opt::Lanes | Opt::LaneKind | Opt::LanePorts | Opt::LanesFrom => {
                self.lanes.take(flag)?;
            }
            Opt::Reconnect => self.take_reconnect(flag)?,
            _ => {}
        }
        Ok(())
    }

    fn take_reconnect(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let refuse = || flag.refuse("is not a time such as 30s or 5m");
        let time = duration(flag.text()?).ok_or_else(refuse)?;
        self.reconnect = Some(time).filter(|time| !time.is_zero());
        Ok(())
    }

    /// Whether a lost session is to be had again.
    pub(super) fn reconnects(&self) -> bool {
        self.reconnect.is_some()
    }

    /// Settles it for a job with another host.
    pub(super) fn settle(
        self,
        there: There,
        list: Option<FarList>,
        raw: &RawArgs,
        surroundings: &dyn Surroundings,
    ) -> Result<Remote, Refusal> {
        refuse_to_split(raw)?;
        let shell = shell(self.shell.as_ref(), surroundings)?.with_family(self.family);
        Ok(Remote {
            there,
            shell,
            agent_path: self.agent_path,
            may_upload: !self.no_upload,
            as_root: self.as_root,
            patience_at_start: patience(self.start.as_ref())?,
            patience: patience(self.silence.as_ref())?,
            reconnect: self.reconnect,
            lanes: self.lanes.settle(self.family)?,
            list,
        })
    }
}

/// A job that is taken up again (`--reconnect`) is done anew. That is not to repeat what may be done once.
pub(super) fn refuse_to_repeat(settings: &Settings) -> Result<(), Refusal> {
    let Settings { write, backup, compare, preserve, delete, .. } = settings;
    if delete.limit != DeleteLimit::Unlimited {
        let sentence = "--reconnect cannot go with --max-delete: each session would count anew";
        return Err(Refusal::usage(sentence));
    }
    let lasts = match compare.content {
        ContentCheck::Never => Err("--ignore-times"),
        ContentCheck::Quick if !preserve.mtimes.files => Err("times that are not kept (-t)"),
        _ if write.staging == Staging::InPlace => Err("--inplace"),
        _ if write.append != Append::Off => Err("--append"),
        _ if write.partial == Partial::Keep => Err("--partial without --partial-dir"),
        _ => Ok(()),
    };
    match lasts {
        Err(with) if backup.enabled => Err(Refusal::usage(format!(
            "--reconnect cannot go with --backup and {with}: what one session has written would take the \
             place of the backup when the next writes it again"
        ))),
        _ => Ok(()),
    }
}

fn shell(typed: Option<&RawFlag>, surroundings: &dyn Surroundings) -> Result<RemoteShell, Refusal> {
    let variable = || surroundings.variable("RSYNC_RSH").filter(|value| !value.is_empty());
    let (source, text) = match typed {
        Some(flag) => (flag.spelling.as_str(), flag.value.clone()),
        None => match variable() {
            Some(value) => ("RSYNC_RSH", value),
            None => return Ok(RemoteShell::default()),
        },
    };
    let refuse = |error| Refusal::usage(format!("{source}: {error}"));
    RemoteShell::parse(text.as_bytes()).map_err(refuse)
}

/// `--old-args` has the remote shell split paths, and none of ours gets to see them.
fn refuse_to_split(raw: &RawArgs) -> Result<(), Refusal> {
    let last = raw.flags.iter().rev().find(|flag| flag.opt == Opt::OldArgs);
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-:@%+=,~*?[]".contains(byte);
    let mut far =
        raw.paths.iter().map(|path| path.as_bytes()).filter(|path| remote(path).is_some());
    if last.is_none_or(|flag| !flag.is_on()) || far.all(|path| path.iter().all(is_safe)) {
        return Ok(());
    }
    Err(Refusal::unsupported(
        "--old-args: paths are not split by a shell of the other host; name each of them apart",
    ))
}

/// As with rsync, 0 seconds are no limit of one's own.
fn patience(typed: Option<&RawFlag>) -> Result<Option<Duration>, Refusal> {
    let Some(flag) = typed.filter(|flag| flag.is_on()) else { return Ok(None) };
    let secs = u64::try_from(flag.number()?).map_err(|_| flag.refuse("is less than 0"))?;
    Ok((secs > 0).then(|| Duration::from_secs(secs)))
}

/// `30`, `30s`, `5m`, `2h`.
fn duration(text: &str) -> Option<Duration> {
    let (digits, unit_secs) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 60),
        b'h' => (&text[..text.len() - 1], 3600),
        _ => (text, 1),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    number.checked_mul(unit_secs).map(Duration::from_secs)
}
