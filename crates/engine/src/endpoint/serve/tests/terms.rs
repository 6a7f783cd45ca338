//! What the terms of a session let be reached.

use filter::Rules;
use model::{Job, Settings};

use super::*;
use crate::selection::Asked;

#[test]
fn what_the_terms_do_not_name_is_not_served() {
    let terms = |top| {
        let roots = Some([(top, Arc::new(Reach::whole()))].into());
        let rule_files = BTreeSet::new();
        Terms { roots, follows_links: false, rule_files, removes_files: false }
    };
    let mut session = Session::new(terms);
    make_dir(&session.here, "below");
    write(&session.here, "file", b"secret");
    session.here.make_symlink(b"/", b"up").unwrap();
    let top = session.scratch.path().to_owned();
    let dir = session.open(root_at(&top)).unwrap();
    let now = session.here.stat(b"file").unwrap();
    let expected = Expected { dev: now.dev, ino: now.ino, size: now.size, mtime: now.mtime };
    for request in [
        root_at(Path::new("/")),
        root_at(&session.path("below")),
        root_at(&session.path("below/..")),
        Request::OpenParent { dir },
        child(dir, "up", Follow::Links),
        child(dir, "up", Follow::OwnLinks),
        look(dir, "up", Follow::Links),
        Request::OpenFile { file: file_at(dir, "up", Follow::Links) },
        Request::Remove { at: named(dir, "file"), expected },
    ] {
        assert_eq!(session.refusal(request.clone()), FaultKind::NotServed, "{request:?}");
    }
    session.child(dir, "up").unwrap_err();
    session.child(dir, "below").unwrap();
    assert!(session.here.stat(b"file").unwrap().is_same_inode(&now));
}

#[test]
fn beside_what_is_picked_nothing_is_served() {
    let terms = |top| {
        let mut reach = Reach::default();
        let way: &[&[u8]] = &[b"way", b"picked"];
        reach.add(&Asked { base: b"", way, is_listed: true, is_slashed: false });
        let roots = Some([(top, Arc::new(reach))].into());
        let rule_files = [b".rules"[..].into()].into();
        Terms { roots, follows_links: false, rule_files, removes_files: true }
    };
    let mut session = Session::new(terms);
    let way = make_dir(&session.here, "way");
    make_dir(&make_dir(&way, "picked"), "deep");
    make_dir(&way, "other");
    write(&way, "secret", b"secret");
    write(&way, ".rules", b"- x");
    let now = way.stat(b"secret").unwrap();
    let expected = Expected { dev: now.dev, ino: now.ino, size: now.size, mtime: now.mtime };
    let top = session.scratch.path().to_owned();
    let dir = session.open(root_at(&top)).unwrap();
    let way = session.child(dir, "way").unwrap();
    let picked = session.child(way, "picked").unwrap();
    let deep = session.child(picked, "deep").unwrap();
    let up = session.open(Request::OpenParent { dir: deep }).unwrap();
    let up = session.open(Request::OpenParent { dir: up }).unwrap();
    for dir in [way, up] {
        session.open(Request::OpenFile { file: file_at(dir, ".rules", Follow::Never) }).unwrap();
        for request in [
            child(dir, "other", Follow::Never),
            look(dir, "secret", Follow::Never),
            Request::OpenFile { file: file_at(dir, "secret", Follow::Never) },
            Request::Remove { at: named(dir, "secret"), expected },
        ] {
            assert_eq!(session.refusal(request.clone()), FaultKind::NotServed, "{request:?}");
        }
    }
    assert_eq!(session.refusal(look(dir, "other", Follow::Never)), FaultKind::NotServed);
}

#[test]
fn a_link_that_is_copied_as_a_link_is_not_followed_by_who_asks() {
    let (source, rules) = (|path| model::Source { path }, Rules::default());
    let settings = |depth| {
        let mut settings = Settings::default();
        (settings.traverse.depth, settings.traverse.relative) = (depth, true);
        settings
    };
    // `-aR TOP/./link TOP/./dir TOP/./way/f`: `way` alone is one that leads on.
    let mut session = Session::new(|top| {
        let at = |name: &str| Path::new(OsStr::from_bytes(&top)).join(".").join(name);
        // A path that is joined keeps its dot.
        let sources = ["link", "dir", "way/f"].map(|name| source(at(name))).into();
        let settings = settings(model::settings::Depth::Recursive);
        Terms::for_job(&Job { sources, destination: None, settings }, &rules)
    });
    let secret = make_dir(&session.here, "secret");
    write(&secret, "f", b"");
    let dir = make_dir(&session.here, "dir");
    let links: [(&Dir, &[u8]); 3] =
        [(&session.here, b"link"), (&session.here, b"way"), (&dir, b"inside")];
    for (at, name) in links {
        at.make_symlink(session.path("secret").as_os_str().as_bytes(), name).unwrap();
    }
    let top = session.open(root_at(session.scratch.path())).unwrap();
    let dir = session.child(top, "dir").unwrap();
    for (at, name) in [(top, "link"), (dir, "inside")] {
        for follow in [Follow::Links, Follow::OwnLinks] {
            for request in [
                child(at, name, follow),
                look(at, name, follow),
                Request::OpenFile { file: file_at(at, name, follow) },
            ] {
                assert_eq!(session.refusal(request.clone()), FaultKind::NotServed, "{request:?}");
            }
        }
    }
    let way = session.open(child(top, "way", Follow::OwnLinks)).unwrap();
    session.open(Request::OpenFile { file: file_at(way, "f", Follow::Never) }).unwrap();
}

#[test]
fn above_where_a_job_begins_only_rules_are_read() {
    for terms in [Terms::for_job, Terms::for_all_below] {
        let mut session = Session::new(|top| {
            let base = Path::new(OsStr::from_bytes(&top)).join("dir");
            let mut rules = Rules::default();
            rules.push(b": /.rules", &mut |_| Ok(Vec::new())).unwrap();
            let sources = vec![model::Source { path: base.join("") }];
            terms(&Job { sources, destination: None, settings: Settings::default() }, &rules)
        });
        make_dir(&session.here, "dir");
        write(&session.here, ".rules", b"- x\n");
        write(&session.here, "secret", b"");
        let top = session.scratch.path().to_owned();
        session.open(root_at(&top.join("dir/"))).unwrap();
        let path = OperatorPath::new(top.as_os_str().as_bytes()).unwrap();
        let above = session.open(Request::OpenRoot { path, access: Access::Search }).unwrap();
        let open = |name| Request::OpenFile { file: file_at(above, name, Follow::Never) };
        session.open(open(".rules")).unwrap();
        assert_eq!(session.refusal(open("secret")), FaultKind::NotServed);
    }
}
