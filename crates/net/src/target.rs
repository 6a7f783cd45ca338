//! Who and where: `user@host` as rsync's users write it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use thiserror::Error;

/// A login on another host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    user: Option<OsString>,
    host: OsString,
}

/// Why what was typed names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// `:path` or `user@:path`.
    #[error("there is no host before the colon")]
    NoHost,
    /// `@host:path`.
    #[error("there is no user before the @")]
    NoUser,
    /// A remote shell would take it for an option.
    #[error(
        "a host or user that begins with a dash is refused: the remote shell would take it for an option"
    )]
    Dash,
    /// Terminals and shells would be misled.
    #[error("a control character in the name of a host or user is refused")]
    Control,
}

impl Target {
    /// Parses what stands before the colon of `user@host:path`; `[::1]` names an address.
    ///
    /// ```
    /// let target = net::Target::parse(b"admin@[fe80::1%eth0]").unwrap();
    /// assert_eq!((target.user().unwrap(), target.host()), ("admin".as_ref(), "fe80::1%eth0".as_ref()));
    /// ```
    pub fn parse(typed: &[u8]) -> Result<Self, TargetError> {
        // The last @, as for ssh: a user's name may hold one.
        let (user, host) = match typed.iter().rposition(|byte| *byte == b'@') {
            Some(at) => (Some(&typed[..at]), &typed[at + 1..]),
            None => (None, typed),
        };
        let bare = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
        let host = bare.unwrap_or(host);
        if host.is_empty() {
            return Err(TargetError::NoHost);
        }
        if user.is_some_and(<[u8]>::is_empty) {
            return Err(TargetError::NoUser);
        }
        for part in user.iter().chain([&host]) {
            if part.starts_with(b"-") {
                return Err(TargetError::Dash);
            }
            if part.iter().any(u8::is_ascii_control) {
                return Err(TargetError::Control);
            }
        }
        let own = |part: &[u8]| OsString::from_vec(part.to_vec());
        Ok(Self { user: user.map(own), host: own(host) })
    }

    /// The user to log in as, if one was named.
    pub fn user(&self) -> Option<&OsStr> {
        self.user.as_deref()
    }

    /// The host, without brackets.
    pub fn host(&self) -> &OsStr {
        &self.host
    }

    /// As it is told to people.
    pub fn shown(&self) -> String {
        self.host.as_bytes().escape_ascii().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(typed: &str) -> Result<(Option<String>, String), TargetError> {
        let target = Target::parse(typed.as_bytes())?;
        let text = |part: &OsStr| part.to_str().unwrap().to_owned();
        Ok((target.user().map(text), text(target.host())))
    }

    #[test]
    fn hosts_users_and_addresses_are_told_apart() {
        let some = |user: &str, host: &str| Ok((Some(user.to_owned()), host.to_owned()));
        assert_eq!(parts("h"), Ok((None, "h".to_owned())));
        assert_eq!(parts("u@h"), some("u", "h"));
        assert_eq!(parts("u@realm@h"), some("u@realm", "h"));
        assert_eq!(parts("u@[::1]"), some("u", "::1"));
        assert_eq!(parts("[::1]"), Ok((None, "::1".to_owned())));
    }

    #[test]
    fn what_would_mislead_a_shell_is_refused() {
        assert_eq!(parts(""), Err(TargetError::NoHost));
        assert_eq!(parts("u@"), Err(TargetError::NoHost));
        assert_eq!(parts("[]"), Err(TargetError::NoHost));
        assert_eq!(parts("@h"), Err(TargetError::NoUser));
        assert_eq!(parts("-oProxyCommand=x"), Err(TargetError::Dash));
        assert_eq!(parts("-l@h"), Err(TargetError::Dash));
        assert_eq!(parts("[-x]"), Err(TargetError::Dash));
        assert_eq!(parts("h\nx"), Err(TargetError::Control));
        assert_eq!(parts("u\x1b[2J@h"), Err(TargetError::Control));
    }
}
