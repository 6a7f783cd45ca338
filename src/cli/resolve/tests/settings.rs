//! What flags become as settings of the job.

use std::path::PathBuf;

use model::settings::{
    Append, Atimes, BasisAction, Checksum, ContentCheck, DeleteLimit, DeleteWhen, Depth,
    MissingArgs, Mtimes, OneFileSystem, Partial, Perms, Privilege, Staging, Symlinks, Xattrs,
};
use model::{IdPattern, IdRule, IdTarget};

use super::{check, check_in, refuses, resolve_in};
use crate::cli::testing::Fake;
use crate::exit_code::Exit;

#[test]
fn depth_follows_rsyncs_habits() {
    let with_list = Fake { files: vec![("list", "a\n")], ..Fake::default() };
    let depth = |line: &str, expected| {
        check_in(&with_list, line, |got| got.job.settings.traverse.depth, expected);
    };
    depth("", Depth::Files);
    depth("-a", Depth::Recursive);
    depth("-r", Depth::Recursive);
    depth("-d", Depth::Directories);
    depth("-dr", Depth::Recursive);
    depth("-a --no-r", Depth::Files);
    depth("--no-r -a", Depth::Recursive);
    depth("-r --no-r -d", Depth::Directories);
    depth("-d --no-d", Depth::Files);
    depth("--old-dirs", Depth::Recursive);
    depth("--list-only", Depth::Directories);
    depth("--list-only --no-dirs", Depth::Files);
    depth("-a --files-from=list", Depth::Directories);
    depth("--files-from=list -a", Depth::Directories);
    depth("-ar --files-from=list", Depth::Recursive);
    depth("-ra --files-from=list", Depth::Recursive);
    depth("--files-from=list --no-d", Depth::Files);
}

#[test]
fn a_list_of_files_implies_relative_paths() {
    let with_list = Fake { files: vec![("list", "b/c\n#x\n\na\n"), ("-", "z")], ..Fake::default() };
    let relative = |line: &str, expected| {
        let part = |got: &super::Invocation| {
            let traverse = &got.job.settings.traverse;
            (traverse.relative, traverse.implied_dirs)
        };
        check_in(&with_list, line, part, expected);
    };
    relative("--files-from=list", (true, true));
    relative("--files-from=list --no-R", (false, false));
    relative("--no-relative --files-from=list", (false, false));
    relative("--files-from=list --no-implied-dirs", (true, false));
    relative("-R", (true, true));
    relative("-R --no-i-d", (true, false));
    relative("", (false, false));
    let names = |line: &str| {
        let names = resolve_in(&with_list, line).unwrap().job.settings.traverse.files_from.unwrap();
        names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("--files-from=list"), ["b/c", "a"]);
    assert_eq!(names("--files-from=-"), ["z"]);
    refuses("--files-from=nosuch", Exit::Usage, "--files-from: read \"nosuch\"");
    refuses("--files-from=h:list", Exit::Usage, "names another host");
    refuses("--files-from=list x", Exit::Usage, "one source and one destination");
}

#[test]
fn traversal_settings() {
    let mounts = |line, expected| {
        check(line, |got| got.job.settings.traverse.one_file_system, expected);
    };
    mounts("-x", OneFileSystem::KeepMountPoints);
    mounts("-xx", OneFileSystem::OmitMountPoints);
    mounts("-x -x -x", OneFileSystem::OmitMountPoints);
    mounts("-xx --no-x", OneFileSystem::Cross);
    let missing = |line, expected| {
        check(line, |got| got.job.settings.traverse.missing_args, expected);
    };
    missing("", MissingArgs::Fault);
    missing("--ignore-missing-args", MissingArgs::Ignore);
    missing("--delete-missing-args --ignore-missing-args", MissingArgs::Delete);
    let sizes = |line, expected| {
        let part = |got: &super::Invocation| {
            let traverse = &got.job.settings.traverse;
            (traverse.min_size, traverse.max_size)
        };
        check(line, part, expected);
    };
    sizes("--min-size=1k --max-size=1.5mb-1", (Some(1024), Some(1_499_999)));
    sizes("--max-size=0", (None, Some(0)));
    refuses("--max-size=2g+2", Exit::Usage, "--max-size=2g+2 is not a size");
    check("-m", |got| got.job.settings.traverse.prune_empty_dirs, true);
    check("-m --no-m", |got| got.job.settings.traverse.prune_empty_dirs, false);
    check("--mkpath", |got| got.job.settings.traverse.make_path, true);
    check("--open-noatime", |got| got.job.settings.traverse.open_noatime, true);
    check("-UU", |got| got.job.settings.traverse.open_noatime, true);
    check("-U", |got| got.job.settings.traverse.open_noatime, false);
}

#[test]
fn links_settings() {
    let symlinks = |line, expected| check(line, |got| got.job.settings.links.symlinks, expected);
    symlinks("", Symlinks::Skip);
    symlinks("-a", Symlinks::Keep);
    symlinks("-a --no-l", Symlinks::Skip);
    symlinks("-aL", Symlinks::Follow);
    symlinks("-L", Symlinks::Follow);
    check(
        "-kKH",
        |got| {
            let links = &got.job.settings.links;
            [links.copy_dirlinks, links.keep_dirlinks, links.hard_links]
        },
        [true; 3],
    );
    check("-HH --no-H", |got| got.job.settings.links.hard_links, false);
    check(
        "--safe-links --copy-unsafe-links",
        |got| (got.job.settings.links.skip_unsafe, got.job.settings.links.copy_unsafe),
        (true, true),
    );
    let munge = |line, expected| {
        check(line, |got| (got.job.settings.links.unmunge, got.job.settings.links.munge), expected);
    };
    munge("--munge-links", (true, false));
    munge("--munge-links --no-munge-links", (false, false));
    munge("-M--munge-links", (false, true));
    munge("--munge-links -M --munge-links", (true, true));
    refuses("-M--delete", Exit::Unsupported, "the other side only");
    refuses("-Mx", Exit::Usage, "begin with a dash");
    refuses("--confine-root=x", Exit::Usage, "absolute");
    refuses("--confine-root=/x", Exit::Unsupported, "not there yet");
    check("--confine-root=/", |_| (), ());
}

#[test]
fn archive_is_its_letters() {
    let all = |line: &str| {
        let settings = resolve_in(&Fake::default(), line).unwrap().job.settings;
        format!("{:?}", (settings.traverse, settings.links, settings.preserve))
    };
    assert_eq!(all("-a"), all("-rlptgoD"));
    assert_eq!(all("-a"), all("-r --links --perms --times --group --owner --devices --specials"));
    assert_eq!(all("-a --no-D"), all("-rlptgo"));
    assert_eq!(all("-a --no-o --no-group"), all("-rlptD"));
    assert_eq!(all("--no-p -a"), all("-a"));
}

#[test]
fn permissions_and_times() {
    let perms = |line, expected| check(line, |got| got.job.settings.preserve.perms, expected);
    perms("", Perms::New);
    perms("-E", Perms::Executability);
    perms("-pE", Perms::Keep);
    perms("-A", Perms::Keep);
    perms("-A --no-p", Perms::New);
    perms("-a --no-perms -E", Perms::Executability);
    let times = |line, expected: [bool; 3]| {
        let [files, directories, symlinks] = expected;
        let expected = Mtimes { files, directories, symlinks };
        check(line, |got| got.job.settings.preserve.mtimes, expected);
    };
    times("", [false; 3]);
    times("-t", [true; 3]);
    times("-tO", [true, false, true]);
    times("-tJ", [true, true, false]);
    times("-tOJ --no-O --no-J", [true; 3]);
    times("-ab", [true, false, true]);
    times("-ab --no-O", [true, false, true]);
    times("-ab --backup-dir=x", [true; 3]);
    check(
        "--chmod=Du+x --chmod=F600",
        |got| {
            let chmod = &got.job.settings.preserve.chmod;
            (chmod.apply(0o644, true), chmod.apply(0o644, false))
        },
        (0o744, 0o600),
    );
    for bad in ["--chmod=999", "--chmod=u+q", "--chmod=", "--chmod=u+x,"] {
        refuses(bad, Exit::Usage, "is not a list of modes");
    }
}

#[test]
fn other_attributes() {
    let xattrs = |line, expected| check(line, |got| got.job.settings.preserve.xattrs, expected);
    xattrs("-X", Xattrs::Keep);
    xattrs("-XX", Xattrs::KeepAll);
    xattrs("-XX --no-X", Xattrs::Ignore);
    let privilege = |line, expected| {
        check(line, |got| got.job.settings.preserve.privilege, expected);
    };
    privilege("", Privilege::Auto);
    privilege("--super", Privilege::Assume);
    privilege("--no-super", Privilege::Renounce);
    privilege("--fake-super", Privilege::Fake);
    privilege("--fake-super --super -XX", Privilege::Assume);
    refuses("--super --fake-super -XX", Exit::Usage, "--fake-super");
    check(
        "-D --no-specials",
        |got| (got.job.settings.preserve.devices, got.job.settings.preserve.specials),
        (true, false),
    );
    check(
        "-a --drop-D",
        |got| (got.job.settings.preserve.devices, got.job.settings.preserve.specials),
        (false, false),
    );
    let atimes = |files, symlinks| Atimes { files, symlinks };
    check("-U --no-U", |got| got.job.settings.preserve.atimes, atimes(false, false));
    check("-UJ", |got| got.job.settings.preserve.atimes, atimes(true, false));
    check("-aU", |got| got.job.settings.preserve.atimes, atimes(true, true));
    refuses("-N", Exit::Usage, "cannot be set on this system");
    check("-a --no-N", |_| (), ());
}

#[test]
fn owners_are_looked_up() {
    let users = |line: &str, expected: Vec<(IdPattern, u32)>| {
        let rule = |(from, to)| IdRule { from, to: IdTarget::Id(to) };
        let rules: Vec<_> = expected.into_iter().map(rule).collect();
        check(line, |got| got.job.settings.preserve.ids.users.rules.clone(), rules);
    };
    let name = |name: &str| IdPattern::Name(name.as_bytes().into());
    users(
        "--usermap=0-99:nobody,wayne:33,*:web",
        vec![(IdPattern::Range(0, 99), 65534), (name("wayne"), 33), (IdPattern::Any, 33)],
    );
    users(
        "--usermap=:5,w*:6,7:8",
        vec![(IdPattern::Unnamed, 5), (name("w*"), 6), (IdPattern::Range(7, 7), 8)],
    );
    users(
        "--usermap=:5,w*:6,7:8 --numeric-ids",
        vec![(IdPattern::Any, 5), (IdPattern::Range(7, 7), 8)],
    );
    users("--usermap=a:nosuch,b:web", vec![(name("b"), 33)]);
    users("--chown=web", vec![(IdPattern::Any, 33)]);
    users("--chown=web:", vec![(IdPattern::Any, 33)]);
    users("--chown=:web", vec![]);
    users("--usermap=-1:5", vec![(name("-1"), 5)]);
    check("--usermap=a:nosuch", |got| got.warnings.len(), 1);
    check(
        "--chown=12:13",
        |got| {
            let preserve = &got.job.settings.preserve;
            (preserve.owner, preserve.group, preserve.ids.groups.rules.len())
        },
        (true, true, 1),
    );
    check(
        "--chown=:13",
        |got| (got.job.settings.preserve.owner, got.job.settings.preserve.group),
        (false, true),
    );
    check("--usermap=1:2 --no-o", |got| got.job.settings.preserve.owner, false);
    check("--chown=root --groupmap=1:2 --chown=:", |_| (), ());
    for bad in [
        "--usermap=root",
        "--usermap=",
        "--usermap=1-:5",
        "--usermap=1-x:5",
        "--usermap=1-2-3:5",
        "--usermap=*:5,",
        "--usermap=,*:5",
        "--usermap=*:",
        "--usermap=99999999999:5",
        "--usermap=1:99999999999",
        "--chown=a,b",
        "--chown=root --chown=root",
        "--chown=root --usermap=a:1",
        "--usermap=a:1 --chown=root",
        "--groupmap=a:1 --groupmap=a:1",
    ] {
        refuses(bad, Exit::Usage, "");
    }
}

#[test]
fn what_counts_as_equal() {
    let content = |line, expected| check(line, |got| got.job.settings.compare.content, expected);
    content("", ContentCheck::Quick);
    content("-c", ContentCheck::Checksum);
    content("-c --no-c", ContentCheck::Quick);
    content("-I", ContentCheck::Never);
    content("--size-only", ContentCheck::SizeOnly);
    content("-I --size-only", ContentCheck::SizeOnly);
    content("-Ic --size-only", ContentCheck::Checksum);
    refuses("-c --cc=none", Exit::Unsupported, "none");
    refuses("-c --cc=md5,none", Exit::Unsupported, "none");
    content("-c --cc=none,md5", ContentCheck::Checksum);
    let checksum = |line, expected| {
        let part = |got: &super::Invocation| {
            (got.job.settings.compare.checksum, got.job.settings.write.verify)
        };
        check(line, part, expected);
    };
    checksum("", (Checksum::Xxh128, false));
    checksum("--cc=auto", (Checksum::Xxh128, false));
    checksum("--cc=MD5", (Checksum::Md5, true));
    checksum("--cc=xxhash", (Checksum::Xxh64, true));
    checksum("--cc=md5,sha1", (Checksum::Sha1, true));
    checksum("--cc=none,md5", (Checksum::Md5, false));
    checksum("--checksum-choice=blake3", (Checksum::Blake3, true));
    for bad in ["--cc=x", "--cc=md5,x", "--cc=", "--cc=,md5", "--cc=md5,", "--cc=md5,md5,md5"] {
        refuses(bad, Exit::Unsupported, "no checksum");
    }
    let listed = |list, expected| {
        let fake = Fake { variables: vec![("RSYNC_CHECKSUM_LIST", list)], ..Fake::default() };
        check_in(&fake, "-c", |got| got.job.settings.compare.checksum, expected);
    };
    listed("nosuch md5 sha1", Checksum::Md5);
    listed(" & md5", Checksum::Xxh128);
    let fake = Fake { variables: vec![("RSYNC_CHECKSUM_LIST", "nosuch")], ..Fake::default() };
    assert_eq!(resolve_in(&fake, "-c").unwrap_err().exit, Exit::Unsupported);
    check("-@-1", |got| got.job.settings.compare.modify_window_secs, -1);
    check("-yy --fuzzy", |got| got.job.settings.compare.fuzzy, 2);
    check("-yy --no-y", |got| got.job.settings.compare.fuzzy, 0);
    check(
        "-u --existing --ignore-existing",
        |got| {
            let compare = &got.job.settings.compare;
            [compare.update_only, compare.existing_only, compare.ignore_existing]
        },
        [true; 3],
    );
}

#[test]
fn what_is_removed() {
    let when = |line, expected| check(line, |got| got.job.settings.delete.when, expected);
    when("-a", DeleteWhen::Never);
    when("-a --delete", DeleteWhen::During);
    when("-d --del", DeleteWhen::During);
    when("-a --delete-excluded", DeleteWhen::During);
    when("-a --delete --delete-before", DeleteWhen::Before);
    when("-a --delete-after --delete-excluded", DeleteWhen::After);
    when("-a --delete-delay --del", DeleteWhen::During);
    when("-a --del --delete-delay", DeleteWhen::Delay);
    when("-a --delete-before --delete-before", DeleteWhen::Before);
    when("--delete --list-only", DeleteWhen::During);
    refuses("-a --delete-before --delete-after", Exit::Usage, "choose one");
    refuses("-a --delete-before --del", Exit::Usage, "choose one");
    refuses("--delete", Exit::Usage, "add -r or -d");
    refuses("-a --no-r --delete-excluded", Exit::Usage, "add -r or -d");
    let limit = |line, expected| check(line, |got| got.job.settings.delete.limit, expected);
    limit("", DeleteLimit::Unlimited);
    limit("--max-delete=5", DeleteLimit::Entries(5));
    limit("--max-delete=0", DeleteLimit::Entries(0));
    limit("--max-delete=-1", DeleteLimit::Entries(0));
    limit("--max-delete=10%", DeleteLimit::Percent(10));
    for bad in ["--max-delete=x", "--max-delete=101%", "--max-delete=%", "--max-delete=99999999999"]
    {
        refuses(bad, Exit::Usage, "--max-delete=");
    }
    check(
        "--force --ignore-errors --delete-across-mounts --no-empty-source",
        |got| {
            let delete = &got.job.settings.delete;
            [delete.force, delete.ignore_errors, delete.across_mounts, delete.refuse_empty_source]
        },
        [true; 4],
    );
    check(
        "--force --no-force --ignore-errors --no-ignore-errors",
        |got| (got.job.settings.delete.force, got.job.settings.delete.ignore_errors),
        (false, false),
    );
}

#[test]
fn how_content_is_written() {
    let write = |line, expected| {
        let part = |got: &super::Invocation| {
            let write = &got.job.settings.write;
            (write.staging, write.append, write.partial.clone())
        };
        check(line, part, expected);
    };
    let (staged, in_place) = (Staging::Staged, Staging::InPlace);
    write("", (staged, Append::Off, Partial::Discard));
    write("--partial", (staged, Append::Off, Partial::Keep));
    write("-P --no-partial", (staged, Append::Off, Partial::Discard));
    write("--inplace", (in_place, Append::Off, Partial::Keep));
    write("--inplace --no-inplace", (staged, Append::Off, Partial::Discard));
    write("--write-devices --no-inplace", (in_place, Append::Off, Partial::Keep));
    write("--append", (in_place, Append::Trust, Partial::Keep));
    write("--append --no-inplace", (in_place, Append::Trust, Partial::Keep));
    write("--append --append-verify", (in_place, Append::Verify, Partial::Keep));
    write("--append --no-append", (staged, Append::Off, Partial::Discard));
    write("--append --no-W --inplace", (in_place, Append::Trust, Partial::Keep));
    write("--partial-dir=x/./y/", (staged, Append::Off, Partial::KeepIn("x/y".into())));
    write("--partial-dir=/abs", (staged, Append::Off, Partial::KeepIn("/abs".into())));
    write("--partial-dir=x --no-partial", (staged, Append::Off, Partial::KeepIn("x".into())));
    write("--partial-dir=", (staged, Append::Off, Partial::Keep));
    write("--partial-dir=a/..", (staged, Append::Off, Partial::Keep));
    write("--delay-updates", (staged, Append::Off, Partial::KeepIn(".~tmp~".into())));
    write("--delay-updates --partial-dir=x", (staged, Append::Off, Partial::KeepIn("x".into())));
    refuses(
        "--inplace --partial-dir=x",
        Exit::Usage,
        "--inplace writes into the files themselves and cannot go with --partial-dir",
    );
    refuses("--inplace --partial-dir=", Exit::Usage, "--partial-dir");
    refuses("--inplace --delay-updates", Exit::Usage, "--delay-updates");
    refuses("--append --delay-updates", Exit::Usage, "--append writes");
    refuses("--append --partial-dir=x", Exit::Usage, "--append writes");
    refuses("--append -W", Exit::Usage, "choose one");
    refuses("--append-verify -W", Exit::Usage, "choose one");
    refuses("--append --cc=none", Exit::Usage, "choose one");
    refuses("--write-devices --delay-updates", Exit::Usage, "--delay-updates");
}

#[test]
fn a_variable_names_the_partial_dir_where_partial_files_are_kept() {
    let fake = Fake { variables: vec![("RSYNC_PARTIAL_DIR", ".part")], ..Fake::default() };
    let partial = |line, expected| {
        check_in(&fake, line, |got| got.job.settings.write.partial.clone(), expected);
    };
    partial("", Partial::Discard);
    partial("--partial", Partial::KeepIn(".part".into()));
    partial("-P", Partial::KeepIn(".part".into()));
    partial("-P --partial-dir=x", Partial::KeepIn("x".into()));
    partial("--inplace --partial", Partial::Keep);
    partial("--partial --delay-updates", Partial::KeepIn(".~tmp~".into()));
}

#[test]
fn backups_and_their_names() {
    let backup = |line, expected: (bool, Option<&str>, &str)| {
        let (enabled, dir, suffix) = expected;
        let part = |got: &super::Invocation| {
            let backup = &got.job.settings.backup;
            (
                backup.enabled,
                backup.dir.clone(),
                String::from_utf8_lossy(&backup.suffix).into_owned(),
            )
        };
        check(line, part, (enabled, dir.map(PathBuf::from), suffix.to_owned()));
    };
    backup("", (false, None, "~"));
    backup("-b", (true, None, "~"));
    backup("-b --suffix=.old", (true, None, ".old"));
    backup("--backup-dir=x/", (true, Some("x"), ""));
    backup("--no-backup --backup-dir=x", (true, Some("x"), ""));
    backup("-b --backup-dir=../x --suffix=.s", (true, Some("../x"), ".s"));
    backup("-b --no-backup", (false, None, "~"));
    for bad in ["--suffix=", "-b --suffix=a/b", "--suffix=a/b", "--backup-dir=", "--backup-dir=./"]
    {
        refuses(bad, Exit::Usage, "suffix");
    }
    check("-b --backup-dir=. --suffix=.s", |got| got.job.settings.backup.dir.clone(), None);
}

#[test]
fn basis_trees_are_of_one_kind() {
    let basis = |line, action, dirs: &[&str]| {
        let dirs = dirs.iter().map(PathBuf::from).collect::<Vec<_>>();
        check(
            line,
            |got| {
                let basis = &got.job.settings.basis;
                (basis.action, basis.dirs.clone())
            },
            (action, dirs),
        );
    };
    basis("--link-dest=a --link-dest=../b", BasisAction::Link, &["a", "../b"]);
    basis("--copy-dest=a", BasisAction::Copy, &["a"]);
    basis("--compare-dest=/a", BasisAction::Omit, &["/a"]);
    refuses("--compare-dest=a --link-dest=b", Exit::Usage, "do not go together");
    refuses(&"--link-dest=a ".repeat(21), Exit::Usage, "more than 20");
    check(&"--link-dest=a ".repeat(20), |got| got.job.settings.basis.dirs.len(), 20);
}

#[test]
fn what_is_not_there_yet_says_so() {
    for (line, part) in [
        ("--copy-as=root", "not there yet"),
        ("--write-batch=x", "batches"),
        ("--only-write-batch=x", "batches"),
        ("--read-batch=x", "batches"),
        ("--iconv=utf8,latin1", "converting names"),
        ("--server", "no remote side"),
        ("--daemon", "daemon"),
        ("--insecure-links", "real path"),
    ] {
        refuses(line, Exit::Unsupported, part);
    }
    check("--iconv=- --no-insecure-links", |_| (), ());
    let fake = Fake { variables: vec![("RSYNC_ICONV", "utf8,latin1")], ..Fake::default() };
    assert_eq!(resolve_in(&fake, "-a").unwrap_err().exit, Exit::Unsupported);
    check_in(&fake, "--no-iconv", |_| (), ());
}

#[test]
fn what_changes_nothing_is_taken_and_checked() {
    for line in [
        "-z",
        "-zz",
        "--zc=zstd",
        "--zl=9",
        "--zt=4",
        "--skip-compress=gz/jpg",
        "-s",
        "--old-args",
        "-e ssh",
        "--rsync-path=x",
        "--timeout=5",
        "--no-timeout",
        "-W",
        "--no-W",
        "-B 1000",
        "-4",
        "-6",
        "--blocking-io",
        "--no-motd",
        "--port=5",
        "--protocol=31",
        "--max-alloc=1g",
        "--trust-sender",
        "--checksum-seed=5",
        "--contimeout=0",
        "--qsort",
        "--old-args --no-s",
        "--old-args --no-old-args -s",
        "--early-input=x",
        "--address=x",
        "--sockopts=x",
    ] {
        check(line, |_| (), ());
    }
    refuses("--block-size=1m", Exit::Usage, "128K");
    refuses("--max-alloc=1k", Exit::Usage, "1M");
    for line in ["--detach", "--no-detach", "--config=x", "--dparam=a=b"] {
        refuses(line, Exit::Usage, "daemon");
    }
    refuses("--no-detach --daemon", Exit::Unsupported, "daemon");
    refuses("--zc=x", Exit::Unsupported, "is not one of");
    refuses("--protocol=19", Exit::Protocol, "20 to 32");
    refuses("--contimeout=5", Exit::Usage, "another host");
    refuses("--password-file=x", Exit::Usage, "daemon");
    refuses("--old-args -s", Exit::Usage, "do not go together");
}
