//! Answers that the stand-in of a cluster does not give.

use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::thread;

use super::scripted::{Answer, Scripted, child, page, row, sums};
use super::*;
use fleet::lister::{Links, Why};
use model::{Cause, Fault, Inode};

/// How telling ended.
type Ended = Result<(), TellError>;

/// The names that are told of the root, and how it ended.
fn told(cluster: &Cluster) -> (Vec<(String, Option<Links>)>, Ended) {
    let lister = lister(cluster);
    let mut parts = match lister.root() {
        Ok(root) => vec![root.part],
        Err(refused) => return (Vec::new(), Err(refused.into())),
    };
    let mut names = Vec::new();
    while let Some(part) = parts.pop() {
        let mut hear = |one: fleet::lister::Found<'_, Part>| {
            names.push((String::from_utf8_lossy(one.name).into_owned(), one.links));
        };
        match lister.tell(part, &mut hear) {
            Ok(more) => parts.extend(more),
            Err(error) => return (names, Err(error)),
        }
    }
    (names, Ok(()))
}

fn fault(ended: Ended) -> Fault {
    match ended {
        Err(TellError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

fn refused(ended: Ended) -> Refused {
    match ended {
        Err(TellError::Over(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_no_mover_finds_are_faults_and_the_others_are_told() {
    let names = ["..", "a", "", ".", "x/y", "x\\u0000y", "x\\ufffdy", "b"];
    let served = Scripted::serve(move |_, _| {
        let long = "x".repeat(5_000);
        let names = names.into_iter().chain([&*long]);
        let rows: Vec<_> = names.map(|name| row(name, "FILE", 1, 0)).collect();
        sums(9, 1, &[&rows[..], &[row("new", "OF_TOMORROW", 0, 0)]].concat())
    });
    let (names, ended) = told(&served.cluster());
    assert_eq!(names, [("a".to_owned(), None), ("b".to_owned(), None)]);
    let text = fault(ended).to_string();
    for part in ["/top", "\"..\"", "7 others", "no name"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_name_with_the_letter_for_what_is_not_utf_8_is_named_in_the_fault() {
    let served =
        Scripted::serve(|_, _| sums(1, 1, &[row("gr\\ufffd\\ufffd\\u001b[2J", "FILE", 1, 0)]));
    let text = fault(told(&served.cluster()).1).to_string();
    assert!(text.contains("\"gr\u{fffd}\u{fffd} [2J\"") && text.contains("UTF-8"), "{text}");
}

#[test]
fn bytes_that_are_not_utf_8_are_passed_on() {
    let served = Scripted::serve(|_, _| {
        let mut answer = sums(1, 1, &[row("gr@n", "FILE", 1, 0)]);
        for byte in answer.body.iter_mut().filter(|byte| **byte == b'@') {
            *byte = 0xfc;
        }
        answer
    });
    let lister = lister(&served.cluster());
    let told = tell_one(&lister, lister.root().unwrap().part).unwrap();
    assert_eq!(told[0].0, b"gr\xfcn");
}

#[test]
fn what_has_no_row_is_read_for_itself_and_tells_its_further_names() {
    let next = "/v1/files/2/entries/?after=17&limit=2";
    let served = Scripted::serve(move |target, _| match target {
        target if target.contains("aggregates") => {
            sums(4, 6, &[row("a", "FILE", 1, 0), row("d", "DIRECTORY", 1, 2)])
        }
        target if target == next => page(5, "", &[child("e", "DIRECTORY", 9, 2)]),
        _ => {
            let folder = child("d", "DIRECTORY", 5, 2);
            let files = [child("b", "FILE", 7, 3), child("c", "FILE", 8, 1)];
            page(5, next, &[&[child("a", "FILE", 6, 1), folder], &files[..]].concat())
        }
    });
    let (names, ended) = told(&served.cluster());
    ended.unwrap();
    let links = Some(Links { inode: Inode { dev: 0, ino: 7 }, count: 3 });
    let expected = [("a", None), ("d", None), ("b", links), ("c", None), ("e", None)];
    assert_eq!(names, expected.map(|(name, links)| (name.to_owned(), links)));
    let asked = served.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked[1].starts_with("/v1/files/%2Ftop/entries/?"), "{asked:?}");
    assert_eq!(asked[2], next);
}

#[test]
fn a_next_page_that_is_elsewhere_or_the_same_is_a_fault() {
    let again = "/v1/files/%2Ftop/entries/?limit=5000";
    for next in ["http://127.0.0.1:1/", "@127.0.0.1:1/", again] {
        let served = Scripted::serve(move |target, _| match target {
            target if target.contains("aggregates") => sums(1, 1, &[]),
            _ => page(1, next, &[child("a", "FILE", 6, 1)]),
        });
        let (names, ended) = told(&served.cluster());
        assert_eq!(names, [("a".to_owned(), None)]);
        assert!(fault(ended).to_string().contains("next page"));
        assert_eq!(served.asked.lock().unwrap().len(), 2);
    }
}

#[test]
fn a_directory_that_may_not_be_read_is_a_fault_and_as_the_root_a_refusal() {
    const DENIED: &str =
        r#"{"description": "a-token-for-good may not", "error_class": "fs_access_denied_error"}"#;
    let denied = || Answer::of(403, DENIED);
    let served = Scripted::serve(move |target, _| match target {
        target if target.contains("%2Ftop") => sums(1, 3, &[row("d", "DIRECTORY", 1, 2)]),
        _ => denied(),
    });
    let lister = lister(&served.cluster());
    let told_of_root = tell_one(&lister, lister.root().unwrap().part).unwrap();
    let part = told_of_root.into_iter().next().unwrap().3.unwrap();
    match tell_one(&lister, part).map(|told| told.len()) {
        Err(TellError::Fault(Fault { path, cause: Cause::Refused(sentence), .. })) => {
            assert_eq!(&*path, b"/top/d");
            assert!(sentence.contains("... may not"), "{sentence}");
        }
        other => panic!("{other:?}"),
    }

    let served = Scripted::serve(move |_, _| denied());
    let refused = refused(told(&served.cluster()).1);
    assert_eq!(refused.why, Why::Source);
    assert!(!refused.sentence.contains("a-token-for-good"), "{refused}");
}

#[test]
fn a_cluster_that_wants_to_be_left_alone_for_too_long_ends_it() {
    let served = Scripted::serve(|_, _| Answer {
        head: "Retry-After: 1000000\r\n".to_owned(),
        ..Answer::of(429, "{}")
    });
    assert_eq!(refused(told(&served.cluster()).1).why, Why::Connection);
    assert_eq!(served.asked.lock().unwrap().len(), 1);
}

#[test]
fn an_answer_that_breaks_off_is_told_once_when_it_is_whole() {
    let served = Scripted::serve(|_, count| {
        let whole = sums(2, 1, &[row("a", "FILE", 1, 0), row("b", "FILE", 1, 0)]);
        let half = whole.body.len() / 2;
        match count {
            0 => Answer { missing: half, body: whole.body[..half].to_vec(), ..whole },
            1 => Answer { missing: 1, body: whole.body[..whole.body.len() - 1].to_vec(), ..whole },
            _ => whole,
        }
    });
    let (names, ended) = told(&served.cluster());
    ended.unwrap();
    assert_eq!(names, [("a".to_owned(), None), ("b".to_owned(), None)]);
    assert_eq!(served.asked.lock().unwrap().len(), 3);
}

#[test]
fn what_makes_no_sense_ends_it() {
    type Made = fn() -> Answer;
    let answers: [(&str, Made); 5] = [
        ("no JSON", || Answer::of(200, "<html>")),
        ("a number that is none", || {
            let mut answer = sums(1, 1, &[]);
            let text = String::from_utf8(answer.body).unwrap().replace("40960", "-1");
            answer.body = text.into_bytes();
            answer
        }),
        ("something missing", || Answer::of(200, r#"{"files": []}"#)),
        ("another address", || Answer {
            head: "Location: http://127.0.0.1:1/\r\n".to_owned(),
            ..Answer::of(302, "")
        }),
        ("more than anybody needs", || Answer::of(200, vec![b' '; 70 << 20])),
    ];
    for (what, answer) in answers {
        let served = Scripted::serve(move |_, _| answer());
        assert_eq!(refused(told(&served.cluster()).1).why, Why::Connection, "{what}");
        assert_eq!(served.asked.lock().unwrap().len(), 1, "{what}");
    }
}

#[test]
fn no_more_than_so_many_are_asked_at_once_and_connections_are_kept() {
    let three = Barrier::new(3);
    let served = Scripted::serve(move |_, _| {
        // Goes on when three are here.
        three.wait();
        sums(0, 1, &[])
    });
    let in_flight = NonZeroUsize::new(3).unwrap();
    let lister = lister(&Cluster { in_flight, ..served.cluster() });
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| (0..3).for_each(|_| drop(lister.root().unwrap())));
        }
    });
    assert_eq!(served.most_at_once.load(Ordering::SeqCst), 3);
    assert_eq!(served.connections(), 3);
    assert_eq!(lister.asked(), 36);
}

#[test]
fn a_server_of_another_kind_lets_nobody_in() {
    let served = Scripted::serve(|_, _| Answer::of(404, "<html>"));
    let refused = refusal(&Cluster { login: by_password("secret"), ..served.cluster() });
    assert_eq!(refused.why, Why::Connection);
    assert!(refused.sentence.contains("Qumulo") && !refused.sentence.contains("secret"));
    assert_eq!(*served.asked.lock().unwrap(), ["/v1/session/login"]);
}

#[test]
fn what_is_no_host_is_never_asked() {
    for host in ["", "a/b", "me@there", "a b", "[::1]", "a?b"] {
        let served = Scripted::serve(|_, _| sums(0, 1, &[]));
        let refused = refusal(&Cluster { host: host.to_owned(), ..served.cluster() });
        assert_eq!(refused.why, Why::Connection, "{host}");
    }
}
