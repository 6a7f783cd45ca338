//! Invents small trees that hold what copies get wrong: odd names, odd kinds, odd metadata.

use super::rng::Rng;
use super::run::RunAs;
use super::tree::{Acl, Kind, Node, Segment, Tree};

/// Names that sort near `/`, look like options or patterns, or are hard to print. The plain ones
/// come twice, so that rules and relations between trees meet something.
const NAMES: &[&[u8]] = &[
    b"a",
    b"a",
    b"b",
    b"b",
    b"c",
    b"foo",
    b"foo",
    b"foo",
    b"foo-bar",
    b"foo.d",
    b"foo.txt",
    b"foo0",
    b"foo ",
    b"Foo",
    b"fo",
    b"bar",
    b"bar",
    b"bar.o",
    b"x.o",
    b"x~",
    b"keep",
    b"tmp",
    b".hidden",
    b".a",
    b"-dash",
    b"--delete",
    b"*",
    b"[x]",
    b"?",
    b"a\\b",
    b"a\\*",
    b"new\nline",
    b"\xff\xfe",
    b"caf\xc3\xa9",
    b" lead",
    b"trail ",
    b"tab\there",
    b"\x01\x7f",
    b"#note",
    b";semi",
    b"\\#012",
    b"+ plus",
    b"core",
    b"CVS",
    b"~",
    b"a=b",
    b"a:b",
    b"...",
    b"z",
];

const MTIMES: &[i64] = &[
    1_600_000_000,
    1_600_000_000,
    1_600_000_000,
    1_600_000_001,
    1_600_000_002,
    1_600_000_003,
    1_600_003_600,
    1_500_000_000,
    1_000_000_000,
    0,
    1,
    -1,
    -2,
    -2_592_000,
    -3_000_000_000,
    4_000_000_000,
];

const NANOSECONDS: &[u32] = &[0, 0, 0, 1, 500_000_000, 999_999_999, 123_456_789];

const FILE_MODES: &[u32] = &[
    0o644, 0o644, 0o644, 0o644, 0o600, 0o755, 0o444, 0o666, 0o640, 0o777, 0o4755, 0o2755, 0o6711,
    0o1644, 0o700, 0o604, 0o200,
];

const DIR_MODES: &[u32] =
    &[0o755, 0o755, 0o755, 0o755, 0o700, 0o775, 0o1777, 0o2775, 0o3770, 0o750, 0o711];

/// Modes that lock out an ordinary user; root does not mind.
const LOCKED_MODES: &[u32] = &[0o000, 0o500, 0o300, 0o400, 0o100];

const OWNERS: &[(u32, u32)] =
    &[(1234, 1234), (1, 1), (0, 1234), (1234, 0), (4321, 5678), (65534, 65534), (0, 0)];

/// Who a tree is made for, since that decides what may be in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    pub(crate) run_as: RunAs,
    /// About how many nodes.
    pub(crate) size: usize,
}

/// A tree below the directory `top`.
pub(crate) fn tree(rng: &mut Rng, top: &[u8], profile: Profile) -> Tree {
    let mut tree = Tree::new();
    let mut node = Node::plain(top, Kind::Dir);
    node.mtime = mtime(rng);
    tree.push(node);
    grow(rng, &mut tree, top, profile);
    tree
}

/// Adds about `profile.size` nodes below `top`, anywhere in the directories that are there.
pub(crate) fn grow(rng: &mut Rng, tree: &mut Tree, top: &[u8], profile: Profile) {
    for _ in 0..profile.size {
        let dirs: Vec<Vec<u8>> = tree
            .nodes
            .iter()
            .filter(|node| node.kind == Kind::Dir && node.is_at_or_below(top))
            .map(|node| node.path.clone())
            .collect();
        let mut path = rng.pick(&dirs).clone();
        if path.split(|&byte| byte == b'/').count() > 5 {
            continue;
        }
        path.push(b'/');
        path.extend_from_slice(&name(rng));
        if tree.get(&path).is_none() {
            let node = node(rng, tree, top, &path, profile);
            tree.push(node);
        }
    }
}

fn name(rng: &mut Rng) -> Vec<u8> {
    match rng.below(40) {
        0 => vec![b'n'; 255],
        // Staging names like `.name.XXXXXX` must be cut to fit.
        1 => vec![b'm'; 250],
        _ => rng.pick(NAMES).to_vec(),
    }
}

/// A node of any kind at `path`.
pub(crate) fn node(rng: &mut Rng, tree: &Tree, top: &[u8], path: &[u8], profile: Profile) -> Node {
    let kind = match rng.below(100) {
        0..26 => Kind::Dir,
        72..84 => Kind::Symlink(target(rng, tree, top)),
        84..93 => hard_link(rng, tree, top),
        93..95 => Kind::Fifo,
        95..97 => Kind::Socket,
        97 if profile.run_as == RunAs::Caller => Kind::Char(1, 3),
        98 if profile.run_as == RunAs::Caller => Kind::Block(7, 200),
        99 if profile.run_as == RunAs::Caller => Kind::Char(240, 70_000),
        _ => Kind::File(segments(rng)),
    };
    let mut node = Node::plain(path, kind);
    adorn(rng, &mut node, profile);
    node
}

/// Gives `node` random metadata.
pub(crate) fn adorn(rng: &mut Rng, node: &mut Node, profile: Profile) {
    let is_dir = node.kind == Kind::Dir;
    let locks = if profile.run_as == RunAs::User { 2 } else { 5 };
    node.mode = match () {
        () if rng.chance(locks) => *rng.pick(LOCKED_MODES),
        () if is_dir => *rng.pick(DIR_MODES),
        () => *rng.pick(FILE_MODES),
    };
    node.mtime = mtime(rng);
    node.owner = match profile.run_as {
        RunAs::Caller => rng.chance(40).then(|| *rng.pick(OWNERS)),
        RunAs::User if rng.chance(3) => Some((0, 0)),
        RunAs::User => rng.chance(8).then_some((65534, 1234)),
    };
    node.xattrs = xattrs(rng, node, profile);
    if matches!(node.kind, Kind::File(_) | Kind::Dir) && rng.chance(8) {
        node.acl = Some(acl(rng));
    }
    node.default_acl = (is_dir && rng.chance(8)).then(|| acl(rng));
}

/// A time: few whole seconds, so that equal ones with other nanoseconds come up.
pub(crate) fn mtime(rng: &mut Rng) -> (i64, u32) {
    (*rng.pick(MTIMES), *rng.pick(NANOSECONDS))
}

/// File content: mostly small, sometimes up to 200 KiB with zeros and holes.
pub(crate) fn segments(rng: &mut Rng) -> Vec<Segment> {
    let from = u32::try_from(rng.below(900_000)).expect("small") + 100_000;
    match rng.below(20) {
        0 => Vec::new(),
        1..14 => {
            vec![Segment::Numbers { from, len: *rng.pick(&[1, 5, 6, 7, 100, 700, 701, 1500]) }]
        }
        14..16 => vec![Segment::Numbers { from, len: rng.between(1, 200 << 10) }],
        16 => vec![Segment::Hole(rng.between(1, 100 << 10))],
        _ => (0..rng.between(1, 4)).map(|_| piece(rng, from)).collect(),
    }
}

fn piece(rng: &mut Rng, from: u32) -> Segment {
    let len = *rng.pick(&[1, 512, 1000, 1024, 4096, 5000, 32 << 10, 48 << 10]);
    match rng.below(3) {
        0 => Segment::Numbers { from, len },
        1 => Segment::Zeros(len),
        _ => Segment::Hole(len),
    }
}

/// A link target: a name nearby, one above, one outside the tree, an absolute one, or none at all.
fn target(rng: &mut Rng, tree: &Tree, top: &[u8]) -> Vec<u8> {
    let inside: Vec<&Node> = tree.nodes.iter().filter(|node| node.is_at_or_below(top)).collect();
    let other = &rng.pick(&inside).path[top.len()..];
    let relative = other.strip_prefix(b"/").unwrap_or(b".").to_vec();
    match rng.below(9) {
        0 => b"nowhere".to_vec(),
        1 => b"../outside/file".to_vec(),
        2 => b"../../outside/dir".to_vec(),
        3 => b"@ROOT@/outside/dir".to_vec(),
        4 => [b"@ROOT@/", top, b"/", &relative[..]].concat(),
        5 => [b"../", &relative[..]].concat(),
        6 => b"/rsyncd-munged/foo".to_vec(),
        _ => relative,
    }
}

fn hard_link(rng: &mut Rng, tree: &Tree, top: &[u8]) -> Kind {
    let linkable = |node: &&Node| {
        node.is_at_or_below(top)
            && matches!(
                node.kind,
                Kind::File(_) | Kind::Symlink(_) | Kind::Fifo | Kind::HardLink(_)
            )
    };
    let names: Vec<&Node> = tree.nodes.iter().filter(linkable).collect();
    if names.is_empty() {
        return Kind::File(segments(rng));
    }
    let chosen = rng.pick(&names);
    match &chosen.kind {
        Kind::HardLink(first) => Kind::HardLink(first.clone()),
        _ => Kind::HardLink(chosen.path.clone()),
    }
}

fn xattrs(rng: &mut Rng, node: &Node, profile: Profile) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut xattrs = Vec::new();
    let mut add = |name: &[u8], value: &[u8]| xattrs.push((name.to_vec(), value.to_vec()));
    if matches!(node.kind, Kind::File(_) | Kind::Dir) {
        if rng.chance(12) {
            let values: [&[u8]; 4] = [b"one", b"two", b"", b"bin\0\xff"];
            add(b"user.note", values[rng.below(4)]);
        }
        if rng.chance(4) {
            add(b"user.long", &vec![b'v'; *rng.pick(&[31, 32, 33, 300])]);
        }
        if rng.chance(3) {
            let is_dir = node.kind == Kind::Dir;
            let pretence = if is_dir { "40750 0,0 1234:1234" } else { "100640 0,0 1234:1234" };
            add(b"user.rsync.%stat", pretence.as_bytes());
        }
    }
    if profile.run_as == RunAs::Caller && rng.chance(4) {
        add(b"trusted.note", b"root's");
    }
    xattrs
}

fn acl(rng: &mut Rng) -> Acl {
    let perm = |rng: &mut Rng| u16::try_from(rng.below(8)).expect("three bits");
    let mut acl =
        Acl { users: Vec::new(), groups: Vec::new(), group_obj: perm(rng), mask: perm(rng) };
    if rng.chance(70) {
        acl.users.push((1234, perm(rng)));
    }
    if rng.chance(40) {
        acl.groups.push((*rng.pick(&[1, 1234]), perm(rng)));
    }
    acl
}

/// What links out of the trees point to; a tool that writes through such a link is seen here.
pub(crate) fn outside() -> Tree {
    Tree::new()
        .dir("outside")
        .file("outside/file", "outside\n")
        .dir("outside/dir")
        .file("outside/dir/inner", "inner\n")
}
