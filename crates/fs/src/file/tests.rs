//! What `file` promises, held to it.

use std::thread;
use std::time::Duration;

use super::*;
use crate::AccessTime;
use crate::testing::on_each_file_system;

#[test]
fn reads_to_the_end_and_no_further() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o600).unwrap();
        file.write_all_at(b"hello", 3).unwrap();
        let mut buffer = [9; 16];
        assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 7);
        assert_eq!(&buffer[..8], b"\0\0hello\x09");
        assert_eq!(file.read_at(&mut buffer, 100).unwrap(), 0);
        assert_eq!(file.device_size().unwrap(), 8);
        file.set_len(2).unwrap();
        assert_eq!(file.metadata().unwrap().size, 2);
        file.sync_all().unwrap();
    });
}

#[test]
fn what_is_read_goes_behind_what_is_there() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o600).unwrap();
        file.write_all_at(b"hello", 0).unwrap();
        let mut bytes = Vec::with_capacity(100);
        assert_eq!(file.append_at(&mut bytes, 2, 3).unwrap(), 2);
        assert_eq!(file.append_at(&mut bytes, 3, 1).unwrap(), 3, "and no more than that");
        assert_eq!(file.append_at(&mut bytes, 50, 4).unwrap(), 1, "the file ends");
        assert_eq!(file.append_at(&mut bytes, 0, 0).unwrap(), 0);
        assert_eq!(bytes, b"loello");
    });
}

#[test]
fn data_extents_cover_all_data_in_order() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o600).unwrap();
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();
        file.write_all_at(&[1; 4096], 3 << 20).unwrap();
        file.set_len(5 << 20).unwrap();
        let extents: Vec<Range<u64>> = file.data_extents(0..5 << 20).map(Result::unwrap).collect();
        for at in [1_u64 << 20, (3 << 20) + 4095] {
            assert!(extents.iter().any(|extent| extent.contains(&at)), "{extents:?}");
        }
        assert!(extents.is_sorted_by(|a, b| a.end < b.start));
        assert!(extents.iter().map(|extent| extent.end - extent.start).sum::<u64>() < 1 << 20);
        let inside = (1 << 20) + 5..(1 << 20) + 9;
        assert!(file.data_extents(inside.clone()).flatten().eq([inside]));
        assert_eq!(file.data_extents(4 << 20..5 << 20).count(), 0);
        assert_eq!(file.data_extents(9 << 20..10 << 20).count(), 0);
        assert_eq!(file.data_extents(7..7).count(), 0);
    });
}

#[test]
fn where_holes_are_not_told_all_is_data() {
    let proc = crate::Dir::open_operator(std::path::Path::new("/proc/self")).unwrap();
    let file = proc.open_file(b"status", AccessTime::Update).unwrap();
    let range = 5..50;
    assert!(file.data_extents(range.clone()).flatten().eq([range]));
}

#[test]
fn one_holder_of_the_lock_at_a_time() {
    on_each_file_system(|_, dir| {
        let first = dir.create_file(b"f", 0o600).unwrap();
        let second = dir.open_file(b"f", AccessTime::Update).unwrap();
        assert!(first.lock_exclusive_now().unwrap());
        assert!(first.lock_exclusive_now().unwrap());
        assert!(!second.lock_exclusive_now().unwrap());
        drop(first);
        assert!(second.lock_exclusive_now().unwrap());
    });
}

#[test]
fn holes_are_punched_and_space_is_reserved() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o600).unwrap();
        file.preallocate(1 << 20).unwrap();
        file.preallocate(0).unwrap();
        let reserved = file.metadata().unwrap();
        assert!(reserved.size == 0 && reserved.allocated_blocks >= 2048);
        file.write_all_at(&vec![7; 20_000], 0).unwrap();
        file.punch_hole(5..19_000).unwrap();
        file.punch_hole(9..9).unwrap();
        let mut bytes = vec![1; 20_000];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 20_000);
        assert!(bytes[5..19_000].iter().all(|&byte| byte == 0));
        assert_eq!((bytes[4], bytes[19_000]), (7, 7));
        file.write_zeros(0..20_000).unwrap();
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 20_000);
        assert!(bytes.iter().all(|&byte| byte == 0));
    });
}

#[test]
fn attributes_go_to_the_open_file_and_not_to_its_name() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o600).unwrap();
        dir.rename(b"f", dir, b"moved", crate::Existing::Replace).unwrap();
        let other = dir.create_file(b"f", 0o600).unwrap().metadata().unwrap();
        let mtime = Timestamp { secs: 1, nanos: 2 };
        file.set_mode(0o4711).unwrap();
        file.set_times(Times { mtime: Some(mtime), atime: None }).unwrap();
        let (uid, gid) = (crate::process::effective_uid(), crate::process::effective_gid());
        file.set_owner(Some(uid), Some(gid)).unwrap();
        assert_eq!(dir.stat(b"moved").unwrap().mtime, mtime);
        assert_eq!(dir.stat(b"f").unwrap(), other);
    });
}

#[test]
fn what_was_just_written_is_in_memory_and_fetching_changes_nothing() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o600).unwrap();
        assert_eq!(file.would_wait(), None, "it is empty");
        file.write_all_at(b"content", 0).unwrap();
        assert_ne!(file.would_wait(), Some(true));
        for len in [1, 4096, u64::MAX] {
            file.fetch(NonZeroU64::new(len).unwrap());
        }
        let mut bytes = [0; 8];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 7);
        assert_eq!(&bytes[..7], b"content");
    });
}

#[test]
fn what_is_on_the_disk_alone_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let dir = crate::Dir::open_operator(root.path()).unwrap();
    let file = dir.create_file(b"f", 0o600).unwrap();
    file.write_all_at(&vec![7; 100_000], 0).unwrap();
    file.sync_all().unwrap();
    assert_ne!(file.would_wait(), Some(true));
    // What another processor is about to put on its lists stays for a moment.
    for _ in 0..100 {
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        if file.would_wait() == Some(true) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let magic = sys::file_system_magic(dir.as_fd()).unwrap();
    // ext4, xfs and btrfs; others have no disk, or do not tell.
    if [0xef53, 0x5846_5342, 0x9123_683e].contains(&magic) {
        assert_eq!(file.would_wait(), Some(true));
    }
    file.fetch(NonZeroU64::new(1).unwrap());
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, 0).unwrap(), 1);
    assert_eq!(byte[0], 7);
    assert_ne!(file.would_wait(), Some(true));
}
