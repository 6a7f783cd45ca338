//! A loop device, which shows a file or another device as long as a test wants it to.

use std::process::Command;

/// It is detached when it is dropped.
pub(crate) struct LoopDevice {
    pub(crate) path: String,
}

impl LoopDevice {
    /// Shows what has a path, with further options of losetup(8).
    pub(crate) fn over(shown: &str, options: &[&str]) -> Self {
        let made =
            Command::new("losetup").args(["--find", "--show"]).args(options).arg(shown).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { path: String::from_utf8(made.stdout).unwrap().trim().to_owned() }
    }

    /// What the kernel holds of it goes to what it shows.
    pub(crate) fn flush(&self) {
        let flushed = Command::new("blockdev").args(["--flushbufs", &self.path]).status().unwrap();
        assert!(flushed.success());
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        Command::new("losetup").args(["--detach", &self.path]).status().ok();
    }
}
