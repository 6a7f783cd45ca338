//! Which paths name another host: rsync's rule.
//!
//! `host:path`, `host::module` and `rsync://host/module` do; a slash before the first colon says
//! that the colon is part of a name. `[::1]:path` names an address.

/// What an argument names on another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remote<'a> {
    /// `user@host:path`: what stands before the colon and what stands behind it.
    Path { login: &'a [u8], path: &'a [u8] },
    /// `rsync://host/module`: a module of a daemon.
    Url,
    /// `host::module`: likewise.
    Module,
}

impl Remote<'_> {
    /// In words.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Path { .. } => "a path on another host",
            Self::Url => "the address of a daemon",
            Self::Module => "a module of a daemon",
        }
    }
}

/// What an argument names on another host; `None` for a name on this machine.
pub(crate) fn remote(argument: &[u8]) -> Option<Remote<'_>> {
    let scheme = b"rsync://";
    if argument.len() >= scheme.len() && argument[..scheme.len()].eq_ignore_ascii_case(scheme) {
        return Some(Remote::Url);
    }
    let before_slash = argument.split(|byte| *byte == b'/').next().unwrap_or_default();
    let at = before_slash.iter().position(|byte| *byte == b'@').map_or(0, |at| at + 1);
    let host = &before_slash[at..];
    let colon = if host.starts_with(b"[") {
        host.windows(2).position(|pair| pair == b"]:").map(|bracket| bracket + 1)
    } else {
        host.iter().position(|byte| *byte == b':')
    };
    let colon = at + colon?;
    let (login, path) = (&argument[..colon], &argument[colon + 1..]);
    Some(if path.starts_with(b":") { Remote::Module } else { Remote::Path { login, path } })
}

#[cfg(test)]
mod tests {
    use super::Remote::{self, Module, Path, Url};
    use super::remote;

    fn path<'a>(login: &'a str, path: &'a str) -> Remote<'a> {
        Path { login: login.as_bytes(), path: path.as_bytes() }
    }

    #[test]
    fn a_colon_before_the_first_slash_names_a_host() {
        for (argument, expected) in [
            ("h:", path("h", "")),
            ("h:p", path("h", "p")),
            ("h:/p:q", path("h", "/p:q")),
            ("u@h:p", path("u@h", "p")),
            ("h::m", Module),
            ("u@h::m/p", Module),
            (":p", path("", "p")),
            ("::m", Module),
            ("rsync://h/m", Url),
            ("RSYNC://h/m", Url),
            ("C:\\x", path("C", "\\x")),
            ("[::1]:p", path("[::1]", "p")),
            ("[::1]::m", Module),
            ("u@[fe80::1]:p", path("u@[fe80::1]", "p")),
            ("a b:c", path("a b", "c")),
            ("rsync:/", path("rsync", "/")),
        ] {
            assert_eq!(remote(argument.as_bytes()), Some(expected), "{argument}");
        }
        for path in ["", "p", "./a:b", "a/b:c", "/a:b", "[x", "[a:b", "u@h"] {
            assert_eq!(remote(path.as_bytes()), None, "{path}");
        }
    }
}
