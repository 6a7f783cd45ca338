//! Random rules on random trees: what we would transfer and keep against what the installed rsync
//! does.
//!
//! `PROPTEST_CASES` sets the number of cases. There is no way around a missing rsync: the tests
//! fail then.
#![expect(clippy::disallowed_methods, reason = "the tests put trees on disk for rsync")]
#![expect(clippy::unwrap_used, reason = "a disk that fails the tests may end them")]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use filter::{NodeKind, Perishable, RuleError, RuleOptions, Rules, Scope, Side, Unprefixed};
use proptest::prelude::*;

#[path = "support/generate.rs"]
mod generate;

#[path = "support/tree.rs"]
mod tree;

use generate::{Case, Delete, Option as Argument, Source};
use tree::{RelPath, Tree};

/// A process is started for each case, so there are few unless more are asked for.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    let cases = asked.unwrap_or(48);
    ProptestConfig {
        cases,
        max_shrink_iters: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn wildcards_match_what_rsyncs_do(pattern in generate::any_pattern()) {
        let (folder, tree) = &*MANY_NAMES;
        let pattern = [b"- ", &pattern[..]].concat();
        let theirs = names_listed_by_rsync(folder.path(), &pattern);
        let mut rules = Rules::new(RuleOptions::default());
        let ours = rules.push(&pattern, &mut |_| Err(io::ErrorKind::NotFound.into())).map(|()| {
            let top = folder.path().join("src");
            let scope = Scope::root(Arc::new(rules), top.as_os_str().as_bytes());
            let mut sent = BTreeSet::new();
            send(tree, b"", &scope, &mut sent).unwrap();
            sent
        });
        prop_assert_eq!(ours.ok().map(|set| readable(&set)), theirs.map(|set| readable(&set)));
    }

    #[test]
    fn transfers_and_keeps_what_rsync_does(case in generate::case()) {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let case = write_out(&case, &top);
        let ours = outcome_by_us(&case, &top);
        let theirs = outcome_by_rsync(&case, &top);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(readable(&ours), readable(&theirs)),
            (Err(_), Err(_)) => {}
            (ours, theirs) => {
                let ours = ours.map(|set| readable(&set));
                prop_assert!(false, "ours {ours:?}, theirs {theirs:?}");
            }
        }
    }
}

/// A folder with an empty `dst` and a `src` that holds each one-byte name and some paths.
static MANY_NAMES: LazyLock<(tempfile::TempDir, Tree)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::default();
    for byte in (1..=u8::MAX).filter(|byte| !matches!(byte, b'/' | b'.' | b'd')) {
        tree.add_file(&[byte], b"");
        tree.add_file(&[b'd', b'/', byte, b'b'], b"");
    }
    for path in
        ["d/e/a", "d/e/ab", "d/d/a", "d/d/d/b", "e/d/ab", "e/e/a.b", "ab", "aa", "bab", "d/[a]"]
    {
        tree.add_file(path.as_bytes(), b"");
    }
    tree.write_to(&folder.path().join("src"));
    std::fs::create_dir(folder.path().join("dst")).unwrap();
    (folder, tree)
});

/// What rsync would send with one rule; nothing when it refuses the rule.
fn names_listed_by_rsync(folder: &Path, rule: &[u8]) -> Option<BTreeSet<RelPath>> {
    let rule = OsString::from_vec([b"--filter=", rule].concat());
    let output = Command::new("rsync")
        .current_dir(folder)
        .args(["-rn", "--out-format=%n"])
        .arg(rule)
        .args(["src/", "dst/"])
        .output()
        .expect("rsync has to be installed");
    if output.status.code() == Some(1) {
        return None;
    }
    assert!(output.status.success(), "{output:?}");
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let names = lines.map(|line| unescape(line.strip_suffix(b"/").unwrap_or(line)));
    Some(names.filter(|name| name != b".").collect())
}

/// Undoes rsync's `\#012` for bytes that terminals do not like.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let escape = match rest {
            [b'\\', b'#', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..] => {
                Some(((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), behind))
            }
            _ => None,
        };
        let (byte, behind) = escape.unwrap_or((byte, behind));
        out.push(byte);
        rest = behind;
    }
    out
}

/// Files in the folder that holds both trees.
const BESIDE: [&str; 2] = [".f", ".g"];

/// The folder that paths in the source tree begin at.
fn source_root(case: &Case, top: &Path) -> PathBuf {
    match case.source {
        Source::Contents => top.join("src"),
        Source::Named => top.to_owned(),
    }
}

/// Puts the folder's path into the rules and everything on disk.
fn write_out(case: &Case, top: &Path) -> Case {
    let mut case = case.clone();
    let fill =
        |text: &mut Vec<u8>| *text = replace(text, generate::TOP, top.as_os_str().as_bytes());
    for option in &mut case.options {
        match option {
            Argument::Filter(text)
            | Argument::Exclude(text)
            | Argument::Include(text)
            | Argument::ExcludeFrom(text)
            | Argument::IncludeFrom(text) => fill(text),
        }
    }
    case.merges.iter_mut().chain(&mut case.beside).for_each(|text| fill(&mut text.0));
    case.src.edit_contents(fill);
    case.dst.edit_contents(fill);
    if case.source == Source::Named {
        case.src = case.src.moved_into(b"src");
        for (name, text) in BESIDE.iter().zip(&case.beside) {
            case.src.add_file(name.as_bytes(), &text.0);
        }
        case.dst = if case.delete == Delete::Nothing {
            Tree::default()
        } else {
            case.dst.moved_into(b"src")
        };
    }
    case.src.write_to(&source_root(&case, top));
    case.dst.write_to(&top.join("dst"));
    for (index, contents) in case.merges.iter().enumerate() {
        std::fs::write(top.join(format!("m{index}")), &contents.0).unwrap();
    }
    for (name, contents) in BESIDE.iter().zip(&case.beside) {
        std::fs::write(top.join(name), &contents.0).unwrap();
    }
    let home = case.cvs.as_ref().map(|cvs| cvs.home.0.clone()).unwrap_or_default();
    std::fs::create_dir(top.join("home")).unwrap();
    std::fs::write(top.join("home/.cvsignore"), home).unwrap();
    case
}

fn replace(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(old.len()).position(|window| window == old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn readable(paths: &BTreeSet<RelPath>) -> Vec<String> {
    paths.iter().map(|path| path.escape_ascii().to_string()).collect()
}

/// The destination's paths after a run of rsync, or its complaint about the rules.
fn outcome_by_rsync(case: &Case, top: &Path) -> Result<BTreeSet<RelPath>, String> {
    let mut command = Command::new("rsync");
    command.current_dir(top).arg("-r").env("HOME", top.join("home")).env_remove("CVSIGNORE");
    if case.from0 {
        command.arg("--from0");
    }
    for (index, option) in case.options.iter().enumerate() {
        let (name, value) = match option {
            Argument::Filter(text) => ("--filter=", text.clone()),
            Argument::Exclude(text) => ("--exclude=", text.clone()),
            Argument::Include(text) => ("--include=", text.clone()),
            Argument::ExcludeFrom(list) => ("--exclude-from=", write_list(top, index, list)),
            Argument::IncludeFrom(list) => ("--include-from=", write_list(top, index, list)),
        };
        command.arg(OsString::from_vec([name.as_bytes(), &value].concat()));
    }
    if let Some(cvs) = &case.cvs {
        command.env("CVSIGNORE", OsStr::from_bytes(&cvs.variable.0));
        command.args(cvs.on_command_line.then_some("-C"));
    }
    command.args(case.partial_dir.then_some("--partial-dir=partial"));
    command.args(match case.delete {
        Delete::Nothing => &[][..],
        Delete::Extras => &["--delete-before"],
        Delete::ExtrasAndExcluded => &["--delete-before", "--delete-excluded"],
    });
    let source = if case.source == Source::Named { "src" } else { "src/" };
    let output = command.args([source, "dst/"]).output().expect("rsync has to be installed");
    match output.status.code() {
        Some(0) => Ok(Tree::paths_on_disk(&top.join("dst")).into_iter().collect()),
        Some(1 | 11 | 12 | 19 | 20) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        _ => panic!("{output:?}"),
    }
}

fn write_list(top: &Path, index: usize, list: &[u8]) -> Vec<u8> {
    let name = format!("list{index}");
    std::fs::write(top.join(&name), list).unwrap();
    name.into_bytes()
}

/// The destination's paths as our rules would have them.
fn outcome_by_us(case: &Case, top: &Path) -> Result<BTreeSet<RelPath>, RuleError> {
    let rules = Arc::new(rules_of(case, top)?);
    let mut sent = BTreeSet::new();
    let mut left = case.dst.clone();
    let scope_at = |root: &Path| Scope::root(Arc::clone(&rules), root.as_os_str().as_bytes());
    let src = scope_at(&source_root(case, top));
    let dst = scope_at(&top.join("dst"));
    let first = match case.source {
        Source::Contents => &b""[..],
        Source::Named => b"src",
    };
    if sends(first, NodeKind::Directory, &src) {
        sent.extend((!first.is_empty()).then(|| first.to_vec()));
        send(&case.src, first, &src, &mut sent)?;
        if case.delete != Delete::Nothing {
            delete_extras(&mut left, first, &dst, &sent)?;
        }
    }
    sent.extend(left.paths().cloned());
    Ok(sent)
}

fn rules_of(case: &Case, top: &Path) -> Result<Rules, RuleError> {
    let cvs = case.cvs.as_ref();
    let mut rules = Rules::new(RuleOptions {
        from0: case.from0,
        delete_excluded: case.delete == Delete::ExtrasAndExcluded,
        home_cvsignore: cvs.map(|cvs| cvs.home.0.clone()),
        cvsignore_variable: cvs.map(|cvs| cvs.variable.0.clone()),
    });
    for option in &case.options {
        match option {
            Argument::Filter(text) => {
                rules.push(text, &mut |name| std::fs::read(top.join(OsStr::from_bytes(name))))?;
            }
            Argument::Exclude(text) => rules.push_pattern(text, Unprefixed::Exclude)?,
            Argument::Include(text) => rules.push_pattern(text, Unprefixed::Include)?,
            Argument::ExcludeFrom(list) => rules.push_list(list, Unprefixed::Exclude, b"list")?,
            Argument::IncludeFrom(list) => rules.push_list(list, Unprefixed::Include, b"list")?,
        }
    }
    if case.partial_dir {
        rules.push_perishable_exclude(b"partial");
    }
    if cvs.is_some_and(|cvs| cvs.on_command_line) {
        rules.push_cvs(false)?;
    }
    Ok(rules)
}

fn enter(tree: &Tree, dir: &[u8], scope: &Scope) -> Result<Scope, RuleError> {
    scope.enter(dir, &mut |name| match name.first() {
        Some(b'/') => match std::fs::read(OsStr::from_bytes(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result.map(Some),
        },
        _ => Ok(tree.read(name)),
    })
}

fn sends(path: &[u8], kind: NodeKind, scope: &Scope) -> bool {
    !scope.check(path, kind, Side::Sender, Perishable::Honoured).is_excluded()
}

fn send(
    tree: &Tree,
    dir: &[u8],
    scope: &Scope,
    sent: &mut BTreeSet<RelPath>,
) -> Result<(), RuleError> {
    let scope = enter(tree, dir, scope)?;
    for (path, kind) in tree.children(dir) {
        if sends(&path, kind, &scope) {
            if kind == NodeKind::Directory {
                send(tree, &path, &scope, sent)?;
            }
            sent.insert(path);
        }
    }
    Ok(())
}

fn delete_extras(
    tree: &mut Tree,
    dir: &[u8],
    scope: &Scope,
    sent: &BTreeSet<RelPath>,
) -> Result<(), RuleError> {
    let scope = enter(tree, dir, scope)?;
    for (path, kind) in tree.children(dir) {
        let verdict = scope.check(&path, kind, Side::Receiver, Perishable::Honoured);
        if !sent.contains(&path) && !verdict.is_excluded() {
            delete(tree, &path, kind, &scope)?;
        }
    }
    for (path, kind) in tree.children(dir) {
        if kind == NodeKind::Directory && sent.contains(&path) {
            delete_extras(tree, &path, &scope, sent)?;
        }
    }
    Ok(())
}

/// Deletes an entry with all that is not protected in it.
fn delete(tree: &mut Tree, path: &[u8], kind: NodeKind, scope: &Scope) -> Result<(), RuleError> {
    if kind == NodeKind::Directory {
        let scope = enter(tree, path, scope)?;
        let children = tree.children(path);
        for (path, kind) in children.into_iter().rev() {
            let verdict = scope.check(&path, kind, Side::Receiver, Perishable::Ignored);
            if !verdict.is_excluded() {
                delete(tree, &path, kind, &scope)?;
            }
        }
    }
    if tree.children(path).is_empty() {
        tree.remove(path);
    }
    Ok(())
}
