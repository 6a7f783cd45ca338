//! Who is let in, and whom we believe.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;
use fleet::lister::Why;

fn small_tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::create_dir(tree.path().join(name)).unwrap();
        fs::write(tree.path().join(name).join("file"), name).unwrap();
    }
    tree
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let tree = small_tree();
    let fake = FakeCluster::serve(tree.path(), &[]);
    let login = by_password("a wrong one");
    let refused = refusal(&Cluster { login, ..cluster(&fake, "/") });
    assert_eq!(refused.why, Why::Login);
    assert!(refused.sentence.contains("does not let admin in"), "{refused}");
    assert!(!format!("{refused:?}").contains("a wrong one"));
    assert_eq!(fake.requests(), 1);
}

#[test]
fn a_token_lets_in_as_long_as_it_is_one() {
    let tree = small_tree();
    let fake = FakeCluster::serve(tree.path(), &["--access-token", "token-for-good"]);
    let login = |token: &str| Login::Token(Secret::new(token));
    let right = Cluster { login: login("token-for-good"), ..cluster(&fake, "/") };
    let right = lister(&right);
    assert_eq!(tell_all(&right).unwrap(), on_disk(tree.path()));
    assert_eq!(right.asked(), 4);

    for token in ["another-token", "a token\nwith a second line"] {
        let refused = refusal(&Cluster { login: login(token), ..cluster(&fake, "/") });
        assert_eq!(refused.why, Why::Login);
        assert!(!format!("{refused:?}").contains("token-"), "{refused}");
    }
    assert_eq!(fake.requests(), 5);
}

#[test]
fn a_login_that_has_expired_is_renewed_once() {
    let tree = small_tree();
    let fake = FakeCluster::serve(tree.path(), &["--token-life", "2"]);
    let lister = lister(&cluster(&fake, "/"));
    assert_eq!(tell_all(&lister).unwrap(), on_disk(tree.path()));
    let before = lister.asked();
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(tell_all(&lister).unwrap(), on_disk(tree.path()));
    // The root, a request that is refused, a login, and again; then the others.
    assert_eq!(lister.asked() - before, 6);
}

#[test]
fn logins_that_never_hold_end_it() {
    let tree = small_tree();
    let fake = FakeCluster::serve(tree.path(), &["--token-life", "0.000001"]);
    let refused = refusal(&cluster(&fake, "/"));
    assert_eq!(refused.why, Why::Login);
    assert_eq!(fake.requests(), 4);
}

#[test]
fn a_certificate_of_its_own_is_believed_when_it_is_named() {
    let tree = small_tree();
    let fake = FakeCluster::serve(tree.path(), &["--bind", "0.0.0.0"]);
    let with = |host: &str, tls: Tls| Cluster { host: host.to_owned(), tls, ..cluster(&fake, "/") };
    let believed = |ca| Tls::Verified { ca };
    for (host, tls) in [
        ("127.0.0.1", believed(Some(fake.certificate()))),
        ("localhost", believed(Some(fake.certificate()))),
        ("127.0.0.2", Tls::Unverified),
    ] {
        assert_eq!(tell_all(&lister(&with(host, tls))).unwrap(), on_disk(tree.path()), "{host}");
    }

    let another = FakeCluster::serve(tree.path(), &[]);
    let before = fake.requests();
    for (host, tls, why) in [
        ("127.0.0.1", believed(None), "not a trusted one"),
        ("127.0.0.1", believed(Some(another.certificate())), "not a trusted one"),
        // The certificate is the right one, and not one for that name.
        ("127.0.0.2", believed(Some(fake.certificate())), "not valid for name \"127.0.0.2\""),
    ] {
        let refused = refusal(&with(host, tls.clone()));
        assert_eq!(refused.why, Why::Connection);
        assert!(refused.sentence.contains(why), "{refused}");
        let names_both = ["--ca", "--insecure"].iter().all(|hint| refused.sentence.contains(hint));
        assert!(names_both, "{host} {tls:?}: {refused}");
    }
    assert_eq!(fake.requests(), before);
}

#[test]
fn a_file_without_certificates_is_named() {
    let tree = small_tree();
    let fake = FakeCluster::serve(tree.path(), &[]);
    let ca = tree.path().join("a/file");
    for ca in [ca, tree.path().join("not there")] {
        let tls = Tls::Verified { ca: Some(ca.clone()) };
        let refused = refusal(&Cluster { tls, ..cluster(&fake, "/") });
        assert_eq!(refused.why, Why::Connection);
        assert!(refused.sentence.contains(ca.to_str().unwrap()), "{refused}");
    }
}

#[test]
fn plain_http_is_spoken_where_it_is_asked_for_and_nowhere_else() {
    let tree = small_tree();
    let plain = FakeCluster::serve(tree.path(), &["--http"]);
    let safe = FakeCluster::serve(tree.path(), &[]);
    let without = Cluster { tls: Tls::PlainHttp, ..cluster(&plain, "/") };
    assert_eq!(tell_all(&lister(&without)).unwrap(), on_disk(tree.path()));

    let refused = refusal(&Cluster { tls: Tls::Unverified, ..cluster(&plain, "/") });
    assert_eq!(refused.why, Why::Connection);
    assert!(refused.sentence.contains("--http"), "{refused}");
    let refused = refusal(&Cluster { tls: Tls::PlainHttp, ..cluster(&safe, "/") });
    assert_eq!(refused.why, Why::Connection);
    assert!(refused.sentence.contains("without --http"), "{refused}");
}

#[test]
fn what_is_not_a_directory_is_refused_by_its_name() {
    let tree = small_tree();
    let fake = FakeCluster::serve(tree.path(), &[]);
    for (path, snapshot) in
        [("/a/file", None), ("/a/none", None), ("/a/file/x", None), ("/", Some(7))]
    {
        let refused = refusal(&Cluster { snapshot, ..cluster(&fake, path) });
        assert_eq!(refused.why, Why::Source, "{refused}");
        let names_it =
            refused.sentence.contains(if snapshot.is_some() { "snapshot" } else { path });
        assert!(names_it, "{refused}");
    }
}

/// Forwards to a port, and counts the connections.
fn forward(port: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (here, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            let there = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let here = stream.unwrap();
            for (mut from, mut to) in
                [(here.try_clone().unwrap(), there.try_clone().unwrap()), (there, here)]
            {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    (here, count)
}

#[test]
fn a_safe_connection_serves_many_requests() {
    let tree = small_tree();
    let fake = FakeCluster::serve(tree.path(), &[]);
    let (port, connections) = forward(fake.port());
    let lister = lister(&Cluster { port, ..cluster(&fake, "/") });
    for _ in 0..5 {
        assert_eq!(tell_all(&lister).unwrap(), on_disk(tree.path()));
    }
    assert_eq!(lister.asked(), 21);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
