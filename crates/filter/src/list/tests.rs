//! Lists built on the command line, asked through a scope.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{
    Flaw, NodeKind, Perishable, RuleError, RuleOptions, Rules, Scope, Side, Unprefixed, Verdict,
};

type Files = HashMap<&'static str, &'static str>;

fn rules(options: RuleOptions, filters: &[&str], files: &Files) -> Result<Rules, RuleError> {
    let mut rules = Rules::new(options);
    for filter in filters {
        rules.push(filter.as_bytes(), &mut |name| {
            let name = std::str::from_utf8(name).expect("names in this test are text");
            let contents = files.get(name).ok_or(std::io::ErrorKind::NotFound)?;
            Ok(contents.as_bytes().to_vec())
        })?;
    }
    Ok(rules)
}

fn scope(filters: &[&str], files: &Files) -> Scope {
    let rules = rules(RuleOptions::default(), filters, files).unwrap();
    Scope::root(Arc::new(rules), b"/top")
}

fn verdict(scope: &Scope, path: &str, side: Side) -> Verdict {
    scope.check(path.as_bytes(), NodeKind::Other, side, Perishable::Honoured)
}

/// `-` for excluded, `+` for included, `.` for unmatched.
fn letter(scope: &Scope, path: &str, side: Side) -> char {
    match verdict(scope, path, side) {
        Verdict::Excluded(_) => '-',
        Verdict::Included(_) => '+',
        Verdict::Unmatched => '.',
    }
}

/// The answers for each path on the sender, then on the receiver.
#[track_caller]
fn check(scope: &Scope, paths: &[&str], sender: &str, receiver: &str) {
    let all = |side| paths.iter().map(|path| letter(scope, path, side)).collect::<String>();
    assert_eq!((&*all(Side::Sender), &*all(Side::Receiver)), (sender, receiver));
}

#[track_caller]
fn check_flaw(filters: &[&str], files: &Files, flaw: Flaw, place: &str) {
    match rules(RuleOptions::default(), filters, files) {
        Err(RuleError::Syntax { flaw: found, place: at }) => {
            assert_eq!((found, &*at), (flaw, place));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn first_match_wins() {
    let scope = scope(&["+ a", "- a", "- *.o", "+ x.o"], &Files::new());
    check(&scope, &["a", "x.o", "b"], "+-.", "+-.");
}

#[test]
fn sides_are_kept_apart() {
    let scope = scope(&["H a", "P b", "-s c", "-r d", "-sr e", "S x", "R y"], &Files::new());
    check(&scope, &["a", "b", "c", "d", "e", "x", "y"], "-.-.-+.", ".-.--.+");
}

#[test]
fn delete_excluded_makes_plain_rules_sender_only() {
    let options = RuleOptions { delete_excluded: true, ..RuleOptions::default() };
    let mut rules = rules(options, &["- a", "P b", "-sr c"], &Files::new()).unwrap();
    rules.push_perishable_exclude(b"d/");
    rules.push_protect_suffix(b"~");
    let scope = Scope::root(Arc::new(rules), b"/top");
    check(&scope, &["a", "b", "c", "x~"], "-.-.", ".---");
}

#[test]
fn clear_forgets_all_before() {
    let files = Files::from([("f", "- b\n!\n- c\n")]);
    check(&scope(&["- a", "!", "- b"], &files), &["a", "b"], ".-", ".-");
    check(&scope(&["- a", ": .f", ". f"], &files), &["a", "b", "c"], "..-", "..-");
    assert!(!scope(&[": .f", "!"], &files).needs_reading());
}

#[test]
fn merged_file_stands_where_its_rule_does() {
    let files = Files::from([("f", "# no\n; no\n\n- a\r\n. g\n- b"), ("g", "+ b\n")]);
    let scope = scope(&["- c", ". f", "+ a"], &files);
    check(&scope, &["a", "b", "c", "# no"], "-+-.", "-+-.");
    let Verdict::Excluded(id) = verdict(&scope, "a", Side::Sender) else { panic!("not excluded") };
    assert_eq!(scope.describe(id).to_string(), "- a (f, line 4)");
    let Verdict::Excluded(id) = verdict(&scope, "c", Side::Sender) else { panic!("not excluded") };
    assert_eq!(scope.describe(id).to_string(), "- c (command line)");
}

#[test]
fn merge_modifiers() {
    let files = Files::from([("f", "a\n- b\n!\n"), ("w", "c d\t#e"), ("r", "- f\n")]);
    let filters = [".- f", ".+w w", ".pse r"];
    let scope = scope(&filters, &files);
    let paths = ["a", "b", "- b", "!", "c", "d", "#e", "f", "r"];
    check(&scope, &paths, "-.--+++--", "-.--+++.-");
    let gone = scope.check(b"f", NodeKind::Other, Side::Sender, Perishable::Ignored);
    assert_eq!(gone, Verdict::Unmatched);
}

#[test]
fn old_style_lists() {
    let mut rules = Rules::new(RuleOptions::default());
    rules.push_list(b"#x\n;y\na\n- b\n+ c\n\n", Unprefixed::Exclude, b"list").unwrap();
    rules.push_list(b"d\n- e", Unprefixed::Include, b"list").unwrap();
    rules.push_pattern(b"+ f", Unprefixed::Exclude).unwrap();
    rules.push_pattern(b"", Unprefixed::Exclude).unwrap();
    rules.push_pattern(b"g", Unprefixed::Include).unwrap();
    let scope = Scope::root(Arc::new(rules), b"/top");
    check(&scope, &["#x", "a", "b", "c", "d", "e", "f", "g"], ".--++-++", ".--++-++");
}

#[test]
fn from0_takes_line_ends_as_part_of_the_pattern() {
    let options = RuleOptions { from0: true, ..RuleOptions::default() };
    let files = Files::from([("f", "- a\nb\0;x\0\0- c\r")]);
    let scope = Scope::root(Arc::new(rules(options, &[". f"], &files).unwrap()), b"/top");
    check(&scope, &["a\nb", "c\r", "a", "b"], "--..", "--..");
}

#[test]
fn nul_ends_a_line_when_it_does_not_separate() {
    let files = Files::from([("f", "- a\0b\n- c\n")]);
    check(&scope(&[". f"], &files), &["a", "c", "b"], "--.", "--.");
}

#[test]
fn cvs_patterns() {
    let options = RuleOptions {
        home_cvsignore: Some(b"mine !\nhome".to_vec()),
        cvsignore_variable: Some(b"var".to_vec()),
        ..RuleOptions::default()
    };
    let mut rules = rules(options, &["+ core", "- a"], &Files::new()).unwrap();
    rules.push_cvs(false).unwrap();
    let scope = Scope::root(Arc::new(rules), b"/top");
    assert!(scope.needs_reading());
    // The clear in the home file drops CVS' own patterns and no rule of the user.
    check(&scope, &["core", "a", "mine", "home", "var", "x.o"], "+-.--.", "+-.--.");
}

#[test]
fn cvs_patterns_of_its_own_are_perishable() {
    let options =
        RuleOptions { cvsignore_variable: Some(b"var".to_vec()), ..RuleOptions::default() };
    let scope = Scope::root(Arc::new(rules(options, &["-Cs"], &Files::new()).unwrap()), b"/top");
    check(&scope, &["x.o", "var", ".#a", "core"], "----", "....");
    let ignored = |path| scope.check(path, NodeKind::Other, Side::Sender, Perishable::Ignored);
    assert_eq!(ignored(b"x.o"), Verdict::Unmatched);
    assert!(ignored(b"var").is_excluded());
    let svn = |kind| scope.check(b".svn", kind, Side::Sender, Perishable::Honoured).is_excluded();
    assert!(svn(NodeKind::Directory) && !svn(NodeKind::Other));
}

#[test]
fn modifiers_of_a_cvs_rule_bear_on_its_patterns() {
    check(&scope(&["+C", "- *"], &Files::new()), &["x.o", "a"], "+-", "+-");
    check(&scope(&["-!C"], &Files::new()), &["a"], "-", "-");
}

#[test]
fn xattr_rules_are_for_xattrs_only() {
    let rules =
        rules(RuleOptions::default(), &["-x user.*", "-sx b", "- a"], &Files::new()).unwrap();
    assert!(rules.has_xattr_rules());
    let scope = Scope::root(Arc::new(rules), b"/top");
    check(&scope, &["user.a", "a"], ".-", ".-");
    assert!(scope.check_xattr(b"user.a", Side::Receiver).is_excluded());
    assert!(scope.check_xattr(b"b", Side::Sender).is_excluded());
    assert_eq!(scope.check_xattr(b"b", Side::Receiver), Verdict::Unmatched);
    assert_eq!(scope.check_xattr(b"a", Side::Sender), Verdict::Unmatched);
}

#[test]
fn transfer_root_itself_is_never_matched() {
    let scope = scope(&["- *", "-! x"], &Files::new());
    check(&scope, &["", ".", "a"], "..-", "..-");
}

#[test]
fn flaws_name_the_rule_or_the_line() {
    let files = Files::from([("f", "- a\nzz secret\n"), ("s", "H a")]);
    check_flaw(&["zz a"], &files, Flaw::UnknownKind, "\"zz a\"");
    check_flaw(&[". f"], &files, Flaw::UnknownKind, "f, line 2");
    check_flaw(&[".s s"], &files, Flaw::SideNamedTwice, "s, line 1");
    let error = rules(RuleOptions::default(), &[". none"], &files).unwrap_err();
    assert!(error.is_io(), "{error}");
}

#[test]
fn file_that_includes_itself_is_refused() {
    check_flaw(&[". f"], &Files::from([("f", ". f")]), Flaw::TooDeep, "f, line 1");
}

#[test]
fn thirty_two_files_may_lie_in_one_another() {
    let chain = |count: usize| {
        let mut rules = Rules::new(RuleOptions::default());
        rules.push(b". 1", &mut |name| {
            let number: usize = std::str::from_utf8(name).unwrap().parse().unwrap();
            let last = number == count;
            Ok(if last { b"- a".to_vec() } else { format!(". {}", number + 1).into_bytes() })
        })
    };
    assert!(chain(32).is_ok());
    assert!(chain(33).is_err());
}

#[test]
fn word_split_file_needs_an_underscore_behind_the_name() {
    let files = Files::from([("ok", "-_a +_b"), ("no", "- a")]);
    check(&scope(&[".w ok"], &files), &["a", "b"], "-+", "-+");
    check_flaw(&[".w no"], &files, Flaw::Unfinished, "no, line 1");
}
