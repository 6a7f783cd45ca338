//! What texts say.

use super::*;

fn rule(traits: Traits, pattern: &[u8]) -> Result<Sentence<'_>, Flaw> {
    Ok(Sentence::Match { traits, pattern })
}

fn merge(when: When, traits: Traits, name: &[u8]) -> Result<Sentence<'_>, Flaw> {
    Ok(Sentence::Merge { when, traits, name })
}

#[track_caller]
fn check(text: &[u8], expect: Result<Sentence<'_>, Flaw>) {
    assert_eq!(parse(text, Template::RULES), expect, "{}", text.escape_ascii());
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
    check(b"!", Ok(Sentence::Clear));
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
    check(b"clear", Ok(Sentence::Clear));
    check(b"clear,", Ok(Sentence::Clear));
    check(b"excluded a", Err(Flaw::UnknownKind));
    check(b"exclude\ta", Err(Flaw::Modifier(b'\t')));
}

#[test]
fn one_blank_or_underscore_separates() {
    check(b"-_a b", rule(Traits::empty(), b"a b"));
    check(b"-  a", rule(Traits::empty(), b" a"));
    check(b"-, a", rule(Traits::empty(), b"a"));
    check(b"-,s_a", rule(Traits::SENDER, b"a"));
    check(b"-s a", rule(Traits::SENDER, b"a"));
    check(b"-a", Err(Flaw::Modifier(b'a')));
}

#[test]
fn modifiers_of_rules() {
    let all = Traits::NEGATED | Traits::FULL_PATH | Traits::SIDES | Traits::PERISHABLE | Traits::XATTR;
    check(b"-!/srpx a", rule(all, b"a"));
    check(b"Hr a", Err(Flaw::Modifier(b'r')));
    check(b"Ps a", Err(Flaw::Modifier(b's')));
    check(b"HC", Err(Flaw::Modifier(b'C')));
    check(b"-e a", Err(Flaw::Modifier(b'e')));
    check(b"-n a", Err(Flaw::Modifier(b'n')));
    check(b"-w a", Err(Flaw::Modifier(b'w')));
    check(b"-- a", Err(Flaw::Modifier(b'-')));
    check(b"-q a", Err(Flaw::Modifier(b'q')));
}

#[test]
fn modifiers_of_merges() {
    check(b".- a", merge(When::Now, Traits::BARE, b"a"));
    check(b".+ a", merge(When::Now, Traits::BARE | Traits::INCLUDE, b"a"));
    let many = Traits::HIDE_FILE | Traits::OWN_DIRECTORY | Traits::WORDS;
    check(b":enw a", merge(When::InEachDirectory, many, b"a"));
    check(b":+- a", Err(Flaw::Modifier(b'-')));
    check(b":C- a", Err(Flaw::Modifier(b'-')));
    check(b":-C a", Err(Flaw::Modifier(b'C')));
    check(b":! a", Err(Flaw::Modifier(b'!')));
}

#[test]
fn cvs_needs_no_name() {
    let cvs = Traits::BARE | Traits::WORDS | Traits::OWN_DIRECTORY | Traits::CVS;
    check(b"-C", Ok(Sentence::CvsPatterns { traits: cvs }));
    check(b"-C a", Ok(Sentence::CvsPatterns { traits: cvs }));
    check(b":C", merge(When::InEachDirectory, cvs, b".cvsignore"));
    check(b".C a", merge(When::Now, cvs, b"a"));
}

#[test]
fn flawed_texts() {
    check(b"-", Err(Flaw::Unfinished));
    check(b"- ", Err(Flaw::Unfinished));
    check(b":n", Err(Flaw::Unfinished));
    check(b"exclude", Err(Flaw::Unfinished));
    check(b"! a", Err(Flaw::ClearArgument));
    check(b"clear ", Err(Flaw::ClearArgument));
    check(b"zz a", Err(Flaw::UnknownKind));
    check(b" - a", Err(Flaw::UnknownKind));
    check(&[b"- ", &[b'a'; MAX_PATTERN_BYTES + 1][..]].concat(), Err(Flaw::TooLong));
}

#[track_caller]
fn check_in(template: Template, text: &[u8], expect: Result<Sentence<'_>, Flaw>) {
    assert_eq!(parse(text, template), expect, "{}", text.escape_ascii());
}

#[test]
fn old_style_patterns_know_two_prefixes_and_clear() {
    let template = Template { traits: Traits::empty(), wording: Wording::Patterns };
    check_in(template, b"a b", rule(Traits::empty(), b"a b"));
    check_in(template, b"- a", rule(Traits::empty(), b"a"));
    check_in(template, b"+ a", rule(Traits::INCLUDE, b"a"));
    check_in(template, b"-a", rule(Traits::empty(), b"-a"));
    check_in(template, b"+_a", rule(Traits::empty(), b"+_a"));
    check_in(template, b"!", Ok(Sentence::Clear));
    check_in(template, b"!a", rule(Traits::empty(), b"!a"));
    check_in(template, b"- ", Err(Flaw::Unfinished));
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
    check_in(cvs, b"!", Ok(Sentence::Clear));
    check_in(cvs, b"!a", rule(Traits::empty(), b"!a"));
}

#[test]
fn merge_rules_hand_their_modifiers_down() {
    let inside = Template::inside(Traits::PERISHABLE | Traits::FULL_PATH | Traits::SENDER);
    let all = Traits::PERISHABLE | Traits::FULL_PATH | Traits::SENDER;
    check_in(inside, b"- a", rule(all, b"a"));
    check_in(inside, b"H a", Err(Flaw::SideNamedTwice));
    check_in(inside, b"-r a", Err(Flaw::SideNamedTwice));
}

#[test]
fn xattr_modifier_does_not_reach_into_a_merge_file() {
    check_in(Template::inside(Traits::XATTR), b"- a", rule(Traits::empty(), b"a"));
}
