//! Directories without write permission, for an ordinary user, who copies them all the same.

use crate::lab::{self, Lab};

/// Read-only directories at the source, and an older copy of them if wanted.
fn trees(lab: &Lab, old: &str) {
    for name in ["src/ro/file", "src/ro/deep/file", "src/plain/file", "src/ro/deep/more"] {
        lab.file(name, "new");
    }
    lab.dir("dst");
    if !old.is_empty() {
        for name in ["dst/ro/file", "dst/ro/deep/file", "dst/ro/deep/extra", "dst/gone/sub/file"] {
            lab.file(name, old);
        }
    }
    for root in ["src", "dst"] {
        lab::age_by(&lab.path(root), if root == "src" { 0 } else { -44_000 });
        lab::give_to_user(&lab.path(root));
        let inner = ["ro/deep", "ro", "gone/sub", "gone"];
        for dir in inner.iter().map(|dir| lab.path(root).join(dir)).filter(|dir| dir.exists()) {
            lab::set_mode(&dir, 0o500);
        }
    }
}

fn copies(old: &str, options: &str) {
    let lab = Lab::new();
    trees(&lab, old);
    let line = format!("-a {options} src/ dst/");
    lab.lanesync(&line).user().go().expect(0);
    lab.assert_same("src", "dst");
    let again = lab.lanesync(&format!("{line} -i")).user().go().expect(0);
    assert_eq!(again.stdout, "", "the second run finds something to do");
}

#[test]
fn read_only_directories_are_copied_and_stay_so() {
    copies("", "");
    copies("", "--workers 1");
}

#[test]
fn read_only_directories_of_the_destination_are_brought_up_to_date() {
    copies("older", "--delete");
    copies("older", "--delete --workers 1");
    copies("older", "--delete-after");
    copies("older", "--delete-before");
}

#[test]
fn a_read_only_destination_root_is_brought_up_to_date() {
    let lab = Lab::new();
    lab.file("src/file", "new");
    lab.dir("dst");
    for root in ["src", "dst"] {
        lab::age(&lab.path(root));
        lab::give_to_user(&lab.path(root));
        lab::set_mode(&lab.path(root), 0o500);
    }
    lab.lanesync("-a src/ dst/").user().go().expect(0);
    lab.assert_same("src", "dst");
}

#[test]
fn a_file_gives_way_to_a_read_only_directory_and_a_read_only_directory_to_a_file() {
    let lab = Lab::new();
    lab.file("src/becomes_dir/file", "x");
    lab.file("src/becomes_file", "x");
    lab.file("dst/becomes_dir", "old");
    lab.file("dst/becomes_file/inner", "old");
    for root in ["src", "dst"] {
        lab::age(&lab.path(root));
        lab::give_to_user(&lab.path(root));
    }
    lab::set_mode(&lab.path("src/becomes_dir"), 0o500);
    lab::set_mode(&lab.path("dst/becomes_file"), 0o500);
    lab.lanesync("-a --delete src/ dst/").user().go().expect(0);
    lab.assert_same("src", "dst");
}
