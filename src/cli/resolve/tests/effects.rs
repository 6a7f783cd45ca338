//! An option that is in the table as supported must change the invocation: a forgotten arm in a
//! `match` is found here.

use super::resolve_in;
use crate::cli::options::{Argument, Opt, Spec, Status, all};
use crate::cli::testing::Fake;

/// Questions, not settings; and `--iconv`, of which only "no conversion" is there.
const ANSWERED: [Opt; 3] = [Opt::Help, Opt::Version, Opt::Iconv];

fn fake() -> Fake {
    Fake { files: vec![("list", "x\n")], is_terminal: true, ..Fake::default() }
}

fn outcome(line: &str) -> String {
    let invocation =
        resolve_in(&fake(), line).unwrap_or_else(|refusal| panic!("{line}: {refusal:?}"));
    format!("{invocation:?}")
}

fn sample(spec: &Spec) -> &'static str {
    match (spec.opt, spec.argument) {
        (_, Argument::None) => "",
        (Opt::FilesFrom | Opt::ExcludeFrom | Opt::IncludeFrom, _) => "list",
        (Opt::Filter, _) => "-_x",
        (Opt::ChecksumChoice, _) => "md5",
        (Opt::Chmod, _) => "u+x",
        (Opt::Usermap | Opt::Groupmap, _) => "1:2",
        (Opt::ConfineRoot, _) => "/",
        (Opt::Info, _) => "skip",
        (Opt::Debug, _) => "filter",
        (Opt::Outbuf, _) => "none",
        (Opt::Stderr, _) => "all",
        (Opt::StopAt, _) => "14:00",
        (Opt::RemoteOption, _) => "--munge-links",
        (_, Argument::Text(_) | Argument::Number(_)) => "5",
    }
}

/// What has to be there for the option to show.
fn context(opt: Opt) -> &'static str {
    match opt {
        Opt::ImpliedDirs => "-R --no-implied-dirs",
        Opt::IncRecursive => "-r --no-inc-recursive",
        Opt::Qsort
        | Opt::From0
        | Opt::Delete
        | Opt::DeleteBefore
        | Opt::DeleteDuring
        | Opt::DeleteDelay
        | Opt::DeleteAfter
        | Opt::DeleteExcluded => "-r",
        Opt::OmitDirTimes | Opt::OmitLinkTimes => "-t",
        Opt::DropDevices => "-D",
        Opt::NumericIds => "--usermap=x:1",
        Opt::EightBitOutput => "--log-file=x",
        _ => "",
    }
}

/// What turns the option on, where it is on by default.
fn is_default(opt: Opt) -> bool {
    matches!(opt, Opt::ConfineRoot)
}

#[test]
fn every_supported_option_changes_the_invocation() {
    for spec in all().filter(|spec| spec.status == Status::Supported) {
        if ANSWERED.contains(&spec.opt) || is_default(spec.opt) {
            continue;
        }
        let context = context(spec.opt);
        let spellings = spec.short.map(|letter| format!("{context} -{letter}{}", sample(spec)));
        let value = if spec.argument == Argument::None { "" } else { "=" };
        let long = (!spec.long.is_empty())
            .then(|| format!("{context} --{}{value}{}", spec.long, sample(spec)));
        for line in spellings.into_iter().chain(long) {
            assert_ne!(outcome(context), outcome(&line), "{line} has no effect");
        }
    }
}

#[test]
fn every_negation_takes_the_option_back() {
    for spec in all().filter(|spec| spec.status == Status::Supported) {
        if ANSWERED.contains(&spec.opt) {
            continue;
        }
        let on = match spec.long {
            "" => format!("-{}", spec.short.unwrap()),
            long if spec.argument == Argument::None => format!("--{long}"),
            long => format!("--{long}={}", sample(spec)),
        };
        let context =
            context(spec.opt).replace("--no-implied-dirs", "").replace("--no-inc-recursive", "");
        for negation in spec.negations {
            let with = outcome(&format!("{context} {on}"));
            let without = outcome(&format!("{context} {on} --{negation}"));
            assert_ne!(with, without, "--{negation} has no effect");
        }
    }
}
