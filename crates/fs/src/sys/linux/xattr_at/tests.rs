//! What `xattr_at` promises, held to it.

use super::*;
use crate::testing::on_each_file_system;
use std::os::fd::AsFd;

fn ways() -> Vec<Way> {
    if way() == Way::Direct { vec![Way::Direct, Way::Proc] } else { vec![Way::Proc] }
}

#[test]
fn both_ways_do_the_same() {
    on_each_file_system(|_, dir| {
        let name = [b'n'; 255];
        dir.create_file(&name, 0o600).unwrap();
        let dir = dir.as_fd();
        let mut buffer = [0; 64];
        for way in ways() {
            assert_eq!(list_by(way, dir, &name, &mut buffer), Ok(0));
            set_by(way, dir, &name, c"user.a", b"value").unwrap();
            assert_eq!(get_by(way, dir, &name, c"user.a", &mut []), Ok(5));
            assert_eq!(get_by(way, dir, &name, c"user.a", &mut buffer), Ok(5));
            assert_eq!(&buffer[..5], b"value");
            assert_eq!(get_by(way, dir, &name, c"user.a", &mut buffer[..2]), Err(Errno::RANGE));
            assert_eq!(list_by(way, dir, &name, &mut []), Ok(7));
            assert_eq!(list_by(way, dir, &name, &mut buffer), Ok(7));
            assert_eq!(&buffer[..7], b"user.a\0");
            remove_by(way, dir, &name, c"user.a").unwrap();
            assert_eq!(remove_by(way, dir, &name, c"user.a"), Err(Errno::NODATA));
            assert_eq!(get_by(way, dir, b"missing", c"user.a", &mut buffer), Err(Errno::NOENT));
        }
    });
}

#[test]
fn neither_way_follows_a_link() {
    on_each_file_system(|path, dir| {
        std::fs::write(path.join("file"), b"").unwrap();
        rustix::fs::setxattr(path.join("file"), "user.a", b"kept", XattrFlags::empty()).unwrap();
        dir.make_symlink(b"file", b"link").unwrap();
        let dir = dir.as_fd();
        let mut buffer = [0; 64];
        for way in ways() {
            assert!(set_by(way, dir, b"link", c"user.a", b"changed").is_err());
            assert!(remove_by(way, dir, b"link", c"user.a").is_err());
            assert!(get_by(way, dir, b"link", c"user.a", &mut buffer).is_err());
            assert_eq!(list_by(way, dir, b"link", &mut buffer), Ok(0));
        }
        assert_eq!(get_by(Way::Proc, dir, b"file", c"user.a", &mut buffer), Ok(4));
        assert_eq!(&buffer[..4], b"kept");
    });
}
