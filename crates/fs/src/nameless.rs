//! A file that never gets a name: for content that a run needs while it lives, and not after it.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::Mode;

use crate::dir::Dir;
use crate::file::File;
use crate::sys;

impl Dir {
    /// Makes a file without a name on the file system of this directory, for nobody else. It is gone when it
    /// is closed, and be it because its process was killed. Fails where the file system knows no such files.
    pub fn make_nameless(&self) -> io::Result<File> {
        let fd = sys::open_anonymous(self.as_fd(), Mode::RUSR | Mode::WUSR)?;
        Ok(File::created(fd, self.known_device()))
    }

    /// How much a user may still store on the file system of this directory, in bytes.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let now = rustix::fs::fstatvfs(self.as_fd())?;
        Ok(now.f_bavail.saturating_mul(now.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use crate::operator;

    #[test]
    fn a_file_without_a_name_holds_content_and_leaves_nothing() {
        let tmp = tempfile::tempdir().unwrap();
        let (dir, _) = operator::open_parent(&tmp.path().join("any")).unwrap();
        let file = dir.make_nameless().unwrap();
        file.write_all_at(b"content", 5).unwrap();
        let mut buffer = [0; 7];
        assert_eq!(file.read_at(&mut buffer, 5).unwrap(), 7);
        assert_eq!(&buffer, b"content");
        assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
        assert!(dir.free_bytes().unwrap() > 0);
    }
}
