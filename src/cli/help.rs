//! `--help`, `--info=help` and `--debug=help`, made from the tables.

use std::fmt::Write;

use super::options::{Argument, Opt, SECTIONS, Spec, Status};
use super::raw::RawArgs;
use super::resolve::words::{DEBUG, INFO, Word};

/// The answer, where the last flag asks for help or `-h` is all there is.
pub(super) fn answer(raw: &RawArgs) -> Option<String> {
    let last = raw.flags.last()?;
    let is_alone = raw.words == 1
        && raw.flags.iter().any(|flag| flag.opt == Opt::HumanReadable && flag.is_on());
    let asks = |flag: &super::raw::RawFlag| {
        let words = flag.value.to_string_lossy().to_ascii_lowercase();
        words.split(',').any(|word| word == "help")
    };
    match last.opt {
        Opt::Help => Some(options()),
        Opt::Info if asks(last) => Some(words("--info", &INFO)),
        Opt::Debug if asks(last) => Some(words("--debug", &DEBUG)),
        _ if is_alone => Some(options()),
        _ => None,
    }
}

const INTRODUCTION: &str = "\
lanesync brings a destination into the state of a source, with all cores at work.

Usage: lanesync [sync] [OPTION]... SOURCE... DESTINATION
       lanesync [OPTION]... SOURCE              (lists it)

Sources or destination may lie on another host, as [USER@]HOST:PATH; it is reached by ssh.
SOURCE/ stands for what is in the directory, SOURCE for the directory itself.
Options are rsync's, with rsync's meaning. Most can be turned off by --no-OPTION.
";

const CLOSE: &str = "
Settings for every run: ~/.config/lanesync/config (no-empty-source, workers).
Aliases in ~/.popt are not read.
";

/// Columns before the explanation.
const HELP_COLUMN: usize = 29;

fn options() -> String {
    let mut text = INTRODUCTION.to_owned();
    for section in SECTIONS {
        writeln!(text, "\n{}:", section.title).ok();
        for spec in section.options.iter().filter(|spec| !spec.help.is_empty()) {
            let note = if matches!(spec.status, Status::NotYet(_)) { " (not yet)" } else { "" };
            writeln!(text, "  {:HELP_COLUMN$} {}{note}", left_side(spec), spec.help).ok();
        }
    }
    text + CLOSE
}

fn left_side(spec: &Spec) -> String {
    let mut left = spec.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    if spec.long.is_empty() {
        left.truncate(2);
    } else {
        write!(left, "--{}", spec.long).ok();
    }
    if let Argument::Text(word) | Argument::Number(word) = spec.argument {
        write!(left, "{}{word}", if spec.long.is_empty() { " " } else { "=" }).ok();
    }
    left
}

fn words(option: &str, table: &[Word]) -> String {
    let mut text = format!(
        "{option} takes words with commas between. WORD is level 1, WORD2 is level 2, WORD0 is\n\
         silence; a word given here wins over -v.\n\n"
    );
    for (word, meaning, _) in table {
        let meaning = if meaning.is_empty() { "(taken, and tells nothing)" } else { meaning };
        writeln!(text, "{:10} {meaning}", word.to_ascii_uppercase()).ok();
    }
    text.push_str("\nALL        all of them (ALL0, ALL1 ...)\nNONE       none of them\n");
    text.push_str("HELP       this text\n\nAdded by each -v:\n");
    for verbosity in 0..=5 {
        let added = |row: &Word| {
            let level = row.2.iter().find(|step| step.0 == verbosity)?.1;
            let word = row.0.to_ascii_uppercase();
            Some(if level == 1 { word } else { format!("{word}{level}") })
        };
        let words: Vec<_> = table.iter().filter_map(added).collect();
        if !words.is_empty() {
            writeln!(text, "{verbosity}) {}", words.join(",")).ok();
        }
    }
    text
}
