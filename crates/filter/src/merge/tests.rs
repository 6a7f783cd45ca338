//! Per-directory merge files in small trees.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::{NodeKind, Perishable, RuleOptions, Rules, Scope, Side};

/// Files below `/top/src`; what lies above has an absolute name.
struct Disk {
    files: HashMap<&'static str, &'static str>,
    asked: RefCell<Vec<String>>,
}

impl Disk {
    fn new(files: &[(&'static str, &'static str)]) -> Self {
        Self { files: files.iter().copied().collect(), asked: RefCell::default() }
    }

    fn root(filters: &[&str]) -> Scope {
        let mut rules = Rules::new(RuleOptions::default());
        for filter in filters {
            rules.push(filter.as_bytes(), &mut |_| Err(io::ErrorKind::NotFound.into())).unwrap();
        }
        Scope::root(Arc::new(rules), b"/top/src/")
    }

    fn try_enter(&self, scope: &Scope, dir: &str) -> Result<Scope, RuleError> {
        scope.enter(dir.as_bytes(), &mut |name| {
            let name = std::str::from_utf8(name).expect("names in this test are text");
            self.asked.borrow_mut().push(name.to_owned());
            Ok(self.files.get(name).map(|text| text.as_bytes().to_vec()))
        })
    }

    /// The scope in a directory, entered by way of all above it.
    fn scope(&self, filters: &[&str], dir: &str) -> Scope {
        let mut scope = self.try_enter(&Self::root(filters), "").unwrap();
        let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
        for end in ends.filter(|&end| end > 0) {
            scope = self.try_enter(&scope, &dir[..end]).unwrap();
        }
        scope
    }
}

fn excludes(scope: &Scope, path: &str, side: Side) -> bool {
    scope.check(path.as_bytes(), NodeKind::Other, side, Perishable::Honoured).is_excluded()
}

/// Which of the paths the sender does not send.
#[track_caller]
fn check(scope: &Scope, paths: &[&str], hidden: &[&str]) {
    let found: Vec<&str> =
        paths.iter().copied().filter(|path| excludes(scope, path, Side::Sender)).collect();
    assert_eq!(found, hidden);
}

#[test]
fn rules_reach_down_and_the_newest_come_first() {
    let disk = Disk::new(&[(".f", "- a\n- b\n"), ("d/.f", "+ a\n- c\n")]);
    check(&disk.scope(&[": .f"], ""), &["a", "b", "c"], &["a", "b"]);
    check(&disk.scope(&[": .f"], "d/e"), &["d/e/a", "d/e/b", "d/e/c"], &["d/e/b", "d/e/c"]);
}

#[test]
fn rules_stand_where_the_merge_rule_does() {
    let disk = Disk::new(&[(".f", "- a\n+ b\n")]);
    check(&disk.scope(&["+ a", ": .f", "- b", "- c"], ""), &["a", "b", "c"], &["c"]);
}

#[test]
fn n_keeps_rules_in_their_directory() {
    let disk = Disk::new(&[(".f", "- a\n"), ("d/.f", "- b\n")]);
    check(&disk.scope(&[":n .f"], "d"), &["d/a", "d/b"], &["d/b"]);
    check(&disk.scope(&[":n .f"], "d/e"), &["d/e/a", "d/e/b"], &[]);
}

#[test]
fn clear_drops_what_was_inherited_from_this_file_only() {
    let disk = Disk::new(&[(".f", "- a\n"), (".g", "- b\n"), ("d/.f", "- c\n!\n- x\n")]);
    check(&disk.scope(&[": .f", ": .g"], "d"), &["d/a", "d/b", "d/c", "d/x"], &["d/b", "d/x"]);
}

#[test]
fn anchor_is_the_directory_of_the_file() {
    let disk = Disk::new(&[("d/.f", "- /a\n- /e/b\n- c/\n")]);
    let paths = ["d/a", "d/e/a", "d/e/b", "d/b"];
    check(&disk.scope(&[": .f"], "d"), &paths, &["d/a", "d/e/b"]);
    check(&disk.scope(&[":/ .f"], "d"), &paths, &[]);
}

#[test]
fn e_hides_the_file_itself_on_both_sides() {
    let scope = Disk::new(&[]).scope(&[":es d/.f"], "");
    assert!(excludes(&scope, "x/.f", Side::Sender) && excludes(&scope, ".f", Side::Receiver));
}

#[test]
fn cvsignore_is_split_into_words_and_not_inherited() {
    let disk = Disk::new(&[(".cvsignore", "a #b\n- c ! d")]);
    check(&disk.scope(&[":C"], ""), &["a", "#b", "-", "c", "d"], &["d"]);
    check(&disk.scope(&[":C"], "e"), &["e/d"], &[]);
}

#[test]
fn file_may_name_further_files() {
    let disk = Disk::new(&[(".f", ": .g\n"), (".g", "- a\n"), ("d/.g", "- b\n")]);
    check(&disk.scope(&[": .f"], "d"), &["d/a", "d/b"], &["d/a", "d/b"]);
}

#[test]
fn the_same_file_is_looked_for_once() {
    let disk = Disk::new(&[(".f", "- a\n")]);
    drop(disk.scope(&[": .f", ":n .f"], ""));
    assert_eq!(*disk.asked.borrow(), [".f"]);
}

#[test]
fn file_included_by_a_directorys_file_has_no_place_and_no_side() {
    let disk = Disk::new(&[("d/.f", ". ./i\n. j\n"), ("d/i", "- /a\n- /d/b\n"), ("j", "H c\n")]);
    let scope = disk.scope(&[": .f"], "d");
    check(&scope, &["d/a", "d/b", "d/c"], &["d/b", "d/c"]);
    assert!(excludes(&scope, "d/c", Side::Receiver));
}

#[test]
fn missing_included_file_is_an_error() {
    let disk = Disk::new(&[(".f", ". i\n")]);
    let error = disk.try_enter(&Disk::root(&[": .f"]), "").unwrap_err();
    assert_eq!(error.to_string(), "filter: .f, line 1: read merge file \"i\": entity not found");
}

#[test]
fn directorys_file_counts_among_the_files_in_one_another() {
    let chain = |count: usize| {
        Disk::root(&[": 0"]).enter(b"", &mut |name| {
            let number: usize = std::str::from_utf8(name).unwrap().parse().unwrap();
            let last = number == count;
            Ok(Some(if last { b"- a".to_vec() } else { format!(". {}", number + 1).into_bytes() }))
        })
    };
    assert!(chain(31).is_ok());
    assert!(chain(32).is_err());
}

#[test]
fn directories_above_the_tree_are_looked_into() {
    let disk = Disk::new(&[
        ("/.f", "- a\n- /top/src/b\n"),
        ("/top/.f", "- /src/d/c\n- /src/*/x\n+ a\n"),
        (".f", "- e\n"),
    ]);
    for filter in [": /.f", ": ../../.f"] {
        let paths = ["d/a", "d/b", "b", "d/c", "c", "d/e", "d/x"];
        check(&disk.scope(&[filter], "d"), &paths, &["b", "d/c", "d/e", "d/x"]);
        assert_eq!(disk.asked.take(), ["/.f", "/top/.f", ".f", "d/.f"]);
    }
    drop(disk.scope(&[": ../.f"], ""));
    assert_eq!(disk.asked.take(), ["/top/.f", ".f"]);
    drop(disk.scope(&[": /elsewhere/.f"], ""));
    assert_eq!(disk.asked.take(), [".f"]);
}

#[test]
fn directory_entered_first_may_lie_below_the_root() {
    let disk = Disk::new(&[("/top/src/.f", "- /d/a\n"), ("/top/.f", "- b\n")]);
    let scope = disk.try_enter(&Disk::root(&[": /.f"]), "d").unwrap();
    check(&scope, &["d/a", "d/b", "d/c"], &["d/a", "d/b"]);
    assert_eq!(disk.asked.take(), ["/.f", "/top/.f", "/top/src/.f", "d/.f"]);
}

#[test]
fn verdicts_name_rules_of_all_layers() {
    let disk = Disk::new(&[(".f", "- a\n- b\n"), ("d/.f", "- c\n")]);
    let scope = disk.scope(&["- z", ": .f"], "d");
    for (name, rule) in
        [("z", "- z (command line)"), ("b", "- b (.f, line 2)"), ("c", "- c (d/.f, line 1)")]
    {
        let path = format!("d/{name}");
        let verdict =
            scope.check(path.as_bytes(), NodeKind::Other, Side::Sender, Perishable::Honoured);
        let crate::Verdict::Excluded(id) = verdict else { panic!("{name} is not excluded") };
        assert_eq!(scope.describe(id).to_string(), rule);
    }
}

#[test]
fn xattr_rules_may_come_from_a_directory() {
    let disk = Disk::new(&[("d/.f", "-x user.a\n")]);
    assert!(!disk.scope(&[": .f"], "").has_xattr_rules());
    let scope = disk.scope(&[": .f"], "d");
    assert!(scope.has_xattr_rules());
    assert!(scope.check_xattr(b"user.a", Side::Receiver).is_excluded());
}

#[test]
fn directory_without_a_file_costs_no_new_scope() {
    let disk = Disk::new(&[(".f", "- a\n"), ("d/.f", "# nothing\n")]);
    let scope = disk.scope(&[": .f"], "");
    assert!(disk.try_enter(&scope, "d").unwrap().is_same(&scope));
    assert!(disk.try_enter(&scope, "e").unwrap().is_same(&scope));
}

#[test]
fn endless_supply_of_merge_files_is_refused() {
    let scope = Disk::root(&[": .f0"]);
    let mut count = 0;
    let result = scope.enter(b"", &mut |_| {
        count += 1;
        Ok(Some(format!(": .f{count}\n").into_bytes()))
    });
    let error = result.unwrap_err().to_string();
    assert!(error.ends_with("more than 256 per-directory merge files are named"), "{error}");
}

#[test]
fn resolving_goes_by_the_letters() {
    let check = |dir: &str, name: &str, expect: &str| {
        assert_eq!(resolve(dir.as_bytes(), name.as_bytes()), expect.as_bytes());
    };
    check("/a/b", "c", "/a/b/c");
    check("/a/b", "/c", "/c");
    check("/a/b", "../../../c", "/c");
    check("/a//b/", "./c/./d/../e", "/a/b/c/e");
    check("/", "", "/");
}

#[test]
fn files_that_include_one_another_twice_are_refused_before_they_fill_the_memory() {
    let line = format!("- {}\n", "x".repeat(1000));
    let text: &'static str = line.repeat(1000).leak();
    // Each of these stands for twice the one after it.
    let names: Vec<&'static str> = (0..30).map(|number| &*format!("f{number}").leak()).collect();
    let mut files = vec![(".f", ". f0\n"), ("f29", text)];
    for pair in names.windows(2) {
        files.push((pair[0], &*format!(". {0}\n. {0}\n", pair[1]).leak()));
    }
    let disk = Disk::new(&files);
    let refused = disk.try_enter(&Disk::root(&[": .f"]), "").unwrap_err();
    assert!(matches!(refused, RuleError::Syntax { flaw: Flaw::TooMuch, .. }), "{refused}");
    assert!(disk.asked.borrow().len() < 100);
}

#[test]
fn what_directories_add_to_one_another_is_bounded_unless_they_clear_it() {
    let line = format!("- {}\n", "x".repeat(1000));
    let [text, clear] = [line.repeat(9000), format!("!\n{}", line.repeat(6000))];
    let [text, clear]: [&'static str; 2] = [text.leak(), clear.leak()];
    let disk = Disk::new(&[(".f", text), ("a/.f", text), ("b/.f", clear), ("b/c/.f", text)]);
    let top = disk.scope(&[": .f"], "");
    let refused = disk.try_enter(&top, "a").unwrap_err();
    assert!(matches!(refused, RuleError::Syntax { flaw: Flaw::TooMuch, .. }), "{refused}");
    let long: &str = "x".repeat(1000).leak();
    check(&disk.scope(&[": .f"], "b/c"), &["b/c/a", long], &[long]);
}
