//! `--out-format` and `--log-file-format` (rsyncd.conf(5), "log format"): parsed once, then
//! written for each entry.
//!
//! As in a client of rsync, the escapes of a daemon (`%a`, `%h`, `%P`, `%u`) and unknown ones stay
//! as they are typed, and `%m` is empty. `%b` counts content only, since nothing else is moved.

use model::{Item, Kind, Verdict};

use crate::clock::{self, Clock, Separator};
use crate::full_name::FullNames;
use crate::itemize;
use crate::numbers;
use crate::permissions;
use crate::settings::{HumanReadable, Movement, Preserved};

/// A parsed format.
#[derive(Debug, Default)]
pub(crate) struct OutFormat {
    pieces: Vec<Piece>,
}

/// What is written besides the entry itself.
pub(crate) struct Context {
    pub(crate) clock: Clock,
    pub(crate) full_names: FullNames,
    pub(crate) users: Preserved,
    pub(crate) groups: Preserved,
    pub(crate) movement: Movement,
    pub(crate) checksum_digits: u8,
}

#[derive(Debug)]
enum Piece {
    Literal(Vec<u8>),
    Escape { escape: Escape, field: Field },
}

/// Width, alignment and style of one escape.
#[derive(Clone, Copy, Debug)]
struct Field {
    columns: usize,
    align: Align,
    style: HumanReadable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    WrittenBytes,
    Permissions,
    SignatureBytes,
    Checksum,
    FullName,
    Group,
    Itemized,
    Length,
    Link,
    Module,
    ModificationTime,
    Name,
    Operation,
    Process,
    Now,
    User,
    Percent,
}

/// No line needs a wider field, and a typing error shall not fill the memory.
const MAX_COLUMNS: usize = 16_384;

/// More digits than this are not a width for rsync either.
const MAX_WIDTH_DIGITS: usize = 28;

impl OutFormat {
    /// Reads a format. Every text is one: what is no escape stands for itself.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some((&byte, after)) = rest.split_first() {
            let escape = if byte == b'%' { parse_escape(after) } else { None };
            rest = if let Some((escape, field, after)) = escape {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Escape { escape, field });
                after
            } else {
                literal.push(byte);
                after
            };
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Self { pieces }
    }

    /// True when nothing would be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// True with `%i`: then every change is worth a line.
    pub(crate) fn is_itemized(&self) -> bool {
        self.has(Escape::Itemized)
    }

    /// True with `%i` or `%o`: then the format can tell a removal from anything else.
    pub(crate) fn tells_operation(&self) -> bool {
        self.is_itemized() || self.has(Escape::Operation)
    }

    /// True with `%C`: then somebody has to compute checksums.
    pub(crate) fn shows_checksums(&self) -> bool {
        self.has(Escape::Checksum)
    }

    /// True with `%b`, `%c` or `%C`: then a line can be written only when the content is there.
    pub(crate) fn tells_what_came(&self) -> bool {
        self.has(Escape::WrittenBytes)
            || self.has(Escape::SignatureBytes)
            || self.has(Escape::Checksum)
    }

    fn has(&self, wanted: Escape) -> bool {
        let is_wanted =
            |piece: &Piece| matches!(piece, Piece::Escape { escape, .. } if *escape == wanted);
        self.pieces.iter().any(is_wanted)
    }

    /// Appends the text for one entry, without a line end and not yet escaped.
    pub(crate) fn write(&self, item: &Item, context: &Context, text: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.extend_from_slice(literal),
                Piece::Escape { escape: Escape::Link, field } => write_link(item, *field, text),
                Piece::Escape { escape: Escape::Checksum, field } => {
                    write_checksum(item, *field, context, text);
                }
                Piece::Escape { escape, field } => {
                    write_padded(&value(*escape, *field, item, context), *field, text);
                }
            }
        }
    }
}

/// The name as `%n` shows it: with a slash after a directory.
pub(crate) fn short_name(item: &Item) -> Vec<u8> {
    let mut name = item.path.as_bytes().to_vec();
    if item.metadata.kind == Kind::Directory {
        name.push(b'/');
    }
    name
}

/// As rsync's sender names an entry; of what is removed it does not know.
pub(crate) fn sent_name(item: &Item, context: &Context) -> Vec<u8> {
    let name = short_name(item);
    if context.full_names.begins_at_root(item.source) { [b"/", &name[..]].concat() } else { name }
}

/// The escape after a `%`, and what follows it: apostrophes, a minus, digits, apostrophes, letter.
fn parse_escape(text: &[u8]) -> Option<(Escape, Field, &[u8])> {
    let (apostrophes, text) = take_while(text, |byte| byte == b'\'');
    let (align, text) = match text.strip_prefix(b"-") {
        Some(text) => (Align::Left, text),
        None => (Align::Right, text),
    };
    let (digits, text) = take_while(text, |byte| byte.is_ascii_digit());
    let (more_apostrophes, text) = take_while(text, |byte| byte == b'\'');
    let (&letter, rest) = text.split_first()?;
    if digits.len() > MAX_WIDTH_DIGITS {
        return None;
    }
    let columns = digits.iter().fold(0, |columns: usize, digit| {
        (columns * 10 + usize::from(digit - b'0')).min(MAX_COLUMNS)
    });
    let level = apostrophes.len() + more_apostrophes.len();
    let style = HumanReadable::from_level(u8::try_from(level).unwrap_or(u8::MAX));
    Some((escape_of(letter)?, Field { columns, align, style }, rest))
}

fn take_while(text: &[u8], accepts: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|&&byte| accepts(byte)).count())
}

fn escape_of(letter: u8) -> Option<Escape> {
    Some(match letter {
        b'b' => Escape::WrittenBytes,
        b'B' => Escape::Permissions,
        b'c' => Escape::SignatureBytes,
        b'C' => Escape::Checksum,
        b'f' => Escape::FullName,
        b'G' => Escape::Group,
        b'i' => Escape::Itemized,
        b'l' => Escape::Length,
        b'L' => Escape::Link,
        b'm' => Escape::Module,
        b'M' => Escape::ModificationTime,
        b'n' => Escape::Name,
        b'o' => Escape::Operation,
        b'p' => Escape::Process,
        b't' => Escape::Now,
        b'U' => Escape::User,
        b'%' => Escape::Percent,
        _ => return None,
    })
}

/// The text of an escape. Of what is removed rsync knows the name and the type only.
fn value(escape: Escape, field: Field, item: &Item, context: &Context) -> Vec<u8> {
    let is_deleted = item.verdict == Verdict::Deleted;
    let known = |number: u64| if is_deleted { 0 } else { number };
    let metadata = &item.metadata;
    let text = match escape {
        Escape::WrittenBytes => numbers::count(item.written_bytes, field.style),
        // A whole-file copy has no block checksums.
        Escape::SignatureBytes => numbers::count(0, field.style),
        Escape::Length => numbers::count(known(metadata.size), field.style),
        Escape::Permissions if is_deleted => "---------".to_owned(),
        Escape::Permissions => permissions::letters(metadata.mode),
        Escape::FullName if is_deleted => return item.path.as_bytes().to_vec(),
        Escape::FullName => return context.full_names.of(item.source, item.path.as_bytes()),
        Escape::Name => return sent_name(item, context),
        Escape::Itemized => return itemize::letters(item, context.movement).to_vec(),
        Escape::User if context.users == Preserved::No => "0".to_owned(),
        Escape::User => known(metadata.uid.into()).to_string(),
        Escape::Group if context.groups == Preserved::No => "DEFAULT".to_owned(),
        Escape::Group => known(metadata.gid.into()).to_string(),
        Escape::ModificationTime => {
            let time = if is_deleted { model::Timestamp::default() } else { metadata.mtime };
            context.clock.format(time, Separator::Dash)
        }
        Escape::Now => context.clock.format(clock::now(), Separator::Blank),
        Escape::Operation if is_deleted => "del.".to_owned(),
        Escape::Operation if context.movement == Movement::In => "recv".to_owned(),
        Escape::Operation => "send".to_owned(),
        Escape::Process => std::process::id().to_string(),
        Escape::Percent => "%".to_owned(),
        Escape::Module | Escape::Link | Escape::Checksum => String::new(),
    };
    text.into_bytes()
}

/// ` -> target` or ` => leader`. The width is that of the name alone.
fn write_link(item: &Item, field: Field, text: &mut Vec<u8>) {
    let (arrow, target): (&[u8], &[u8]) = match (&item.leader, &item.link) {
        _ if item.verdict == Verdict::Deleted => (b"", b""),
        (Some(leader), _) => (b" => ", leader),
        (None, Some(target)) if item.metadata.kind == Kind::Symlink => (b" -> ", target),
        _ => (b"", b""),
    };
    if !arrow.is_empty() {
        text.extend_from_slice(arrow);
        write_padded(target, field, text);
    } else if field.columns > 0 {
        text.resize(text.len() + field.columns + b" -> ".len(), b' ');
    }
}

/// Blanks stand for a checksum that is not known, without regard to the width, as in rsync.
fn write_checksum(item: &Item, field: Field, context: &Context, text: &mut Vec<u8>) {
    match &item.checksum {
        Some(checksum) => write_padded(checksum.as_bytes(), field, text),
        None => text.resize(text.len() + usize::from(context.checksum_digits), b' '),
    }
}

fn write_padded(value: &[u8], field: Field, text: &mut Vec<u8>) {
    let padding = field.columns.saturating_sub(value.len());
    if field.align == Align::Right {
        text.resize(text.len() + padding, b' ');
    }
    text.extend_from_slice(value);
    if field.align == Align::Left {
        text.resize(text.len() + padding, b' ');
    }
}

#[cfg(test)]
mod tests {
    use model::{Item, ItemFlags, Kind, Verdict};

    use super::{Context, OutFormat};
    use crate::clock::Clock;
    use crate::full_name::FullNames;
    use crate::settings::{Movement, Preserved};
    use crate::testing::item;

    fn written(format: &str, item: &Item, movement: Movement) -> String {
        let context = Context {
            clock: Clock::utc(),
            full_names: FullNames::new(&["s/".into()], crate::settings::KeptPath::Last),
            users: Preserved::Yes,
            groups: Preserved::Yes,
            movement,
            checksum_digits: 32,
        };
        let mut text = Vec::new();
        OutFormat::parse(format.as_bytes()).write(item, &context, &mut text);
        String::from_utf8(text).unwrap()
    }

    fn check(format: &str, item: &Item, expected: &str) {
        assert_eq!(written(format, item, Movement::Within), expected, "{format}");
    }

    fn big_file() -> Item {
        let mut item = item("a", Kind::File, Verdict::Copied);
        item.flags = ItemFlags::NEW | ItemFlags::TRANSFER;
        item.metadata.size = 314_572_800;
        item.written_bytes = 4096;
        item
    }

    #[test]
    fn each_escape_is_written() {
        let mut item = big_file();
        item.checksum = Some("102f5037fe6474019fe947b4977bb2a5".into());
        check("%b", &item, "4096");
        check("%B", &item, "rw-r--r--");
        check("%c", &item, "0");
        check("%C", &item, "102f5037fe6474019fe947b4977bb2a5");
        check("%f", &item, "s/a");
        check("%G %U", &item, "2 1");
        check("%i", &item, ">f+++++++++");
        check("%l", &item, "314572800");
        check("[%L]", &item, "[]");
        check("[%m]", &item, "[]");
        check("%M", &item, "2024/01/02-03:04:05");
        check("%n", &item, "a");
        check("%o", &item, "send");
        assert_eq!(written("%o", &item, Movement::Out), "send");
        assert_eq!(written("%o", &item, Movement::In), "recv");
        check("%p", &item, &std::process::id().to_string());
        check("%%n", &item, "%n");
        assert_eq!(written("%t", &item, Movement::Within).len(), "2024/01/02 03:04:05".len());
    }

    #[test]
    fn modifiers_are_taken_as_rsync_takes_them() {
        let item = big_file();
        check("[%10n][%-10n][%010n]", &item, "[         a][a         ][         a]");
        check("%'l %''l %'''l %''''l", &item, "314,572,800 314.57M 300.00M 300.00M");
        check("[%12'l][%-12'l][%'-12l]", &item, "[ 314,572,800][314,572,800 ][314,572,800 ]");
        check("[%10''l][%'10'l]", &item, "[   314.57M][   314.57M]");
        check("[%0l][%-l]", &item, "[314572800][314572800]");
        check("[%5%][%-5%][%5m]", &item, "[    %][%    ][     ]");
        check("[%3L][%-15L]", &item, &format!("[{:7}][{:19}]", "", ""));
        check("[%5C][%40C]", &item, &format!("[{:32}][{:32}]", "", ""));
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        let item = big_file();
        for text in
            ["%a", "%h", "%P", "%u", "%z", "%1a", "%-'10l", "%''-'10l", "%+5l", "%", "%5", "%''"]
        {
            check(text, &item, text);
        }
        let digits = "1".repeat(40);
        check(&format!("%{digits}n"), &item, &format!("%{digits}n"));
    }

    #[test]
    fn links_have_arrows() {
        let mut link = item("l", Kind::Symlink, Verdict::Copied);
        link.link = Some(b"longerlink"[..].into());
        check("%n%L", &link, "l -> longerlink");
        check("[%-15L]", &link, "[ -> longerlink     ]");
        link.flags = ItemFlags::HARD_LINK;
        link.leader = Some(b"first"[..].into());
        check("%n%L", &link, "l => first");
        let mut copy = item("c", Kind::File, Verdict::Copied);
        copy.link = None;
        check("[%L]", &copy, "[]");
    }

    #[test]
    fn directories_have_a_slash() {
        check("%n %f", &item("d", Kind::Directory, Verdict::Copied), "d/ s/d");
        check("%n %f", &item(".", Kind::Directory, Verdict::Copied), "./ s/.");
    }

    #[test]
    fn of_a_removal_only_the_name_is_known() {
        let removed = item("d", Kind::Directory, Verdict::Deleted);
        check(
            "%B %f %G %i %l%L %M %n %o %U",
            &removed,
            "--------- d 0 *deleting   0 1970/01/01-00:00:00 d/ del. 0",
        );
    }

    #[test]
    fn formats_say_what_they_tell() {
        let parse = |text: &str| OutFormat::parse(text.as_bytes());
        assert!(parse("%-3i").is_itemized());
        assert!(!parse("%%i").is_itemized());
        assert!(parse("%o").tells_operation());
        assert!(!parse("%n").tells_operation());
        assert!(parse("%40C").shows_checksums());
        assert!(!parse("%%C %n").shows_checksums());
        assert!(parse("").is_empty());
    }
}
