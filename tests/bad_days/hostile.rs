//! A neighbour who swaps directories and files for links as fast as he can: nothing outside the two
//! roots is written, given away or removed, and nothing from outside the source arrives.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, ResolveFlags, renameat_with};

use crate::lab::{self, Lab};

/// How long each pair of sides is fought over.
const SPAN: Duration = Duration::from_secs(9);

/// A thread that puts a link in the place of an entry and takes it away again.
struct Neighbour {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    /// Swaps each of `places` for a link to its partner in turn; `aside` is on the same file system.
    fn begin(places: Vec<(PathBuf, PathBuf)>, aside: PathBuf) -> Self {
        let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&swaps));
        let work = move || {
            let mut link = aside.join("none yet");
            while !stopped.load(Ordering::Relaxed) {
                for (place, outside) in &places {
                    // He must not fall into his own traps. A parent that is a link just now is left out.
                    let Some(parent) = open_parent(place) else { continue };
                    let name = place.file_name().unwrap();
                    // What the program still works in may not go at once, so each link has a new name.
                    clear(&link);
                    link = aside.join(format!("link{}", counted.fetch_add(1, Ordering::Relaxed)));
                    symlink(outside, &link).unwrap();
                    // Where the program was faster, nothing is there, and the link is put.
                    let put = renameat_with(CWD, &link, &parent, name, RenameFlags::EXCHANGE)
                        .or_else(|_| {
                            renameat_with(CWD, &link, &parent, name, RenameFlags::NOREPLACE)
                        });
                    (0..counted.load(Ordering::Relaxed) % 7 * 40).for_each(|_| thread::yield_now());
                    let back = renameat_with(CWD, &link, &parent, name, RenameFlags::EXCHANGE);
                    counted.fetch_add(
                        u64::from(put.is_ok()) + u64::from(back.is_ok()),
                        Ordering::Relaxed,
                    );
                }
            }
        };
        Self { stop, swaps, thread: Some(thread::spawn(work)) }
    }

    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.swaps.load(Ordering::Relaxed)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The directory of a path, if there is no link on the way.
fn open_parent(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = path.parent().unwrap();
    rustix::fs::openat2(CWD, parent, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok()
}

fn clear(path: &Path) {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => drop(fs::remove_dir_all(path)),
        Ok(_) => drop(fs::remove_file(path)),
        Err(_) => {}
    }
}

/// A directory with files, directories and more below it.
fn fill(lab: &Lab, root: &str, text: &str) {
    for name in ["f0", "f1", "f2", "sub/f0", "sub/f1", "sub/deep/f0"] {
        lab.file(format!("{root}/{name}"), format!("{text} {name}").repeat(40));
    }
    symlink("f0", lab.path(format!("{root}/link"))).unwrap();
    lab::succeed(std::process::Command::new("mkfifo").arg(lab.path(format!("{root}/pipe"))));
}

const OPTIONS: &[&str] = &[
    "-a --delete",
    "-aI --delete --workers 1",
    "-aHAX --delete --numeric-ids",
    "-aI --inplace --delete",
    "-aI --backup --delete",
    "-aI --partial-dir=.part",
    "-aI --delay-updates --delete-after",
    "-a --force --workers 16",
    "-aI --append-verify",
    "-aIS --delete-before --chmod=D700,F600",
];

#[test]
fn a_link_swapped_in_at_the_destination_never_leads_outside() {
    let lab = Lab::new();
    fill(&lab, "src/d", "source");
    fill(&lab, "src/e/inner", "source");
    lab.file("src/top", "source top");
    fill(&lab, "outside/dir", "precious");
    fill(&lab, "outside/dir/extra", "precious");
    let victim = lab.file("outside/file", "precious file");
    lab::age(&lab.path("src"));
    for path in lab::paths(&lab.path("outside")) {
        std::os::unix::fs::lchown(path, Some(4242), Some(4242)).unwrap();
    }
    lab::set_mode(&victim, 0o604);
    lab::set_mode(&lab.path("outside/dir"), 0o751);
    lab.lanesync("-a src/ dst/").go().expect(0);
    let outside = lab::fingerprints(&lab.path("outside"));
    let place = |name: &str, to: &str| (lab.path("dst").join(name), lab.path("outside").join(to));
    let places = vec![
        place("d", "dir"),
        place("d/sub", "dir/sub"),
        place("e/inner", "dir"),
        place("d/f0", "file"),
        place("top", "file"),
        place("d/sub/deep", "dir/extra"),
        place("d/link", "file"),
    ];
    let neighbour = Neighbour::begin(places, lab.dir("aside"));
    let began = Instant::now();
    let mut runs = 0;
    while began.elapsed() < SPAN {
        let options = OPTIONS[runs % OPTIONS.len()];
        // Whether it succeeds is a matter of luck; that it ends is not.
        let done = lab.lanesync(&format!("{options} src/ dst/")).go();
        let done = done.expect_one_of(&[0, 23, 24]);
        let now = lab::fingerprints(&lab.path("outside"));
        assert_eq!(now, outside, "it reached outside: {done}");
        runs += 1;
    }
    let swaps = neighbour.end();
    assert!(swaps > 100 && runs >= OPTIONS.len(), "{swaps} swaps in {runs} runs show nothing");
    lab.lanesync("-aI --delete src/ dst/").go().expect(0);
    lab.assert_same("src", "dst");
    assert_eq!(lab::fingerprints(&lab.path("outside")), outside);
}

#[test]
fn a_link_swapped_in_at_the_source_never_brings_anything_from_outside() {
    let lab = Lab::new();
    fill(&lab, "src/d", "public");
    fill(&lab, "src/e/inner", "public");
    lab.file("src/top", "public top");
    fill(&lab, "outside/dir", "SECRET");
    lab.file("outside/file", "SECRET file");
    lab::age(&lab.path("src"));
    // Reading may touch access times; all else of what is outside has to stay.
    let outside = lab::fingerprints(&lab.path("outside"));
    let place = |name: &str, to: &str| (lab.path("src").join(name), lab.path("outside").join(to));
    let places = vec![
        place("d", "dir"),
        place("d/sub", "dir/sub"),
        place("e/inner", "dir"),
        place("d/f0", "file"),
        place("top", "file"),
    ];
    let neighbour = Neighbour::begin(places, lab.dir("aside"));
    let began = Instant::now();
    let mut runs = 0;
    let more = ["-ac --delete", "-a --remove-source-files", "-aR", "-a --open-noatime"];
    let options: Vec<_> = OPTIONS.iter().chain(&more).collect();
    while began.elapsed() < SPAN {
        let options = options[runs % options.len()];
        if runs % 3 == 0 {
            fs::remove_dir_all(lab.path("dst")).ok();
        }
        let done = lab.lanesync(&format!("{options} src/ dst/")).go();
        let done = done.expect_one_of(&[0, 23, 24]);
        for (name, bytes) in lab::contents(&lab.path("dst")) {
            let is_secret = bytes.windows(6).any(|window| window == b"SECRET");
            assert!(!is_secret, "{name:?} holds what is outside the source: {done}");
        }
        assert_eq!(lab::fingerprints(&lab.path("outside")), outside, "it reached outside: {done}");
        if options.contains("remove-source") {
            fs::rename(lab.file("top again", "public top"), lab.path("src/top")).unwrap();
        }
        runs += 1;
    }
    let swaps = neighbour.end();
    assert!(swaps > 100 && runs >= options.len(), "{swaps} swaps in {runs} runs show nothing");
}

/// What a directory of backups mirrors is the directory that the run works in, whatever has its name
/// by the time that the backup is made.
#[test]
fn a_link_swapped_in_gives_no_attributes_to_a_directory_of_backups() {
    let lab = Lab::new();
    lab.file("src/d/file", lab::content(1, 6 << 20));
    lab.file("dst/d/file", "old");
    lab.dir("outside");
    for (dir, value) in [("src/d", "d"), ("dst/d", "d"), ("outside", "outside")] {
        let mut tool = std::process::Command::new("setfattr");
        lab::succeed(tool.args(["-n", "user.x", "-v", value]).arg(lab.path(dir)));
    }
    let names = lab::names(&lab.path("dst"));
    let mut run = lab.lanesync("-aX --bwlimit=2m --backup-dir=../kept src/ dst/").start();
    run.until("it began to write", || lab::names(&lab.path("dst")) != names);
    fs::rename(lab.path("dst/d"), lab.path("dst/moved")).unwrap();
    symlink(lab.path("outside"), lab.path("dst/d")).unwrap();
    let done = run.wait();
    assert_eq!(fs::read(lab.path("kept/d/file")).unwrap(), b"old", "{done}");
    let mut value = [0; 16];
    let len = rustix::fs::getxattr(lab.path("kept/d"), c"user.x", &mut value).unwrap();
    assert_eq!(&value[..len], b"d", "{done}");
}

#[test]
fn links_that_lie_at_the_destination_are_replaced_and_not_written_through() {
    for options in OPTIONS {
        let lab = Lab::new();
        fill(&lab, "src/d", "source");
        lab.file("src/top", "source top");
        lab::age(&lab.path("src"));
        fill(&lab, "outside/dir", "precious");
        lab.file("outside/file", "precious file");
        lab.dir("dst");
        symlink(lab.path("outside/dir"), lab.path("dst/d")).unwrap();
        symlink("../outside/file", lab.path("dst/top")).unwrap();
        symlink(lab.path("outside/dir"), lab.path("dst/extra")).unwrap();
        let outside = lab::fingerprints(&lab.path("outside"));
        let line = format!("{options} src/ dst/");
        lab.lanesync(&line).go().expect(0);
        assert_eq!(lab::fingerprints(&lab.path("outside")), outside, "{options}");
        assert!(!lab.path("dst/d").is_symlink() && !lab.path("dst/top").is_symlink(), "{options}");
    }
}
