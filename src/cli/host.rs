//! Which paths name another host: rsync's rule.
//!
//! `host:path`, `host::module` and `rsync://host/module` do; a slash before the first colon says
//! that the colon is part of a name. `[::1]:path` names an address.

/// True when an argument names something on another host.
pub(crate) fn names_a_host(argument: &[u8]) -> bool {
    let scheme = b"rsync://";
    if argument.len() >= scheme.len() && argument[..scheme.len()].eq_ignore_ascii_case(scheme) {
        return true;
    }
    let before_slash = argument.split(|byte| *byte == b'/').next().unwrap_or_default();
    let at = before_slash.iter().position(|byte| *byte == b'@').map_or(0, |at| at + 1);
    match before_slash[at..].strip_prefix(b"[") {
        Some(address) => address.windows(2).any(|pair| pair == b"]:"),
        None => before_slash.contains(&b':'),
    }
}

#[cfg(test)]
mod tests {
    use super::names_a_host;

    #[test]
    fn a_colon_before_the_first_slash_names_a_host() {
        for host in [
            "h:",
            "h:p",
            "u@h:p",
            "h::m",
            ":p",
            "::m",
            "rsync://h/m",
            "RSYNC://h/m",
            "C:\\x",
            "[::1]:p",
            "u@[fe80::1]:p",
            "a b:c",
            "rsync:/",
        ] {
            assert!(names_a_host(host.as_bytes()), "{host}");
        }
        for path in ["", "p", "./a:b", "a/b:c", "/a:b", "[x", "[a:b", "u@h"] {
            assert!(!names_a_host(path.as_bytes()), "{path}");
        }
    }
}
