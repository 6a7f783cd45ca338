//! One random case: trees, options, sources and a destination, all from one seed.

use super::options::{Draft, Group};
use crate::support::generate::{self, Profile, outside};
use crate::support::mutate::{Relation, mutate};
use crate::support::parity::{Output, Scenario, Scope};
use crate::support::rng::Rng;
use crate::support::run::{RunAs, Tool};
use crate::support::snapshot::Also;
use crate::support::tree::{Kind, Segment, Tree};

/// A case in a form that can be made smaller: groups of words instead of one list.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) tree: Tree,
    pub(crate) groups: Vec<Group>,
    pub(crate) sources: Vec<Vec<u8>>,
    pub(crate) destination: Vec<u8>,
    pub(crate) run_as: RunAs,
    pub(crate) umask: u32,
    pub(crate) way: Way,
}

/// Where the two sides are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Both on this host.
    Here,
    /// The destination on another, which a stand-in for ssh reaches.
    Push,
    /// The source on another.
    Pull,
    /// Each on another, which rsync cannot do: it pushes.
    Between,
}

impl Way {
    /// What the reference does.
    fn of_reference(self) -> Self {
        if self == Self::Between { Self::Push } else { self }
    }

    pub(crate) fn has_far_source(self) -> bool {
        matches!(self, Self::Pull | Self::Between)
    }

    pub(crate) fn has_far_destination(self) -> bool {
        matches!(self, Self::Push | Self::Between)
    }
}

/// Called with a host and a command, runs the command as a login shell would.
pub(crate) const RUNS_IT_HERE: &str = r#"sh -c 'shift; exec sh -c "$*"' stand-in"#;

/// The same, which tells from where it came.
const RUNS_IT_AS_SSHD: &str =
    r#"sh -c 'shift; export SSH_CONNECTION="127.0.0.1 1 127.0.0.1 22"; exec sh -c "$*"' stand-in"#;

impl Case {
    /// The case of `seed`: always the same.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let run_as = if rng.chance(30) { RunAs::User } else { RunAs::Caller };
        let size = *rng.pick(&[3, 6, 12, 25]);
        let profile = Profile { run_as, size };
        let source = generate::tree(&mut rng, b"src", profile);
        let mut tree = outside();
        if rng.chance(85) {
            let relation = Relation {
                missing: *rng.pick(&[5, 25, 60]),
                changed: *rng.pick(&[10, 40]),
                extra: rng.below(8),
            };
            join(&mut tree, mutate(&mut rng, &source, b"src", b"dst", relation, profile));
        }
        let basis = basis_trees(&mut rng, &mut tree, &source, profile);
        join(&mut tree, source);
        let mut draft = Draft { rng: &mut rng, tree: &mut tree, groups: Vec::new(), basis };
        draft.draw();
        let follows = ["-L", "-k", "--copy-unsafe-links"].iter().any(|option| draft.has(option));
        let mut groups = draft.groups;
        if follows {
            cut_loops(&mut tree);
        }
        let sources = draw_sources(&mut rng, &mut tree, &mut groups);
        let destination = draw_destination(&mut rng, &mut groups);
        let umask = *rng.pick(&[0o022, 0o022, 0o077, 0o002, 0o000]);
        Self { tree, groups, sources, destination, run_as, umask, way: Way::Here }
    }

    /// The same where the two sides are elsewhere.
    pub(crate) fn by(mut self, way: Way) -> Self {
        self.way = way;
        // Where only one side pretends, README.md says that ACLs are not there yet.
        if way != Way::Here && self.has("--fake-super") {
            self.groups.retain(|group| group[0] != b"-A");
        }
        let end = if self.has("-0") { 0 } else { b'\n' };
        if way == Way::Between
            && let Some(list) = self.tree.nodes.iter_mut().find(|node| node.path == b"list")
            && let Kind::File(segments) = &mut list.kind
            && let [Segment::Bytes(text)] = &mut segments[..]
        {
            *text = without_comments(text, end);
        }
        self
    }

    /// What the tool under test is told.
    pub(crate) fn scenario(&self) -> Scenario {
        self.scenario_by(self.way)
    }

    /// The reference, and what it is told.
    pub(crate) fn reference(&self) -> (Tool, Scenario) {
        let way = self.way.of_reference();
        (Tool::reference().with(&self.words_for_the_server(way)), self.scenario_by(way))
    }

    /// What rsync has to be told besides for the other side to do as this one is told.
    fn words_for_the_server(&self, way: Way) -> Vec<&'static str> {
        let is_overruled = |off: &str, on: &str| self.has(off) && self.has_prefix(on);
        let far = match way {
            Way::Push => std::slice::from_ref(&self.destination),
            Way::Pull => &self.sources[..],
            Way::Here | Way::Between => &[],
        };
        let mut words = Vec::new();
        // A newline is quoted for the remote shell by a backslash, which there takes both away.
        if far.iter().any(|path| path.contains(&b'\n')) {
            words.push("--secluded-args");
        }
        // These are not passed on, and the option before them means them there.
        if way == Way::Push && is_overruled("--no-perms", "-A") {
            words.push("-M--no-perms");
        }
        if way == Way::Pull && is_overruled("--no-dirs", "--files-from") {
            words.push("-M--no-dirs");
        }
        words
    }

    fn scenario_by(&self, way: Way) -> Scenario {
        let words = self.groups.iter().flatten().cloned();
        let shell = match way {
            Way::Here => Vec::new(),
            // Where sshd tells nothing of the connection the two hosts do not meet.
            Way::Between if self.umask == 0o022 => vec![b"-e".to_vec(), RUNS_IT_AS_SSHD.into()],
            Way::Push | Way::Pull | Way::Between => vec![b"-e".to_vec(), RUNS_IT_HERE.into()],
        };
        let at = |path: &[u8], host| if host { [b"h:", path].concat() } else { path.to_vec() };
        let source = |path: &Vec<u8>| match way {
            // Who pushes looks for the name itself.
            Way::Between => at(&without_wildcards(path), true),
            way => at(path, way.has_far_source()),
        };
        // `--` since a path may begin with a dash once it has been shortened.
        let args = shell
            .into_iter()
            .chain(words)
            .chain([b"--".to_vec()])
            .chain(self.sources.iter().map(source))
            .chain([at(&self.destination, way.has_far_destination())])
            .collect();
        Scenario {
            tree: self.tree.clone(),
            args,
            run_as: self.run_as,
            umask: self.umask,
            env: Vec::new(),
            before: String::new(),
        }
    }

    pub(crate) fn has(&self, option: &str) -> bool {
        self.groups.iter().any(|group| group.contains(&option.as_bytes().to_vec()))
    }

    /// True if an option begins with `start`.
    pub(crate) fn has_prefix(&self, start: &str) -> bool {
        self.groups.iter().any(|group| group[0].starts_with(start.as_bytes()))
    }

    /// True if some filter rule is given.
    pub(crate) fn has_rules(&self) -> bool {
        ["-f", "-F", "-C", "--filter", "--exclude", "--include"]
            .iter()
            .any(|option| self.has_prefix(option))
    }

    /// True if a rule about extended attributes may be given.
    pub(crate) fn has_attribute_rules(&self) -> bool {
        self.groups.iter().flatten().any(|word| {
            let word = word.strip_prefix(b"--filter=").unwrap_or(word);
            let end = word.iter().position(|byte| b" _".contains(byte)).unwrap_or(word.len());
            word.first().is_some_and(|byte| b":.+-".contains(byte)) && word[..end].contains(&b'x')
        })
    }

    /// True if links of the source are followed.
    pub(crate) fn follows_links(&self) -> bool {
        ["-L", "-k", "--copy-unsafe-links"].iter().any(|option| self.has(option))
    }

    /// What can be compared with these options.
    pub(crate) fn scope(&self) -> Scope {
        let itemizes = ["-i", "-ii", "-vi", "-vvi"].iter().any(|option| self.has(option))
            || self.has_prefix("--out-format");
        let output = match () {
            () if self.has("--list-only") => Output::Lines(str::to_owned),
            () if itemizes && self.has("-H") => Output::ItemsWithLinks,
            () if itemizes => Output::Items,
            () => Output::Ignored,
        };
        // With --fake-super rsync stores whatever was in memory if it was not asked for owners.
        let no_fake_ids = self.has("--fake-super")
            && !(self.keeps("o", "--no-o") && self.keeps("g", "--no-group"));
        Scope { output, also: Also { blocks: false, atimes: self.has("-U"), no_fake_ids } }
    }

    /// True if -a or the short option `letter` is on and `off` is not.
    pub(crate) fn keeps(&self, letter: &str, off: &str) -> bool {
        let short = |group: &Group| {
            let is_cluster = group[0].starts_with(b"-") && !group[0].starts_with(b"--");
            is_cluster
                && group[0].iter().any(|byte| letter.as_bytes().contains(byte) || *byte == b'a')
        };
        self.groups.iter().any(short) && !self.has(off)
    }
}

/// A list in which no line looks like a comment: to who pushes it would be one, and to the host of a source,
/// which gets the list as it is, a name.
fn without_comments(list: &[u8], end: u8) -> Vec<u8> {
    let lines = list.split_inclusive(|byte| *byte == end).map(|line| {
        let front: &[u8] = if matches!(line, [b'#' | b';', ..]) { b"./" } else { b"" };
        [front, line].concat()
    });
    lines.collect::<Vec<_>>().concat()
}

/// A path in which what would be a wildcard stands for itself.
fn without_wildcards(path: &[u8]) -> Vec<u8> {
    let quoted = path.iter().flat_map(|byte| {
        let is_wild = b"*?[]".contains(byte);
        is_wild.then_some(b'\\').into_iter().chain([*byte])
    });
    quoted.collect()
}

/// Adds the nodes of `part` to `whole`.
fn join(whole: &mut Tree, part: Tree) {
    whole.nodes.extend(part.nodes);
}

/// Points links elsewhere that would make a tool which follows links run in circles: rsync goes
/// round until the kernel stops it after 40 links, with each branch of the tree at each turn.
fn cut_loops(tree: &mut Tree) {
    let copy = tree.clone();
    for node in &mut tree.nodes {
        let Kind::Symlink(target) = &mut node.kind else { continue };
        let Some(at) = resolve(&node.path, target) else {
            *target = b"nowhere".to_vec();
            continue;
        };
        let below = || copy.nodes.iter().filter(|other| other.is_at_or_below(&at));
        let has_links = below().any(|other| matches!(other.kind, Kind::Symlink(_)));
        let holds_itself = below().any(|other| other.path == node.path);
        if has_links || holds_itself {
            *target = b"nowhere".to_vec();
        }
    }
}

/// Where a link at `path` points to, as a path in the tree; nothing for what climbs out of it.
fn resolve(path: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    let target = match target.strip_prefix(b"@ROOT@/") {
        Some(inside) => inside,
        None if target.starts_with(b"/") => return Some(target.to_vec()),
        None => {
            parts = path.split(|&byte| byte == b'/').collect();
            parts.pop();
            target
        }
    };
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b"." | b"" => {}
            b".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    (!parts.is_empty()).then(|| parts.join(&b'/'))
}

fn basis_trees(
    rng: &mut Rng,
    tree: &mut Tree,
    source: &Tree,
    profile: Profile,
) -> Vec<&'static str> {
    let count = if rng.chance(14) { rng.between(1, 3) } else { 0 };
    let names = ["alt1", "alt2", "alt3"];
    for name in &names[..count] {
        let relation = Relation { missing: 30, changed: 20, extra: 1 };
        join(tree, mutate(rng, source, b"src", name.as_bytes(), relation, profile));
    }
    names[..count].to_vec()
}

/// Paths below `src` without that prefix.
fn inner_paths(tree: &Tree, dirs_only: bool) -> Vec<Vec<u8>> {
    tree.nodes
        .iter()
        .filter(|node| !dirs_only || node.kind == Kind::Dir)
        .filter_map(|node| node.path.strip_prefix(b"src/").map(<[u8]>::to_vec))
        .collect()
}

fn draw_sources(rng: &mut Rng, tree: &mut Tree, groups: &mut Vec<Group>) -> Vec<Vec<u8>> {
    if rng.chance(10) {
        return vec![files_from(rng, tree, groups)];
    }
    let relative = rng.chance(12);
    if relative {
        groups.push(vec![b"-R".to_vec()]);
    }
    // With sources that overlap, rsync may or may not have removed a file when it meets it again.
    let removes = groups.iter().any(|group| group[0] == b"--remove-source-files");
    let count = if removes { 1 } else { *rng.pick(&[1, 1, 1, 1, 1, 2, 3]) };
    let draw = |_| match draw_source(rng, tree) {
        // The parents of the scratch directory change all the time.
        source if relative && source.starts_with(b"@ROOT@") => b"src/".to_vec(),
        source => source,
    };
    (0..count).map(draw).collect()
}

fn draw_source(rng: &mut Rng, tree: &Tree) -> Vec<u8> {
    let inner = |rng: &mut Rng, dirs_only| {
        let paths = inner_paths(tree, dirs_only);
        if paths.is_empty() { b"none".to_vec() } else { rng.pick(&paths).clone() }
    };
    match rng.below(40) {
        0..22 => b"src/".to_vec(),
        22..26 => b"src".to_vec(),
        26 => b"src/.".to_vec(),
        27 => b"./src//".to_vec(),
        28 => b"@ROOT@/src/".to_vec(),
        29 | 30 => [b"src/", &inner(rng, true)[..], b"/"].concat(),
        31..34 => [b"src/", &inner(rng, true)[..]].concat(),
        34..37 => [b"src/", &inner(rng, false)[..]].concat(),
        37 => [b"src/./", &inner(rng, false)[..]].concat(),
        38 => [b"./src/./", &inner(rng, true)[..], b"/"].concat(),
        _ => b"src/missing".to_vec(),
    }
}

/// A list of names for --files-from; the source is then the directory that they are in.
fn files_from(rng: &mut Rng, tree: &mut Tree, groups: &mut Vec<Group>) -> Vec<u8> {
    let paths = inner_paths(tree, false);
    // The scratch directory itself holds the destination too: it must not be listed as a whole.
    let from_above = rng.chance(20);
    let with_nul = rng.chance(40);
    let mut text = Vec::new();
    for _ in 0..rng.between(1, 8) {
        let path = if paths.is_empty() { b"none".to_vec() } else { rng.pick(&paths).clone() };
        let line = match rng.below(14) {
            0 => [b"/", &path[..]].concat(),
            1 => [b"./", &path[..]].concat(),
            2 | 3 => [&path[..], b"/"].concat(),
            4 => b"missing".to_vec(),
            5 => b"# not a name".to_vec(),
            6 => b"; nor this".to_vec(),
            7 if !from_above => b".".to_vec(),
            8 => [b"../src/", &path[..]].concat(),
            _ if from_above => [b"src/", &path[..]].concat(),
            _ => path,
        };
        if with_nul || !line.contains(&b'\n') {
            text.extend_from_slice(&line);
            text.push(if with_nul { 0 } else { b'\n' });
        }
    }
    *tree = std::mem::take(tree).file("list", text);
    groups.push(vec![b"--files-from=list".to_vec()]);
    let deletes = groups.iter().any(|group| group[0].starts_with(b"--del"));
    for (percent, option) in [(40, "-r"), (10, "--no-R"), (10, "--no-dirs")] {
        if rng.chance(percent) && !(deletes && option == "--no-dirs") {
            groups.push(vec![option.into()]);
        }
    }
    if with_nul {
        groups.push(vec![b"-0".to_vec()]);
    }
    if from_above { b".".to_vec() } else { b"src/".to_vec() }
}

fn draw_destination(rng: &mut Rng, groups: &mut Vec<Group>) -> Vec<u8> {
    let choices: [&[u8]; 12] = [
        b"dst/",
        b"dst/",
        b"dst/",
        b"dst/",
        b"dst/",
        b"dst/",
        b"dst/",
        b"dst",
        b"dst/foo",
        b"new",
        b"new/deep",
        b"@ROOT@/dst",
    ];
    let destination = rng.pick(&choices).to_vec();
    if matches!(&destination[..], b"new/deep" | b"dst/foo") && rng.chance(85) {
        groups.push(vec![b"--mkpath".to_vec()]);
    }
    destination
}
