//! Which messages are shown: each level of `--info` and `--debug` has its topics.

use model::Topic;

use crate::out_format::OutFormat;
use crate::settings::{OutputStyle, Settings, Volume};

/// True when messages on this topic are shown.
pub(crate) fn is_shown(topic: Topic, settings: &Settings) -> bool {
    let info = &settings.info;
    match topic {
        Topic::Warning => true,
        _ if settings.style == OutputStyle::Json => true,
        _ if settings.volume == Volume::Quiet => false,
        Topic::Notice => true,
        Topic::Backup => info.backup >= 1,
        Topic::Filter => info.filter >= 1,
        Topic::Made => info.made >= 1 || is_itemized(settings),
        Topic::Misc => info.misc >= 2,
        Topic::Nonreg => info.nonreg >= 1,
        Topic::Removed => info.remove >= 1,
        Topic::Skip => info.skip >= 1,
        Topic::Symsafe => info.symsafe >= 1,
    }
}

fn is_itemized(settings: &Settings) -> bool {
    let format = settings.items.out_format.as_deref();
    format.is_some_and(|text| OutFormat::parse(text).is_itemized())
}

#[cfg(test)]
mod tests {
    use model::Topic;

    use crate::settings::{Info, OutputStyle, Settings, Volume};

    /// No level of `--info` at all.
    fn nothing() -> Info {
        Info { nonreg: 0, ..Info::default() }
    }

    fn shown(settings: &Settings) -> Vec<Topic> {
        let topics = settings.topics();
        Topic::ALL.into_iter().filter(|topic| topics.contains(*topic)).collect()
    }

    #[test]
    fn each_topic_has_the_level_that_rsync_gives_it() {
        let check = |info: Info, more: &[Topic]| {
            let expected = [&[Topic::Notice, Topic::Warning], more].concat();
            assert_eq!(shown(&Settings { info, ..Settings::default() }), expected);
        };
        check(nothing(), &[]);
        check(Info::default(), &[Topic::Nonreg]);
        check(Info { remove: 1, ..nothing() }, &[Topic::Removed]);
        check(Info { skip: 1, ..nothing() }, &[Topic::Skip]);
        check(Info { filter: 1, ..nothing() }, &[Topic::Filter]);
        check(Info { backup: 1, ..nothing() }, &[Topic::Backup]);
        check(Info { misc: 1, ..nothing() }, &[]);
        check(Info { misc: 2, ..nothing() }, &[Topic::Misc]);
        check(Info { symsafe: 1, ..nothing() }, &[Topic::Symsafe]);
        check(Info { name: 1, ..nothing() }, &[]);
        check(Info { made: 1, ..nothing() }, &[Topic::Made]);
    }

    #[test]
    fn what_is_made_on_the_way_is_told_with_i() {
        let mut settings = Settings { info: nothing(), ..Settings::default() };
        settings.items.out_format = Some(b"%n"[..].into());
        assert!(!settings.topics().contains(Topic::Made));
        settings.items.out_format = Some(b"%i %n"[..].into());
        assert!(settings.topics().contains(Topic::Made));
    }

    #[test]
    fn quiet_leaves_warnings_and_json_has_all() {
        let info = Info { skip: 1, name: 2, ..Info::default() };
        let mut settings = Settings { info, volume: Volume::Quiet, ..Settings::default() };
        assert_eq!(shown(&settings), [Topic::Warning]);
        settings.style = OutputStyle::Json;
        assert_eq!(shown(&settings), Topic::ALL);
    }
}
