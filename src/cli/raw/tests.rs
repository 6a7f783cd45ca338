//! What `raw` promises, held to it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{RawArgs, parse};
use crate::cli::options::Opt;
use crate::cli::testing::words;
use crate::exit_code::Exit;

/// `line` read and written in one way: letters for what is on, `!` before what is off, arguments
/// behind `=`, paths at the end.
fn check(line: &str, expected: &str) {
    let raw = parse(words(line)).unwrap_or_else(|refusal| panic!("{line}: {refusal:?}"));
    assert_eq!(shown(&raw), expected, "{line}");
}

fn shown(raw: &RawArgs) -> String {
    let mut parts: Vec<String> = Vec::new();
    for flag in &raw.flags {
        let sign = if flag.is_on() { "" } else { "!" };
        let value = flag.value.to_string_lossy();
        let value = if value.is_empty() { String::new() } else { format!("={value}") };
        parts.push(format!("{sign}{:?}{value}", flag.opt));
    }
    parts.extend(raw.paths.iter().map(|path| format!("[{}]", path.to_string_lossy())));
    parts.join(" ")
}

fn refuses(line: &str, part: &str) {
    match parse(words(line)) {
        Ok(raw) => panic!("{line} is taken as {}", shown(&raw)),
        Err(refusal) => {
            assert_eq!(refusal.exit, Exit::Usage, "{line}");
            assert!(refusal.sentence.contains(part), "{line}: {}", refusal.sentence);
        }
    }
}

#[test]
fn letters_stand_alone_and_in_clusters() {
    check("-a -v s d", "Archive Verbose [s] [d]");
    check("-avzP s d", "Archive Verbose Compress PartialProgress [s] [d]");
    check(
        "-xx -XX -yy -hh s",
        "OneFileSystem OneFileSystem Xattrs Xattrs Fuzzy Fuzzy HumanReadable HumanReadable [s]",
    );
    check("-048 s", "From0 Ipv4 EightBitOutput [s]");
}

#[test]
fn arguments_stand_behind_in_every_way() {
    check("-e ssh s", "Rsh=ssh [s]");
    check("-essh s", "Rsh=ssh [s]");
    check("-e=ssh s", "Rsh=ssh [s]");
    check("-avessh s", "Archive Verbose Rsh=ssh [s]");
    check("-ave ssh s", "Archive Verbose Rsh=ssh [s]");
    check("--exclude=*.o s", "Exclude=*.o [s]");
    check("--exclude *.o s", "Exclude=*.o [s]");
    check("--exclude= s", "Exclude [s]");
    check("--exclude -v s", "Exclude=-v [s]");
    check("--exclude=a=b s", "Exclude=a=b [s]");
    check("-@-1 s", "ModifyWindow=-1 [s]");
    check("-@ -1 s", "ModifyWindow=-1 [s]");
    check("-f-_*.o s", "Filter=-_*.o [s]");
    check("-M--munge-links s", "RemoteOption=--munge-links [s]");
    check("-B1000 s", "BlockSize=1000 [s]");
}

#[test]
fn options_may_stand_behind_paths_until_two_dashes() {
    check("s d -v", "Verbose [s] [d]");
    check("s -v d", "Verbose [s] [d]");
    check("-- -v d", "[-v] [d]");
    check("s -- d -v --x --", "[s] [d] [-v] [--x] [--]");
    check("- d", "[-] [d]");
    check("-r - d", "Recursive [-] [d]");
    check("--exclude -- s", "Exclude=-- [s]");
}

#[test]
fn what_can_be_on_can_be_off() {
    check("--no-r --no-recursive s", "!Recursive !Recursive [s]");
    check("--no-p --no-perms --no-D --no-v s", "!Perms !Perms !DevicesAndSpecials !Verbose [s]");
    check("--no-W --no-whole-file s", "!WholeFile !WholeFile [s]");
    check("--no-bwlimit s", "!Bwlimit [s]");
    check("--no-implied-dirs --no-i-d --i-d s", "!ImpliedDirs !ImpliedDirs ImpliedDirs [s]");
    check("--no-empty-source --empty-source s", "NoEmptySource !NoEmptySource [s]");
}

#[test]
fn other_spellings_are_the_same_option() {
    check("--del --delete-during s", "DeleteDuring DeleteDuring [s]");
    check("--log-format=%n --out-format=%n s", "OutFormat=%n OutFormat=%n [s]");
    check(
        "--cc=md5 --zc=zstd --zl=3 --zt=2 s",
        "ChecksumChoice=md5 CompressChoice=zstd CompressLevel=3 CompressThreads=2 [s]",
    );
    check("--time-limit=5 --remove-sent-files s", "StopAfter=5 RemoveSourceFiles [s]");
    check(
        "--ignore-non-existing --protect-args --old-d --i-r s",
        "Existing SecludedArgs OldDirs IncRecursive [s]",
    );
}

#[test]
fn arguments_keep_their_bytes() {
    let line = [b"--exclude=\xff\n".to_vec(), b"-fx\x80".to_vec(), b"\xfe".to_vec()];
    let raw = parse(line.into_iter().map(OsString::from_vec).collect()).unwrap();
    assert_eq!(raw.flags[0].bytes(), b"\xff\n");
    assert_eq!(raw.flags[1].bytes(), b"x\x80");
    assert_eq!(raw.paths[0].as_encoded_bytes(), b"\xfe");
    assert!(raw.flags[0].text().is_err());
}

#[test]
fn nothing_is_read_behind_a_request_for_help() {
    check("--help --no-such", "Help");
    check("--info=help --no-such", "Info=help");
    check("--debug=del,HELP --no-such", "Debug=del,HELP");
}

#[test]
fn mistakes_are_named() {
    refuses("--no-such s", "--no-such: there is no such option");
    refuses("--no-no-r s", "--no-no-r");
    refuses("----r s", "----r");
    refuses("--recurs s", "--recurs");
    refuses("-j s", "-j: there is no such option");
    refuses("-ajv s", "-j: there is no such option");
    refuses("-Pé s", "-é");
    refuses("--perms=yes s", "--perms takes no argument");
    refuses("--no-perms=yes s", "--no-perms takes no argument");
    refuses("-v=x s", "-v takes no argument");
    refuses("-vx=5 s", "-x takes no argument");
    refuses("-e", "-e: the argument is missing");
    refuses("--exclude", "--exclude: the argument is missing");
    refuses("--timeout=x s", "--timeout=x is not a whole number");
    refuses("--timeout=2147483648 s", "--timeout=2147483648 is out of range");
    refuses("-@x s", "-@ x is not a whole number");
    refuses("-@1.5 s", "-@ 1.5 is not");
}

#[test]
fn numbers_are_read_as_the_c_library_does() {
    for (text, number) in
        [("5", 5), ("-5", -5), ("+5", 5), ("0x10", 16), ("010", 8), ("", 0), ("0", 0)]
    {
        let raw = parse(vec![format!("--timeout={text}").into()]).unwrap();
        assert_eq!(raw.flags[0].number(), Ok(number), "{text}");
    }
}

#[test]
fn asking_counts_and_declining_does_not() {
    let raw = parse(words("-VV --no-v -v")).unwrap();
    assert_eq!(raw.count(Opt::Version), 2);
    assert_eq!(raw.count(Opt::Verbose), 1);
    assert_eq!(raw.words, 3);
}
