//! Other file systems mounted inside the trees.

use std::fs;

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
        let done = lab.lanesync(&format!("-a {when} src/ dst/")).go().expect_one_of(&[0, 23]);
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
