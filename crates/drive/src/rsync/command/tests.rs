//! Commands as they are typed, for jobs as they are typed.

use fleet::amount::Amount;
use model::Kind;

use super::*;

fn job(words: &[&str], is_root: bool) -> Result<RsyncJob, String> {
    let words = Words::read(words.iter().map(OsString::from)).expect("rsync takes these words");
    RsyncJob::new(vec!["rsync".into()], words, is_root)
}

fn lines(of: &[(Span, &str)]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (span, path) in of {
        let kind = if *span == Span::Entry { Kind::File } else { Kind::Directory };
        ListLine { span: *span, kind, bytes: 1, path: path.as_bytes() }.put(&mut lines);
    }
    lines
}

fn bucket(lines: &[u8], class: Class) -> Work<'_> {
    Work::Bucket { lines, class, amount: Amount::default() }
}

fn command(words: &[&str], is_root: bool, work: &Work<'_>) -> (String, String) {
    let command = job(words, is_root).unwrap().command(work).unwrap();
    let list = String::from_utf8(command.list).unwrap().replace('\0', "|");
    (shown(&command.argv), list)
}

const TELLS: &str =
    "--no-h --outbuf=L '--out-format=@%i|%l|%n' --info=progress2,name0,stats0,flist0";

#[test]
fn a_bucket_is_the_users_command_with_a_list() {
    let of = lines(&[(Span::Alone, "a"), (Span::Entry, "a/f"), (Span::Whole, "a/d")]);
    let deep = bucket(&of, Class::Deep);
    let (argv, list) = command(&["-aHv", "--exclude=*.o", "src/", "dst"], true, &deep);
    let expected = format!("rsync -aH '--exclude=*.o' -r -0 --files-from=- {TELLS} -- src/ dst/");
    assert_eq!(argv, expected);
    assert_eq!(list, "./a/f|./a/d|");

    let of = lines(&[(Span::Entry, "f"), (Span::Bare, "d")]);
    let flat = bucket(&of, Class::Flat);
    let typed = ["-a", "--delete", "--exclude=*.o", "-e", "ssh -p 3", "it's", "host:dst"];
    let (argv, list) = command(&typed, true, &flat);
    let expected = format!(
        "rsync -a '--rsh=ssh -p 3' --force --chmod=Du+w -0 --files-from=- {TELLS} -- ./ host:dst/"
    );
    assert_eq!(argv, expected);
    assert_eq!(list, "it's/f|it's/d|");
}

#[test]
fn the_top_alone_is_meant_without_what_lies_in_it() {
    let of = lines(&[(Span::Bare, "")]);
    let (argv, list) = command(&["-a", "src/", "dst"], true, &bucket(&of, Class::Flat));
    assert!(argv.contains(" '--filter=- *' -0 "), "{argv}");
    assert_eq!(list, ".|");
    let (argv, list) = command(&["-a", "src", "dst"], true, &bucket(&of, Class::Flat));
    assert!(!argv.contains("filter"), "{argv}");
    assert_eq!(list, "src|");
    let of = lines(&[(Span::Bare, ""), (Span::Bare, "a")]);
    let (argv, list) = command(&["-a", "src/", "dst"], true, &bucket(&of, Class::Flat));
    assert!(!argv.contains("filter"), "{argv}");
    assert_eq!(list, "./a|");
    let of = lines(&[(Span::Whole, "")]);
    let (argv, list) = command(&["-a", "src/", "dst"], true, &bucket(&of, Class::Deep));
    assert!(!argv.contains("filter"), "{argv}");
    assert_eq!(list, ".|");
}

#[test]
fn directories_are_listed_for_root_and_else_walked() {
    let of = lines(&[(Span::Alone, ""), (Span::Alone, "a"), (Span::Alone, "a/b")]);
    let work = Work::Directories { lines: &of };
    let typed = ["-ac", "--delete", "--include=*.c", "-R", "/x/./src", "dst"];
    let (argv, list) = command(&typed, true, &work);
    assert_eq!(argv, format!("rsync -a -0 --files-from=- {TELLS} -- /x/ dst/"));
    assert_eq!(list, "src|src/a|src/a/b|");
    let (argv, list) = command(&typed, false, &work);
    let expected = format!(
        "rsync -a '--include=*.c' -R --existing --ignore-existing '--filter=+ */' '--filter=- *' \
         {TELLS} -- /x/./src dst"
    );
    assert_eq!(argv, expected);
    assert_eq!(list, "");
}

#[test]
fn deletion_is_the_users_command_that_makes_nothing() {
    let typed = ["-ac", "--delete-excluded", "--max-delete=9", "--exclude=/x", "src", "h::mod/d"];
    let (argv, list) = command(&typed, true, &Work::Delete);
    let expected = format!(
        "rsync -a --delete-excluded --max-delete=9 --exclude=/x --existing --ignore-existing {TELLS} -- \
         src h::mod/d"
    );
    assert_eq!(argv, expected);
    assert_eq!(list, "");
}

#[test]
fn modes_of_directories_are_kept_open_only_for_whom_they_close() {
    let of = lines(&[(Span::Entry, "f")]);
    let work = bucket(&of, Class::Flat);
    for (typed, is_root, keeps_open) in [
        (&["-a", "s/", "d"][..], false, true),
        (&["-a", "s/", "d"], true, false),
        (&["-rt", "s/", "d"], false, false),
        (&["-a", "s/", "root@h:d"], false, false),
        (&["-a", "s/", "h:d"], true, true),
        (&["-a", "--fake-super", "s/", "d"], true, true),
    ] {
        let (argv, _) = command(typed, is_root, &work);
        assert_eq!(argv.contains("--chmod=Du+w"), keeps_open, "{typed:?}");
    }
}

#[test]
fn a_job_for_one_rsync_is_none_for_many() {
    for typed in [&["-a", "s", "t", "d"][..], &["-a", "d"], &["-a", "h:*", "d"], &["-d", "s", "d"]]
    {
        assert!(job(typed, true).is_err(), "{typed:?}");
    }
}

#[test]
fn bytes_that_are_no_lines_make_no_command() {
    let job = job(&["-a", "s/", "d"], true).unwrap();
    assert_eq!(job.command(&bucket(b"EF1 a\0x", Class::Flat)), Err(NotLines { at: 6 }));
}
