//! A source that is written to while it is read: the run says so or copies a state that was real;
//! a file that is half of one state and half of another is never called good.
//!
//! Every file tells of its state: each page carries the file's own number, a version and its place.
//! Writers change one page in one call, so a state that was real is known when it is seen.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode};

use crate::lab::{self, Lab};
use crate::support::rng::Rng;

const PAGE: usize = 4096;

fn page(id: u64, version: u64, place: u64) -> Vec<u8> {
    format!("{id:08x} {version:012x} {place:08x}\n\n").into_bytes().repeat(PAGE / 32)
}

fn pages(id: u64, version: u64, count: u64) -> Vec<u8> {
    (0..count).flat_map(|place| page(id, version, place)).collect()
}

/// What a page says of itself: its version, if all of it is of the file and of this place.
fn version_of(bytes: &[u8], id: u64, place: u64) -> Option<u64> {
    let text = std::str::from_utf8(bytes.get(9..21)?).ok()?;
    let version = u64::from_str_radix(text, 16).ok()?;
    (bytes == page(id, version, place)).then_some(version)
}

/// How a file changes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// Page by page from the first to the last, again and again: what is real has new pages first.
    Overwritten { count: u64 },
    /// It grows by pages, and begins anew from nothing now and then.
    Growing { most: u64 },
    /// It is replaced by a new file, of another length.
    Replaced { most: u64 },
    /// It goes and comes back.
    Vanishing,
    /// It is a file, a link, a directory, a pipe, in turn.
    OfAnyKind,
}

/// One file that changes.
struct Subject {
    id: u64,
    manner: Manner,
    path: PathBuf,
    /// On the same file system, outside of the source.
    aside: PathBuf,
    version: u64,
    open: Option<File>,
}

impl Subject {
    /// Changes it once.
    fn change(&mut self) {
        self.version += 1;
        let (id, version) = (self.id, self.version);
        match self.manner {
            Manner::Overwritten { count } => {
                let open = || {
                    OpenOptions::new()
                        .write(true)
                        .create(true)
                        .truncate(false)
                        .open(&self.path)
                        .unwrap()
                };
                let file = self.open.get_or_insert_with(open);
                for place in 0..count {
                    file.write_all_at(&page(id, version, place), place * PAGE as u64).unwrap();
                }
            }
            Manner::Growing { most } => {
                let place = version % most;
                if place == 0 || self.open.is_none() {
                    self.open = Some(File::create(&self.path).unwrap());
                    self.version -= place;
                    return;
                }
                let epoch = version - place;
                let file = self.open.as_mut().unwrap();
                file.write_all(&page(id, epoch, place - 1)).unwrap();
            }
            Manner::Replaced { most } => {
                fs::write(&self.aside, pages(id, version, 1 + version % most)).unwrap();
                fs::rename(&self.aside, &self.path).unwrap();
            }
            Manner::Vanishing => {
                fs::remove_file(&self.path).ok();
                fs::write(&self.aside, pages(id, version, 2)).unwrap();
                fs::rename(&self.aside, &self.path).unwrap();
            }
            Manner::OfAnyKind => self.become_another(),
        }
    }

    fn become_another(&mut self) {
        let (id, version, aside) = (self.id, self.version, &self.aside);
        match version % 4 {
            0 => fs::write(aside, pages(id, version, 2)).unwrap(),
            1 => symlink(format!("v{version}"), aside).unwrap(),
            2 => {
                fs::create_dir(aside).unwrap();
                fs::write(aside.join("inner"), pages(id, version, 1)).unwrap();
            }
            _ => rustix::fs::mknodat(CWD, aside, FileType::Fifo, Mode::RUSR, 0).unwrap(),
        }
        if self.path.is_dir() && !self.path.is_symlink() {
            fs::remove_dir_all(&self.path).unwrap();
        } else {
            fs::remove_file(&self.path).ok();
        }
        fs::rename(aside, &self.path).unwrap();
    }

    /// Fails unless what the destination has under its name was once real.
    #[track_caller]
    fn check(&self, copy: &Path) {
        let at = copy.join(self.path.file_name().unwrap());
        let Ok(meta) = at.symlink_metadata() else { return };
        if meta.is_dir() && self.manner == Manner::OfAnyKind {
            if let Ok(bytes) = fs::read(at.join("inner")) {
                self.check_versions(&bytes);
            }
        } else if meta.is_file() {
            self.check_versions(&fs::read(&at).unwrap());
        } else {
            assert_eq!(self.manner, Manner::OfAnyKind, "{at:?} has become {meta:?}");
        }
    }

    #[track_caller]
    fn check_versions(&self, bytes: &[u8]) {
        let (id, manner) = (self.id, self.manner);
        assert_eq!(bytes.len() % PAGE, 0, "{:?} ends within a page", self.path);
        let versions: Vec<u64> = bytes
            .chunks(PAGE)
            .zip(0..)
            .map(|(bytes, place)| {
                version_of(bytes, id, place)
                    .unwrap_or_else(|| panic!("{:?} {manner:?}: page {place} is torn", self.path))
            })
            .collect();
        let Some(&first) = versions.first() else {
            let may_be_empty = matches!(manner, Manner::Growing { .. });
            return assert!(may_be_empty, "{:?} {manner:?} is empty", self.path);
        };
        let is_of_one = versions.iter().all(|version| *version == first);
        let is_real = match manner {
            Manner::Overwritten { count } => {
                let newer = versions.iter().take_while(|version| **version == first).count();
                versions.len() as u64 == count
                    && versions[newer..].iter().all(|version| *version + 1 == first)
            }
            Manner::Growing { .. } => is_of_one,
            Manner::Replaced { most } => is_of_one && versions.len() as u64 == 1 + first % most,
            Manner::Vanishing => is_of_one && versions.len() == 2,
            Manner::OfAnyKind => is_of_one && versions.len() <= 2,
        };
        let runs: Vec<_> =
            versions.chunk_by(PartialEq::eq).map(|run| (run[0], run.len())).collect();
        assert!(is_real, "{:?} {manner:?} never was so: (version, pages) {runs:?}", self.path);
    }
}

/// Threads that change subjects until they are stopped.
struct Unrest {
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<Subject>>>,
}

impl Unrest {
    fn begin(groups: Vec<Vec<Subject>>) -> Self {
        let (stop, changes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let start = |mut subjects: Vec<Subject>| {
            let (stop, changes) = (Arc::clone(&stop), Arc::clone(&changes));
            thread::spawn(move || {
                let mut rng = Rng::new(subjects[0].id);
                while !stop.load(Ordering::Relaxed) {
                    let at = rng.below(subjects.len());
                    subjects[at].change();
                    changes.fetch_add(1, Ordering::Relaxed);
                }
                subjects
            })
        };
        let threads = groups.into_iter().map(start).collect();
        Self { stop, changes, threads }
    }

    fn end(mut self) -> Vec<Subject> {
        self.stop.store(true, Ordering::Relaxed);
        std::mem::take(&mut self.threads)
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    }
}

impl Drop for Unrest {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn subjects(lab: &Lab, first_id: u64, manner: Manner, count: u64) -> Vec<Subject> {
    let (source, aside) = (lab.dir("src"), lab.dir("aside"));
    let make = |id| {
        let (path, aside) = (source.join(format!("s{id:05}")), aside.join(format!("s{id:05}")));
        let mut subject = Subject { id, manner, path, aside, version: 3, open: None };
        subject.change();
        // Too many to be held open all at once.
        if count > 8 {
            subject.open = None;
        }
        subject
    };
    (first_id..first_id + count).map(make).collect()
}

/// Where a subject stands, for the checks while its thread owns it.
fn shadows(groups: &[Vec<Subject>]) -> Vec<Subject> {
    let shadow =
        |of: &Subject| Subject { path: of.path.clone(), aside: PathBuf::new(), open: None, ..*of };
    groups.iter().flatten().map(shadow).collect()
}

fn survives(lab: &Lab, groups: Vec<Vec<Subject>>, options: &str, span: Duration) {
    let copy = lab.dir("dst");
    let shadows = shadows(&groups);
    let unrest = Unrest::begin(groups);
    let began = Instant::now();
    let mut runs = 0;
    while began.elapsed() < span || runs < 3 {
        let done = lab.lanesync(&format!("{options} src/ dst/")).go();
        let done = done.expect_one_of(&[0, 23, 24]);
        assert!(done.code == 0 || !done.stderr.is_empty(), "it failed and said nothing");
        for shadow in &shadows {
            shadow.check(&copy);
        }
        runs += 1;
    }
    assert!(unrest.changes.load(Ordering::Relaxed) > 10, "nothing changed while it ran");
    drop(unrest.end());
    lab.lanesync(&format!("{options} -I src/ dst/")).go().expect(0);
    assert_eq!(lab::contents(&lab.path("dst")), lab::contents(&lab.path("src")));
    let said = lab.rsync("-acn -i --delete src/ dst/").go().expect(0).stdout;
    assert_eq!(said, "", "rsync finds something to do");
}

fn small(options: &str) {
    let lab = Lab::new();
    for number in 0..600 {
        lab.file(format!("src/quiet/{number}"), lab::content(number, 9000));
    }
    let groups = vec![
        subjects(&lab, 0, Manner::Overwritten { count: 24 }, 30)
            .into_iter()
            .chain(subjects(&lab, 100, Manner::Growing { most: 20 }, 30))
            .collect(),
        subjects(&lab, 200, Manner::Replaced { most: 12 }, 30)
            .into_iter()
            .chain(subjects(&lab, 300, Manner::Vanishing, 30))
            .chain(subjects(&lab, 400, Manner::OfAnyKind, 30))
            .collect(),
    ];
    survives(&lab, groups, options, Duration::from_secs(5));
}

#[test]
fn small_files_that_change_while_they_are_read_are_never_torn() {
    small("-a --delete");
}

#[test]
fn small_files_that_change_while_one_worker_reads_them_are_never_torn() {
    small("-a --delete --workers 1");
}

fn big(options: &str) {
    let lab = Lab::new();
    let groups = vec![
        subjects(&lab, 0, Manner::Overwritten { count: 10_240 }, 1),
        subjects(&lab, 1, Manner::Growing { most: 12_000 }, 1),
        subjects(&lab, 2, Manner::Replaced { most: 600 }, 1),
    ];
    survives(&lab, groups, options, Duration::from_secs(5));
}

#[test]
fn big_files_that_change_while_they_are_read_are_never_torn() {
    big("-a --delete");
}

#[test]
fn big_files_that_change_while_many_read_them_in_pieces_are_never_torn() {
    big("-a --workers 8");
}

#[test]
fn big_files_that_change_are_never_torn_by_a_comparison_of_content() {
    big("-ac");
}

/// Copies a big file over an old one, slowly, and appends to it while `goes_on` says so.
fn appended_to(goes_on: &dyn Fn(usize) -> bool) -> (Lab, lab::Done) {
    let lab = Lab::new();
    let log = lab.file("src/log", lab::content(1, 40 << 20));
    lab.file("dst/log", "old");
    let mut run = lab.lanesync("-a --bwlimit=40m src/ dst/").start();
    let is_staged = || lab::names(&lab.path("dst")).len() > 1;
    run.until("the copy began", is_staged);
    let mut file = OpenOptions::new().append(true).open(&log).unwrap();
    let mut times = 0;
    while !run.has_ended() && goes_on(times) {
        file.write_all(b"one more line\n").unwrap();
        times += 1;
        thread::sleep(Duration::from_millis(20));
    }
    let done = run.wait();
    (lab, done)
}

#[test]
fn a_big_file_that_changed_once_is_read_anew() {
    let (lab, done) = appended_to(&|times| times < 1);
    done.expect(0);
    lab.assert_same("src", "dst");
}

#[test]
fn a_big_file_that_changes_all_the_time_is_given_up_and_the_old_one_stays() {
    let (lab, done) = appended_to(&|_| true);
    done.expect(23).complains(&["source", "read three times", "src/log", "changed"]);
    assert_eq!(fs::read(lab.path("dst/log")).unwrap(), b"old");
    assert_eq!(lab::names(&lab.path("dst")).len(), 1);
}
