//! What the terms of a session let be reached.

use filter::Rules;
use model::{Job, Settings};

use super::*;
use crate::endpoint::serve::terms::Follows;
use crate::selection::asked::Asked;

#[test]
fn what_the_terms_do_not_name_is_not_served() {
    let terms = |top| {
        let roots = Some([(top, Arc::new(Reach::whole()))].into());
        Terms { roots, follows_links: Follows::None, removes_files: false, ..Terms::trusting() }
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
fn of_a_job_about_an_image_that_is_served_and_nothing_else() {
    let mut session = Session::new(|top: Box<[u8]>| {
        Terms::for_image(&Path::new(OsStr::from_bytes(&top)).join("image"), None)
    });
    write(&session.here, "image", b"image");
    write(&session.here, "other", b"secret");
    let top = session.scratch.path().to_owned();
    let image_at = |path: &Path| Request::OpenImage {
        path: OperatorPath::new(path.as_os_str().as_bytes()).unwrap(),
    };
    for request in [
        root_at(&top),
        root_at(Path::new("/")),
        image_at(&session.path("other")),
        image_at(&session.path("./image")),
        image_at(&top),
        Request::OwnerName { of: Owner::User(0) },
    ] {
        assert_eq!(session.refusal(request.clone()), FaultKind::NotServed, "{request:?}");
    }
    session.ask(image_at(&session.path("image"))).unwrap();
}

#[test]
fn a_job_about_a_tree_opens_no_image() {
    let mut session = Session::new(|top: Box<[u8]>| {
        let sources = vec![model::Source { path: Path::new(OsStr::from_bytes(&top)).into() }];
        let job = Job { sources, destination: None, settings: recursive() };
        Terms::for_job(&job, &Rules::default())
    });
    write(&session.here, "file", b"content");
    let path = OperatorPath::new(session.path("file").as_os_str().as_bytes()).unwrap();
    assert_eq!(session.refusal(Request::OpenImage { path }), FaultKind::NotServed);
}

#[test]
fn beside_what_is_picked_nothing_is_served() {
    let terms = |top| {
        let mut reach = Reach::default();
        let way: &[&[u8]] = &[b"way", b"picked"];
        let (base, begins_at, is_slashed) = (&b""[..], 0, false);
        reach.add(&Asked { base, way, begins_at, is_listed: true, is_deep: true, is_slashed });
        let roots = Some([(top, Arc::new(reach))].into());
        let rule_files = [b".rules"[..].into()].into();
        Terms { roots, follows_links: Follows::None, rule_files, ..Terms::trusting() }
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
fn where_a_job_may_begin_anywhere_rules_are_read_below_it_and_nothing_else() {
    let mut session = Session::new(|top: Box<[u8]>| {
        let sources = vec![model::Source { path: Path::new(OsStr::from_bytes(&top)).join("s") }];
        let mut rules = Rules::default();
        rules.push(b": /.rules", &mut |_| unreachable!()).unwrap();
        let mut settings = recursive();
        settings.traverse.files_from = Some(Vec::new());
        Terms::for_far_list(&Job { sources, destination: None, settings }, &rules)
    });
    let source = make_dir(&session.here, "s");
    let below = make_dir(&source, "below");
    write(&below, ".rules", b"- x");
    write(&below, "file", b"content");
    make_dir(&session.here, "other");
    source.make_symlink(b"../other", b"out").unwrap();
    let dir = session.open(root_at(&session.path("s/below"))).unwrap();
    session.open(Request::OpenFile { file: file_at(dir, ".rules", Follow::Never) }).unwrap();
    for request in [
        Request::OpenFile { file: file_at(dir, "file", Follow::Never) },
        root_at(&session.path("other")),
        root_at(&session.path("s/out")),
        root_at(&session.path("s/below/../../other")),
    ] {
        assert_eq!(session.refusal(request.clone()), FaultKind::NotServed, "{request:?}");
    }
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
        let dir = make_dir(&session.here, "dir");
        write(&dir, ".rules", b"- y\n");
        write(&session.here, ".rules", b"- x\n");
        write(&session.here, "secret", b"");
        let top = session.scratch.path().to_owned();
        session.open(root_at(&top.join("dir/"))).unwrap();
        let path = OperatorPath::new(top.as_os_str().as_bytes()).unwrap();
        let above = session.open(Request::OpenRoot { path, access: Access::Search }).unwrap();
        let open = |name| Request::OpenFile { file: file_at(above, name, Follow::Never) };
        session.open(open(".rules")).unwrap();
        assert_eq!(session.refusal(open("secret")), FaultKind::NotServed);
        // The same of where it begins, by that name: in what is picked, which lies deeper.
        let path = OperatorPath::new(top.join("dir").as_os_str().as_bytes()).unwrap();
        let begin = session.open(Request::OpenRoot { path, access: Access::Search }).unwrap();
        session.open(Request::OpenFile { file: file_at(begin, ".rules", Follow::Never) }).unwrap();
    }
}

/// A server for a job with these rules, whose source is the tree itself.
fn serving(settings: Settings, filters: &[&str]) -> Session {
    Session::new(|top| {
        let mut rules = Rules::default();
        for filter in filters {
            rules.push(filter.as_bytes(), &mut |_| Ok(Vec::new())).unwrap();
        }
        let path = Path::new(OsStr::from_bytes(&top)).join("");
        let sources = vec![model::Source { path }];
        Terms::for_job(&Job { sources, destination: None, settings }, &rules)
    })
}

fn recursive() -> Settings {
    let mut settings = Settings::default();
    settings.traverse.depth = model::settings::Depth::Recursive;
    settings
}

impl Session {
    fn root_of_job(&mut self) -> Handle {
        let path = self.path("");
        self.open(root_at(&path)).unwrap()
    }

    fn listed(&mut self, dir: Handle) -> Vec<String> {
        let room = Room::new(1 << 20).unwrap();
        let list = Request::List { dir, wants: Wants::METADATA, after: None, room };
        let Answer::Listed { entries, .. } = self.ask(list).unwrap() else { panic!("no listing") };
        let shown = |entry: &wire::Entry| {
            let name = String::from_utf8_lossy(entry.name.as_bytes()).into_owned();
            if entry.seen.is_some() { name } else { format!("({name})") }
        };
        entries.iter().map(shown).collect()
    }

    #[track_caller]
    fn check_refused(&mut self, requests: impl IntoIterator<Item = Request>) {
        for request in requests {
            assert_eq!(self.refusal(request.clone()), FaultKind::NotServed, "{request:?}");
        }
    }
}

/// All that could be asked of a file by its name.
fn all_of_file(dir: Handle, name: &str, expected: Expected) -> [Request; 5] {
    let file = || file_at(dir, name, Follow::Never);
    let span = Span::new(0..9).unwrap();
    let algorithm = wire::Algorithm::Blake3;
    [
        look(dir, name, Follow::Never),
        Request::OpenFile { file: file() },
        fetch(dir, name, 1 << 20),
        Request::Hash { of: wire::ContentOf::Named(file()), algorithm, seed: 0, span },
        Request::Remove { at: named(dir, name), expected },
    ]
}

fn expected(dir: &Dir, name: &str) -> Expected {
    let now = dir.stat(name.as_bytes()).unwrap();
    Expected { dev: now.dev, ino: now.ino, size: now.size, mtime: now.mtime }
}

#[test]
fn what_the_rules_of_the_job_hide_is_not_served() {
    let mut settings = recursive();
    settings.write.remove_source_files = true;
    let filters = ["- *.key", "- /a/hidden/", ": .rules", "- .rules"];
    let mut session = serving(settings, &filters);
    let a = make_dir(&session.here, "a");
    write(&session.here, "x.key", b"secret");
    write(&session.here, "link-to.key", b"");
    write(&a, "hidden", b"a file, which the rule is not about");
    write(&a, ".rules", b"- by-rules\n");
    let b = make_dir(&a, "b");
    for (dir, name) in [(&a, "by-rules"), (&b, "by-rules"), (&b, "y.key"), (&b, "plain")] {
        write(dir, name, b"secret");
    }
    make_dir(&make_dir(&b, "hidden"), "deep");
    write(&session.here, "by-rules", b"");
    let top = session.root_of_job();
    assert_eq!(session.listed(top), ["a", "by-rules"]);
    let at_a = session.child(top, "a").unwrap();
    // Of a merge file the name is told: what has none there is not asked for.
    assert_eq!(session.listed(at_a), ["(.rules)", "b", "hidden"]);
    let at_b = session.child(at_a, "b").unwrap();
    assert_eq!(session.listed(at_b), ["hidden", "plain"]);
    session.check_refused(all_of_file(top, "x.key", expected(&session.here, "x.key")));
    session.check_refused(all_of_file(at_a, "by-rules", expected(&a, "by-rules")));
    session.check_refused(all_of_file(at_b, "by-rules", expected(&b, "by-rules")));
    session.check_refused(all_of_file(at_b, "y.key", expected(&b, "y.key")));
    session.file(at_a, "hidden");
    // What the merge file says is asked for all the same.
    session.file(at_a, ".rules");
    a.remove_file(b"hidden").unwrap();
    make_dir(&a, "hidden");
    session.check_refused([
        child(at_a, "hidden", Follow::Never),
        look(at_a, "hidden", Follow::Never),
        Request::LookAtMount { at: Place::Named(named(at_a, "hidden")) },
    ]);
    // The way up leads to what the rules are known of.
    let deep = session.child(at_b, "hidden").unwrap();
    let up = session.open(Request::OpenParent { dir: deep }).unwrap();
    let again = session.open(Request::Reopen { dir: up }).unwrap();
    for dir in [up, again] {
        session.check_refused(all_of_file(dir, "by-rules", expected(&b, "by-rules")));
        session.file(dir, "plain");
    }
}

#[test]
fn of_what_is_hidden_the_user_may_hear_the_names() {
    let settings = Settings { interest: model::Interest::Everything, ..recursive() };
    let mut session = serving(settings, &["- *.key"]);
    write(&session.here, "a", b"");
    write(&session.here, "x.key", b"secret");
    let top = session.root_of_job();
    assert_eq!(session.listed(top), ["a", "(x.key)"]);
    session.check_refused(all_of_file(top, "x.key", expected(&session.here, "x.key")));
}

#[test]
fn without_recursion_nothing_below_is_served() {
    let mut settings = Settings::default();
    settings.traverse.depth = model::settings::Depth::Directories;
    let mut session = serving(settings, &[]);
    let a = make_dir(&session.here, "a");
    write(&a, "secret", b"");
    make_dir(&a, "deep");
    let top = session.root_of_job();
    assert_eq!(session.listed(top), ["a"]);
    let at_a = session.child(top, "a").unwrap();
    let (wants, room) = (Wants::METADATA, Room::new(9000).unwrap());
    session.check_refused([
        Request::List { dir: at_a, wants, after: None, room },
        child(at_a, "deep", Follow::Never),
        look(at_a, "secret", Follow::Never),
        fetch(at_a, "secret", 100),
    ]);
}

#[test]
fn what_is_mounted_below_is_not_entered_where_the_job_stays_on_one_file_system() {
    let mut settings = recursive();
    settings.traverse.one_file_system = model::settings::OneFileSystem::KeepMountPoints;
    settings.links.symlinks = model::settings::Symlinks::Follow;
    let mut session = serving(settings, &[]);
    // As in the engine, a directory behind a link counts as one that is mounted.
    session.here.make_symlink(b"/proc/self", b"elsewhere").unwrap();
    make_dir(&make_dir(&session.here, "a"), "b");
    let top = session.root_of_job();
    let a = session.child(top, "a").unwrap();
    session.child(a, "b").unwrap();
    let elsewhere = session.open(child(top, "elsewhere", Follow::Links)).unwrap();
    let (wants, room) = (Wants::METADATA, Room::new(9000).unwrap());
    session.check_refused([
        Request::List { dir: elsewhere, wants, after: None, room },
        fetch(elsewhere, "environ", 100_000),
    ]);
}

#[test]
fn what_is_no_file_is_read_only_where_devices_are_copied() {
    for reads_devices in [false, true] {
        let mut settings = recursive();
        settings.write.copy_devices = reads_devices;
        let mut session = serving(settings, &[]);
        let zero = DeviceNumber { major: 1, minor: 5 };
        session.here.make_node(b"zero", Kind::CharDevice, 0o600, zero).unwrap();
        session.here.make_node(b"fifo", Kind::Fifo, 0o600, DeviceNumber::default()).unwrap();
        let top = session.root_of_job();
        let open = |name| Request::OpenFile { file: file_at(top, name, Follow::Never) };
        let of = wire::ContentOf::Named(file_at(top, "zero", Follow::Never));
        let (algorithm, span) = (wire::Algorithm::Blake3, Span::new(0..9).unwrap());
        for request in [open("zero"), open("fifo"), Request::Hash { of, algorithm, seed: 0, span }]
        {
            let refused = session.ask(request).err().map(|fault| fault.kind);
            assert_eq!(refused, (!reads_devices).then_some(FaultKind::NotServed));
        }
    }
}

#[test]
fn a_list_of_names_is_held_to_the_rules_where_its_transfers_begin() {
    for relative in [true, false] {
        let mut session = Session::new(|top| {
            let mut rules = Rules::default();
            rules.push(b"- /b/s", &mut |_| Ok(Vec::new())).unwrap();
            rules.push(b"- *.key", &mut |_| Ok(Vec::new())).unwrap();
            let path = Path::new(OsStr::from_bytes(&top)).to_owned();
            let mut settings = recursive();
            let lines = ["w/x.key", "w/./b", "c.key/f", "w/b"];
            let lines = lines.map(|line| line.as_bytes().into()).to_vec();
            settings.traverse.files_from = Some(lines);
            settings.traverse.relative = relative;
            let sources = vec![model::Source { path }];
            Terms::for_job(&Job { sources, destination: None, settings }, &rules)
        });
        let way = make_dir(&session.here, "w");
        let below = make_dir(&way, "b");
        write(&way, "x.key", b"");
        write(&make_dir(&session.here, "c.key"), "f", b"");
        for name in ["s", "t"] {
            write(&below, name, b"secret");
        }
        let path = session.scratch.path().to_owned();
        let top = session.open(root_at(&path)).unwrap();
        let way = session.child(top, "w").unwrap();
        session.check_refused([fetch(way, "x.key", 100)]);
        // The kind of what was named must be known before rules are asked.
        session.ask(look(way, "x.key", Follow::Never)).unwrap();
        let below = session.child(way, "b").unwrap();
        session.ask(fetch(below, "t", 100)).unwrap();
        // As `w/b` of the list with `-R` it is `w/b/s`, which no rule is about.
        let names: &[&str] = if relative { &["s", "t"] } else { &["t"] };
        assert_eq!(session.listed(below), names);
        // What only leads to a name is not asked about.
        let leads_on = session.child(top, "c.key").unwrap();
        session.ask(fetch(leads_on, "f", 100)).unwrap();
    }
}

/// Links `in` to a directory below and `out` to one elsewhere, `file` and `dir/file` to be read.
fn linked(session: &Session) {
    write(&make_dir(&session.here, "dir"), "file", b"");
    write(&session.here, "file", b"");
    let links: [(&[u8], &[u8]); 3] = [(b"dir", b"in"), (b"/", b"out"), (b"file", b"to-file")];
    for (target, name) in links {
        session.here.make_symlink(target, name).unwrap();
    }
}

/// What is refused of opening a link to a directory below, one to elsewhere, and one to a file.
fn refused_of_links(session: &mut Session, follow: Follow) -> [bool; 3] {
    let top = session.root_of_job();
    let open = Request::OpenFile { file: file_at(top, "to-file", follow) };
    let requests = [child(top, "in", follow), child(top, "out", follow), open];
    requests.map(|request| session.ask(request).is_err_and(|it| it.kind == FaultKind::NotServed))
}

type Change = fn(&mut Settings);

#[test]
fn links_are_followed_as_far_as_the_job_does() {
    let none = |_: &mut Settings| {};
    let dirlinks = |settings: &mut Settings| settings.links.copy_dirlinks = true;
    let all = |settings: &mut Settings| {
        settings.links.symlinks = model::settings::Symlinks::Follow;
    };
    let own: [(Change, [bool; 3]); 3] =
        [(none, [true; 3]), (dirlinks, [false, false, true]), (all, [false; 3])];
    // What a list of the other side leads through lies below.
    let far: [(Change, [bool; 3]); 3] =
        [(none, [false, true, true]), (dirlinks, [false, false, true]), (all, [false; 3])];
    for (terms, cases) in
        [(Terms::for_job as fn(&Job, &Rules) -> Terms, own), (Terms::for_far_list, far)]
    {
        for (change, expected) in cases {
            let mut session = Session::new(|top| {
                let mut settings = recursive();
                change(&mut settings);
                let path = Path::new(OsStr::from_bytes(&top)).join("");
                let sources = vec![model::Source { path }];
                terms(&Job { sources, destination: None, settings }, &Rules::default())
            });
            linked(&session);
            for follow in [Follow::Links, Follow::OwnLinks] {
                assert_eq!(refused_of_links(&mut session, follow), expected, "{follow:?}");
            }
        }
    }
}

/// Root's, and those that a file has.
#[test]
fn only_owners_that_were_told_have_a_name() {
    let name = |session: &mut Session, of| match session.ask(Request::OwnerName { of }) {
        Ok(Answer::OwnerName(name)) => Ok(name.map(|name| name.as_bytes().to_vec())),
        Err(fault) => Err(fault.kind),
        other => panic!("{other:?}"),
    };
    let of_system = |of| match of {
        Owner::User(uid) => fs::names::user_name(uid).map(|name| name.to_vec()),
        Owner::Group(gid) => fs::names::group_name(gid).map(|name| name.to_vec()),
    };
    let mut session = serving(recursive(), &[]);
    write(&session.here, "f", b"");
    write(&session.here, "g", b"");
    session.here.set_owner(b"f", Some(1), Some(2)).unwrap();
    // Users 3 and 4242, and group 5.
    let acl: Vec<u8> = [(1, 6, u32::MAX), (2, 4, 3), (2, 4, 4242), (4, 4, u32::MAX), (8, 4, 5)]
        .into_iter()
        .chain([(16, 4, u32::MAX), (32, 4, u32::MAX)])
        .flat_map(|(tag, perms, id): (u8, u8, u32)| {
            [&[tag, 0, perms, 0][..], &id.to_le_bytes()].concat()
        })
        .collect();
    let acl = [&[2, 0, 0, 0][..], &acl].concat();
    let node = fs::xattr::Node::Name(&session.here, b"g");
    fs::xattr::set(node, b"system.posix_acl_access", &acl).unwrap();
    let top = session.root_of_job();
    let told = [Owner::User(1), Owner::Group(2)];
    let of_acl = [Owner::User(3), Owner::User(4242), Owner::Group(5)];
    for owner in told.into_iter().chain(of_acl) {
        assert_eq!(name(&mut session, owner), Err(FaultKind::NotServed));
    }
    assert_eq!(session.listed(top), ["f", "g"]);
    for owner in told {
        assert_eq!(name(&mut session, owner), Ok(of_system(owner)));
    }
    assert_eq!(name(&mut session, Owner::User(2)), Err(FaultKind::NotServed));
    for owner in of_acl {
        assert_eq!(name(&mut session, owner), Err(FaultKind::NotServed));
    }
    session.ask(look(top, "g", Follow::Never)).unwrap();
    for owner in of_acl {
        assert_eq!(name(&mut session, owner), Ok(of_system(owner)));
    }
    let mut pretending = recursive();
    pretending.preserve.source_pretends = true;
    let owner = Owner::User(1);
    assert_eq!(name(&mut serving(pretending, &[]), owner), Ok(of_system(owner)));
}

/// A merge file that is a link, and leads to a key.
#[test]
fn own_links_of_rules_do_not_lead_out_for_another_host() {
    type TermsOf = fn(&Job, &Rules) -> Terms;
    let cases: [(TermsOf, bool); 3] =
        [(Terms::for_job, false), (Terms::for_far_list, false), (Terms::for_all_below, true)];
    for (terms, may_lead_out) in cases {
        let mut session = Session::new(|top| {
            let mut rules = Rules::default();
            rules.push(b": .rules", &mut |_| Ok(Vec::new())).unwrap();
            let path = Path::new(OsStr::from_bytes(&top)).join("s/");
            let sources = vec![model::Source { path }];
            terms(&Job { sources, destination: None, settings: recursive() }, &rules)
        });
        let source = make_dir(&session.here, "s");
        write(&session.here, "key", b"- secret");
        write(&source, "shared", b"- shared");
        for (target, name) in [("../../key", "out"), ("../shared", "in")] {
            let dir = make_dir(&source, name);
            dir.make_symlink(target.as_bytes(), b".rules").unwrap();
        }
        let root = session.path("s/");
        let top = session.open(root_at(&root)).unwrap();
        for (name, is_served) in [("in", true), ("out", may_lead_out)] {
            let dir = session.child(top, name).unwrap();
            let file = || file_at(dir, ".rules", Follow::OwnLinks);
            let room = Room::new(100).unwrap();
            for request in [
                Request::OpenFile { file: file() },
                Request::Fetch { file: file(), wants: Wants::METADATA, room },
            ] {
                let refused = session.ask(request).err().map(|fault| fault.kind);
                let expected = (!is_served).then_some(FaultKind::PermissionDenied);
                assert_eq!(refused, expected, "{name}");
            }
        }
    }
}
