//! What a symlink's target means: unsafe ones, and the munged form that rsync servers store.
//! Pure.

use model::RelPath;

/// Prefix of targets that are stored so that nobody can follow them (rsync(1), `--munge-links`).
const MUNGED: &[u8] = b"/rsyncd-munged/";

/// True when a link of this target points outside the transfer, judged by its text as rsync does:
/// absolute targets, empty ones, those that climb above the transfer root, and those that climb
/// behind a name.
pub(crate) fn is_unsafe(target: &[u8], directory: &RelPath) -> bool {
    if target.is_empty() || target.starts_with(b"/") {
        return true;
    }
    let parts = || target.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
    let climbs = parts().take_while(|part| *part == b"..").count();
    // A ".." behind anything else could climb through a link, whatever it is; rsync also calls those
    // unsafe that end with one ("embedded or trailing").
    let climbs_later = parts().skip(climbs).any(|part| part == b"..") || target.ends_with(b"/..");
    climbs_later || climbs > directory.components().count()
}

/// The form in which a target is stored with `--munge-links`.
pub(crate) fn munged(target: &[u8]) -> Vec<u8> {
    [MUNGED, target].concat()
}

/// The target that was stored in munged form; others are given back as they are.
pub(crate) fn unmunged(target: &[u8]) -> &[u8] {
    target.strip_prefix(MUNGED).unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use model::RelPath;

    use super::{is_unsafe, munged, unmunged};

    #[test]
    fn links_that_leave_the_tree_are_unsafe() {
        let deep = RelPath::new(b"a/b").unwrap();
        for (target, expected) in [
            (&b""[..], true),
            (b"/etc", true),
            (b"../x", false),
            (b"../../x", false),
            (b"../../../x", true),
            (b"x/../y", true),
            (b"./x", false),
            (b"..", false),
            (b"../", false),
            (b"../..", true),
            (b"../../", false),
            (b"..//x", false),
            (b"./..", true),
            (b"./../x", true),
        ] {
            assert_eq!(is_unsafe(target, &deep), expected, "{}", target.escape_ascii());
        }
        assert!(is_unsafe(b"..", &RelPath::root()));
    }

    #[test]
    fn munging_is_undone() {
        assert_eq!(unmunged(&munged(b"x")), b"x");
        assert_eq!(unmunged(b"x"), b"x");
    }
}
