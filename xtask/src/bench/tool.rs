//! The tools and how each is called. Every one is asked for what `rsync -aHAX --delete` does, as far
//! as it can; docs/performance.md says what the others leave out.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::scenario::{FIXED_LANES, Field, Lanes, Op, SLOW_WORKERS, Scenario, Way};

/// How a tool is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    Rsync,
    /// lanesync.
    Ours(Given),
    Cp,
    Tar,
    Rclone,
    Fpsync,
    Parallel,
    Cpz,
    Fcp,
    Xcp,
    Rcp,
    Msrsync,
}

/// What lanesync is told that it would find out by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Nothing,
    Workers(u16),
    Lanes(Lanes),
}

/// All but rsync and lanesync.
pub(crate) const PEERS: [Recipe; 10] = [
    Recipe::Cp,
    Recipe::Tar,
    Recipe::Rclone,
    Recipe::Fpsync,
    Recipe::Parallel,
    Recipe::Cpz,
    Recipe::Fcp,
    Recipe::Xcp,
    Recipe::Rcp,
    Recipe::Msrsync,
];

/// A tool that is there.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) recipe: Recipe,
    program: PathBuf,
}

/// What a tool shall do; `to` exists only if the recipe wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) op: Op,
    pub(crate) from: &'a Path,
    pub(crate) to: &'a Path,
    pub(crate) far: Option<&'a Far>,
}

/// The other host of a job.
#[derive(Clone, Debug)]
pub(crate) struct Far {
    /// What `-e` is given.
    pub(crate) shell: String,
    pub(crate) host: &'static str,
    pub(crate) way: Way,
}

impl Job<'_> {
    /// What is copied and where to, as rsync has them typed.
    fn ends(&self) -> [OsString; 2] {
        let [from, to] = [self.from, self.to].map(inside);
        let Some(Far { host, way, .. }) = self.far else { return [from, to] };
        let there = |path: OsString| {
            let mut typed = OsString::from(format!("{host}:"));
            typed.push(path);
            typed
        };
        match way {
            Way::Push => [from, there(to)],
            Way::Pull => [there(from), to],
        }
    }
}

impl Recipe {
    /// The name in tables and after `--peers`.
    pub(crate) fn name(self) -> String {
        let name = match self {
            Self::Rsync => "rsync",
            Self::Ours(Given::Nothing) => "lanesync",
            Self::Ours(Given::Workers(1)) => return "lanesync, 1 worker".to_owned(),
            Self::Ours(Given::Workers(workers)) => return format!("lanesync, {workers} workers"),
            Self::Ours(Given::Lanes(Lanes { kind, count })) => {
                return format!("lanesync, {kind} {count}");
            }
            Self::Cp => "cp",
            Self::Tar => "tar",
            Self::Rclone => "rclone",
            Self::Fpsync => "fpsync",
            Self::Parallel => "parallel",
            Self::Cpz => "cpz",
            Self::Fcp => "fcp",
            Self::Xcp => "xcp",
            Self::Rcp => "rcp",
            Self::Msrsync => "msrsync",
        };
        name.to_owned()
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours(_))
    }

    /// The command line, for the reader of a table.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Rsync => "rsync -aHAX --delete SRC/ DST/",
            Self::Ours(_) => {
                "lanesync -aHAX --delete [--workers N] [--lane-kind K --lanes N] SRC/ DST/"
            }
            Self::Cp => "cp -a -T SRC DST",
            Self::Tar => "tar -c --acls --xattrs ... | tar -xp ...",
            Self::Rclone => "rclone sync --links --metadata --transfers 8 --checkers 8 SRC DST",
            // fpsync refuses -r and what implies it, since it goes down itself.
            Self::Fpsync => "fpsync -n 4 -f 2000 -o '-lptgoDHAX --numeric-ids' SRC/ DST/",
            Self::Parallel => "find | parallel -j 4 -n 2000 rsync -aHAXR",
            Self::Cpz => "cpz SRC DST",
            Self::Fcp => "fcp SRC DST",
            Self::Xcp => "xcp --recursive --ownership --no-progress SRC DST",
            Self::Rcp => "rcp --preserve SRC DST",
            Self::Msrsync => "msrsync -p 4 --rsync '-aHAX --numeric-ids' SRC/ DST/",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Rsync => "rsync",
            Self::Ours(_) => "lanesync",
            Self::Cp => "cp",
            Self::Tar => "tar",
            Self::Rclone => "rclone",
            Self::Fpsync => "fpsync",
            Self::Parallel => "parallel",
            Self::Cpz => "cpz",
            Self::Fcp => "fcp",
            Self::Xcp => "xcp",
            Self::Rcp => "rcp",
            Self::Msrsync => "msrsync",
        }
    }

    fn can(self, op: Op) -> bool {
        match op {
            Op::FirstCopy => true,
            Op::Equal => matches!(
                self,
                Self::Rsync
                    | Self::Ours(_)
                    | Self::Rclone
                    | Self::Fpsync
                    | Self::Parallel
                    | Self::Msrsync
            ),
            Op::Checksum | Op::Update(_) => {
                matches!(self, Self::Rsync | Self::Ours(_) | Self::Rclone)
            }
        }
    }

    /// Whether the destination must be there before; the others would copy into it.
    pub(crate) fn wants_destination(self) -> bool {
        !matches!(self, Self::Cpz | Self::Fcp | Self::Xcp | Self::Rcp)
    }
}

impl Tool {
    /// The tool, if it is on the PATH.
    pub(crate) fn find(recipe: Recipe) -> Option<Self> {
        let path = env::var_os("PATH")?;
        let program = env::split_paths(&path)
            .map(|dir| dir.join(recipe.program()))
            .find(|candidate| candidate.is_file())?;
        Some(Self { recipe, program })
    }

    pub(crate) fn ours(program: &Path, given: Given) -> Self {
        Self { recipe: Recipe::Ours(given), program: program.to_owned() }
    }

    pub(crate) fn command(&self, job: Job<'_>) -> Command {
        let mut command = match self.recipe {
            Recipe::Tar | Recipe::Parallel => Command::new("bash"),
            _ => Command::new(&self.program),
        };
        command.env("LC_ALL", "C.UTF-8").args(self.arguments(job));
        command
    }

    fn arguments(&self, job: Job<'_>) -> Vec<OsString> {
        let (from, to) = (job.from.as_os_str(), job.to.as_os_str());
        let checksum = job.op == Op::Checksum;
        let mut args: Vec<OsString> = Vec::new();
        let mut add = |some: &[&str]| args.extend(some.iter().map(OsString::from));
        match self.recipe {
            Recipe::Rsync => add(&["-aHAX", "--delete"]),
            Recipe::Ours(Given::Nothing) => add(&["-aHAX", "--delete", "--workers", "auto"]),
            Recipe::Ours(Given::Workers(workers)) => {
                add(&["-aHAX", "--delete", "--workers", &workers.to_string()]);
            }
            Recipe::Ours(Given::Lanes(Lanes { kind, count })) => {
                add(&["-aHAX", "--delete", "--lane-kind", kind, "--lanes", &count.to_string()]);
            }
            Recipe::Cp => add(&["-a", "-T"]),
            Recipe::Tar => add(&["-c", TAR, "tar"]),
            Recipe::Rclone => {
                add(&["sync", "--links", "--metadata", "--config", "/dev/null"]);
                add(&["--transfers", "8", "--checkers", "8"]);
            }
            Recipe::Fpsync => add(&["-n", "4", "-f", "2000", "-o", "-lptgoDHAX --numeric-ids"]),
            Recipe::Parallel => add(&["-c", PARALLEL, "parallel"]),
            Recipe::Xcp => add(&["--recursive", "--ownership", "--no-progress"]),
            Recipe::Rcp => add(&["--preserve"]),
            Recipe::Msrsync => add(&["-p", "4", "--rsync", "-aHAX --numeric-ids"]),
            Recipe::Cpz | Recipe::Fcp => {}
        }
        if checksum {
            add(&["--checksum"]);
        }
        if let Some(Far { shell, .. }) = job.far {
            // Nobody sends his program within the time that is taken.
            add(&["-e", shell, "--rsync-path"]);
            args.push(self.program.clone().into());
        }
        match self.recipe {
            Recipe::Rsync | Recipe::Ours(_) | Recipe::Fpsync | Recipe::Msrsync => {
                args.extend(job.ends());
            }
            _ => args.extend([from.to_owned(), to.to_owned()]),
        }
        args
    }
}

const TAR: &str = "set -o pipefail; \
    tar -C \"$1\" --acls --xattrs '--xattrs-include=*' --numeric-owner --sparse -cf - . | \
    tar -C \"$2\" --acls --xattrs '--xattrs-include=*' --numeric-owner -xpf -";

const PARALLEL: &str = "set -o pipefail; cd \"$1\" && find . ! -type d -print0 | \
    parallel -0 -j 4 -n 2000 rsync -aHAXR {} \"$2/\"";

/// With a slash at the end: what is in the directory, not the directory.
fn inside(path: &Path) -> OsString {
    let mut path = path.as_os_str().to_owned();
    path.push(OsStr::new("/"));
    path
}

/// Who takes part in a scenario; rsync first.
pub(crate) fn line_up(
    scenario: &Scenario,
    ours: Option<&Path>,
    peers: Option<&[String]>,
) -> Vec<Tool> {
    let fixed: Vec<Given> = match scenario.field {
        Field::Tools => Vec::new(),
        Field::WorkerCounts => SLOW_WORKERS.map(Given::Workers).to_vec(),
        Field::LaneCounts => FIXED_LANES.map(Given::Lanes).to_vec(),
    };
    if !fixed.is_empty() {
        let given = [Given::Nothing].into_iter().chain(fixed);
        return ours.map_or_else(Vec::new, |ours| given.map(|it| Tool::ours(ours, it)).collect());
    }
    let mut tools: Vec<Tool> = Tool::find(Recipe::Rsync).into_iter().collect();
    if scenario.far().is_some() {
        tools.extend(ours.map(|program| Tool::ours(program, Given::Nothing)));
        return tools;
    }
    if let Some(program) = ours {
        let given = [Given::Nothing, Given::Workers(1)];
        tools.extend(given.map(|given| Tool::ours(program, given)));
    }
    let wanted = |recipe: &Recipe| match peers {
        Some(names) => names.contains(&recipe.name()),
        // One stream after the other takes minutes there, and says what rsync says.
        None => !scenario.is_slow(),
    };
    let found = PEERS.into_iter().filter(wanted).filter_map(Tool::find);
    tools.extend(found.filter(|tool| tool.recipe.can(scenario.op)));
    tools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_rsyncs_and_the_workers() {
        let (from, to) = (Path::new("/a"), Path::new("/b"));
        let job = Job { op: Op::Checksum, from, to, far: None };
        let arguments = Tool::ours(Path::new("lanesync"), Given::Workers(4)).arguments(job);
        let expect = ["-aHAX", "--delete", "--workers", "4", "--checksum", "/a/", "/b/"];
        assert_eq!(arguments, expect);
        let lanes = Given::Lanes(Lanes { kind: "tcp", count: 4 });
        let arguments = Tool::ours(Path::new("lanesync"), lanes).arguments(job);
        assert_eq!(arguments[2..6], ["--lane-kind", "tcp", "--lanes", "4"]);
    }

    #[test]
    fn another_host_is_reached_by_the_shell_that_was_made_for_it() {
        let (from, to) = (Path::new("/a"), Path::new("/b"));
        let far = |way| Far { shell: "ssh -F c".to_owned(), host: "far", way };
        let arguments = |way| {
            let job = Job { op: Op::FirstCopy, from, to, far: Some(&far(way)) };
            Tool { recipe: Recipe::Rsync, program: "/bin/rsync".into() }.arguments(job)
        };
        let both = ["-aHAX", "--delete", "-e", "ssh -F c", "--rsync-path", "/bin/rsync"];
        assert_eq!(arguments(Way::Push), [&both[..], &["/a/", "far:/b/"]].concat());
        assert_eq!(arguments(Way::Pull), [&both[..], &["far:/a/", "/b/"]].concat());
    }

    #[test]
    fn each_recipe_has_a_name_of_its_own() {
        for (place, recipe) in PEERS.iter().enumerate() {
            assert!(PEERS.iter().skip(place + 1).all(|other| other.name() != recipe.name()));
        }
    }
}
