//! Other file systems mounted inside the trees.

use std::fs;
use std::path::Path;

use crate::lab::{self, Lab};

/// A destination with file systems mounted in it that the source knows nothing of.
fn with_mounts(lab: &Lab) {
    lab.file("src/file", "x");
    lab.file("dst/plain/extra", "extra");
    lab.dir("dst/holder/deep");
    for mount in ["dst/mounted", "dst/holder/deep/mounted"] {
        lab.mount_tmpfs(mount, "size=1m");
        lab.file(format!("{mount}/precious"), "precious");
        lab.file(format!("{mount}/dir/precious"), "precious");
    }
    lab.file("dst/holder/deep/extra", "extra");
}

#[test]
fn a_file_system_mounted_at_the_destination_is_not_emptied() {
    for when in ["--delete", "--delete-before", "--delete-after", "--delete --force --workers 1"] {
        let lab = Lab::new();
        with_mounts(&lab);
        let done = lab.lanesync(&format!("-a {when} src/ dst/")).go().expect(23);
        for mount in ["dst/mounted", "dst/holder/deep/mounted"] {
            for name in ["precious", "dir/precious"] {
                assert!(lab.path(mount).join(name).exists(), "{mount}/{name} was removed: {done}");
            }
            let path = mount.strip_prefix("dst/").unwrap();
            let said = format!("{}{}", done.stdout, done.stderr);
            assert!(said.contains(path), "nothing is said of {path}: {done}");
        }
        for gone in ["dst/plain", "dst/holder/deep/extra"] {
            assert!(!lab.path(gone).exists(), "{gone} was not removed: {done}");
        }
    }
}

#[test]
fn a_file_system_mounted_at_the_destination_is_emptied_when_that_is_asked_for() {
    let lab = Lab::new();
    with_mounts(&lab);
    lab.lanesync("-a --delete --delete-across-mounts src/ dst/").go().expect_one_of(&[0, 23]);
    for mount in ["dst/mounted", "dst/holder/deep/mounted"] {
        assert!(lab::names(&lab.path(mount)).is_empty(), "{mount} was not emptied");
    }
    assert!(!lab.path("dst/plain").exists());
}

#[test]
fn a_file_in_the_place_of_a_mounted_file_system_does_not_empty_it() {
    for options in ["--delete", "--force", "--delete-after", ""] {
        let lab = Lab::new();
        with_mounts(&lab);
        lab.file("src/mounted", "a file now");
        lab.file("src/holder", "a file now");
        lab.file("src/zzz", "last");
        let done = lab.lanesync(&format!("-a {options} src/ dst/")).go().expect(23);
        for mount in ["dst/mounted", "dst/holder/deep/mounted"] {
            for name in ["precious", "dir/precious"] {
                assert!(lab.path(mount).join(name).exists(), "{mount}/{name} was removed: {done}");
            }
        }
        assert!(lab.path("dst/zzz").exists());
        done.complains(&["destination", "dst/mounted"]);
    }
}

#[test]
fn a_bind_mount_of_the_same_file_system_is_not_emptied() {
    let lab = Lab::new();
    lab.file("src/file", "x");
    lab.file("elsewhere/precious", "precious");
    lab.mount_bind("elsewhere", "dst/bound");
    let done = lab.lanesync("-a --delete src/ dst/").go();
    let kept = lab.path("elsewhere/precious").exists();
    assert!(kept, "the other place of the bind mount was emptied: {done}");
}

#[test]
fn a_file_system_mounted_at_the_source_is_left_out_on_request_as_rsync_does() {
    for options in ["-a", "-ax", "-axx", "-ax --delete", "-axx --delete"] {
        let lab = Lab::new();
        lab.file("src/dir/file", "x");
        lab.dir("src/mounted");
        lab.mount_tmpfs("src/mounted", "size=1m,mode=750");
        lab.file("src/mounted/inner", "inner");
        for copy in ["ours", "theirs"] {
            lab.file(format!("{copy}/mounted/old"), "old");
            lab.file(format!("{copy}/extra"), "extra");
        }
        lab::age(&lab.path("src"));
        lab.rsync(&format!("{options} src/ theirs/")).go().expect(0);
        lab.lanesync(&format!("{options} src/ ours/")).go().expect(0);
        assert_eq!(
            lab::contents(&lab.path("ours")),
            lab::contents(&lab.path("theirs")),
            "{options}"
        );
        assert_eq!(lab::names(&lab.path("ours")), lab::names(&lab.path("theirs")), "{options}");
        assert_eq!(fs::read(lab.path("src/mounted/inner")).unwrap(), b"inner");
    }
}

/// Both sides have the directories; only the destination has file systems mounted on them.
fn with_mounts_in_common(lab: &Lab) {
    lab.file("src/mounted/new", "new");
    lab.file("src/mounted/deep/new", "new");
    lab.file("src/plain/new", "new");
    for side in ["ours", "theirs"] {
        lab.mount_tmpfs(&format!("{side}/mounted"), "size=1m");
        lab.file(format!("{side}/mounted/precious"), "precious");
        lab.file(format!("{side}/mounted/deep/precious"), "precious");
        lab.file(format!("{side}/plain/extra"), "extra");
    }
}

#[test]
fn with_x_nothing_is_deleted_on_another_file_system_as_in_rsync() {
    for options in ["-ax --delete", "-axx --delete-before", "-ax --delete-after"] {
        let lab = Lab::new();
        with_mounts_in_common(&lab);
        lab.rsync(&format!("{options} src/ theirs/")).go().expect(0);
        lab.lanesync(&format!("{options} --delete-across-mounts src/ ours/")).go().expect(0);
        let [ours, theirs] = ["ours", "theirs"].map(|side| lab::contents(&lab.path(side)));
        assert_eq!(ours, theirs, "{options}");
        assert!(ours.contains_key(Path::new("mounted/deep/precious")), "{options}");
        assert!(!ours.contains_key(Path::new("plain/extra")), "{options}");
    }
}

#[test]
fn nothing_is_deleted_in_a_mount_that_the_source_has_as_a_directory() {
    for options in ["-a --delete", "-a --delete-before", "-a --delete-after"] {
        let lab = Lab::new();
        with_mounts_in_common(&lab);
        let done = lab.lanesync(&format!("{options} src/ ours/")).go().expect(23);
        for kept in ["mounted/precious", "mounted/deep/precious", "mounted/deep/new"] {
            assert!(lab.path("ours").join(kept).exists(), "{kept} is gone: {done}");
        }
        assert!(!lab.path("ours/plain/extra").exists(), "{done}");
        done.complains(&["destination", "ours/mounted", "--delete-across-mounts"]);
        lab.lanesync(&format!("{options} --delete-across-mounts src/ ours/")).go().expect(0);
        assert_eq!(lab::contents(&lab.path("ours")), lab::contents(&lab.path("src")));
    }
}

#[test]
fn a_bind_mount_that_the_source_has_as_a_directory_keeps_what_it_shows() {
    let lab = Lab::new();
    lab.file("src/bound/new", "new");
    lab.file("elsewhere/precious", "precious");
    lab.mount_bind("elsewhere", "dst/bound");
    lab.lanesync("-a --delete src/ dst/").go().expect(23);
    assert!(lab.path("elsewhere/precious").exists());
}

#[test]
fn a_mount_point_that_was_named_is_a_destination_like_any_other() {
    for options in ["-a --delete", "-ax --delete"] {
        let lab = Lab::new();
        lab.file("src/new", "new");
        for mount in ["dst", "holder/src"] {
            lab.mount_tmpfs(mount, "size=1m");
            lab.file(format!("{mount}/sub/extra"), "extra");
        }
        lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
        lab.lanesync(&format!("{options} src holder/")).go().expect(0);
        for mount in ["dst", "holder/src"] {
            assert_eq!(lab::contents(&lab.path(mount)), lab::contents(&lab.path("src")));
        }
    }
}

#[test]
fn what_stays_below_a_mount_is_no_success() {
    for options in ["-a --delete", "-an --delete"] {
        let lab = Lab::new();
        with_mounts(&lab);
        lab.lanesync(&format!("{options} src/ dst/")).go().expect(23);
    }
    let lab = Lab::new();
    with_mounts(&lab);
    lab.rsync("-a --delete src/ dst/").go().expect(23);
}
