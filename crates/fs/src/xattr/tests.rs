//! What `xattr` promises, held to it.

use super::*;
use crate::AccessTime;
use crate::testing::on_each_file_system;

#[test]
fn attributes_are_set_listed_and_removed_by_name_and_by_file() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o600).unwrap();
        dir.make_symlink(b"f", b"link").unwrap();
        let behind = Behind::of(dir, b"link").unwrap();
        for node in [Node::from(&file), Node::Name(dir, b"f"), Node::from(dir), Node::from(&behind)]
        {
            assert!(list(node).unwrap().is_empty());
            assert_eq!(get(node, b"user.none").unwrap(), None);
            set(node, b"user.empty", b"").unwrap();
            set(node, b"user.b", b"one").unwrap();
            set(node, b"user.b", b"two").unwrap();
            let mut names = list(node).unwrap();
            names.sort();
            assert_eq!(names, [Box::from(&b"user.b"[..]), Box::from(&b"user.empty"[..])]);
            assert_eq!(get(node, b"user.b").unwrap().unwrap(), b"two");
            assert_eq!(get(node, b"user.empty").unwrap().unwrap(), b"");
            for name in [b"user.b".as_slice(), b"user.empty", b"user.never"] {
                remove(node, name).unwrap();
            }
            assert!(list(node).unwrap().is_empty());
        }
    });
}

#[test]
fn values_and_lists_larger_than_the_first_try_are_whole() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o600).unwrap();
        // Not more than a file system with blocks of 1 KiB takes.
        let value: Vec<u8> = (0..700_u32).map(|n| n.to_le_bytes()[0]).collect();
        for node in [Node::from(&file), Node::Name(dir, b"f")] {
            set(node, b"user.large", &value).unwrap();
            assert_eq!(get(node, b"user.large").unwrap().unwrap(), value);
            remove(node, b"user.large").unwrap();
            let names: Vec<Vec<u8>> =
                (0..11).map(|n| format!("user.{n:045}").into_bytes()).collect();
            for name in &names {
                set(node, name, b"x").unwrap();
            }
            let mut found = list(node).unwrap();
            found.sort();
            assert!(found.iter().map(|name| &**name).eq(names.iter().map(|name| &**name)));
            for name in &names {
                remove(node, name).unwrap();
            }
        }
    });
}

#[test]
fn unsound_names_are_refused() {
    on_each_file_system(|_, dir| {
        dir.create_file(b"f", 0o600).unwrap();
        for name in [&b""[..], b"user.a\0b", &[b'x'; 256]] {
            for node in [Node::Name(dir, b"f"), Node::from(dir)] {
                let kinds = [
                    get(node, name).unwrap_err().kind(),
                    set(node, name, b"").unwrap_err().kind(),
                    remove(node, name).unwrap_err().kind(),
                ];
                assert_eq!(kinds, [io::ErrorKind::InvalidInput; 3]);
            }
        }
        for component in [&b".."[..], b"", b"a/b"] {
            let node = Node::Name(dir, component);
            assert_eq!(list(node).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(get(node, b"user.a").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn a_file_system_without_attributes_has_none() {
    let proc = Dir::open_operator(std::path::Path::new("/proc/self")).unwrap();
    let file = proc.open_file(b"status", AccessTime::Update).unwrap();
    assert!(list(Node::from(&file)).unwrap().is_empty());
    assert_eq!(get(Node::from(&file), b"user.a").unwrap(), None);
    assert!(set(Node::from(&file), b"user.a", b"x").is_err());
}

#[test]
fn a_value_that_keeps_growing_ends_in_an_error() {
    let mut len = 1000;
    let mut read = |buffer: &mut [u8]| {
        len += 1;
        if buffer.is_empty() { Ok(len) } else { Err(Errno::RANGE) }
    };
    assert_eq!(read_growing(&mut read, <[u8]>::len), Err(Errno::RANGE));
}
