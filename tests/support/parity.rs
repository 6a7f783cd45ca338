//! Runs the reference and the tool under test on two equal trees and says in what they differ.
//!
//! Both runs use the very same path, one after the other, so that absolute paths and the output
//! that names them are equal too.

use std::fmt;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::time::SystemTime;

use super::records;
use super::run::{Exit, Finished, RunAs, Setting, Tool, run, scratch_dir};
use super::snapshot::{Also, Shown, Snapshot, Window};
use super::tree::{Tree, is_root, with_root};

/// A tree and a command line: all that a run depends on.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) tree: Tree,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) run_as: RunAs,
    pub(crate) umask: u32,
    pub(crate) env: Vec<(String, String)>,
    /// Shell text to run before the tool; see `Setting::before`.
    pub(crate) before: String,
}

impl Scenario {
    /// `args` are words with blanks between them; names with blanks come in by `arg`.
    pub(crate) fn new(tree: Tree, args: &str) -> Self {
        let args = args.split_whitespace().map(|word| word.as_bytes().to_vec()).collect();
        Self {
            tree,
            args,
            run_as: RunAs::Caller,
            umask: 0o022,
            env: Vec::new(),
            before: String::new(),
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.args.push(arg.as_ref().to_vec());
        self
    }

    pub(crate) fn by_user(mut self) -> Self {
        self.run_as = RunAs::User;
        self
    }

    pub(crate) fn before(mut self, commands: &str) -> Self {
        self.before = commands.into();
        self
    }

    pub(crate) fn umask(mut self, umask: u32) -> Self {
        self.umask = umask;
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// How much of the output has to agree.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Output {
    /// None of it.
    #[default]
    Ignored,
    /// The lines of -i: items in exact order, deletions in exact order among themselves.
    Items,
    /// The lines of -i, where lines about hard links may come at any time.
    ItemsWithLinks,
    /// Every line, after `mask` took out what depends on clock, process and wire; in the order of
    /// who says it.
    Lines(fn(&str) -> String),
}

/// What is compared besides trees and exit codes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) output: Output,
    pub(crate) also: Also,
}

/// What a tool made of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) run: Finished,
    pub(crate) tree: Snapshot,
}

impl Observation {
    /// The exit code; a tool that was killed or hung has none.
    pub(crate) fn code(&self) -> i32 {
        match self.run.exit {
            Exit::Code(code) => code,
            other => panic!("no exit code but {other:?}"),
        }
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.run.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.run.stderr).into_owned()
    }
}

/// One way in which the tools did not agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aspect {
    Tree,
    Exit,
    Output,
}

/// One difference, with the reference's side on the left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) aspect: Aspect,
    /// For trees: where. Empty otherwise.
    pub(crate) path: Vec<u8>,
    /// For trees the property, for output the name of the list of lines.
    pub(crate) field: &'static str,
    pub(crate) text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {} {}", self.aspect, Shown(&self.path), self.field, self.text)
    }
}

/// Builds the tree of `scenario`, runs `tool` on it and reads all back.
pub(crate) fn observe(tool: &Tool, scenario: &Scenario, scratch: &Path) -> Observation {
    let root = scratch.join("run");
    fs::create_dir(&root).unwrap();
    let (uid, gid) = scenario.run_as.ids();
    if is_root() {
        lchown(&root, Some(uid), Some(gid)).unwrap();
    }
    scenario.tree.build(&root, (uid, gid));
    let args: Vec<_> = scenario.args.iter().map(|arg| with_root(arg, &root)).collect();
    let root_text = root.to_str().expect("the scratch directory has a plain name");
    let expand =
        |(name, value): &(String, String)| (name.clone(), value.replace("@ROOT@", root_text));
    let setting = Setting {
        cwd: &root,
        logs: scratch,
        run_as: scenario.run_as,
        umask: scenario.umask,
        env: &scenario.env.iter().map(expand).collect::<Vec<_>>(),
        before: &scenario.before,
    };
    let start = SystemTime::now();
    let run = run(tool, &args, &setting);
    let window = Window::since(start);
    if !is_root() {
        // Reading the tree back would fail on the directories that a case locked; both sides lose
        // the difference between locked and open ones, which only root's runs can show.
        unlock(&root);
    }
    let tree = Snapshot::read(&root, window);
    fs::remove_dir_all(&root).unwrap();
    Observation { run, tree }
}

fn unlock(dir: &Path) {
    let mode = dir.symlink_metadata().unwrap().permissions().mode();
    fs::set_permissions(dir, fs::Permissions::from_mode(mode | 0o700)).unwrap();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            unlock(&entry.path());
        }
    }
}

/// All in which `ours` differs from what the reference did.
pub(crate) fn compare(
    reference: &Observation,
    ours: &Observation,
    scope: Scope,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    if reference.run.exit != ours.run.exit {
        let text = format!("{:?} | {:?}", reference.run.exit, ours.run.exit);
        differences.push(Difference {
            aspect: Aspect::Exit,
            path: Vec::new(),
            field: "exit",
            text,
        });
    }
    let tree = reference.tree.diff(&ours.tree, scope.also).into_iter();
    differences.extend(tree.map(|difference| Difference {
        aspect: Aspect::Tree,
        path: difference.path,
        field: difference.field,
        text: difference.text,
    }));
    let lists = output_lists(reference, scope.output);
    for ((field, left), (_, right)) in lists.iter().zip(output_lists(ours, scope.output)) {
        if let Some(text) = first_difference(left, &right) {
            differences.push(Difference { aspect: Aspect::Output, path: Vec::new(), field, text });
        }
    }
    differences
}

/// The output as lists, each with a name, that have to be equal one by one.
fn output_lists(observation: &Observation, output: Output) -> Vec<(&'static str, Vec<String>)> {
    let text = observation.run.stdout.escape_ascii().to_string().replace("\\n", "\n");
    let lines = text.lines().map(str::to_owned);
    let links_apart = match output {
        Output::Ignored => return Vec::new(),
        Output::Lines(mask) => return by_speaker(lines.map(|line| mask(&line))),
        Output::Items => false,
        Output::ItemsWithLinks => true,
    };
    let items = lines.filter(|line| is_item(line));
    let (deletions, items): (Vec<_>, Vec<_>) = items.partition(|line| is_deletion(line));
    // rsync itemizes a further name of a file when the first one has arrived, which is reported
    // back from another process at no fixed moment.
    let (mut links, items): (Vec<_>, Vec<_>) = items
        .into_iter()
        .partition(|line| links_apart && (line.contains(" => ") || line.starts_with('h')));
    links.sort();
    vec![("items", items), ("deletions", deletions), ("links", links)]
}

/// Lines by who says them: each process of rsync keeps its own order, but how their lines mix
/// depends on when whose buffer is flushed.
fn by_speaker(lines: impl Iterator<Item = String>) -> Vec<(&'static str, Vec<String>)> {
    let mut lists = vec![("lines", Vec::new()), ("messages", Vec::new()), ("backups", Vec::new())];
    for line in lines {
        let speaker = match () {
            () if line.starts_with("backed up ") => 2,
            () if is_message(&line) => 1,
            () => 0,
        };
        lists[speaker].1.push(line);
    }
    lists
}

/// True for what the process at the destination has to say about a name.
fn is_message(line: &str) -> bool {
    let starts = [
        "*deleting",
        "deleting ",
        "not creating new ",
        "skipping non-regular",
        "ignoring unsafe",
        "copying unsafe",
        "cannot delete",
        "Deletions stopped",
        "hiding",
        "protecting",
        "risking",
        "[",
    ];
    let ends = [" is uptodate", " is newer", " exists", " is over max-size", " is under min-size"];
    starts.iter().any(|start| line.starts_with(start)) || ends.iter().any(|end| line.ends_with(end))
}

/// Deletions come to rsync's stdout from another process than items do: their order among each
/// other is fixed, their place between the items is not.
fn is_deletion(line: &str) -> bool {
    line.starts_with("*deleting")
}

/// True for a line of -i: `>f+++++++++ name`, `*deleting   name` and their kin.
pub(crate) fn is_item(line: &str) -> bool {
    let bytes = line.as_bytes();
    is_deletion(line)
        || (bytes.len() > 11
            && b"<>ch.".contains(&bytes[0])
            && b"fdLDS".contains(&bytes[1])
            && bytes[11] == b' ')
}

/// Where two lists of lines part, with a little of both sides.
fn first_difference(left: &[String], right: &[String]) -> Option<String> {
    if left == right {
        return None;
    }
    let at = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let show = |lines: &[String]| {
        let rest = lines.iter().skip(at).take(3).map(|line| format!("`{line}`"));
        rest.chain((lines.len() <= at).then(|| "nothing more".into()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    Some(format!("line {}: {} | {}", at + 1, show(left), show(right)))
}

/// Runs both tools on `scenario`; panics with all differences, else returns what the reference did.
///
/// The caller asserts something about the answer, so that a scenario which no longer shows what it
/// was written for is noticed.
pub(crate) fn check(scenario: &Scenario, scope: Scope) -> Observation {
    let scratch = scratch_dir();
    let reference = observe(&Tool::reference(), scenario, scratch.path());
    let tool = Tool::under_test();
    let ours = observe(&tool, scenario, scratch.path());
    let differences = compare(&reference, &ours, scope);
    assert!(differences.is_empty(), "{}", complaint(scenario, &differences, &reference, &ours));
    check_records(scenario, &ours, scratch.path());
    reference
}

/// Runs the scenario once more with `--json`: the records must agree with each other.
fn check_records(scenario: &Scenario, plain: &Observation, scratch: &Path) {
    if Tool::is_another_under_test() {
        return;
    }
    let ours = observe(&Tool::under_test(), &with_records(scenario), scratch);
    // What is refused before it begins has no records.
    let is_refused = ours.run.stdout.is_empty() && plain.run.exit != Exit::Code(0);
    if is_refused && ours.run.exit == plain.run.exit {
        return;
    }
    let records = records::parse(&ours.stdout());
    let found = records::discrepancies(&records);
    assert!(found.is_empty(), "with --json: {found:#?}\n{}\n{}", ours.stdout(), ours.stderr());
}

/// The scenario with `--json`.
pub(crate) fn with_records(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.args.insert(0, b"--json".to_vec());
    scenario
}

/// The text of a failure: the command, the differences (reference | ours) and both outputs.
pub(crate) fn complaint(
    scenario: &Scenario,
    differences: &[Difference],
    reference: &Observation,
    ours: &Observation,
) -> String {
    let args: Vec<_> = scenario.args.iter().map(|arg| Shown(arg).to_string()).collect();
    let list: Vec<_> = differences.iter().map(|difference| format!("  {difference}")).collect();
    format!(
        "{} differences (rsync | ours) with `{}` as {:?}:\n{}\n\
         --- rsync's stdout\n{}--- its stderr\n{}--- our stdout\n{}--- our stderr\n{}",
        differences.len(),
        args.join(" "),
        scenario.run_as,
        list.join("\n"),
        reference.stdout(),
        reference.stderr(),
        ours.stdout(),
        ours.stderr(),
    )
}
