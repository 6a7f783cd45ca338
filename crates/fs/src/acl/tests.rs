//! What `acl` promises, held to it.

use super::*;
use crate::testing::on_each_file_system;
use proptest::prelude::*;

fn entry(tag: Tag, perms: u8) -> Entry {
    Entry { tag, perms }
}

/// What `setfacl -m u:7:rw-,g:9:r--,m::rw-` makes of mode 0640.
fn extended() -> Acl {
    Acl::from_entries(vec![
        entry(Tag::Other, 0),
        entry(Tag::Mask, 6),
        entry(Tag::Group(9), 4),
        entry(Tag::OwningGroup, 4),
        entry(Tag::User(7), 6),
        entry(Tag::Owner, 6),
    ])
    .unwrap()
}

#[test]
fn bytes_are_those_of_the_kernel() {
    let bytes = Acl::from_mode(0o754).to_bytes();
    #[rustfmt::skip]
    let expected = [
        2, 0, 0, 0,
        1, 0, 7, 0, 255, 255, 255, 255,
        4, 0, 5, 0, 255, 255, 255, 255,
        32, 0, 4, 0, 255, 255, 255, 255,
    ];
    assert_eq!(bytes, expected);
    assert_eq!(Acl::parse(&bytes).unwrap(), Acl::from_mode(0o754));
    assert_eq!(Acl::parse(&extended().to_bytes()).unwrap(), extended());
}

#[test]
fn unsound_bytes_are_refused_with_the_reason() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: AclError| {
        let mut bytes = extended().to_bytes();
        change(&mut bytes);
        assert_eq!(Acl::parse(&bytes), Err(expected));
    };
    check(&Vec::clear, AclError::Length(0));
    check(&|bytes| bytes.truncate(3), AclError::Length(3));
    check(&|bytes| bytes.truncate(51), AclError::Length(51));
    check(&|bytes| bytes[0] = 1, AclError::Version(1));
    check(&|bytes| bytes[4] = 3, AclError::Tag(3));
    check(&|bytes| bytes[6] = 8, AclError::Perms(8));
    check(&|bytes| bytes[7] = 1, AclError::Perms(0x106));
    check(&|bytes| bytes[16..20].fill(255), AclError::Nobody);
    check(&|bytes| bytes.truncate(4), AclError::Shape);
    check(&|bytes| bytes.truncate(44), AclError::Shape);
    check(&|bytes| bytes[4] = 32, AclError::Shape);
    check(&|bytes| bytes[36] = 32, AclError::Shape);
}

#[test]
fn mode_bits_and_what_is_beyond_them() {
    let plain = Acl::from_mode(0o4751);
    assert!(plain.is_trivial());
    assert_eq!((plain.mode_bits(), plain.without_mode()), (0o751, None));
    let acl = extended();
    assert!(!acl.is_trivial());
    assert_eq!(acl.mode_bits(), 0o660);
    let named = vec![entry(Tag::User(7), 6), entry(Tag::Group(9), 4)];
    assert_eq!(acl.without_mode(), Some(BeyondMode { group_perms: 4, named }));
}

#[test]
fn ids_are_mapped_and_sorted_again() {
    let acl = extended().map_ids(|uid| uid + 1000, |gid| gid + 2000).unwrap();
    assert_eq!(acl.entries()[1], entry(Tag::User(1007), 6));
    assert_eq!(acl.entries()[3], entry(Tag::Group(2009), 4));
    assert_eq!(extended().map_ids(|_| u32::MAX, |gid| gid), Err(AclError::Nobody));
}

#[test]
fn lists_are_kept_by_the_kernel() {
    on_each_file_system(|_, dir| {
        let file = dir.create_file(b"f", 0o640).unwrap();
        dir.make_symlink(b"f", b"link").unwrap();
        for node in [Node::from(&file), Node::Name(dir, b"f")] {
            assert_eq!(read(node, Which::Access).unwrap(), None);
            write(node, Which::Access, Some(&extended())).unwrap();
            assert_eq!(read(node, Which::Access).unwrap(), Some(extended()));
            assert_eq!(file.metadata().unwrap().mode, extended().mode_bits());
            file.set_mode(0o611).unwrap();
            // A chmod moves the mask, and what is beyond the mode stays as it is.
            let changed = read(node, Which::Access).unwrap().unwrap();
            assert_eq!(changed.mode_bits(), 0o611);
            assert_eq!(changed.without_mode(), extended().without_mode());
            write(node, Which::Access, None).unwrap();
            write(node, Which::Access, None).unwrap();
            assert_eq!(read(node, Which::Access).unwrap(), None);
        }
        let link = Node::Name(dir, b"link");
        assert_eq!(read(link, Which::Access).unwrap(), None);
        assert!(write(link, Which::Access, Some(&extended())).is_err());
        write(dir.into(), Which::Default, Some(&extended())).unwrap();
        assert_eq!(read(dir.into(), Which::Default).unwrap(), Some(extended()));
        write(dir.into(), Which::Default, None).unwrap();
        assert_eq!(read(dir.into(), Which::Default).unwrap(), None);
    });
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let id = prop_oneof![0..4_u32, any::<u32>()];
    (0..6_usize, id, 0..9_u8).prop_map(|(kind, id, perms)| {
        let tag =
            [Tag::Owner, Tag::User(id), Tag::OwningGroup, Tag::Group(id), Tag::Mask, Tag::Other]
                [kind];
        entry(tag, perms)
    })
}

fn raw(entries: &[Entry]) -> Vec<u8> {
    Acl { entries: entries.to_vec() }.to_bytes()
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(acl) = Acl::parse(&bytes) {
            prop_assert_eq!(Acl::parse(&acl.to_bytes()), Ok(acl));
        }
    }

    #[test]
    fn almost_sound_bytes_are_parsed_or_refused(
        entries in proptest::collection::vec(any_entry(), 0..8),
        flips in proptest::collection::vec(any::<proptest::sample::Index>(), 0..2),
    ) {
        let mut bytes = raw(&entries);
        for flip in flips {
            let at = flip.index(bytes.len());
            bytes[at] ^= 1;
        }
        if let Ok(acl) = Acl::parse(&bytes) {
            prop_assert!(acl.entries().is_sorted());
            prop_assert_eq!(acl.is_trivial(), acl.without_mode().is_none());
            prop_assert_eq!(Acl::parse(&acl.to_bytes()), Ok(acl));
        }
    }

    #[test]
    fn the_kernel_takes_what_parses(
        named in proptest::collection::vec(any_entry(), 0..4),
        mode in 0..0o1000_u32,
    ) {
        let mut entries = Acl::from_mode(mode).entries().to_vec();
        entries.extend(named.into_iter().filter(|entry| entry.tag.is_named()));
        if entries.len() > 3 {
            entries.push(entry(Tag::Mask, 5));
        }
        if let Ok(acl) = Acl::parse(&raw(&entries)) {
            let scratch = tempfile::tempdir().unwrap();
            let dir = crate::Dir::open_operator(scratch.path()).unwrap();
            let file = dir.create_file(b"f", 0o600).unwrap();
            write(Node::from(&file), Which::Access, Some(&acl)).unwrap();
            let found = read(Node::from(&file), Which::Access).unwrap();
            prop_assert_eq!(found, (!acl.is_trivial()).then_some(acl));
        }
    }
}
