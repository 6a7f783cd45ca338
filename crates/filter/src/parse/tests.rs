//! What texts say.

use super::*;

fn rule(traits: Traits, pattern: &[u8]) -> Sentence<'_> {
    Sentence::Match { traits, pattern }
}

fn merge(when: When, traits: Traits, name: &[u8]) -> Sentence<'_> {
    Sentence::Merge { when, traits, name }
}

#[track_caller]
fn check(text: &[u8], expect: Sentence<'_>) {
    check_in(Template::RULES, text, expect);
}

#[track_caller]
fn check_flaw(text: &[u8], expect: Flaw) {
    check_flaw_in(Template::RULES, text, expect);
}

#[test]
fn short_names() {
    check(b"- a", rule(Traits::empty(), b"a"));
    check(b"+ a", rule(Traits::INCLUDE, b"a"));
    check(b"H a", rule(Traits::SENDER, b"a"));
    check(b"S a", rule(Traits::SENDER | Traits::INCLUDE, b"a"));
    check(b"P a", rule(Traits::RECEIVER, b"a"));
    check(b"R a", rule(Traits::RECEIVER | Traits::INCLUDE, b"a"));
    check(b". a", merge(When::Now, Traits::empty(), b"a"));
    check(b": a", merge(When::InEachDirectory, Traits::empty(), b"a"));
    check(b"!", Sentence::Clear);
}

#[test]
fn long_names() {
    check(b"exclude a", rule(Traits::empty(), b"a"));
    check(b"include_a", rule(Traits::INCLUDE, b"a"));
    check(b"hide,p a", rule(Traits::SENDER | Traits::PERISHABLE, b"a"));
    check(b"show a", rule(Traits::SENDER | Traits::INCLUDE, b"a"));
    check(b"protect a", rule(Traits::RECEIVER, b"a"));
    check(b"risk a", rule(Traits::RECEIVER | Traits::INCLUDE, b"a"));
    check(b"merge a", merge(When::Now, Traits::empty(), b"a"));
    check(b"dir-merge,n a", merge(When::InEachDirectory, Traits::OWN_DIRECTORY, b"a"));
    check(b"clear", Sentence::Clear);
    check(b"clear,", Sentence::Clear);
    check_flaw(b"excluded a", Flaw::UnknownKind);
    check_flaw(b"exclude\ta", Flaw::Modifier(b'\t'));
}

#[test]
fn one_blank_or_underscore_separates() {
    check(b"-_a b", rule(Traits::empty(), b"a b"));
    check(b"-  a", rule(Traits::empty(), b" a"));
    check(b"-, a", rule(Traits::empty(), b"a"));
    check(b"-,s_a", rule(Traits::SENDER, b"a"));
    check(b"-s a", rule(Traits::SENDER, b"a"));
    check_flaw(b"-a", Flaw::Modifier(b'a'));
}

#[test]
fn modifiers_of_rules() {
    let all =
        Traits::NEGATED | Traits::FULL_PATH | Traits::SIDES | Traits::PERISHABLE | Traits::XATTR;
    check(b"-!/srpx a", rule(all, b"a"));
    check_flaw(b"Hr a", Flaw::Modifier(b'r'));
    check_flaw(b"Ps a", Flaw::Modifier(b's'));
    check_flaw(b"HC", Flaw::Modifier(b'C'));
    check_flaw(b"-e a", Flaw::Modifier(b'e'));
    check_flaw(b"-n a", Flaw::Modifier(b'n'));
    check_flaw(b"-w a", Flaw::Modifier(b'w'));
    check_flaw(b"-- a", Flaw::Modifier(b'-'));
    check_flaw(b"-q a", Flaw::Modifier(b'q'));
}

#[test]
fn modifiers_of_merges() {
    check(b".- a", merge(When::Now, Traits::BARE, b"a"));
    check(b".+ a", merge(When::Now, Traits::BARE | Traits::INCLUDE, b"a"));
    let many = Traits::HIDE_FILE | Traits::OWN_DIRECTORY | Traits::WORDS;
    check(b":enw a", merge(When::InEachDirectory, many, b"a"));
    check_flaw(b":+- a", Flaw::Modifier(b'-'));
    check_flaw(b":C- a", Flaw::Modifier(b'-'));
    check_flaw(b":-C a", Flaw::Modifier(b'C'));
    check_flaw(b":! a", Flaw::Modifier(b'!'));
}

#[test]
fn cvs_needs_no_name() {
    let cvs = Traits::BARE | Traits::WORDS | Traits::OWN_DIRECTORY | Traits::CVS;
    check(b"-C", Sentence::CvsPatterns { traits: cvs });
    check(b"-C a", Sentence::CvsPatterns { traits: cvs });
    check(b":C", merge(When::InEachDirectory, cvs, b".cvsignore"));
    check(b".C a", merge(When::Now, cvs, b"a"));
}

#[test]
fn flawed_texts() {
    check_flaw(b"-", Flaw::Unfinished);
    check_flaw(b"- ", Flaw::Unfinished);
    check_flaw(b":n", Flaw::Unfinished);
    check_flaw(b"exclude", Flaw::Unfinished);
    check_flaw(b"! a", Flaw::ClearArgument);
    check_flaw(b"clear ", Flaw::ClearArgument);
    check_flaw(b"zz a", Flaw::UnknownKind);
    check_flaw(b" - a", Flaw::UnknownKind);
    check_flaw(&[b"- ", &[b'a'; MAX_PATTERN_BYTES + 1][..]].concat(), Flaw::TooLong);
}

#[track_caller]
fn check_in(template: Template, text: &[u8], expect: Sentence<'_>) {
    assert_eq!(parse(text, template), Ok(expect), "{}", text.escape_ascii());
}

#[track_caller]
fn check_flaw_in(template: Template, text: &[u8], expect: Flaw) {
    assert_eq!(parse(text, template), Err(expect), "{}", text.escape_ascii());
}

#[test]
fn old_style_patterns_know_two_prefixes_and_clear() {
    let template = Template { traits: Traits::empty(), wording: Wording::Patterns };
    check_in(template, b"a b", rule(Traits::empty(), b"a b"));
    check_in(template, b"- a", rule(Traits::empty(), b"a"));
    check_in(template, b"+ a", rule(Traits::INCLUDE, b"a"));
    check_in(template, b"-a", rule(Traits::empty(), b"-a"));
    check_in(template, b"+_a", rule(Traits::empty(), b"+_a"));
    check_in(template, b"!", Sentence::Clear);
    check_in(template, b"!a", rule(Traits::empty(), b"!a"));
    check_flaw_in(template, b"- ", Flaw::Unfinished);
    let template = Template { traits: Traits::INCLUDE, wording: Wording::Patterns };
    check_in(template, b"a", rule(Traits::INCLUDE, b"a"));
    check_in(template, b"- a", rule(Traits::empty(), b"a"));
}

#[test]
fn bare_files_hold_patterns_only() {
    let bare = Template::inside(Traits::BARE | Traits::INCLUDE);
    check_in(bare, b"- a", rule(Traits::INCLUDE, b"- a"));
    check_in(bare, b"!", rule(Traits::INCLUDE, b"!"));
    let cvs = Template::inside(Traits::BARE | Traits::CVS | Traits::WORDS);
    check_in(cvs, b"!", Sentence::Clear);
    check_in(cvs, b"!a", rule(Traits::empty(), b"!a"));
}

#[test]
fn merge_rules_hand_their_modifiers_down() {
    let inside = Template::inside(Traits::PERISHABLE | Traits::FULL_PATH | Traits::SENDER);
    let all = Traits::PERISHABLE | Traits::FULL_PATH | Traits::SENDER;
    check_in(inside, b"- a", rule(all, b"a"));
    check_flaw_in(inside, b"H a", Flaw::SideNamedTwice);
    check_flaw_in(inside, b"-r a", Flaw::SideNamedTwice);
}

#[test]
fn xattr_modifier_does_not_reach_into_a_merge_file() {
    check_in(Template::inside(Traits::XATTR), b"- a", rule(Traits::empty(), b"a"));
}
