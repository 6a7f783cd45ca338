//! Answers that the stand-in of a cluster does not give.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use super::scripted::{Answer, Scripted, child, page, row, sums};
use super::*;
use fleet::lister::{Links, Why};
use fleet::survey::{KeepAll, survey};
use model::{Cause, Fault, Inode};

/// How telling ended.
type Ended = Result<Vec<Fault>, TellError>;

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
    (names, Ok(lister.take_faults()))
}

/// The one that the directory itself has.
fn fault(ended: Ended) -> Fault {
    match ended {
        Err(TellError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// The one that is told beside the directory, of which all else is known.
fn told_beside(ended: Ended) -> Fault {
    let faults = ended.unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.into_iter().next().unwrap()
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
    let text = told_beside(ended).to_string();
    for part in ["/top", "\"..\"", "7 others", "no name"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_name_with_the_letter_for_what_is_not_utf_8_is_named_in_the_fault() {
    let served =
        Scripted::serve(|_, _| sums(1, 1, &[row("gr\\ufffd\\ufffd\\u001b[2J", "FILE", 1, 0)]));
    let text = told_beside(told(&served.cluster()).1).to_string();
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
    assert!(ended.unwrap().is_empty());
    let links = Some(Links { inode: Inode { dev: 0, ino: 7 }, count: 3 });
    let expected = [("a", None), ("d", None), ("b", links), ("c", None), ("e", None)];
    assert_eq!(names, expected.map(|(name, links)| (name.to_owned(), links)));
    let asked = served.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked[1].starts_with("/v1/files/%2Ftop/entries/?"), "{asked:?}");
    assert_eq!(asked[2], next);
}

/// A cluster whose pages are asked for one after the other: what each has, and which is the next.
fn in_pages(
    rows: Vec<String>,
    pages: impl Fn(usize) -> (Vec<String>, String) + Send + Sync + 'static,
) -> Scripted {
    let count = AtomicUsize::new(0);
    Scripted::serve(move |target, _| match target {
        // More files than all rows and pages have.
        target if target.contains("aggregates") => sums(1_000, 1, &rows),
        _ => {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let (children, next) = pages(number);
            // The fiftieth is the last, if nothing else ends it.
            page(10, if number < 50 { &next } else { "" }, &children)
        }
    })
}

fn plain(names: &[(String, Option<Links>)]) -> Vec<&str> {
    names.iter().map(|(name, _)| &**name).collect()
}

#[test]
fn a_name_that_comes_again_is_told_once() {
    let twice = [row("a", "FILE", 1, 0), row("b", "FILE", 1, 0), row("a", "FILE", 1, 0)];
    let served = Scripted::serve(move |_, _| sums(2, 1, &twice));
    let (names, ended) = told(&served.cluster());
    assert!(ended.unwrap().is_empty());
    assert_eq!(plain(&names), ["a", "b"]);
    assert_eq!(served.asked.lock().unwrap().len(), 1);

    let file = |name: &str| child(name, "FILE", 6, 1);
    let served = in_pages(vec![row("a", "FILE", 1, 0)], move |number| match number {
        0 => (vec![file("b"), file("a"), file("b")], "/v1/second".to_owned()),
        _ => (vec![file("a"), file("b"), file("c")], String::new()),
    });
    let (names, ended) = told(&served.cluster());
    assert!(ended.unwrap().is_empty());
    assert_eq!(plain(&names), ["a", "b", "c"]);
}

#[test]
fn what_comes_as_two_different_things_is_a_fault() {
    let file = || child("a", "FILE", 6, 1);
    let folder = || child("a", "DIRECTORY", 7, 1);
    let rows = || vec![row("a", "FILE", 1, 0)];
    let in_rows = [row("a", "FILE", 1, 0), row("a", "DIRECTORY", 0, 1)];
    for served in [
        Scripted::serve(move |_, _| sums(1, 1, &in_rows)),
        in_pages(rows(), move |_| (vec![folder()], String::new())),
        in_pages(Vec::new(), move |_| (vec![file(), folder()], String::new())),
        in_pages(Vec::new(), move |number| match number {
            0 => (vec![file()], "/v1/second".to_owned()),
            _ => (vec![folder()], String::new()),
        }),
    ] {
        let (names, ended) = told(&served.cluster());
        assert_eq!(plain(&names), ["a"]);
        let text = told_beside(ended).to_string();
        let is_told = ["source", "/top", "\"a\"", "two different things"];
        assert!(is_told.iter().all(|part| text.contains(part)), "{text}");
    }
}

#[test]
fn pages_that_have_no_end_are_a_fault() {
    const FIRST: &str = "/v1/files/%2Ftop/entries/?limit=5000";

    type Pages = fn(usize) -> (Vec<String>, String);
    let endless: [(&str, usize, usize, Pages); 6] = [
        ("where the next", 1, 1, |_| (vec![named(0)], "http://127.0.0.1:1/".to_owned())),
        ("where the next", 1, 1, |_| (vec![named(0)], "@127.0.0.1:1/".to_owned())),
        ("read before", 1, 1, |number| (vec![named(number)], FIRST.to_owned())),
        // In a circle of three.
        ("read before", 3, 3, |number| {
            (vec![named(number)], [FIRST, "/v1/1", "/v1/2"][(number + 1) % 3].to_owned())
        }),
        // Ever new addresses.
        ("not on another", 3, 2, |number| (vec![named(number % 2)], format!("/v1/{}", number + 1))),
        // Ever new names, and a thousand of them there are.
        ("far more", 8, 8_000, |number| {
            let names = (0..1_000).map(|name| named(number * 1_000 + name));
            (names.collect(), format!("/v1/{}", number + 1))
        }),
    ];
    for (why, pages, names, endless) in endless {
        let served = in_pages(Vec::new(), endless);
        let (told, ended) = told(&served.cluster());
        assert_eq!(told.len(), names, "{why}");
        let text = fault(ended).to_string();
        let is_told = ["source", "/top", "makes no sense", why, "run again"];
        assert!(is_told.iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(served.asked.lock().unwrap().len(), 1 + pages, "{why}");
    }
}

/// A file that is called by a number.
fn named(number: usize) -> String {
    child(&number.to_string(), "FILE", 6, 1)
}

#[test]
fn directories_in_one_another_end_where_no_path_is_as_long() {
    // If nothing else ended them, the sixtieth would be empty.
    let count = AtomicUsize::new(0);
    let served = Scripted::serve(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
        0..60 => sums(0, 100, &[row(&"d".repeat(255), "DIRECTORY", 0, 99)]),
        _ => sums(0, 1, &[]),
    });
    let lister = Arc::new(lister(&served.cluster()));
    let faults: Arc<Mutex<Vec<Fault>>> = Arc::default();
    let heard = Arc::clone(&faults);
    let hear = Arc::new(move |fault| heard.lock().unwrap().push(fault));
    let settings = opened::settings(0);
    survey(&lister, settings, Arc::new(KeepAll), hear, &Cancel::new()).unwrap();
    // Fifteen times 256, and 255: one more would be too long.
    assert_eq!(served.asked.lock().unwrap().len(), 1 + 16);
    let faults = faults.lock().unwrap();
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("/top/ddd") && texts[0].contains("4095 bytes"), "{}", texts[0]);
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
    assert!(ended.unwrap().is_empty());
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
