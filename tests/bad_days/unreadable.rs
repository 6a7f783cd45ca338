//! What may not be read: reported, the rest copied, and nothing removed on the strength of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::lab::{self, Lab};

/// A source with an unreadable file and an unreadable directory, and a destination with more.
fn trees(lab: &Lab) {
    for side in ["src", "dst"] {
        lab.file(format!("{side}/closed/kept"), "kept");
        lab.file(format!("{side}/closed/deep/kept"), "kept");
        lab.file(format!("{side}/half/kept"), "kept");
        lab.file(format!("{side}/secret"), format!("secret of {side}"));
    }
    for file in ["dst/extra", "dst/closed/extra", "dst/closed/deep/extra", "dst/half/extra"] {
        lab.file(file, "extra");
    }
    lab.file("src/open/new", "new");
    lab.file("src/zzz", "last");
    for root in ["src", "dst"] {
        lab::age(&lab.path(root));
        lab::give_to_user(&lab.path(root));
    }
    lab::set_mtime(&lab.path("dst/secret"), 1_300_000_000);
    lab::set_mode(&lab.path("src/closed"), 0);
    lab::set_mode(&lab.path("src/half"), 0o400);
    lab::set_mode(&lab.path("src/secret"), 0);
}

fn refuses(options: &str) -> Lab {
    let lab = Lab::new();
    trees(&lab);
    let done = lab.lanesync(&format!("-a {options} src/ dst/")).user().go().expect(23);
    done.complains(&["source", "open", "src/closed", "Permission denied"])
        .complains(&["source", "src/half", "Permission denied"])
        .complains(&["source", "open", "src/secret", "Permission denied"]);
    let read = |name: &str| fs::read_to_string(lab.path("dst").join(name));
    for copied in [("open/new", "new"), ("zzz", "last")] {
        assert_eq!(read(copied.0).ok().as_deref(), Some(copied.1), "{copied:?} was not copied");
    }
    let kept =
        ["closed/kept", "closed/deep/kept", "closed/extra", "closed/deep/extra", "half/kept"];
    for name in kept {
        assert!(read(name).is_ok(), "{name} was removed although its directory cannot be read");
    }
    assert_eq!(read("secret").unwrap(), "secret of dst", "the old file is kept");
    lab
}

#[test]
fn nothing_below_an_unreadable_directory_is_removed() {
    refuses("--delete");
}

#[test]
fn nothing_below_an_unreadable_directory_is_removed_by_one_worker() {
    refuses("--delete --workers 1");
}

#[test]
fn nothing_at_all_is_removed_afterwards_when_part_of_the_source_was_not_read() {
    for when in ["--delete-after", "--delete-delay", "--delete --max-delete=100"] {
        let lab = refuses(when);
        for name in ["extra", "half/extra"] {
            assert!(lab.path("dst").join(name).exists(), "{name} was removed with {when}");
        }
    }
}

#[test]
fn a_root_that_cannot_be_read_removes_nothing() {
    for (mode, options) in [(0, "--delete"), (0o111, "--delete"), (0, "--delete-before")] {
        let lab = Lab::new();
        lab.file("src/inner", "x");
        lab.file("dst/extra", "extra");
        for root in ["src", "dst"] {
            lab::give_to_user(&lab.path(root));
        }
        lab::set_mode(&lab.path("src"), mode);
        let done = lab.lanesync(&format!("-a {options} src/ dst/")).user().go();
        done.expect_one_of(&[3, 23]).complains(&["source", "src", "Permission denied"]);
        assert!(lab.path("dst/extra").exists(), "an unreadable source emptied the destination");
    }
}

#[test]
fn the_first_of_hard_links_that_cannot_be_read_does_not_hold_the_run_up() {
    let lab = Lab::new();
    lab.file("src/first", "x");
    for twin in ["src/second", "src/third"] {
        fs::hard_link(lab.path("src/first"), lab.path(twin)).unwrap();
    }
    lab.file("src/zzz", "last");
    lab::give_to_user(&lab.path("src"));
    lab::set_mode(&lab.path("src/first"), 0);
    lab::give_to_user(&lab.dir("dst"));
    for options in ["-aH", "-aHc"] {
        let done = lab.lanesync(&format!("{options} src/ dst/")).user().go().expect(23);
        done.complains(&["source", "src/first", "Permission denied"]);
        assert!(lab.path("dst/zzz").exists());
    }
}

#[test]
fn a_directory_that_is_not_entered_keeps_its_mode() {
    let lab = Lab::new();
    lab.file("src/x/.rsync-filter", "no such rule");
    lab.dir("dst/x");
    lab::give_to_user(&lab.path("src"));
    lab::give_to_user(&lab.path("dst"));
    lab::set_mode(&lab.path("dst/x"), 0o500);
    for when in ["", "--delete-before", "--delete-after"] {
        lab.lanesync(&format!("-aF {when} src/ dst/")).user().go().expect(23);
        let mode = fs::metadata(lab.path("dst/x")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o500, "{when}");
    }
}

/// A drop box: its names can be used and not be listed.
fn drop_box(owner: u32, mode: u32) -> Lab {
    let lab = Lab::new();
    lab.file("src/file", "new");
    lab.file("src/sub/inner", "new");
    for old in ["dst/file", "dst/extra"] {
        lab.file(old, "older");
    }
    for root in ["src", "dst"] {
        lab::age(&lab.path(root));
        lab::give_to_user(&lab.path(root));
    }
    std::os::unix::fs::chown(lab.path("dst"), Some(owner), Some(owner)).unwrap();
    lab::set_mode(&lab.path("dst"), mode);
    lab
}

fn mode_of(lab: &Lab, name: &str) -> u32 {
    fs::metadata(lab.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_drop_box_takes_what_is_put_into_it() {
    for (owner, mode) in [(lab::USER, 0o300), (lab::USER, 0o333), (0, 0o333), (0, 0o733)] {
        for line in ["-a src/file dst/", "-ab src/file dst", "-a src/file dst/file"] {
            let lab = drop_box(owner, mode);
            lab.lanesync(line).user().go().expect(0);
            assert_eq!(fs::read_to_string(lab.path("dst/file")).unwrap(), "new", "{line}");
            assert_eq!(mode_of(&lab, "dst"), mode, "{line}");
            let again = lab.lanesync(&format!("-i {line}")).user().go().expect(0);
            assert_eq!(again.stdout, "", "{line}");
        }
    }
}

#[test]
fn a_drop_box_takes_a_whole_tree_and_nothing_of_another_user_is_deleted_in_it() {
    for line in ["-r src/ dst/", "-r src/ dst/box/"] {
        let lab = drop_box(lab::USER, 0o755);
        lab.dir("dst/box");
        for name in ["dst", "dst/box"] {
            std::os::unix::fs::chown(lab.path(name), Some(0), Some(0)).unwrap();
            lab::set_mode(&lab.path(name), 0o733);
        }
        lab.lanesync(line).user().go().expect(0);
        let done = lab.lanesync(&format!("{line} --delete")).user().go().expect(23);
        done.complains(&["destination", "list", "Permission denied"]);
        let top = line.rsplit(' ').next().unwrap();
        assert!(lab.path(top).join("sub/inner").exists());
        assert!(lab.path("dst/extra").exists());
    }
}

#[test]
fn an_own_directory_that_cannot_be_read_is_made_passable_for_the_run() {
    for mode in [0o300, 0o100] {
        let lab = drop_box(lab::USER, mode);
        lab.lanesync("-aX --delete src/ dst/").user().go().expect(0);
        lab.assert_same("src", "dst");
        let lab = drop_box(lab::USER, mode);
        lab.lanesync("-r --delete src/ dst/").user().go().expect(0);
        assert_eq!(mode_of(&lab, "dst"), mode);
        assert!(!lab.path("dst/extra").exists());
    }
}

#[test]
fn a_source_directory_that_is_only_passed_need_not_be_read() {
    let lab = Lab::new();
    lab.file("src/shut/sub/file", "x");
    lab.file("list", "shut/sub/file\n");
    lab::age(&lab.path("src"));
    lab::give_to_user(&lab.path("src"));
    lab::set_mode(&lab.path("src/shut"), 0o100);
    for (number, line) in ["-aR src/./shut/sub", "-a --files-from=list src/"].iter().enumerate() {
        let dst = format!("dst{number}");
        lab::give_to_user(&lab.dir(&dst));
        lab.lanesync(&format!("{line} {dst}/")).user().go().expect(0);
        assert!(lab.path(&dst).join("shut/sub/file").exists(), "{line}");
        assert_eq!(mode_of(&lab, &format!("{dst}/shut")), 0o100, "{line}");
    }
    lab.lanesync("-R src/./shut/sub dst0/").user().go().expect(0);
}

#[test]
fn what_could_not_be_deleted_does_not_count() {
    let lab = drop_box(lab::USER, 0o755);
    lab.file("dst/kept/inner", "of root");
    lab.lanesync("-a --delete --max-delete=1 src/ dst/").user().go().expect(23);
    assert!(!lab.path("dst/extra").exists());
}

/// A setting in it may be what keeps files.
#[test]
fn a_configuration_that_is_seen_and_cannot_be_read_is_an_error() {
    let lab = Lab::new();
    lab.dir("src");
    lab.file("dst/kept", "kept");
    lab.file("home/.config/lanesync/config", "no-empty-source = true\n");
    for root in ["src", "dst", "home"] {
        lab::give_to_user(&lab.path(root));
    }
    lab::set_mode(&lab.path("home/.config/lanesync/config"), 0);
    let done = lab.lanesync("-a --delete src/ dst/").user().go().expect(1);
    done.complains(&["configuration", "lanesync/config", "Permission denied"]);
    assert!(lab.path("dst/kept").exists());
    // Of a home that may not be entered nothing is known.
    lab::set_mode(&lab.path("home"), 0);
    lab.lanesync("-a --delete src/ dst/").user().go().expect(0);
    assert!(!lab.path("dst/kept").exists());
}
