//! A scenario as a shell script, so that a difference can be looked at without this harness.

use std::fmt::Write as _;

use super::parity::Scenario;
use super::run::{RunAs, Tool};
use super::tree::{Acl, Kind, Node, ROOT_MARK, Segment, encode_acl};

/// A bash script that builds the trees of `scenario` twice, runs both tools and shows what differs.
pub(crate) fn script(scenario: &Scenario) -> String {
    script_against((&Tool::reference(), &scenario.args), scenario)
}

/// The same where the reference is told something else.
pub(crate) fn script_against(
    (reference, theirs): (&Tool, &[Vec<u8>]),
    scenario: &Scenario,
) -> String {
    let mut text = String::from(
        "#!/bin/bash\n# usage: bash case.sh [TOOL...]   (as root; TOOL is compared to rsync)\n\
         base=$(mktemp -d -p /dev/shm); chmod 755 \"$base\"; export TZ=UTC LC_ALL=C\nbuild() {\n",
    );
    for node in &scenario.tree.nodes {
        text.push_str(&create(node));
    }
    for node in scenario.tree.nodes.iter().rev() {
        text.push_str(&dress(node, scenario.run_as));
    }
    let user = match scenario.run_as {
        RunAs::Caller => "",
        RunAs::User => "setpriv --reuid=65534 --regid=65534 --groups=65534,1234 -- ",
    };
    let quoted = |args: &[Vec<u8>]| args.iter().map(|arg| quote(arg)).collect::<Vec<_>>().join(" ");
    let env = scenario.env.iter();
    let env: Vec<_> =
        env.map(|(name, value)| format!("{name}={} ", quote(value.as_bytes()))).collect();
    write!(
        text,
        ":; }}\n\
         list() {{ find . -mindepth 1 -printf '%P %y %m %U:%G %s %T@ %l\\n' | sort; \
         find . -type f -exec md5sum {{}} + | sort; getfattr -dhR -m - . 2>/dev/null; }}\n\
         try() {{ whose=$1; shift; mkdir \"$base/run\"; cd \"$base/run\"; {chown}R=$PWD; build\n\
         case $whose in theirs) set -- \"$@\" {theirs};; ours) set -- \"$@\" {ours};; esac\n\
         umask {umask:03o}; {user}env HOME=\"$R/home\" {env}\"$@\"; echo \"exit $?\"\n\
         umask 022; list >\"$base/list\"; cd \"$base\"; rm -rf run; }}\n\
         try theirs {reference}; mv \"$base/list\" \"$base/rsync.list\"\n\
         echo ------; try ours \"${{@:-lanesync}}\"; diff \"$base/rsync.list\" \"$base/list\"; rm -rf \"$base\"\n",
        chown = if scenario.run_as == RunAs::User { "chown 65534:65534 .; " } else { "" },
        umask = scenario.umask,
        reference = reference.shown(),
        theirs = quoted(theirs),
        ours = quoted(&scenario.args),
        env = env.concat(),
    )
    .expect("a string takes it all");
    text
}

fn create(node: &Node) -> String {
    let path = path(node);
    match &node.kind {
        Kind::Dir => format!("mkdir {path}\n"),
        Kind::File(segments) => file(&path, segments),
        Kind::Symlink(target) => format!("ln -sn -- {} {path}\n", quote(target)),
        Kind::HardLink(first) => format!("ln -- {} {path} || touch {path}\n", quote_path(first)),
        Kind::Fifo => format!("mkfifo {path}\n"),
        Kind::Socket => {
            format!("python3 -c 'import os, sys; os.mknod(sys.argv[1], 0o140600)' {path}\n")
        }
        Kind::Char(major, minor) => format!("mknod {path} c {major} {minor}\n"),
        Kind::Block(major, minor) => format!("mknod {path} b {major} {minor}\n"),
    }
}

fn file(path: &str, segments: &[Segment]) -> String {
    let mut text = format!(": > {path}\n");
    for segment in segments {
        let line = match segment {
            Segment::Bytes(bytes) => format!("printf -- '{}' >> {path}", printf_text(bytes)),
            Segment::Numbers { from, len } => {
                format!("seq {from} 99999999 | head -c {len} >> {path}")
            }
            Segment::Zeros(len) => format!("head -c {len} /dev/zero >> {path}"),
            Segment::Hole(len) => format!("truncate -s +{len} {path}"),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Bytes as a format of `printf`, the only way to write a NUL byte from a shell.
fn printf_text(bytes: &[u8]) -> String {
    let show = |&byte: &u8| match byte {
        b'\n' => "\\n".into(),
        b'%' => "%%".into(),
        b'\'' | b'\\' => format!("\\{byte:03o}"),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    bytes.iter().map(show).collect::<Vec<_>>().concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn dress(node: &Node, run_as: RunAs) -> String {
    let mut text = String::new();
    let path = path(node);
    let mut line = |command: String| {
        text.push_str(&command);
        text.push('\n');
    };
    if matches!(node.kind, Kind::HardLink(_)) {
        return text;
    }
    let plain = Node::plain(&node.path, node.kind.clone());
    let owner = node.owner.or((run_as == RunAs::User).then_some((65534, 65534)));
    if let Some((uid, gid)) = owner {
        line(format!("chown -h {uid}:{gid} {path}"));
    }
    if !matches!(node.kind, Kind::Symlink(_)) && (node.mode != plain.mode || owner.is_some()) {
        line(format!("chmod {:o} {path}", node.mode));
    }
    let mut acl = |name: &str, acl: Option<&Acl>| {
        if let Some(acl) = acl {
            let hex = hex(&encode_acl(node.mode, acl));
            line(format!("setfattr -n system.posix_acl_{name} -v 0x{hex} {path}"));
        }
    };
    // The same restrictions as when the tree is built.
    let is_dir = node.kind == Kind::Dir;
    let takes_all = is_dir || matches!(node.kind, Kind::File(_));
    acl("access", node.acl.as_ref().filter(|_| takes_all));
    acl("default", node.default_acl.as_ref().filter(|_| is_dir));
    for (name, value) in &node.xattrs {
        if !takes_all && !name.starts_with(b"trusted.") {
            continue;
        }
        let hex = hex(value);
        let value = if hex.is_empty() { String::new() } else { format!("-v 0x{hex} ") };
        line(format!("setfattr -h -n {} {value}{path}", quote(name)));
    }
    let (seconds, nanoseconds) = node.mtime;
    line(format!("touch -h -d @{} {path}", decimal(seconds, nanoseconds)));
    text
}

/// Seconds and nanoseconds as one number; the fraction counts upwards also before 1970.
fn decimal(seconds: i64, nanoseconds: u32) -> String {
    if seconds < 0 && nanoseconds > 0 {
        let whole = -(seconds + 1);
        return format!("-{whole}.{:09}", 1_000_000_000 - nanoseconds);
    }
    format!("{seconds}.{nanoseconds:09}")
}

fn path(node: &Node) -> String {
    quote_path(&node.path)
}

/// `./` keeps names with a leading dash from being options.
fn quote_path(path: &[u8]) -> String {
    quote(&[b"./", path].concat())
}

/// A word for bash, whatever bytes it holds.
pub(crate) fn quote(word: &[u8]) -> String {
    if word.is_empty() {
        return "''".into();
    }
    let mut parts = Vec::new();
    let mut rest = word;
    while let Some(at) = rest.windows(ROOT_MARK.len()).position(|window| window == ROOT_MARK) {
        parts.push(quote_plain(&rest[..at]));
        parts.push("\"$R\"".into());
        rest = &rest[at + ROOT_MARK.len()..];
    }
    parts.push(quote_plain(rest));
    parts.concat()
}

fn quote_plain(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"./-_=,+:%@".contains(byte);
    if word.iter().all(plain) && !word.is_empty() {
        return String::from_utf8_lossy(word).into_owned();
    }
    if word.is_empty() {
        return String::new();
    }
    let mut text = String::from("$'");
    for &byte in word {
        match byte {
            b'\'' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\{byte:03o}").expect("a string takes it all"),
        }
    }
    text.push('\'');
    text
}
