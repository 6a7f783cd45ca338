//! The FUSE side: each request waits its delay, meets the fault rules, and is passed on.
//!
//! As many threads read requests as there are slots, and a thread serves one request at a time: that
//! is the whole of the slot accounting.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use parking_lot::RwLock;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::data::{self, Handles};
use crate::fault::{Fault, Op};
use crate::meta::{self, Caller, Change, Place};
use crate::stats::Counters;
use crate::tree::Tree;

/// The kernel asks again each time, as on NFS with `noac`.
const TTL: Duration = Duration::ZERO;

const GENERATION: Generation = Generation(0);

/// What the mount and its server threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) faults: RwLock<Vec<Fault>>,
    pub(crate) counters: Counters,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) tree: Tree,
    pub(crate) handles: Handles,
    pub(crate) delay: Duration,
    pub(crate) slots: u16,
    pub(crate) shared: Arc<Shared>,
}

/// What an operation is about: an inode, or a name in a directory.
type Target<'a> = (u64, Option<&'a OsStr>);

impl Server {
    /// Serves one operation: delay, faults, then the work.
    fn serve<T>(
        &self,
        op: Op,
        targets: &[Target<'_>],
        work: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, fuser::Errno> {
        let _in_flight = self.shared.counters.enter();
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
        let paths =
            || targets.iter().filter_map(|(ino, name)| self.tree.path(*ino, *name)).collect();
        let struck = self.shared.faults.read().iter().find_map(|fault| fault.strike(op, paths));
        if struck.is_some() {
            self.shared.counters.fault();
        }
        let result = match struck {
            Some(errno) => Err(errno),
            None => work(),
        };
        result.map_err(|errno| fuser::Errno::from_i32(errno.raw_os_error()))
    }

    fn serve_entry(
        &self,
        op: Op,
        at: Place<'_>,
        reply: ReplyEntry,
        work: impl FnOnce() -> Result<fuser::FileAttr, Errno>,
    ) {
        match self.serve(op, &[(at.parent, Some(at.name))], work) {
            Ok(attr) => reply.entry(&TTL, &attr, GENERATION),
            Err(errno) => reply.error(errno),
        }
    }

    fn serve_empty(
        &self,
        op: Op,
        targets: &[Target<'_>],
        reply: ReplyEmpty,
        work: impl FnOnce() -> Result<(), Errno>,
    ) {
        match self.serve(op, targets, work) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn serve_xattr(
        &self,
        op: Op,
        ino: INodeNo,
        size: u32,
        reply: ReplyXattr,
        work: impl FnOnce() -> Result<Vec<u8>, Errno>,
    ) {
        match self.serve(op, &[(ino.0, None)], work) {
            Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
            Ok(value) if value.len() > size as usize => reply.error(fuser::Errno::ERANGE),
            Ok(value) => reply.data(&value),
            Err(errno) => reply.error(errno),
        }
    }
}

fn caller(req: &Request) -> Caller {
    Caller { uid: req.uid(), gid: req.gid() }
}

fn place(parent: INodeNo, name: &OsStr) -> Place<'_> {
    Place { parent: parent.0, name }
}

/// A file opened for reading costs no request at its close, as on NFS.
fn open_flags(flags: i32) -> FopenFlags {
    match OpenFlags(flags).acc_mode() {
        OpenAccMode::O_RDONLY => FopenFlags::FOPEN_NOFLUSH,
        _ => FopenFlags::empty(),
    }
}

impl Filesystem for Server {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for wish in [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            // Without it the kernel asks for security.capability before each write.
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
        ] {
            // An older kernel lacks some: slower, not wrong.
            let _unsupported = config.add_capabilities(wish);
        }
        let background = self.slots.saturating_mul(2).max(16);
        let _previous = config.set_max_background(background);
        let _previous = config.set_congestion_threshold(background);
        let _previous = config.set_max_write(1 << 20); // bytes; the most the kernel sends at once
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = &*self.tree.spelled(parent.0, name);
        let at = place(parent, name);
        self.serve_entry(Op::Lookup, at, reply, || self.tree.lookup(at.parent, at.name));
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.tree.forget(ino.0, nlookup);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.serve(Op::Getattr, &[(ino.0, None)], || self.tree.attr(ino.0)) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut change = Change { mode, uid, gid, size, atime, mtime };
        let work = || {
            // A truncation through an open file needs no permission on the path.
            if let (Some(size), Some(fh)) = (change.size, fh) {
                rustix::fs::ftruncate(self.handles.file(fh.0)?, size)?;
                change.size = None;
            }
            change.apply(&self.tree, ino.0)
        };
        match self.serve(Change { mode, uid, gid, size, atime, mtime }.op(), &[(ino.0, None)], work)
        {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(errno) => reply.error(errno),
        }
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        let work = || data::readlink(&*self.tree.fd(ino.0)?);
        match self.serve(Op::Readlink, &[(ino.0, None)], work) {
            Ok(target) => reply.data(&target),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let name = &*self.tree.spelled(parent.0, name);
        let at = place(parent, name);
        let work = || meta::mknod(&self.tree, at, caller(req), mode, rdev);
        self.serve_entry(Op::Mknod, at, reply, work);
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let name = &*self.tree.spelled(parent.0, name);
        let at = place(parent, name);
        let work = || meta::mkdir(&self.tree, at, caller(req), mode);
        self.serve_entry(Op::Mkdir, at, reply, work);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = &*self.tree.spelled(parent.0, name);
        let at = place(parent, name);
        let work = || meta::remove(&self.tree, at, AtFlags::empty());
        self.serve_empty(Op::Unlink, &[(at.parent, Some(at.name))], reply, work);
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = &*self.tree.spelled(parent.0, name);
        let at = place(parent, name);
        let work = || meta::remove(&self.tree, at, AtFlags::REMOVEDIR);
        self.serve_empty(Op::Rmdir, &[(at.parent, Some(at.name))], reply, work);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        link_name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let link_name = &*self.tree.spelled(parent.0, link_name);
        let at = place(parent, link_name);
        let work = || meta::symlink(&self.tree, at, caller(req), target);
        self.serve_entry(Op::Symlink, at, reply, work);
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let name = &*self.tree.spelled(parent.0, name);
        let newname = &*self.tree.spelled(newparent.0, newname);
        let (from, to) = (place(parent, name), place(newparent, newname));
        let targets = [(from.parent, Some(from.name)), (to.parent, Some(to.name))];
        let work = || meta::rename(&self.tree, from, to, flags.bits());
        self.serve_empty(Op::Rename, &targets, reply, work);
    }

    fn link(
        &self,
        _req: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let newname = &*self.tree.spelled(newparent.0, newname);
        let at = place(newparent, newname);
        let targets = [(ino.0, None), (at.parent, Some(at.name))];
        match self.serve(Op::Link, &targets, || meta::link(&self.tree, ino.0, at)) {
            Ok(attr) => reply.entry(&TTL, &attr, GENERATION),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let work = || self.handles.open(&self.tree, ino.0, flags.0);
        match self.serve(Op::Open, &[(ino.0, None)], work) {
            Ok(handle) => reply.opened(FileHandle(handle), open_flags(flags.0)),
            Err(errno) => reply.error(errno),
        }
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let name = &*self.tree.spelled(parent.0, name);
        let at = place(parent, name);
        let work = || meta::create(&self.tree, at, caller(req), mode, flags);
        match self.serve(Op::Create, &[(at.parent, Some(at.name))], work) {
            Ok((attr, file)) => {
                let handle = FileHandle(self.handles.adopt(file));
                reply.created(&TTL, &attr, GENERATION, handle, open_flags(flags));
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let work = || data::read(&*self.handles.file(fh.0)?, offset, size as usize);
        match self.serve(Op::Read, &[(ino.0, None)], work) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        bytes: &[u8],
        write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let strip = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        let work = || data::write(&*self.handles.file(fh.0)?, offset, bytes, strip);
        match self.serve(Op::Write, &[(ino.0, None)], work) {
            Ok(count) => reply.written(u32::try_from(count).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        self.serve_empty(Op::Flush, &[(ino.0, None)], reply, || Ok(()));
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.handles.release(fh.0);
        reply.ok();
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let work = || rustix::fs::fsync(self.handles.file(fh.0)?);
        self.serve_empty(Op::Fsync, &[(ino.0, None)], reply, work);
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let work = || self.handles.opendir(&self.tree, ino.0);
        match self.serve(Op::Opendir, &[(ino.0, None)], work) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let work = || self.handles.dir(fh.0)?.entries(&self.tree, offset);
        match self.serve(Op::Readdir, &[(ino.0, None)], work) {
            Ok(entries) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                for (next, entry) in (1..).zip(entries.iter()).skip(from) {
                    if reply.add(INodeNo(entry.ino), next, entry.kind, entry.name()) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.handles.release(fh.0);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let work = || self.handles.dir(fh.0)?.sync();
        self.serve_empty(Op::Fsync, &[(ino.0, None)], reply, work);
    }

    fn statfs(&self, _req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let work = || rustix::fs::fstatvfs(&*self.tree.fd(ino.0)?);
        match self.serve(Op::Statfs, &[(ino.0, None)], work) {
            Ok(vfs) => {
                let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
                let (block, fragment) = (small(vfs.f_bsize), small(vfs.f_frsize));
                let (name_max, free) = (small(vfs.f_namemax), vfs.f_ffree);
                let (blocks, bfree, bavail) = (vfs.f_blocks, vfs.f_bfree, vfs.f_bavail);
                reply.statfs(blocks, bfree, bavail, vfs.f_files, free, block, name_max, fragment);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn setxattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let work = || meta::set_xattr(&self.tree, ino.0, name, value, flags);
        self.serve_empty(Op::Setxattr, &[(ino.0, None)], reply, work);
    }

    fn getxattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let work = || meta::get_xattr(&self.tree, ino.0, name);
        self.serve_xattr(Op::Getxattr, ino, size, reply, work);
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let work = || meta::list_xattr(&self.tree, ino.0);
        self.serve_xattr(Op::Listxattr, ino, size, reply, work);
    }

    fn removexattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let work = || meta::remove_xattr(&self.tree, ino.0, name);
        self.serve_empty(Op::Removexattr, &[(ino.0, None)], reply, work);
    }

    fn access(&self, _req: &Request, _ino: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        reply.ok(); // the kernel checks modes itself (default_permissions)
    }

    fn fallocate(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let work = || data::fallocate(&*self.handles.file(fh.0)?, mode, offset, length);
        self.serve_empty(Op::Fallocate, &[(ino.0, None)], reply, work);
    }

    fn lseek(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let work = || data::seek(&*self.handles.file(fh.0)?, offset, whence);
        match self.serve(Op::Lseek, &[(ino.0, None)], work) {
            Ok(at) => reply.offset(at),
            Err(errno) => reply.error(errno),
        }
    }
}
