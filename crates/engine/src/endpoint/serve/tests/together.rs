//! Files that are fetched together.

use wire::{Answer, FetchedSome, List, Name, limits};

use super::*;

fn fetch_some(dir: Handle, names: &[&str], room: u32) -> Request {
    let names = names.iter().map(|name| Name::new(name).unwrap()).collect();
    let (names, room) = (List::new(names).unwrap(), Room::new(room).unwrap());
    let atime = wire::AccessTime::Keep;
    Request::FetchSome { dir, names, atime, wants: EVERYTHING, room }
}

/// What came of each file, checked against what it is now.
#[track_caller]
fn fetched(session: &mut Session, dir: Handle, names: &[&str], room: u32) -> Vec<Option<Vec<u8>>> {
    let answer = session.ask(fetch_some(dir, names, room)).unwrap();
    let Answer::FetchedSome(FetchedSome { files, pieces, sum: told }) = answer else {
        panic!("{answer:?}")
    };
    let content = whole(&pieces);
    assert_eq!(told, sum(&content));
    let mut rest = &content[..];
    let mut split = |bytes: u64| {
        let (one, others) = rest.split_at(usize::try_from(bytes).unwrap());
        rest = others;
        one.to_vec()
    };
    let came = names.iter().zip(files).map(|(name, file)| {
        let file = file?;
        let now = session.here.stat(name.as_bytes()).unwrap();
        assert_eq!(settled(file.before.metadata), settled(now), "{name}");
        assert_eq!(file.after.map(settled), None, "{name}");
        Some(split(file.bytes))
    });
    let came = came.collect();
    assert!(rest.is_empty(), "all content is that of a file");
    came
}

#[test]
fn files_come_together_and_what_does_not_come_so_is_told() {
    let mut session = Session::trusting();
    for (name, content) in [("a", &b"one"[..]), ("b", b""), ("c", b"three")] {
        write(&session.here, name, content);
    }
    make_dir(&session.here, "dir");
    session.here.make_symlink(b"a", b"link").unwrap();
    session.here.make_node(b"fifo", Kind::Fifo, 0o600, DeviceNumber::default()).unwrap();
    let dir = session.root();
    let names = ["c", "dir", "b", "missing", "link", "fifo", "a", "a"];
    let came = fetched(&mut session, dir, &names, 10_000);
    let expected =
        [Some(&b"three"[..]), None, Some(b""), None, None, None, Some(b"one"), Some(b"one")];
    assert_eq!(came, expected.map(|content| content.map(<[_]>::to_vec)));
    assert_eq!(fetched(&mut session, dir, &["dir"], 10_000), [None]);
    assert_eq!(fetched(&mut session, dir, &[], 0), []);
}

#[test]
fn what_has_no_room_beside_the_others_does_not_come() {
    const COST: u32 = limits::FETCHED_FILE_COST_BYTES;
    let mut session = Session::trusting();
    let long = vec![7; 300_000];
    write(&session.here, "long", &long);
    write(&session.here, "short", b"12345");
    let dir = session.root();
    for (room, expected) in [
        (300_005 + 2 * COST, [Some(&long[..]), Some(b"12345")]),
        (300_004 + 2 * COST, [Some(&long), None]),
        (299_999 + COST, [None, Some(b"12345")]),
        (COST, [None, None]),
    ] {
        let came = fetched(&mut session, dir, &["long", "short"], room);
        assert!(came == expected.map(|content| content.map(<[_]>::to_vec)), "{room}");
    }
}

#[test]
fn attributes_come_with_files_as_far_as_they_are_few() {
    let mut session = Session::trusting();
    let file = write(&session.here, "plain", b"1");
    fs::xattr::set((&file).into(), b"user.a", b"value").unwrap();
    for number in 0..9 {
        let file = write(&session.here, &format!("long{number}"), b"2");
        fs::xattr::set((&file).into(), b"user.b", &[b'v'; 3900]).unwrap();
    }
    let dir = session.root();
    let names: Vec<String> = (0..9).map(|number| format!("long{number}")).collect();
    let names: Vec<&str> = ["plain"].into_iter().chain(names.iter().map(|name| &**name)).collect();
    let answer = session.ask(fetch_some(dir, &names, 100_000)).unwrap();
    let Answer::FetchedSome(FetchedSome { files, .. }) = answer else { panic!("{answer:?}") };
    let values: Vec<Option<usize>> = files
        .iter()
        .map(|file| {
            let attributes = file.as_ref()?.before.attributes.as_ref()?.as_ref().unwrap();
            Some(attributes.as_slice()[0].value.as_bytes().len())
        })
        .collect();
    let mut expected = vec![Some(5)];
    expected.extend([Some(3900); 8]);
    expected.push(None);
    assert_eq!(values, expected);
}

#[test]
fn a_list_of_names_may_not_be_longer_than_told() {
    let name = || Name::new("name").unwrap();
    let names = |count| List::<_, { limits::FETCHED_FILES }>::new(vec![name(); count]);
    assert!(names(limits::FETCHED_FILES).is_ok());
    assert!(names(limits::FETCHED_FILES + 1).is_err());
}
