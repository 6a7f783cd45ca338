//! Rules that went over as bytes answer as those that were typed.

use std::sync::Arc;

use borsh::BorshDeserialize;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{
    Description, NodeKind, Perishable, RuleOptions, Rules, Scope, Side, Unprefixed, Verdict,
};

/// What lies in the directory `d`, and in files that rules of the command line name.
const MERGED: &[u8] = b"+ /kept\n- *.d\n:C\n- name/\n";

fn typed(options: RuleOptions, filters: &[&str]) -> Rules {
    let mut rules = Rules::new(options);
    for filter in filters {
        // What is no rule is left out: only that it is read alike at both ends counts.
        rules.push(filter.as_bytes(), &mut |_| Ok(MERGED.to_vec())).ok();
    }
    rules
}

fn sent(rules: &Rules) -> Rules {
    let bytes = borsh::to_vec(rules).unwrap();
    let received = Rules::try_from_slice(&bytes).unwrap();
    assert_eq!(borsh::to_vec(&received).unwrap(), bytes);
    received
}

/// What all scopes on the way into `d` say of a few paths, with the rules that say so.
fn answers(rules: Rules) -> Vec<String> {
    let top = Scope::root(Arc::new(rules), b"/top");
    let mut read = |name: &[u8]| Ok(name.ends_with(b".m").then(|| MERGED.to_vec()));
    let below = top.enter(b"", &mut read).and_then(|top| top.enter(b"d", &mut read));
    let below = below.unwrap_or_else(|_| top.clone());
    let paths = ["a", "a.o", "d", "d/kept", "d/x.d", "d/name", "d/.m", "top/a", "x/a/b"];
    let mut answers = Vec::new();
    for (scope, path) in
        [&top, &below].into_iter().flat_map(|scope| paths.map(|path| (scope, path)))
    {
        for side in [Side::Sender, Side::Receiver] {
            for kind in [NodeKind::Directory, NodeKind::Other] {
                let verdict = scope.check(path.as_bytes(), kind, side, Perishable::Honoured);
                answers.push(in_words(scope, verdict));
            }
            answers.push(in_words(scope, scope.check_xattr(path.as_bytes(), side)));
        }
    }
    answers
}

fn in_words(scope: &Scope, verdict: Verdict) -> String {
    let described = |description: Description<'_>| description.to_string();
    match verdict {
        Verdict::Included(rule) => format!("included by {}", described(scope.describe(rule))),
        Verdict::Excluded(rule) => format!("excluded by {}", described(scope.describe(rule))),
        Verdict::Unmatched => "unmatched".to_owned(),
    }
}

#[track_caller]
fn check(rules: Rules) {
    let received = sent(&rules);
    assert_eq!(received.is_empty(), rules.is_empty());
    assert_eq!(answers(received), answers(rules));
}

#[test]
fn rules_of_all_kinds_arrive() {
    check(Rules::default());
    check(typed(
        RuleOptions { delete_excluded: true, ..RuleOptions::default() },
        &["- *.o", "+! /a", "-/ /top/a", "-p d/", "-x a*", "Pd", "Hs d/**", ". file", ":e- .m"],
    ));
    let mut rules = typed(
        RuleOptions {
            from0: true,
            home_cvsignore: Some(b"a.o".to_vec()),
            cvsignore_variable: Some(b"! d".to_vec()),
            ..RuleOptions::default()
        },
        &[": .m", ":n .n", "!", ": /.m", "- a/"],
    );
    rules.push_list(b"- a\0+ d\0", Unprefixed::Exclude, b"\xff").unwrap();
    rules.push_protect_suffix(b"~");
    rules.push_perishable_exclude(b".part/");
    rules.push_cvs(false).unwrap();
    check(rules);
}

#[test]
fn what_no_command_line_says_is_refused() {
    let bytes = borsh::to_vec(&typed(RuleOptions::default(), &["- a", ": .m"])).unwrap();
    let options = borsh::to_vec(&RuleOptions::default()).unwrap().len();
    let refused = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Rules::try_from_slice(&bytes).map(drop).unwrap_err().to_string()
    };
    // Behind the options: no files, two items, of which the first is a rule.
    let rule = options + 4 + 4;
    assert_eq!(bytes[rule..rule + 9], [0, 0, 0, 1, 0, 0, 0, b'a', 0]);
    assert_eq!(refused(rule + 2, 0x80), "an unknown modifier of a rule");
    let slot = rule + 1 + 2 + 4 + 1 + 1 + 4;
    assert_eq!(bytes[slot..slot + 5], [1, 0, 0, 0, 0]);
    assert_eq!(refused(slot + 1, 1), "rules of no merge file");
    assert_eq!(refused(slot, 7), "Unexpected variant tag: 7");
}

proptest! {
    #[test]
    fn any_rules_arrive(
        kinds in vec((select(vec!["-", "+", "H", "P", ":", ".", "-!", "+/", "-C", ":n", "!"]),
            select(vec!["a", "/d", "*.o", "d/", "**/b", "/top/a", "a*[b-d]?", ".m", ""])), 0..8),
        from0: bool,
        delete_excluded: bool,
    ) {
        let texts: Vec<String> =
            kinds.iter().map(|(kind, pattern)| format!("{kind} {pattern}")).collect();
        let texts: Vec<&str> = texts.iter().map(|text| text.trim_end()).collect();
        let options = || RuleOptions { from0, delete_excluded, ..RuleOptions::default() };
        let rules = typed(options(), &texts);
        prop_assert_eq!(answers(sent(&rules)), answers(rules));
    }

    #[test]
    fn no_bytes_make_it_panic(at: prop::sample::Index, flip in 1..=u8::MAX, cut: prop::sample::Index) {
        let rules = typed(RuleOptions::default(), &["- *.o", ": .m", ". file", "+ a[b-d]"]);
        let mut bytes = borsh::to_vec(&rules).unwrap();
        let whole = bytes.len();
        bytes[at.index(whole)] ^= flip;
        if let Ok(rules) = Rules::try_from_slice(&bytes) {
            answers(rules);
        }
        prop_assert!(Rules::try_from_slice(&bytes[..cut.index(whole)]).is_err());
    }
}
