//! What a user types, what lies in files, what comes from a cluster, and how what is left is shared out.

#![allow(clippy::disallowed_methods, reason = "tests write below their own scratch directory")]

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::answer::{Id, Name, Number};
use super::rest::{Follows, Item, Rest};
use super::*;

mod stage;

fn address(user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> Address {
    let path = path.as_bytes().to_vec();
    Address { user: user.map(str::to_owned), host: host.to_owned(), port, path }
}

#[test]
fn an_address_is_taken_apart() {
    for (text, expected) in [
        ("qumulo://c/media", address(None, "c", None, "/media")),
        ("qumulo://c", address(None, "c", None, "/")),
        ("qumulo://c:8001", address(None, "c", Some(8001), "/")),
        ("qumulo://me@c.example:1/a:b@c", address(Some("me"), "c.example", Some(1), "/a:b@c")),
        ("qumulo://me@corp@c/", address(Some("me@corp"), "c", None, "/")),
        ("qumulo://CORP\\me@[fe80::1]/x", address(Some("CORP\\me"), "fe80::1", None, "/x")),
        ("qumulo://[::1]:9/%41?#", address(None, "::1", Some(9), "/%41?#")),
    ] {
        assert_eq!(Address::read(text.as_bytes()), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_address_is_refused_by_its_part() {
    for (text, expected) in [
        ("/media", AddressError::Scheme),
        ("qumulo:/c", AddressError::Scheme),
        ("qumulo:///media", AddressError::Host),
        ("qumulo://fe80::1/", AddressError::Host),
        ("qumulo://[nowhere]/", AddressError::Host),
        ("qumulo://[::1/", AddressError::Host),
        ("qumulo://a b/", AddressError::Host),
        ("qumulo://a?b/", AddressError::Host),
        ("qumulo://c:/", AddressError::Port),
        ("qumulo://c:0/", AddressError::Port),
        ("qumulo://c:+1/", AddressError::Port),
        ("qumulo://c:65536/", AddressError::Port),
        ("qumulo://[::1]8/", AddressError::Port),
        ("qumulo://@c/", AddressError::User),
        ("qumulo://me:secret@c/", AddressError::Password),
    ] {
        let error = Address::read(text.as_bytes()).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains("secret"));
    }
    assert_eq!(Address::read(b"qumulo://\xff@c/"), Err(AddressError::User));
    assert_eq!(Address::read(b"qumulo://\xff/"), Err(AddressError::Host));
}

proptest! {
    #[test]
    fn any_address_is_read_back(
        user in proptest::option::of("[^/:]{1,12}"),
        host in prop_oneof!["[a-z0-9][a-z0-9.-]{0,12}", Just("2001:db8::7".to_owned())],
        port in proptest::option::of(1_u16..),
        path in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut text = b"qumulo://".to_vec();
        if let Some(user) = &user {
            text.extend_from_slice(format!("{user}@").as_bytes());
        }
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        text.extend_from_slice(shown.as_bytes());
        if let Some(port) = port {
            text.extend_from_slice(format!(":{port}").as_bytes());
        }
        let path = [b"/", &path[..]].concat();
        text.extend_from_slice(&path);
        prop_assert!(Address::is_meant(&text));
        prop_assert_eq!(Address::read(&text), Ok(Address { user, host, port, path }));
    }

    #[test]
    fn whatever_is_typed_is_an_address_or_a_refusal(text in any::<Vec<u8>>()) {
        prop_assert!(Address::is_meant(&text) || Address::read(&text).is_err());
        if let Ok(Address { user, host, port, path }) =
            Address::read(&[b"qumulo://", &text[..]].concat())
        {
            prop_assert!(!host.is_empty() && port != Some(0) && path.starts_with(b"/"));
            prop_assert!(user.is_none_or(|user| !user.is_empty() && !user.contains(':')));
        }
    }

    #[test]
    fn a_number_is_the_same_as_a_string_and_as_it_is(number: u64) {
        let plain: Number = serde_json::from_str(&number.to_string()).unwrap();
        let quoted: Number = serde_json::from_str(&format!("\"{number}\"")).unwrap();
        prop_assert_eq!((plain, quoted), (Number(number), Number(number)));
    }

    #[test]
    fn a_name_is_the_bytes_that_were_meant(name: String) {
        let text = serde_json::to_string(&name).unwrap();
        let read: Name = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&*read.0, name.as_bytes());
        let read: Name = serde_json::from_reader(text.as_bytes()).unwrap();
        prop_assert_eq!(&*read.0, name.as_bytes());
    }

    #[test]
    fn what_is_no_saved_login_is_refused(text in any::<Vec<u8>>()) {
        prop_assert!(text.is_empty() || parse_saved(&text).is_err());
    }
}

#[test]
fn what_is_no_number_is_none() {
    for text in
        ["-1", "\"-1\"", "\"\"", "\"+1\"", "\" 1\"", "1.5", "18446744073709551616", "null", "[]"]
    {
        assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
        assert_eq!(serde_json::from_str::<Id>(text).unwrap(), Id(None), "{text}");
    }
    assert_eq!(serde_json::from_str::<Id>("\"17\"").unwrap(), Id(Some(17)));
}

#[test]
fn a_secret_is_not_shown() {
    let secret = Secret::new("hunter2");
    let login = Login::Password { user: "me".to_owned(), password: secret.clone() };
    for shown in
        [format!("{secret:?}"), format!("{login:?}"), format!("{:?}", Login::Token(secret))]
    {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn saved_logins_of_both_generations_are_read() {
    for (text, expected) in [
        (r#"{"bearer_token": "1:abc==", "version": 1}"#, Ok(Some("1:abc=="))),
        (r#"{"version": 1, "bearer_token": "x", "key_id": "7", "user": {}}"#, Ok(Some("x"))),
        ("", Ok(None)),
        (r#"{"version": 2, "bearer_token": "x"}"#, Err("it is of a client of another generation")),
        (r#"{"bearer_token": "x"}"#, Err("it is of a client of another generation")),
        (r#"{"version": 1}"#, Err("there is no token in it")),
        ("token", Err("it is no saved login of a client")),
    ] {
        let expected = expected.map(|token: Option<&str>| token.map(Secret::new));
        assert_eq!(parse_saved(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn saved_logins_lie_where_the_clients_put_them() {
    let home = std::path::Path::new("/home/me");
    let [new, old] = saved_paths("Cluster.Example", 8000, home, None);
    let expected = "/home/me/.config/qumulo/credentials/cluster.example_8000";
    assert_eq!((new.to_str(), old.to_str()), (Some(expected), Some("/home/me/.qfsd_cred")));
    for (config, expected) in [
        ("/etc/me", "/etc/me/qumulo/credentials/c_1"),
        ("me", "/home/me/.config/qumulo/credentials/c_1"),
    ] {
        let [new, _] = saved_paths("c", 1, home, Some(config.as_ref()));
        assert_eq!(new.to_str(), Some(expected));
    }
}

#[test]
fn a_saved_login_that_others_may_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("login");
    assert_eq!(read_saved(&path), Ok(None));
    std::fs::write(&path, r#"{"version": 1, "bearer_token": "hunter2"}"#).unwrap();
    for (mode, is_told) in
        [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o602, true)]
    {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let saved = read_saved(&path).unwrap().unwrap();
        assert_eq!((saved.token, &saved.path), (Secret::new("hunter2"), &path));
        assert_eq!(saved.notice.is_some(), is_told, "{mode:o}");
        assert!(saved.notice.is_none_or(|notice| notice.contains("chmod 600")));
    }
    std::fs::write(&path, r#"{"bearer_token": "hunter2"}"#).unwrap();
    let refused = read_saved(&path).unwrap_err();
    assert_eq!(refused.why, Why::Login);
    assert!(
        refused.sentence.contains(path.to_str().unwrap()) && !refused.sentence.contains("hunter2")
    );
    assert_eq!(read_saved(folder.path()).unwrap_err().why, Why::Login);
}

/// A directory whose children without a row are told page by page.
fn shares(left: Amount, most_bytes: u64, pages: &[Vec<Item>]) -> Vec<Vec<Amount>> {
    let names = pages.iter().map(|page| page.len() as u64).sum();
    let mut rest = Rest { left, names, most_bytes };
    let share = |(number, page): (usize, &Vec<Item>)| {
        let is_last = number + 1 == pages.len();
        rest.share(page, if is_last { Follows::Nothing } else { Follows::Pages })
    };
    pages.iter().enumerate().map(share).collect()
}

#[test]
fn directories_share_by_their_children_what_files_leave() {
    let left = Amount { entries: 31, bytes: 1_100 };
    let file = Item::Exact(Amount::of_one(100));
    let page = vec![file, Item::Directory(1), Item::Directory(9)];
    let given = shares(left, u64::MAX, &[page]);
    let expected =
        [(1, 100), (3, 100), (27, 900)].map(|(entries, bytes)| Amount { entries, bytes });
    assert_eq!(given, [expected]);
}

#[test]
fn pages_that_are_alike_get_the_same() {
    let page = vec![Item::Directory(4), Item::Exact(Amount::of_one(10))];
    let left = Amount { entries: 110, bytes: 1_100 };
    let given = shares(left, u64::MAX, &vec![page; 10]);
    for page in given {
        assert_eq!(page, [Amount { entries: 10, bytes: 100 }, Amount::of_one(10)]);
    }
}

#[test]
fn nobody_gets_more_than_the_smallest_of_those_that_are_known() {
    let left = Amount { entries: 100, bytes: 1_000 };
    let given = shares(left, 70, &[vec![Item::Directory(1)], vec![Item::Directory(1)]]);
    assert!(given.iter().flatten().all(|amount| amount.bytes == 70), "{given:?}");
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        (0_u64..1 << 40).prop_map(|bytes| Item::Exact(Amount::of_one(bytes))),
        prop_oneof![1_u64..100, Just(u64::MAX)].prop_map(Item::Directory),
    ]
}

proptest! {
    #[test]
    fn a_page_shares_out_what_its_files_leave_and_the_last_one_all_of_it(
        pages in proptest::collection::vec(proptest::collection::vec(item(), 0..20), 1..6),
        entries: u64,
        bytes in prop_oneof![any::<u64>(), 0_u64..1 << 42],
        most_bytes in prop_oneof![Just(u64::MAX), any::<u64>()],
    ) {
        let names = pages.iter().map(|page| page.len() as u64).sum();
        let mut rest = Rest { left: Amount { entries, bytes }, names, most_bytes };
        for (number, page) in pages.iter().enumerate() {
            let is_last = number + 1 == pages.len();
            let before = rest.left;
            let given = rest.share(page, if is_last { Follows::Nothing } else { Follows::Pages });
            prop_assert_eq!(given.len(), page.len());
            let (mut exact, mut shared) = (0, 0);
            for (item, amount) in page.iter().zip(&given) {
                match item {
                    Item::Exact(own) => {
                        prop_assert_eq!(own, amount);
                        exact += own.bytes;
                    }
                    Item::Directory(children) => {
                        prop_assert!(amount.entries > *children || *children == u64::MAX);
                        prop_assert!(amount.bytes <= most_bytes);
                        shared += amount.bytes;
                    }
                }
            }
            let free = before.bytes.saturating_sub(exact);
            prop_assert!(shared <= free);
            prop_assert_eq!(rest.left.bytes, free - shared);
            let has_directory = page.iter().any(|item| matches!(item, Item::Directory(_)));
            if is_last && has_directory && most_bytes == u64::MAX {
                prop_assert_eq!(shared, free);
            }
        }
        prop_assert_eq!(rest.names, 0);
    }
}
