//! Where the other side may be reached: what ssh knows of it, and what it says itself.
//!
//! That an address is wrong, or another host's, costs time and nothing else: who answers there has to
//! prove who it is.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::Family;
use crate::bootstrap::Agent;
use crate::pipe::Switch;
use crate::shell::RemoteShell;
use crate::target::Target;

/// How long names may take to become addresses.
const TO_RESOLVE: Duration = Duration::from_secs(5);

/// Addresses that are taken of an offer: a host that can be reached at more has a name.
const OFFERED_MAX: usize = 4;

/// How often it is looked whether nobody waits any more.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// How a side knows the other one.
#[derive(Clone, Debug)]
pub enum Whereabouts {
    /// As controller: what it has logged in to.
    Login {
        /// By what.
        shell: RemoteShell,
        /// Where.
        target: Target,
        /// What runs there.
        agent: Arc<Agent>,
    },
    /// As agent: what sshd(8) tells of the connection in `SSH_CONNECTION`.
    Connection(Option<OsString>),
    /// As agent that has met another.
    Met {
        /// Where this side has reached that one, if it has.
        peer: Option<IpAddr>,
        /// What sshd(8) tells of the connection of the controller.
        connection: Option<OsString>,
    },
}

impl Whereabouts {
    /// Names or addresses of the other side, best first.
    pub fn of_peer(&self) -> Vec<String> {
        match self {
            Self::Met { peer, .. } => peer.iter().map(ToString::to_string).collect(),
            Self::Login { shell, target, .. } => of_login(shell, target),
            Self::Connection(told) => of_connection(told.as_deref(), Field::Client),
        }
    }

    /// Whether the other side, of which that is known, may be found on this host.
    pub(crate) fn may_be_here(&self, known: &[String]) -> bool {
        match self {
            // A remote shell of which nothing is known may be a stand-in that stays on this host.
            Self::Login { .. } | Self::Connection(_) => known.is_empty(),
            // Whoever is met is not believed, and of who connected to this side nothing is known.
            Self::Met { .. } => is_own_host_known_by_loopback(self),
        }
    }

    /// Addresses of this side that the other may try.
    pub(crate) fn of_own(&self) -> Vec<String> {
        match self {
            // What the agent sees of the connection tells more.
            Self::Login { .. } => Vec::new(),
            Self::Connection(told) | Self::Met { connection: told, .. } => {
                of_connection(told.as_deref(), Field::Server)
            }
        }
    }

    /// What the first lane is called.
    pub(crate) fn first_lane(&self) -> &'static str {
        match self {
            Self::Login { .. } | Self::Connection(_) => "ssh",
            Self::Met { .. } => "the first from host to host",
        }
    }
}

/// Whether this host is reached by an address that never leaves it: then another one that is reached so may
/// be this one as well.
pub(crate) fn is_own_host_known_by_loopback(whereabouts: &Whereabouts) -> bool {
    let own = whereabouts.of_own();
    let mut own = own.iter().filter_map(|address| address.parse::<IpAddr>().ok());
    own.any(|address| address.to_canonical().is_loopback())
}

/// The host as ssh(1) knows it. To another remote shell a host's name may be anything, but an address
/// is one.
fn of_login(shell: &RemoteShell, target: &Target) -> Vec<String> {
    let host = target.host().to_str().unwrap_or_default();
    if host.parse::<IpAddr>().is_ok() {
        return vec![host.to_owned()];
    }
    shell.host_name(target).into_iter().collect()
}

/// The places of addresses in `SSH_CONNECTION`.
#[derive(Clone, Copy)]
enum Field {
    Client = 0,
    Server = 2,
}

fn of_connection(told: Option<&OsStr>, field: Field) -> Vec<String> {
    let words = told.and_then(OsStr::to_str).unwrap_or_default().split(' ');
    let address = words.skip(field as usize).take(1);
    address.filter(|address| address.parse::<IpAddr>().is_ok()).map(str::to_owned).collect()
}

/// The addresses of names that are known here with a port, in the order of the names and each once.
pub(crate) fn resolve(
    names: Vec<String>,
    port: u16,
    family: Option<Family>,
    switch: &Switch,
) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for name in names {
        // The resolver cannot be interrupted, so it is left alone where it takes too long.
        for address in look_up(name, switch) {
            add(&mut found, address, port, family);
        }
    }
    found
}

/// Adds the addresses by which the other side says that it can be reached. It is not believed: so that
/// it cannot aim connections of this host at others, only few are taken, no names, and none that is more
/// than one host; nor this one, unless `may_be_here` or the remote shell goes there itself.
/// Test: `of_what_is_offered_few_addresses_are_tried_and_none_of_this_host`.
pub(crate) fn add_offered<'a>(
    to: &mut Vec<SocketAddr>,
    offered: impl Iterator<Item = &'a str>,
    may_be_here: bool,
    (port, family): (u16, Option<Family>),
) {
    let is_here = may_be_here || to.iter().any(|known| known.ip().is_loopback());
    let may_be = |address: &IpAddr| {
        let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
        let is_no_host = address.is_multicast() || address.is_unspecified() || is_broadcast;
        !is_no_host && (is_here || !address.is_loopback())
    };
    let addresses = offered.filter_map(|text| text.parse::<IpAddr>().ok());
    for address in addresses.map(|it| it.to_canonical()).filter(may_be).take(OFFERED_MAX) {
        add(to, address, port, family);
    }
}

fn add(found: &mut Vec<SocketAddr>, address: IpAddr, port: u16, family: Option<Family>) {
    let is_of_family = match family {
        None => true,
        Some(Family::V4) => address.is_ipv4(),
        Some(Family::V6) => address.is_ipv6(),
    };
    let new = SocketAddr::new(address, port);
    if is_of_family && !found.contains(&new) {
        found.push(new);
    }
}

fn look_up(name: String, switch: &Switch) -> Vec<IpAddr> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return vec![address.to_canonical()];
    }
    let (tell, told) = mpsc::channel();
    let ask = move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        let found = found.map(|found| found.map(|it| it.ip()).collect());
        // Nobody may wait for it any more.
        tell.send(found.unwrap_or_default()).ok();
    };
    if thread::Builder::new().name("resolver".to_owned()).spawn(ask).is_err() {
        return Vec::new();
    }
    let until = Instant::now() + TO_RESOLVE;
    while Instant::now() < until && !switch.is_off() {
        match told.recv_timeout(BETWEEN_LOOKS) {
            Ok(found) => return found,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_knows_both_ends_of_its_connection() {
        let check = |told: Option<&str>, peer: &[&str], own: &[&str]| {
            let whereabouts = Whereabouts::Connection(told.map(OsString::from));
            assert_eq!(
                (whereabouts.of_peer(), whereabouts.of_own()),
                (strings(peer), strings(own)),
                "{told:?}"
            );
        };
        let strings_of = "192.0.2.1 40000 198.51.100.7 22";
        check(Some(strings_of), &["192.0.2.1"], &["198.51.100.7"]);
        check(Some("2001:db8::1 1 2001:db8::2 22"), &["2001:db8::1"], &["2001:db8::2"]);
        check(Some("192.0.2.1"), &["192.0.2.1"], &[]);
        check(Some("a.example 1 UNKNOWN 22"), &[], &[]);
        check(Some(""), &[], &[]);
        check(None, &[], &[]);
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn who_was_met_is_not_looked_for_on_this_host_unless_that_is_known_by_loopback() {
        let may_be_here = |connection: &str, peer: Option<&str>| {
            let peer = peer.map(|peer| peer.parse().unwrap());
            let met = Whereabouts::Met { peer, connection: Some(connection.into()) };
            met.may_be_here(&met.of_peer())
        };
        for peer in [None, Some("192.0.2.9")] {
            assert!(!may_be_here("192.0.2.1 1 198.51.100.7 22", peer));
            assert!(!may_be_here("", peer));
            assert!(may_be_here("127.0.0.1 1 127.0.0.1 22", peer));
        }
        assert!(Whereabouts::Connection(None).may_be_here(&[]));
    }

    #[test]
    fn each_address_is_tried_once_and_only_those_of_its_kind() {
        let names = || strings(&["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.1"]);
        let resolved = |family| {
            let found = resolve(names(), 1, family, &Switch::new().unwrap());
            found.into_iter().map(|it| it.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(resolved(Some(Family::V4)), ["127.0.0.1:1", "192.0.2.1:1"]);
        assert_eq!(resolved(Some(Family::V6)), ["[::1]:1"]);
        assert_eq!(resolved(None).len(), 3);
    }

    #[test]
    fn of_what_is_offered_few_addresses_are_tried_and_none_of_this_host() {
        let check = |known: &[&str], offered: &[&str], expected: &[&str]| {
            let mut to: Vec<SocketAddr> = known.iter().map(|it| it.parse().unwrap()).collect();
            add_offered(&mut to, offered.iter().copied(), false, (7, None));
            assert_eq!(to.iter().map(SocketAddr::to_string).collect::<Vec<_>>(), expected);
        };
        let odd = ["localhost", "a.example", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
        check(&[], &odd, &[]);
        check(&[], &["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"], &[]);
        let far = "192.0.2.1:7";
        check(&[far], &["192.0.2.1", "2001:db8::1", "127.0.0.1"], &[far, "[2001:db8::1]:7"]);
        check(&["127.0.0.1:7"], &["::1", "0.0.0.0"], &["127.0.0.1:7", "[::1]:7"]);
        let many = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];
        check(&[], &many, &["10.0.0.1:7", "10.0.0.2:7", "10.0.0.3:7", "10.0.0.4:7"]);
    }

    #[test]
    fn a_name_is_looked_up_until_nobody_waits() {
        let switch = Switch::new().unwrap();
        let found = resolve(strings(&["localhost"]), 7, None, &switch);
        assert!(found.iter().all(|it| it.ip().is_loopback() && it.port() == 7), "{found:?}");
        assert!(!found.is_empty());
        crate::lane::Hangup::hang_up(&switch);
        assert_eq!(resolve(strings(&["localhost"]), 7, None, &switch), []);
    }

    #[test]
    fn a_host_that_is_an_address_is_reached_there_and_other_names_are_the_shells_own() {
        let of = |shell: &[u8], host: &[u8]| {
            let shell = RemoteShell::parse(shell).unwrap();
            let target = Target::parse(host).unwrap();
            Whereabouts::Login { shell, target, agent: Arc::default() }.of_peer()
        };
        assert_eq!(of(b"rsh", b"u@[2001:db8::1]"), ["2001:db8::1"]);
        assert_eq!(of(b"rsh", b"web1"), strings(&[]));
    }
}
