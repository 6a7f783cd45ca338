//! Random rules and trees, small enough for them to meet often.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::tree::Tree;

/// In rules stands for the absolute path of the folder that holds both trees.
pub(crate) const TOP: &[u8] = b"@TOP@";

/// One option of the command line.
#[derive(Clone)]
pub(crate) enum Option {
    Filter(Vec<u8>),
    Exclude(Vec<u8>),
    Include(Vec<u8>),
    ExcludeFrom(Vec<u8>),
    IncludeFrom(Vec<u8>),
}

impl fmt::Debug for Option {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, text) = match self {
            Self::Filter(text) => ("--filter", text),
            Self::Exclude(text) => ("--exclude", text),
            Self::Include(text) => ("--include", text),
            Self::ExcludeFrom(text) => ("--exclude-from", text),
            Self::IncludeFrom(text) => ("--include-from", text),
        };
        write!(out, "{name}={}", text.escape_ascii())
    }
}

/// A text, shown with escapes only where needed.
#[derive(Clone, Default)]
pub(crate) struct Text(pub(crate) Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0.escape_ascii())
    }
}

/// Everything one run of rsync gets.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) options: Vec<Option>,
    pub(crate) src: Tree,
    pub(crate) dst: Tree,
    /// Contents of the files `m0`, `m1` in the working directory.
    pub(crate) merges: Vec<Text>,
    /// Contents of the files `.f`, `.g` beside the two trees.
    pub(crate) beside: Vec<Text>,
    pub(crate) from0: bool,
    pub(crate) cvs: std::option::Option<Cvs>,
    pub(crate) delete: Delete,
    pub(crate) partial_dir: bool,
    pub(crate) source: Source,
}

/// How the source is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `src/`, so that `src` is the transfer root.
    Contents,
    /// `src`, so that the transfer root is above it.
    Named,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delete {
    Nothing,
    Extras,
    ExtrasAndExcluded,
}

#[derive(Debug, Clone)]
pub(crate) struct Cvs {
    pub(crate) home: Text,
    pub(crate) variable: Text,
    pub(crate) on_command_line: bool,
}

/// Classes, good and malformed.
const CLASSES: &[&[u8]] = &[
    b"[ab]",
    b"[!a]",
    b"[^b-d]",
    b"[[:alpha:]]",
    b"[]a]",
    b"[a-",
    b"[\\]b]",
    b"[[:x:]]",
    b"[[:digit:]a-c-e]",
    b"[/a]",
    b"[!]",
    b"[[:]",
    b"[b-\\d]",
    b"[\x80-\xff]",
    b"[--a]",
    b"[\\",
];

/// Bytes that mean something somewhere.
const ODD_PARTS: &[&[u8]] =
    &[b"\\", b"\\*", b"\xff", b" ", b"_", b".", b".o", b"!", b"#", b"-", b"de"];

/// Rules that the other generators leave out.
const ODD_RULES: &[&[u8]] = &[
    b"!",
    b"clear",
    b"-C",
    b":C",
    b"exclude a",
    b"include_b",
    b"- ",
    b"-C x",
    b"+C",
    b"- a\nb",
    b":C .f",
];

/// File names that look like something else.
const ODD_NAMES: &[&[u8]] =
    &[b"core", b"\xff", b"a\nb", b"[b]", b"a*", b"\\b", b"b\\", b"-", b" a", b"a b", b"_"];

fn one_of(texts: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    select(texts).prop_map(<[u8]>::to_vec)
}

/// Parts that patterns are made of; the first few are wanted most.
fn pattern() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => one_of(&[b"a", b"b", b"d", b"e"]),
        6 => one_of(&[b"*", b"**", b"/", b"?"]),
        2 => one_of(&[b"***", b"/***", b"**/", b"*.o"]),
        2 => one_of(CLASSES),
        2 => one_of(ODD_PARTS),
    ];
    let slash = prop_oneof![4 => Just(&b""[..]), 1 => Just(&b"/"[..])];
    let any = (slash.clone(), vec(piece, 1..5), slash)
        .prop_map(|(first, middle, last)| [first, &middle.concat(), last].concat());
    let likely = select(vec![
        &b"a"[..],
        b"b",
        b"ab",
        b"*.o",
        b"d",
        b"e",
        b"de",
        b"d/",
        b"/d",
        b"/a",
        b"/b",
        b"d/a",
        b"/d/a",
        b"d/*",
        b"/d/e/",
        b"d/**",
        b"/e/***",
        b"*",
        b"?",
        b"[ab]",
        b"a*",
        b"**/d",
        b"*/b",
        b"e/",
        b"**/a",
        b"**/e/b",
        b"/*/b",
        b"d**b",
        b"/d/**/a",
        b"*/",
        b"[d-e]/",
        b"d/e",
        b"e/**/",
        b"/**",
        b"a b",
        b"/e",
    ]);
    prop_oneof![3 => likely.prop_map(<[u8]>::to_vec), 2 => any]
}

/// Patterns of all kinds of wildcards, many of them malformed.
pub(crate) fn any_pattern() -> impl Strategy<Value = Vec<u8>> {
    let byte = select(b"[[]]!^-\\:**??/abdez.~\x80\xff".to_vec()).prop_map(|byte| vec![byte]);
    let name = select(vec![
        &b"alnum"[..],
        b"alpha",
        b"blank",
        b"cntrl",
        b"digit",
        b"graph",
        b"lower",
        b"print",
        b"punct",
        b"space",
        b"upper",
        b"xdigit",
        b"nope",
        b"",
    ]);
    let class = (
        name,
        select(vec![&b"[[:"[..], b"[^[:", b"[a[:", b"[:"]),
        select(vec![&b":]]"[..], b":]-a]", b":]"]),
    )
        .prop_map(|(name, first, last)| [first, name, last].concat());
    let range = (any::<u8>(), any::<u8>())
        .prop_map(|(low, high)| vec![b'[', low.max(1), b'-', high.max(1), b']']);
    let piece = prop_oneof![8 => byte, 1 => class, 1 => range, 2 => pattern()];
    vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

/// Patterns that begin at the root of the file system, some of them.
fn full_pattern() -> impl Strategy<Value = Vec<u8>> {
    let lead = select(vec![
        [TOP, b"/src"].concat(),
        [TOP, b"/dst"].concat(),
        [TOP, b"/*"].concat(),
        b"src".to_vec(),
        b"**/dst".to_vec(),
        b"/**/src".to_vec(),
        b"/**".to_vec(),
        b"s*c/".to_vec(),
    ]);
    prop_oneof![
        3 => (lead, pattern()).prop_map(|(lead, rest)| [&lead[..], b"/", &rest].concat()),
        1 => pattern(),
    ]
}

fn joint() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![6 => Just(&b" "[..]), 2 => Just(&b"_"[..])]
}

/// A rule that excludes or includes.
fn match_rule() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        10 => select(vec![&b"-"[..], b"+", b"-", b"-", b"-,", b"exclude,", b"include,"]),
        4 => select(vec![&b"H"[..], b"S", b"P", b"R", b"hide,", b"show,", b"protect,", b"risk,"]),
    ];
    let modifiers = prop_oneof![
        6 => Just(Vec::new()),
        3 => vec(select(b"srp!px".to_vec()), 1..3),
    ];
    let plain = (name.clone(), modifiers.clone(), joint(), pattern())
        .prop_map(|(name, modifiers, joint, text)| [name, &modifiers, joint, &text].concat());
    let full = (name, modifiers, joint(), full_pattern())
        .prop_map(|(name, modifiers, joint, text)| [name, &modifiers, b"/", joint, &text].concat());
    prop_oneof![6 => plain, 1 => full]
}

fn modifiers_of_merge() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => Just(Vec::new()),
        4 => vec(select(b"-+nepsr/Cnx".to_vec()), 1..3),
        1 => one_of(&[b"w", b"w-", b"wn+", b"ew/-"]),
    ]
}

/// A rule that names a per-directory merge file.
fn dir_merge_rule() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        6 => one_of(&[b".f", b".g", b".h"]),
        2 => select(vec![
            b"../.f".to_vec(), [TOP, b"/.f"].concat(), [TOP, b"/.g"].concat(), b"d/.f".to_vec(),
            b"./.g".to_vec(), b".f/".to_vec(), b"/.no-such-file-anywhere".to_vec(),
        ]),
    ];
    let word = select(vec![&b":"[..], b"dir-merge,"]);
    (word, modifiers_of_merge(), joint(), name)
        .prop_map(|(word, modifiers, joint, name)| [word, &modifiers, joint, &name].concat())
}

/// A rule that includes a file.
fn merge_rule(files: Vec<&'static [u8]>) -> impl Strategy<Value = Vec<u8>> {
    let word = select(vec![&b"."[..], b"merge,"]);
    (word, modifiers_of_merge(), joint(), select(files))
        .prop_map(|(word, modifiers, joint, name)| [word, &modifiers, joint, name].concat())
}

fn odd_rule() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => one_of(ODD_RULES),
        1 => vec(select(b"!-+.:HSPRCsrpxew/ ,_ab".to_vec()), 1..5),
    ]
}

/// A rule for a file in the tree.
fn rule_in_tree() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        24 => match_rule(),
        2 => dir_merge_rule(),
        4 => merge_rule(vec![b"i", b"./i", b"i", b"d/i"]),
        3 => Just(b"!".to_vec()),
        1 => one_of(&[b"#a", b";b", b"", b"-C"]),
    ]
}

/// Contents of a merge file: rules, or patterns as the modifiers `-` and `w` want them.
fn merge_contents(from0: bool, rule: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let separator: &'static [u8] = if from0 { b"\0" } else { b"\n" };
    let rules = vec(rule, 0..4).prop_map(move |rules| rules.join(separator));
    let patterns = vec(prop_oneof![6 => pattern(), 1 => Just(b"!".to_vec())], 0..4)
        .prop_map(move |patterns| patterns.join(separator));
    let words = vec(pattern(), 0..4).prop_map(|patterns| patterns.join(&b' '));
    prop_oneof![8 => rules, 1 => patterns, 1 => words].boxed()
}

fn file_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => one_of(&[b"a", b"b", b"ab", b"a.o"]),
        2 => one_of(ODD_NAMES),
    ]
}

/// Directories have other names than files, so that no tree has one where the other has the other.
fn dir_path() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        8 => one_of(&[b"d", b"e", b"de"]),
        1 => one_of(&[b"\xfe", b"CVS", b"d.o", b"d\\"]),
    ];
    vec(name, 0..4).prop_map(|names| names.join(&b'/'))
}

fn tree(from0: bool) -> impl Strategy<Value = Tree> {
    // A name of its own: rsync takes a file in there for the beginning of its namesake.
    let partial = (dir_path(), Just(b"partial/z".to_vec()));
    let files = vec(prop_oneof![12 => (dir_path(), file_name()), 1 => partial], 3..20);
    let merge_name = select(vec![&b".f"[..], b".f", b".g", b".h", b".cvsignore", b"i", b"i", b"i"]);
    let merge_dir = prop_oneof![2 => Just(Vec::new()), 2 => Just(b"d".to_vec()), 1 => dir_path()];
    let contents = merge_contents(from0, rule_in_tree().boxed());
    let merges = vec((merge_dir, merge_name, contents), 0..7);
    (files, merges).prop_map(|(files, merges)| {
        let mut tree = Tree::default();
        for (dir, name) in files {
            tree.add_file(&join(&dir, &name), b"");
        }
        for (dir, name, contents) in merges {
            tree.add_file(&join(&dir, name), &contents);
        }
        tree
    })
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, name].join(&b'/') }
}

fn option(from0: bool) -> impl Strategy<Value = Option> {
    let rule = prop_oneof![
        16 => match_rule(),
        5 => dir_merge_rule(),
        3 => merge_rule(vec![b"m0", b"m1"]),
        1 => odd_rule(),
    ];
    let separator: &'static [u8] = if from0 { b"\0" } else { b"\n" };
    let prefix = select(vec![&b""[..], b"", b"", b"- ", b"+ ", b"#", b";", b"!"]);
    let line = (prefix, pattern()).prop_map(|(prefix, text)| [prefix, &text].concat()).boxed();
    let list = vec(line.clone(), 0..4).prop_map(move |lines| lines.join(separator)).boxed();
    prop_oneof![
        12 => rule.prop_map(Option::Filter),
        2 => line.clone().prop_map(Option::Exclude),
        2 => line.prop_map(Option::Include),
        1 => list.clone().prop_map(Option::ExcludeFrom),
        1 => list.prop_map(Option::IncludeFrom),
    ]
}

fn cvs() -> impl Strategy<Value = std::option::Option<Cvs>> {
    let words = || vec(prop_oneof![6 => pattern(), 1 => Just(b"!".to_vec())], 0..3);
    let cvs = (words(), words(), any::<bool>()).prop_map(|(home, variable, on_command_line)| Cvs {
        home: Text(home.join(&b'\n')),
        variable: Text(variable.join(&b' ')),
        on_command_line,
    });
    prop_oneof![3 => Just(None), 1 => cvs.prop_map(Some)]
}

/// A whole case.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    let from0 = prop_oneof![6 => Just(false), 1 => Just(true)];
    from0.prop_flat_map(|from0| {
        let in_merge = prop_oneof![
            8 => match_rule(),
            1 => dir_merge_rule(),
            1 => merge_rule(vec![b"m1"]),
            1 => odd_rule(),
        ];
        let delete = select(vec![
            Delete::Nothing,
            Delete::Extras,
            Delete::Extras,
            Delete::ExtrasAndExcluded,
        ]);
        let source = select(vec![Source::Contents, Source::Contents, Source::Named]);
        let rules = (
            vec(option(from0), 1..6),
            vec(merge_contents(from0, in_merge.boxed()).prop_map(Text), 2),
            vec(merge_contents(from0, rule_in_tree().boxed()).prop_map(Text), 2),
        );
        let rest = (tree(from0), tree(from0), cvs(), delete, prop::bool::weighted(0.2), source);
        (rules, rest).prop_map(move |((options, merges, beside), rest)| {
            let (src, dst, cvs, delete, partial_dir, source) = rest;
            let dst = if delete == Delete::Nothing { Tree::default() } else { dst };
            Case { options, src, dst, merges, beside, from0, cvs, delete, partial_dir, source }
        })
    })
}
