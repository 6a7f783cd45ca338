//! What is typed for another host is looked up there, as by rsync's remote shell.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use super::{Hosts, LANESYNC, RUNS_IT_HERE, check, check_as_rsync, check_runs_as_rsync};

#[test]
fn wildcards_stand_for_what_is_there() {
    check_as_rsync(&["-i", "h:s/*", "d"]);
    check_as_rsync(&["-i", "h:s/[fa]", ":s/li?k", "d"]);
    check_as_rsync(&["-i", "h:s/*/b*/", "d"]);
    check_as_rsync(&["-iR", "h:s/./*/g", "d"]);
    check_as_rsync(&["-i", "s/", "h:ol?/"]);
}

#[test]
fn a_wildcard_that_is_a_name_stays_one() {
    let odd = |path: &Path| {
        for name in ["[x]", "a*", "q?"] {
            fs::create_dir(path.join(name)).unwrap();
            fs::write(path.join(name).join(name), name).unwrap();
        }
    };
    check_runs_as_rsync(odd, &[&["-i", "h:[x]/", "d"]]);
    check_runs_as_rsync(odd, &[&["-i", "h:a\\*/", "d"], &["-i", "a*/", "h:q\\?"]]);
}

#[test]
fn a_home_is_that_of_the_other_host() {
    check_as_rsync(&["-i", "h:~/s/", "d"]);
    check_as_rsync(&["s/", "h:~/d"]);
    let hosts = Hosts::new();
    let agent = format!("--agent-path={LANESYNC}");
    let listed = hosts.run(RUNS_IT_HERE, &[&agent, "-d", "--no-r", "h:~root/"]);
    check(&listed, 0, "");
    let unknown = hosts.run(RUNS_IT_HERE, &[&agent, "h:~nobody-of-that-name/", "d"]);
    check(&unknown, 23, "~nobody-of-that-name");
}

#[test]
fn a_list_of_names_lies_where_it_is_said_to() {
    let list = |path: &Path| {
        fs::write(path.join("list"), "f\na/g\nlink\n").unwrap();
        fs::write(path.join("list0"), "a/b\0f\0").unwrap();
    };
    check_runs_as_rsync(list, &[&["-i", "--files-from=:list", "h:s/", "d"]]);
    check_runs_as_rsync(list, &[&["-i", "--files-from=h:list", "s/", "h:d"]]);
    check_runs_as_rsync(list, &[&["-ir0", "--files-from=:list0", "h:s/", "d"]]);
    check_runs_as_rsync(list, &[&["-ir0", "--files-from=:list0", "s/", "h:d"]]);
    let hosts = Hosts::new();
    let agent = format!("--agent-path={LANESYNC}");
    for paths in [["s/", "h:d"], ["h:s/", "d"]] {
        let words = ["--files-from=:none", &agent, paths[0], paths[1]];
        check(&hosts.run(RUNS_IT_HERE, &words), 1, "--files-from: read \"none\"");
        let other = ["--files-from=other:list", &agent, paths[0], paths[1]];
        check(&hosts.run(RUNS_IT_HERE, &other), 1, "is on a host that has no part in the job");
    }
}

/// As with rsync: a line that looks like a comment is one where the list lies with the source.
#[test]
fn a_comment_in_a_list_from_elsewhere_is_a_name() {
    let list = |path: &Path| {
        fs::write(path.join("s/#n"), "").unwrap();
        fs::write(path.join("list"), "f\n#n\n").unwrap();
    };
    for list_at in ["", ":"] {
        for paths in [["s/", "h:d"], ["h:s/", "d"]] {
            let from = format!("--files-from={list_at}list");
            check_runs_as_rsync(list, &[&["-i", &from, paths[0], paths[1]]]);
        }
    }
}

#[test]
fn rules_above_the_source_are_those_of_its_host() {
    let rules = |path: &Path| {
        fs::write(path.join(".rsync-filter"), "- g\n").unwrap();
        fs::write(path.join("s/a/.rsync-filter"), "- h\n").unwrap();
    };
    check_runs_as_rsync(rules, &[&["-iF", "s/", "h:d"]]);
    check_runs_as_rsync(rules, &[&["-iF", "h:s/", "d"]]);
    check_runs_as_rsync(rules, &[&["-iFF", "h:s/a", "d"]]);
    check_runs_as_rsync(rules, &[&["-i", "--filter=: /.rsync-filter", "--delete", "h:s/", "old"]]);
}

/// rsync reads the link and filters at this side; here the other side reads rules, and so would be told what
/// is in any file that such a link leads to.
#[test]
fn a_link_to_rules_leads_to_another_host_only_within_the_source() {
    let links = |path: &Path| {
        fs::write(path.join("s/a/rules"), "- h\n").unwrap();
        symlink("../a/rules", path.join("s/a/.rsync-filter")).unwrap();
    };
    check_runs_as_rsync(links, &[&["-iF", "s/", "h:d"], &["-iF", "h:s/", "e"]]);
    let hosts = Hosts::new();
    fs::write(hosts.path().join("key"), "- /f\n").unwrap();
    fs::create_dir(hosts.path().join("old/a")).unwrap();
    fs::write(hosts.path().join("old/a/kept"), "").unwrap();
    symlink("../../key", hosts.path().join("s/a/.rsync-filter")).unwrap();
    let agent = format!("--agent-path={LANESYNC}");
    let pushed = hosts.run(RUNS_IT_HERE, &[&agent, "-F", "--delete", "s/", "h:old"]);
    check(&pushed, 23, "a symbolic link that leads out of the tree");
    assert!(hosts.path().join("old/f").exists() && !hosts.path().join("old/a/g").exists());
    // What the rules protect is not known.
    assert!(hosts.path().join("old/a/kept").exists());
    check(&hosts.run(RUNS_IT_HERE, &[&agent, "-F", "h:s/", "e"]), 0, "");
}

#[test]
fn what_is_pretended_is_pretended_on_one_side_alone() {
    let owned = |path: &Path| chown(path.join("s/f"), Some(1234), Some(5678)).unwrap();
    check_runs_as_rsync(
        owned,
        &[
            &["-i", "-M--fake-super", "s/", "h:d"],
            &["-i", "-M--fake-super", "h:d/", "e"],
            &["-i", "--fake-super", "h:s/", "f"],
            &["-i", "--fake-super", "f/", "h:g"],
            &["-i", "--fake-super", "-M--fake-super", "f/", "h:h"],
        ],
    );
}

#[test]
fn links_are_disarmed_where_it_is_said() {
    check_runs_as_rsync(
        |_| (),
        &[
            &["-i", "-M--munge-links", "s/", "h:d"],
            &["-i", "-M--munge-links", "h:d/", "e"],
            &["-i", "--munge-links", "h:s/", "f"],
            &["-i", "--munge-links", "-M--munge-links", "h:f/", "i"],
            &["-i", "--munge-links", "f/", "h:g"],
        ],
    );
}

/// Merge files on the way to what is picked, and such as hide themselves.
#[test]
fn merge_files_are_heeded_wherever_they_lie() {
    let rules = |path: &Path| {
        for (name, text) in [
            ("s/.rsync-filter", "- g\n"),
            ("s/a/.rsync-filter", "P kept\n- f\n-s b\n"),
            ("old/a/kept", ""),
            ("old/a/b", ""),
            ("old/a/g", ""),
            ("list", "a\nf\n"),
        ] {
            fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
            fs::write(path.join(name), text).unwrap();
        }
    };
    for paths in [["s/", "h:old"], ["h:s/", "old"]] {
        for words in [&["-F", "--delete"][..], &["-FF", "--delete-after"]] {
            check_runs_as_rsync(rules, &[&[words, &paths].concat()]);
        }
    }
    // rsync's sender elsewhere forgets its merge files where a list goes to it.
    check_runs_as_rsync(rules, &[&["-irF", "--files-from=list", "s/", "h:old"]]);
}
