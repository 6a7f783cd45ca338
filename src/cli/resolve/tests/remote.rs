//! What is said of another host.

use std::time::Duration;

use model::IdTarget;
use model::settings::{Deltas, Method, Partial};
use net::RemoteShell;
use net::further::{Opener, Plan, Wish};
use net::shell::Family;
use report::settings::Transfer;
use wire::{LaneCount, PortRange};

use super::{Invocation, resolve_words};
use crate::cli::Refusal;
use crate::cli::resolve::Remote;
use crate::cli::resolve::places::FarSide;
use crate::cli::testing::{Fake, words};
use crate::exit_code::Exit;

fn resolve_in(fake: &Fake, line: &str) -> Result<Invocation, Refusal> {
    resolve_words(words(&format!("{line} s/ u@host:d")), fake)
}

fn remote_in(fake: &Fake, line: &str) -> Remote {
    resolve_in(fake, line).unwrap_or_else(|refusal| panic!("{line}: {refusal:?}")).remote.unwrap()
}

fn remote(line: &str) -> Remote {
    remote_in(&Fake::default(), line)
}

#[track_caller]
fn refuses(line: &str, exit: Exit, part: &str) {
    let refusal = resolve_in(&Fake::default(), line).map(drop).unwrap_err();
    assert_eq!(refusal.exit, exit, "{line}: {}", refusal.sentence);
    assert!(refusal.sentence.contains(part), "{line}: {}", refusal.sentence);
}

#[test]
fn hosts_are_not_part_of_the_job() {
    let invocation = resolve_in(&Fake::default(), "-a").unwrap();
    assert_eq!(invocation.job.destination.unwrap().path.to_str(), Some("d"));
    let there = invocation.remote.unwrap().there;
    assert_eq!((there.target.shown(), there.side), ("host".to_owned(), FarSide::Destination));
    let pull = resolve_words(words("-a h:s :t d"), &Fake::default()).unwrap();
    let sources: Vec<_> = pull.job.sources.iter().map(|source| source.path.to_str()).collect();
    assert_eq!(sources, [Some("s"), Some("t")]);
    assert_eq!(pull.remote.unwrap().there.side, FarSide::Source);
    let list = resolve_words(words("h:s"), &Fake::default()).unwrap();
    assert!(list.job.settings.traverse.list_only && list.remote.is_some());
}

#[test]
fn names_of_owners_are_those_of_the_host_that_writes() {
    let targets = |line: &str| {
        let invocation = resolve_words(words(line), &Fake::default()).unwrap();
        let rules = invocation.job.settings.preserve.ids.users.rules;
        rules.into_iter().map(|rule| rule.to).collect::<Vec<_>>()
    };
    let push = targets("--usermap=a:web,b:nosuch,c:5 s h:d");
    let name = |name: &[u8]| IdTarget::Name(name.into());
    assert_eq!(push, [name(b"web"), name(b"nosuch"), IdTarget::Id(5)]);
    let pull = targets("--usermap=a:web,b:nosuch,c:5 h:s d");
    assert_eq!(pull, [IdTarget::Id(33), IdTarget::Id(5)]);
}

#[test]
fn the_remote_shell_is_the_one_that_rsync_would_call() {
    let shell = |text: &str| RemoteShell::parse(text.as_bytes()).unwrap();
    assert_eq!(remote("-a").shell, RemoteShell::default());
    assert_eq!(remote("-e rsh --rsh=ssh_-v").shell, shell("ssh_-v"));
    let fake = Fake { variables: vec![("RSYNC_RSH", "ssh -p 2")], ..Fake::default() };
    assert_eq!(remote_in(&fake, "-a").shell, shell("ssh -p 2"));
    assert_eq!(remote_in(&fake, "-e rsh").shell, shell("rsh"));
    let empty = Fake { variables: vec![("RSYNC_RSH", "")], ..Fake::default() };
    assert_eq!(remote_in(&empty, "-a").shell, RemoteShell::default());
    assert_eq!(remote("-46").shell, RemoteShell::default().with_family(Some(Family::V6)));
    refuses("-e 'ssh", Exit::Usage, "-e: a quote in the remote shell is not closed");
    let open = Fake { variables: vec![("RSYNC_RSH", "\"")], ..Fake::default() };
    assert!(resolve_in(&open, "-a").unwrap_err().sentence.starts_with("RSYNC_RSH: a quote"));
}

#[test]
fn the_agent_is_found_or_sent_as_asked_for() {
    let plain = remote("-a");
    assert_eq!((plain.agent_path, plain.may_upload, plain.as_root), (None, true, false));
    assert_eq!(remote("--rsync-path=a --agent-path=/b").agent_path, Some("/b".into()));
    assert!(!remote("--no-upload").may_upload);
    assert!(remote("--no-upload --upload").may_upload);
    assert!(remote("--remote-sudo").as_root && remote("--sudo").as_root);
}

#[test]
fn lanes_are_planned_as_asked_for() {
    let check = |line: &str, expected: Plan| assert_eq!(remote(line).lanes, expected, "{line}");
    let asked = || Plan { is_asked: true, ..Plan::default() };
    check("-a", Plan::default());
    check("--lanes=auto --lane-kind=auto --lanes-from=auto", asked());
    check("--lanes=4", Plan { count: LaneCount::Fixed(4), ..asked() });
    check("--lanes=4 --lanes=auto", asked());
    check(
        "--lane-kind=ssh --lanes=1",
        Plan { wish: Wish::None, count: LaneCount::Fixed(1), ..asked() },
    );
    let further = |lanes| Plan { wish: Wish::Ssh, count: LaneCount::Fixed(lanes), ..asked() };
    check("--lanes=4 --lane-kind=ssh", further(3));
    check("--lanes=255 --lane-kind=ssh --lanes-from=here", {
        Plan { opener: Opener::Here, ..further(254) }
    });
    check("--lane-kind=ssh", Plan { wish: Wish::None, ..asked() });
    check("--lane-kind=tcp", Plan { wish: Wish::Tcp, ..asked() });
    check("--lane-kind=quic", Plan { wish: Wish::Quic, ..asked() });
    let ports = PortRange::Within { first: 50_000, last: 50_100 };
    check("--lane-ports=50000-50100", Plan { ports, ..asked() });
    let ports = PortRange::Within { first: 7000, last: 7000 };
    check("--lane-ports=7000", Plan { ports, ..asked() });
    check("--lanes-from=here", Plan { opener: Opener::Here, ..asked() });
    check("--lanes-from=there", Plan { opener: Opener::There, ..asked() });
    check("-4", Plan { family: Some(Family::V4), ..Plan::default() });
}

#[test]
fn time_runs_out_as_asked_for() {
    let times = |line| (remote(line).patience_at_start, remote(line).patience);
    assert_eq!(times("-a"), (None, None));
    let (start, silent) = (Some(Duration::from_secs(5)), Some(Duration::from_secs(60)));
    assert_eq!(times("--contimeout=5 --timeout=60"), (start, silent));
    assert_eq!(times("--timeout=60 --no-timeout --contimeout=0"), (None, None));
    refuses("--timeout=-1", Exit::Usage, "is less than 0");
}

#[test]
fn a_session_that_is_lost_is_had_again_as_asked_for() {
    let reconnect = |line| remote(line).reconnect;
    assert_eq!((reconnect("-a"), reconnect("--reconnect=5m --reconnect=0")), (None, None));
    assert_eq!(reconnect("--reconnect=90"), Some(Duration::from_secs(90)));
    assert_eq!(reconnect("--reconnect=5m"), Some(Duration::from_secs(300)));
    let partial = |line: &str, destination: &str| {
        let words = line.split(' ').chain(["s", destination]).map(Into::into).collect();
        resolve_words(words, &Fake::default()).unwrap().job.settings.write.partial
    };
    let parts = || Partial::KeepIn(".lanesync-partial".into());
    assert_eq!(partial("--reconnect=5m", "h:d"), parts());
    assert_eq!(partial("--reconnect=5m --partial-dir=p", "h:d"), Partial::KeepIn("p".into()));
    assert_eq!(partial("--reconnect=5m --partial", "h:d"), Partial::Keep);
    assert_eq!(partial("--reconnect=5m --inplace", "h:d"), Partial::Keep);
    assert_eq!(partial("--reconnect=0", "h:d"), Partial::Discard);
    assert_eq!(partial("--reconnect=5m", "d"), Partial::Discard);
}

#[test]
fn content_is_compressed_as_asked_for() {
    let got = |line: &str| {
        let words = line.split(' ').chain(["s", "h:d"]).map(Into::into).collect();
        resolve_words(words, &Fake::default()).unwrap().job.settings.compression
    };
    let method = |line| got(line).map(|compression| compression.method);
    for line in ["-a", "-z --no-z", "-z --zc=none", "--zc=zlib --zl=0", "--skip-compress=gz"] {
        assert_eq!(method(line), None, "{line}");
    }
    let zstd = |level| Some(Method::Zstd { level });
    for line in ["-z", "-zz", "--zc=zstd", "--zc=auto", "--zc=zlibx", "--new-compress"] {
        assert_eq!(method(line), zstd(0), "{line}");
    }
    assert_eq!(method("--compress-level=19"), zstd(19));
    assert_eq!(method("-z --zl=-7"), zstd(-7));
    assert_eq!(method("--zc=lz4"), Some(Method::Lz4));
    let skips = |line, name: &[u8]| got(line).unwrap().skipped.has_suffix_of(name);
    assert!(skips("-z", b"a.gz") && !skips("-z", b"a.log"));
    assert!(skips("-z --skip-compress=log", b"a.log"));
    assert!(!skips("-z --skip-compress=", b"a.gz"));
    let here = resolve_words(["-z", "s", "d"].map(Into::into).to_vec(), &Fake::default());
    assert_eq!(here.unwrap().job.settings.compression, None);
}

#[test]
fn what_is_not_there_yet_is_refused_and_not_passed_over() {
    let check = |line, part| refuses(line, Exit::Unsupported, part);
    check("-M--delete", "-M--delete: of the options for the other side only");
    check("-A -M--fake-super", "-A with --fake-super on one side only");
    check("--files-from=host::list", "is of a daemon");
    let old = |paths: [&str; 2]| {
        let words = ["--old-args", paths[0], paths[1]].map(Into::into).to_vec();
        resolve_words(words, &Fake::default()).map(drop).map_err(|refusal| refusal.exit)
    };
    assert_eq!(old(["h:a b", "d"]), Err(Exit::Unsupported));
    assert_eq!(old(["h:a", "d e"]), Ok(()));
}

#[test]
fn what_changes_nothing_is_taken() {
    for line in [
        "--lanes=auto --lanes=1 --lane-kind=ssh --lanes-from=auto --reconnect=0",
        "--blocking-io",
        "-s",
        "--protect-args",
        "--no-protect-args",
        "--old-args",
        "--trust-sender",
    ] {
        remote(line);
    }
}

#[test]
fn what_may_be_done_once_is_not_done_again_in_each_session() {
    let check = |line: &str, destination: &str| {
        let words = line.split(' ').chain(["s", destination]).map(Into::into).collect();
        resolve_words(words, &Fake::default()).map(drop).map_err(|refusal| refusal.sentence)
    };
    for line in ["-a --delete --max-delete=9", "-ab --inplace", "-ab --partial", "-rb", "-abI"] {
        assert_eq!(check(line, "h:d"), Ok(()), "{line}");
        let line = format!("{line} --reconnect=5m");
        let refused = check(&line, "h:d").expect_err(&line);
        assert!(refused.contains("--reconnect cannot go with"), "{refused}");
        assert_eq!(check(&line, "d"), Ok(()), "on one machine {line}");
    }
    for line in
        ["-ab", "-rbc", "-ab --partial-dir=p", "-a --partial", "-a --inplace", "-a --delete"]
    {
        assert_eq!(check(&format!("{line} --reconnect=5m"), "h:d"), Ok(()), "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let check = |line, part| refuses(line, Exit::Usage, part);
    check("--lanes=0", "is not auto nor a number");
    check("--lanes=many", "is not auto nor a number");
    check("--lanes=256", "is not auto nor a number from 1 to 255");
    check("--lane-kind=udp", "is not one of auto, ssh, tcp and quic");
    check("--lane-ports=9-1", "is not a range of ports");
    check("--lane-ports=0", "is not a range of ports");
    check("--lanes-from=me", "is not one of here, there and auto");
    check("--lanes=2 --lane-kind=ssh --lanes-from=there", "cannot be with --lane-kind=ssh");
    check("--reconnect=soon", "is not a time");
}

#[test]
fn on_one_machine_none_of_it_counts() {
    let here = |line: &str| resolve_words(words(&format!("{line} s d")), &Fake::default());
    for line in ["-z", "--lanes=4", "--lane-kind=quic", "--reconnect=5m", "-e ssh", "--no-upload"] {
        assert!(here(line).unwrap().remote.is_none(), "{line}");
    }
    assert_eq!(here("--contimeout=5").unwrap_err().exit, Exit::Usage);
}

#[test]
fn what_an_old_file_has_is_not_sent_unless_that_is_asked_for() {
    let invocation = |line: &str| resolve_in(&Fake::default(), line).unwrap();
    for (line, deltas, told) in [
        ("", Deltas::Auto, Transfer::Delta),
        ("-W", Deltas::Never, Transfer::WholeFile),
        ("--no-W", Deltas::Always, Transfer::Delta),
        ("-W --no-whole-file", Deltas::Always, Transfer::Delta),
    ] {
        let invocation = invocation(line);
        let asked = (invocation.job.settings.write.deltas, invocation.report.run.transfer);
        assert_eq!(asked, (deltas, told), "{line}");
    }
    for (line, block_bytes) in
        [("", None), ("-B1000", Some(1000)), ("--block-size=2k", Some(2048)), ("-B1000 -B0", None)]
    {
        assert_eq!(invocation(line).job.settings.write.block_bytes, block_bytes, "{line}");
    }
}
