//! Random rules on random trees: what we would transfer and keep against what the installed rsync does.
//!
//! `PROPTEST_CASES` sets the number of cases. There is no way around a missing rsync: the tests fail then.
#![expect(clippy::disallowed_methods, reason = "the tests put trees on disk for rsync")]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use filter::{NodeKind, Perishable, RuleError, RuleOptions, Rules, Scope, Side, Unprefixed};
use proptest::prelude::*;

#[path = "support/generate.rs"]
mod generate;

#[path = "support/tree.rs"]
mod tree;

use generate::{Case, Delete, Option as Argument};
use tree::{RelPath, Tree};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(96),
        max_shrink_iters: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn transfers_and_keeps_what_rsync_does(case in generate::case()) {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let case = write_out(&case, &top);
        let ours = outcome_by_us(&case, &top);
        let theirs = outcome_by_rsync(&case, &top);
        if std::env::var_os("STATS").is_some() { let all: usize = case.src.paths().count(); eprintln!("STAT {}", match &ours { Ok(set) => if set.len()<all {"some"} else if set.is_empty() {"none"} else {"all"}, Err(e) => if e.is_io() {"io"} else {"syntax"} }); }
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(readable(&ours), readable(&theirs)),
            (Err(_), Err(_)) => {}
            (ours, theirs) => prop_assert!(false, "ours {:?}, theirs {:?}", ours.map(|set| readable(&set)), theirs),
        }
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
    case.src.write_to(&top.join("src"));
    case.dst.write_to(&top.join("dst"));
    for (index, contents) in case.merges.iter().enumerate() {
        std::fs::write(top.join(format!("m{index}")), &contents.0).unwrap();
    }
    for (name, contents) in [".f", ".g"].iter().zip(&case.beside) {
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
    let output = command.args(["src/", "dst/"]).output().expect("rsync has to be installed");
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
    let src = Walk { rules: Arc::clone(&rules), top: top.join("src") };
    let mut sent = BTreeSet::new();
    src.send(&case.src, b"", &src.scope(), &mut sent)?;
    let mut left = case.dst.clone();
    if case.delete != Delete::Nothing {
        let dst = Walk { rules, top: top.join("dst") };
        dst.delete_extras(&mut left, b"", &dst.scope(), &sent)?;
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
        rules.push_cvs()?;
    }
    Ok(rules)
}

/// A plain walk over a tree in memory.
struct Walk {
    rules: Arc<Rules>,
    top: std::path::PathBuf,
}

impl Walk {
    fn scope(&self) -> Scope {
        Scope::root(Arc::clone(&self.rules), self.top.as_os_str().as_bytes())
    }

    fn enter(&self, tree: &Tree, dir: &[u8], scope: &Scope) -> Result<Scope, RuleError> {
        scope.enter(dir, &mut |name| match name.first() {
            Some(b'/') => match std::fs::read(OsStr::from_bytes(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                result => result.map(Some),
            },
            _ => Ok(tree.read(name)),
        })
    }

    fn send(
        &self,
        tree: &Tree,
        dir: &[u8],
        scope: &Scope,
        sent: &mut BTreeSet<RelPath>,
    ) -> Result<(), RuleError> {
        let scope = self.enter(tree, dir, scope)?;
        for (path, kind) in tree.children(dir) {
            let verdict = scope.check(&path, kind, Side::Sender, Perishable::Honoured);
            if !verdict.is_excluded() {
                if kind == NodeKind::Directory {
                    self.send(tree, &path, &scope, sent)?;
                }
                sent.insert(path);
            }
        }
        Ok(())
    }

    fn delete_extras(
        &self,
        tree: &mut Tree,
        dir: &[u8],
        scope: &Scope,
        sent: &BTreeSet<RelPath>,
    ) -> Result<(), RuleError> {
        let scope = self.enter(tree, dir, scope)?;
        for (path, kind) in tree.children(dir) {
            let verdict = scope.check(&path, kind, Side::Receiver, Perishable::Honoured);
            if !sent.contains(&path) && !verdict.is_excluded() {
                self.delete(tree, &path, kind, &scope)?;
            }
        }
        for (path, kind) in tree.children(dir) {
            if kind == NodeKind::Directory && sent.contains(&path) {
                self.delete_extras(tree, &path, &scope, sent)?;
            }
        }
        Ok(())
    }

    /// Deletes an entry with all that is not protected in it.
    fn delete(
        &self,
        tree: &mut Tree,
        path: &[u8],
        kind: NodeKind,
        scope: &Scope,
    ) -> Result<(), RuleError> {
        if kind == NodeKind::Directory {
            let scope = self.enter(tree, path, scope)?;
            let children = tree.children(path);
            for (path, kind) in children.into_iter().rev() {
                let verdict = scope.check(&path, kind, Side::Receiver, Perishable::Ignored);
                if !verdict.is_excluded() {
                    self.delete(tree, &path, kind, &scope)?;
                }
            }
        }
        if tree.children(path).is_empty() {
            tree.remove(path);
        }
        Ok(())
    }
}
