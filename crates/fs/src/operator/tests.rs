//! What `operator` promises, held to it.

use super::*;
use std::io::Write;
use std::os::unix::fs::{lchown, symlink};

fn read_as(path: &Path, trusted: u32) -> io::Result<Vec<u8>> {
    let mut walk = Walk::new(path, OFlags::RDONLY)?;
    walk.trusted = trusted;
    let mut bytes = Vec::new();
    walk.open()?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn reads_files_by_all_kinds_of_paths() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path();
    std::fs::create_dir_all(path.join("a/b")).unwrap();
    std::fs::write(path.join("a/b/f"), b"text").unwrap();
    symlink("a", path.join("relative")).unwrap();
    symlink(path.join("a/b"), path.join("absolute")).unwrap();
    symlink("../../relative/b/f", path.join("a/b/back")).unwrap();
    for good in ["a/b/f", "a//./b/../b/f", "relative/b/f", "absolute/f", "absolute/back"] {
        assert_eq!(read_file(&path.join(good)).unwrap(), b"text", "{good}");
    }
    for directory in ["a", "a/", "relative", "a/b/..", "a/."] {
        assert!(read_file(&path.join(directory)).is_err(), "{directory}");
    }
    for missing in ["a/b/f/", "missing", "missing/f", "a/b/f/g"] {
        assert!(read_file(&path.join(missing)).is_err(), "{missing}");
    }
    assert!(read_file(Path::new("")).is_err());
    assert!(read_file(Path::new("/")).is_err());
}

#[test]
fn follows_only_links_of_root_and_our_own() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path();
    std::fs::create_dir(path.join("d")).unwrap();
    std::fs::write(path.join("d/f"), b"text").unwrap();
    symlink("d/f", path.join("file")).unwrap();
    symlink("d", path.join("dir")).unwrap();
    let me = process::effective_uid();
    let (ours, theirs) = if process::is_root() {
        // Links of root are always trusted, so they are given away.
        lchown(path.join("file"), Some(4242), None).unwrap();
        lchown(path.join("dir"), Some(4242), None).unwrap();
        (4242, me)
    } else {
        (me, 4242)
    };
    for name in ["file", "dir/f"] {
        assert_eq!(read_as(&path.join(name), ours).unwrap(), b"text");
        let refused = read_as(&path.join(name), theirs).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    }
    assert_eq!(read_as(&path.join("d/f"), theirs).unwrap(), b"text");
}

#[test]
fn a_circle_of_links_ends() {
    let scratch = tempfile::tempdir().unwrap();
    symlink("b", scratch.path().join("a")).unwrap();
    symlink("a", scratch.path().join("b")).unwrap();
    assert!(read_file(&scratch.path().join("a")).is_err());
    assert!(append(&scratch.path().join("a/f")).is_err());
}

#[test]
fn reads_what_the_shell_passes_as_an_open_file() {
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"from a pipe").unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    assert_eq!(read_file(Path::new(&path)).unwrap(), b"from a pipe");
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"without a name").unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    assert_eq!(read_file(Path::new(&path)).unwrap(), b"without a name");
    assert_eq!(read_file(Path::new("/dev/null")).unwrap(), b"");
}

#[test]
fn refuses_what_is_neither_file_nor_pipe() {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("socket");
    let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(open(&socket).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert!(append(&socket).is_err());
}

#[test]
fn a_file_without_end_is_too_long() {
    let read = |name| read_file_up_to(Path::new(name), 7).map_err(|error| error.kind());
    assert_eq!(read("/dev/zero"), Err(io::ErrorKind::FileTooLarge));
    assert_eq!(read("/dev/null"), Ok(Vec::new()));
}

#[test]
fn appends_and_creates() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("log");
    symlink("log", scratch.path().join("link")).unwrap();
    for text in ["one\n", "two\n"] {
        append(&scratch.path().join("link")).unwrap().write_all(text.as_bytes()).unwrap();
    }
    assert_eq!(read_file(&path).unwrap(), b"one\ntwo\n");
    assert!(append(&scratch.path().join("missing/log")).is_err());
    assert!(append(&scratch.path().join("log/")).is_err());
    assert!(append(scratch.path()).is_err());
    append(Path::new("/dev/null")).unwrap().write_all(b"x").unwrap();
    make_dir(&scratch.path().join("d")).unwrap();
    let again = make_dir(&scratch.path().join("d")).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn whoever_has_a_file_open_for_writing_is_seen() {
    for place in [std::env::temp_dir(), "/dev/shm".into()] {
        let scratch = tempfile::tempdir_in(place).unwrap();
        let path = scratch.path().join("file");
        let writer = append(&path).unwrap();
        let reader = open(&path).unwrap();
        assert!(is_open_for_writing(&reader));
        drop(writer);
        let other = open(&path).unwrap();
        assert!(!is_open_for_writing(&reader) && !is_open_for_writing(&other));
        // The lease is given back: nobody has to wait for it.
        drop(append(&path).unwrap());
        let both = File::options().read(true).write(true).open(&path).unwrap();
        assert!(is_open_for_writing(&other));
        drop(both);
    }
    let (pipe, _writer) = io::pipe().unwrap();
    assert!(!is_open_for_writing(&File::from(std::os::fd::OwnedFd::from(pipe))));
}
