//! What a message is about, hence which level of `--info` or `--debug` shows it.
//!
//! The words of a message are rsync's, and fixed: they say what it is about. A name that imitates
//! them changes at most whether its message is shown.

use model::{Message, MessageClass};

use crate::settings::Info;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Backup,
    Copy,
    /// `--debug=filter`.
    Filter,
    /// What is made on the way: told with names, and with `%i`.
    Made,
    Misc,
    Mount,
    Name,
    Nonreg,
    Remove,
    Skip,
    Symsafe,
    /// What rsync always tells.
    Always,
}

/// How messages begin.
const STARTS: [(&str, Topic); 10] = [
    ("[sender] ", Topic::Filter),
    ("[generator] ", Topic::Filter),
    ("not creating new ", Topic::Skip),
    ("backed up ", Topic::Backup),
    ("sender removed ", Topic::Remove),
    ("ignoring unsafe symlink", Topic::Symsafe),
    ("skipping non-regular file", Topic::Nonreg),
    ("created ", Topic::Made),
    ("skipping mount-point ", Topic::Mount),
    ("cannot delete mount point", Topic::Mount),
];

/// How they end.
const ENDS: [(&str, Topic); 7] = [
    (" exists", Topic::Skip),
    (" is newer", Topic::Skip),
    (" is over max-size", Topic::Skip),
    (" is under min-size", Topic::Skip),
    (" is not shorter", Topic::Skip),
    (" is uptodate", Topic::Name),
    (" copied locally", Topic::Copy),
];

/// True when the levels ask for this message. `itemized` says whether there is a format with `%i`.
pub(crate) fn is_shown(message: &Message, info: &Info, itemized: Itemized) -> bool {
    match topic(message) {
        Topic::Always => true,
        Topic::Backup => info.backup >= 1,
        Topic::Copy => info.copy >= 1,
        Topic::Filter => info.filter >= 1,
        Topic::Made => info.name >= 1 || itemized == Itemized::Yes,
        Topic::Misc => info.misc >= 2,
        Topic::Mount => info.mount >= 1,
        Topic::Name => info.name >= 2,
        Topic::Nonreg => info.nonreg >= 1,
        Topic::Remove => info.remove >= 1,
        Topic::Skip => info.skip >= 1,
        Topic::Symsafe => info.symsafe >= 1,
    }
}

/// Whether a format has `%i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Itemized {
    No,
    Yes,
}

fn topic(message: &Message) -> Topic {
    let text = &*message.text;
    let begins = |words: &&(&str, Topic)| text.starts_with(words.0.as_bytes());
    let ends = |words: &&(&str, Topic)| text.ends_with(words.0.as_bytes());
    let said = STARTS.iter().find(begins).or_else(|| ENDS.iter().find(ends));
    match (message.class, said) {
        (MessageClass::Warning, _) | (MessageClass::Notice, None) => Topic::Always,
        (_, Some((_, topic))) => *topic,
        (MessageClass::Verbose, None) => Topic::Made,
        (MessageClass::Debug, None) => Topic::Misc,
    }
}

#[cfg(test)]
mod tests {
    use model::{Message, MessageClass};

    use super::{Itemized, is_shown};
    use crate::settings::Info;

    /// No level of `--info` at all.
    fn nothing() -> Info {
        Info { nonreg: 0, ..Info::default() }
    }

    #[test]
    fn each_message_has_the_level_that_rsync_gives_it() {
        use MessageClass::{Debug, Notice, Verbose};
        let check = |class, text: &str, info: Info| {
            let message = Message { class, text: text.as_bytes().into() };
            let is_shown = |info| is_shown(&message, &info, Itemized::No);
            assert!(is_shown(info) && !is_shown(nothing()), "{text}");
        };
        let skip = Info { skip: 1, ..nothing() };
        check(Debug, "not creating new file \"a\"", skip);
        check(Debug, "not creating new directory \"d\"", skip);
        check(Debug, "a exists", skip);
        check(Debug, "a is newer", skip);
        check(Debug, "a is over max-size", skip);
        check(Debug, "a is uptodate", Info { name: 2, ..nothing() });
        let filter = Info { filter: 1, ..nothing() };
        check(Debug, "[sender] hiding file a because of pattern a", filter);
        check(Debug, "backed up a to a~", Info { backup: 1, ..nothing() });
        check(Debug, "sender removed a", Info { remove: 1, ..nothing() });
        check(Debug, "removed a leftover", Info { misc: 2, ..nothing() });
        let symsafe = Info { symsafe: 1, ..nothing() };
        check(Verbose, "ignoring unsafe symlink \"a\" -> \"/x\"", symsafe);
        check(Verbose, "created directory d", Info { name: 1, ..nothing() });
        check(Notice, "skipping non-regular file \"p\"", Info { nonreg: 1, ..nothing() });
    }

    #[test]
    fn what_rsync_always_tells_is_always_shown() {
        let check = |class, text: &str, itemized| {
            let message = Message { class, text: text.as_bytes().into() };
            assert!(is_shown(&message, &nothing(), itemized), "{text}");
        };
        check(MessageClass::Notice, "skipping directory d", Itemized::No);
        check(MessageClass::Warning, "a exists", Itemized::No);
        check(MessageClass::Verbose, "created directory d", Itemized::Yes);
    }
}
