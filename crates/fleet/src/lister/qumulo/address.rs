//! How a cluster is named on a command line: `qumulo://[user@]host[:port]/path`.

/// How a cluster is named, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Who logs in, where that is said.
    pub user: Option<String>,
    /// The host: a name, or an address without brackets.
    pub host: String,
    /// Its port, where that is said.
    pub port: Option<u16>,
    /// The directory, as it is: nothing in it is an escape.
    pub path: Vec<u8>,
}

/// Why something does not name a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with something else.
    #[error("a cluster is named as qumulo://[user@]host[:port]/path")]
    Scheme,
    /// No host, or none that can be one.
    #[error("there is no host between qumulo:// and the path; an IPv6 address is put in brackets")]
    Host,
    /// Not a port.
    #[error("what follows the host is not a port: a number from 1 to 65535")]
    Port,
    /// Not a user.
    #[error("the user before the @ is empty or not UTF-8")]
    User,
    /// A password, which everybody on this host can see.
    #[error("a password does not belong there, where everybody on this host sees it")]
    Password,
}

impl Address {
    /// What a cluster's name begins with.
    pub const SCHEME: &'static str = "qumulo://";

    /// Whether this names a cluster, well or badly.
    pub fn is_meant(text: &[u8]) -> bool {
        text.starts_with(Self::SCHEME.as_bytes())
    }

    /// Takes a name apart. A user may have `@` in it, as those of a domain have; a path that is left out is
    /// the whole cluster.
    pub fn read(text: &[u8]) -> Result<Self, AddressError> {
        let text = text.strip_prefix(Self::SCHEME.as_bytes()).ok_or(AddressError::Scheme)?;
        let at = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
        let (authority, path) = text.split_at(at);
        let path = if path.is_empty() { b"/" } else { path };
        let (user, place) = match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => (Some(user(&authority[..at])?), &authority[at + 1..]),
            None => (None, authority),
        };
        let (host, port) =
            host_and_port(std::str::from_utf8(place).map_err(|_| AddressError::Host)?)?;
        Ok(Self { user, host, port, path: path.to_vec() })
    }
}

fn user(name: &[u8]) -> Result<String, AddressError> {
    match std::str::from_utf8(name) {
        Ok(name) if name.contains(':') => Err(AddressError::Password),
        Ok(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(AddressError::User),
    }
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), AddressError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(AddressError::Host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| AddressError::Host)?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or(AddressError::Port)?),
            };
            (host, port)
        }
        None => match place.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(AddressError::Host),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if !is_host(host) {
        return Err(AddressError::Host);
    }
    Ok((host.to_owned(), port.map(port_number).transpose()?))
}

/// Whether it can be the host of a URL, and nothing else of one.
pub(super) fn is_host(text: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
    !text.is_empty() && text.chars().all(is_part)
}

fn port_number(text: &str) -> Result<u16, AddressError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if is_number && port != 0 => Ok(port),
        _ => Err(AddressError::Port),
    }
}
