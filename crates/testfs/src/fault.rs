//! Fault rules: which operations on which paths fail, how, and when.
//!
//! A rule is written `OP:ERRNO[:GLOB][:after=N][:times=M]`. The glob is matched against the path
//! below the mount point, without a leading slash; `*` stands for any bytes, slashes included, and
//! `?` for one byte. `after=N` lets the first N matching operations pass, `times=M` stops after M
//! faults. A rename or link matches with its old or its new path.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// An operation that reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its FUSE request or system call")]
pub enum Op {
    Lookup,
    Getattr,
    Chmod,
    Chown,
    Truncate,
    Utimens,
    Readlink,
    Mknod,
    Mkdir,
    Unlink,
    Rmdir,
    Symlink,
    Rename,
    Link,
    Open,
    Create,
    Read,
    Write,
    Flush,
    Fsync,
    Opendir,
    Readdir,
    Statfs,
    Setxattr,
    Getxattr,
    Listxattr,
    Removexattr,
    Lseek,
    Fallocate,
}

/// Each operation under the name that a rule gives it.
const OPS: &[(&str, Op)] = &[
    ("lookup", Op::Lookup),
    ("getattr", Op::Getattr),
    ("chmod", Op::Chmod),
    ("chown", Op::Chown),
    ("truncate", Op::Truncate),
    ("utimens", Op::Utimens),
    ("readlink", Op::Readlink),
    ("mknod", Op::Mknod),
    ("mkdir", Op::Mkdir),
    ("unlink", Op::Unlink),
    ("rmdir", Op::Rmdir),
    ("symlink", Op::Symlink),
    ("rename", Op::Rename),
    ("link", Op::Link),
    ("open", Op::Open),
    ("create", Op::Create),
    ("read", Op::Read),
    ("write", Op::Write),
    ("flush", Op::Flush),
    ("fsync", Op::Fsync),
    ("opendir", Op::Opendir),
    ("readdir", Op::Readdir),
    ("statfs", Op::Statfs),
    ("setxattr", Op::Setxattr),
    ("getxattr", Op::Getxattr),
    ("listxattr", Op::Listxattr),
    ("removexattr", Op::Removexattr),
    ("lseek", Op::Lseek),
    ("fallocate", Op::Fallocate),
];

const ERRNOS: &[(&str, Errno)] = &[
    ("EACCES", Errno::ACCESS),
    ("EAGAIN", Errno::AGAIN),
    ("EBUSY", Errno::BUSY),
    ("EDQUOT", Errno::DQUOT),
    ("EEXIST", Errno::EXIST),
    ("EFBIG", Errno::FBIG),
    ("EINTR", Errno::INTR),
    ("EINVAL", Errno::INVAL),
    ("EIO", Errno::IO),
    ("ELOOP", Errno::LOOP),
    ("EMFILE", Errno::MFILE),
    ("EMLINK", Errno::MLINK),
    ("ENAMETOOLONG", Errno::NAMETOOLONG),
    ("ENODATA", Errno::NODATA),
    ("ENOENT", Errno::NOENT),
    ("ENOMEM", Errno::NOMEM),
    ("ENOSPC", Errno::NOSPC),
    ("ENOTEMPTY", Errno::NOTEMPTY),
    ("ENOTSUP", Errno::OPNOTSUPP),
    ("EOPNOTSUPP", Errno::OPNOTSUPP),
    ("EPERM", Errno::PERM),
    ("EROFS", Errno::ROFS),
    ("ESTALE", Errno::STALE),
    ("ETIMEDOUT", Errno::TIMEDOUT),
    ("EXDEV", Errno::XDEV),
];

/// Rules that name several operations at once.
const GROUPS: &[(&str, &[Op])] = &[
    ("setattr", &[Op::Chmod, Op::Chown, Op::Truncate, Op::Utimens]),
    ("xattr", &[Op::Setxattr, Op::Getxattr, Op::Listxattr, Op::Removexattr]),
];

/// A rule that makes operations fail.
#[derive(Debug)]
pub struct Fault {
    ops: u64, // one bit for each Op
    errno: Errno,
    glob: Option<Vec<u8>>,
    after: u64,
    times: u64,
    seen: AtomicU64,
}

impl Fault {
    /// A rule that always fails `op` with the raw error number.
    pub fn new(op: Op, raw_errno: i32) -> Self {
        Self::with(bit(op), Errno::from_raw_os_error(raw_errno))
    }

    /// Only on paths that match; `*` stands for any bytes, `?` for one.
    #[must_use]
    pub fn on(mut self, glob: impl Into<Vec<u8>>) -> Self {
        self.glob = Some(glob.into());
        self
    }

    /// Lets the first `count` matching operations pass.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.after = count;
        self
    }

    /// Stops after `count` faults.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    fn with(ops: u64, errno: Errno) -> Self {
        Self { ops, errno, glob: None, after: 0, times: u64::MAX, seen: AtomicU64::new(0) }
    }

    /// The error of this operation, if the rule says it is to fail now. `paths` is asked only when
    /// the rule has a glob.
    pub(crate) fn strike(&self, op: Op, paths: impl FnOnce() -> Vec<Vec<u8>>) -> Option<Errno> {
        if self.ops & bit(op) == 0 {
            return None;
        }
        if let Some(glob) = &self.glob
            && !paths().iter().any(|path| matches_glob(glob, path))
        {
            return None;
        }
        let nth = self.seen.fetch_add(1, Ordering::Relaxed);
        (nth >= self.after && nth - self.after < self.times).then_some(self.errno)
    }
}

const fn bit(op: Op) -> u64 {
    1 << op as u32
}

/// A fault rule that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseFaultError(String);

impl fmt::Display for ParseFaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault rule: {}", self.0)
    }
}

impl std::error::Error for ParseFaultError {}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let mut parts = text.split(':');
        let ops = parts.next().and_then(parse_ops).ok_or_else(|| {
            ParseFaultError(format!("{text:?} does not start with a known operation"))
        })?;
        let errno = parts
            .next()
            .and_then(|name| ERRNOS.iter().find(|(known, _)| *known == name))
            .ok_or_else(|| ParseFaultError(format!("{text:?} has no known error name")))?;
        let mut fault = Self::with(ops, errno.1);
        for part in parts {
            let number = |digits: &str| {
                digits.parse().map_err(|_| ParseFaultError(format!("{part:?} needs a number")))
            };
            if let Some(count) = part.strip_prefix("after=") {
                fault.after = number(count)?;
            } else if let Some(count) = part.strip_prefix("times=") {
                fault.times = number(count)?;
            } else if fault.glob.is_none() {
                fault.glob = Some(part.as_bytes().to_vec());
            } else {
                return Err(ParseFaultError(format!("{text:?} has two globs")));
            }
        }
        Ok(fault)
    }
}

fn parse_ops(name: &str) -> Option<u64> {
    if name == "*" {
        return Some(u64::MAX);
    }
    if let Some((_, op)) = OPS.iter().find(|(known, _)| *known == name) {
        return Some(bit(*op));
    }
    let (_, group) = GROUPS.iter().find(|(known, _)| *known == name)?;
    Some(group.iter().fold(0, |bits, op| bits | bit(*op)))
}

/// Whether the whole of `text` matches; linear apart from going back to the last star.
fn matches_glob(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    g = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_glob(glob: &str, text: &str, expect: bool) {
        assert_eq!(matches_glob(glob.as_bytes(), text.as_bytes()), expect, "{glob} on {text}");
    }

    #[test]
    fn globs_match_whole_paths() {
        check_glob("a/b", "a/b", true);
        check_glob("a", "a/b", false);
        check_glob("*", "a/b", true);
        check_glob("*.dat", "x/y.dat", true);
        check_glob("*.dat", "x/y.data", false);
        check_glob("a*b*c", "a1b2b3c", true);
        check_glob("?", "", false);
        check_glob("", "", true);
        check_glob("", "x", false);
        check_glob("a?c", "abc", true);
    }

    #[test]
    fn counts_before_and_after() {
        let fault: Fault = "read:EIO:after=2:times=1".parse().unwrap();
        let hits: Vec<bool> = (0..5).map(|_| fault.strike(Op::Read, Vec::new).is_some()).collect();
        assert_eq!(hits, [false, false, true, false, false]);
        assert_eq!(fault.strike(Op::Write, Vec::new), None);
    }

    #[test]
    fn reads_rules() {
        let fault: Fault = "setattr:EPERM:a/*".parse().unwrap();
        let on = |path: &str| vec![path.as_bytes().to_vec()];
        assert_eq!(fault.strike(Op::Chown, || on("a/x")), Some(Errno::PERM));
        assert_eq!(fault.strike(Op::Utimens, || on("b/x")), None);
        for bad in ["", "read", "read:EWHAT", "sing:EIO", "read:EIO:after=x", "read:EIO:a:b"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_operation_has_its_name_and_bit() {
        for (place, (_, op)) in OPS.iter().enumerate() {
            assert_eq!(*op as usize, place, "{op:?}");
        }
        assert!(OPS.len() < 64);
    }
}
