//! What the kernel knows of the packets of a TCP connection, as ss(8) asks for it: by `sock_diag(7)`.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use rustix::net::{recv, send, socket_with};

/// What became of the packets of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    /// All that went out, and those of them that went out once more.
    pub(crate) sent: u32,
    pub(crate) resent: u32,
    /// A round trip of late, and the shortest that ever was, in microseconds.
    pub(crate) round_trip: u32,
    pub(crate) least_round_trip: u32,
}

/// A lane that slows down for each packet that is lost.
pub(crate) trait Lossy: Send + Sync {
    /// Nothing, if the kernel does not tell.
    fn segments(&self) -> Option<Segments>;
}

/// Where more of them are lost, a usual control does not reach what the network would carry.
const LOST_IN: u64 = 5000;
/// One or two are no evidence.
const LOST_LEAST: u64 = 3;

/// Whether a network loses packets that nobody's haste is the cause of: so that a round trip is hardly
/// longer than it could be, since nothing waits in a queue.
pub(crate) fn suffer(connections: &[Option<Segments>]) -> bool {
    let (mut sent, mut lost) = (0, 0);
    for connection in connections {
        // Where nothing is known, what comes of a trial tells.
        let Some(segments) = connection else { return true };
        sent += u64::from(segments.sent);
        let longest = u64::from(segments.least_round_trip) * 5 / 4;
        if u64::from(segments.round_trip) <= longest {
            lost += u64::from(segments.resent);
        }
    }
    lost >= LOST_LEAST && lost * LOST_IN >= sent
}

/// Message type and flags of `sock_diag(7)`, and the attribute that has a `struct tcp_info`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const INET_DIAG_INFO: u16 = 2;
/// What comes before the attributes: a `struct nlmsghdr` and a `struct inet_diag_msg`.
const BEFORE_ATTRIBUTES: usize = 16 + 72;

/// Asks the kernel.
pub(super) fn of(connection: &TcpStream) -> io::Result<Segments> {
    let (here, there) = (connection.local_addr()?, connection.peer_addr()?);
    let flags = SocketFlags::CLOEXEC;
    let kernel =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    send(&kernel, &question(here, there), SendFlags::empty())?;
    let mut answer = [0; 4096];
    // It has answered by now.
    let (count, _) = recv(&kernel, &mut answer, RecvFlags::DONTWAIT)?;
    in_answer(&answer[..count]).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn question(here: SocketAddr, there: SocketAddr) -> Vec<u8> {
    let (here, there) = (canonical(here), canonical(there));
    let family = if here.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut body = vec![family.as_raw().to_ne_bytes()[0], 6, 1 << (INET_DIAG_INFO - 1), 0];
    // In any state.
    body.extend(u32::MAX.to_ne_bytes());
    body.extend(here.port().to_be_bytes());
    body.extend(there.port().to_be_bytes());
    for address in [here.ip(), there.ip()] {
        let begun = body.len();
        match address {
            IpAddr::V4(address) => body.extend(address.octets()),
            IpAddr::V6(address) => body.extend(address.octets()),
        }
        body.resize(begun + 16, 0);
    }
    // Of any interface and any cookie.
    body.extend(0_u32.to_ne_bytes());
    body.extend(u64::MAX.to_ne_bytes());
    let mut question = Vec::new();
    question.extend(u32::try_from(16 + body.len()).unwrap_or(u32::MAX).to_ne_bytes());
    question.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    question.extend(NLM_F_REQUEST.to_ne_bytes());
    question.extend([0; 8]);
    question.extend(body);
    question
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn in_answer(answer: &[u8]) -> Option<Segments> {
    if u16_at(answer, 4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut rest = answer.get(BEFORE_ATTRIBUTES..)?;
    loop {
        let (length, kind) = (usize::from(u16_at(rest, 0)?), u16_at(rest, 2)?);
        if kind == INET_DIAG_INFO {
            return in_tcp_info(rest.get(4..length)?);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
}

/// By the places of the fields in linux/tcp.h, which only grows at its end.
fn in_tcp_info(info: &[u8]) -> Option<Segments> {
    Some(Segments {
        sent: u32_at(info, 136)?,
        resent: u32_at(info, 100)?,
        round_trip: u32_at(info, 68)?,
        least_round_trip: u32_at(info, 148)?,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernel_tells_of_a_connection_at_both_ends_and_in_all_families() {
        for at in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(at) else { continue };
            let port = listener.local_addr().unwrap().port();
            let to = if at.starts_with("[::1]") { "::1" } else { "127.0.0.1" };
            let mut near = TcpStream::connect((to, port)).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            near.write_all(&[7; 1000]).unwrap();
            far.read_exact(&mut [0; 1000]).unwrap();
            for end in [&near, &far] {
                let segments = of(end).unwrap();
                assert!((1..100).contains(&segments.sent), "{at} {segments:?}");
                assert!(segments.round_trip >= segments.least_round_trip, "{at} {segments:?}");
                assert_eq!(segments.resent, 0);
            }
        }
    }

    #[test]
    fn what_the_kernel_does_not_say_is_not_made_up() {
        assert_eq!(in_answer(&[]), None);
        let mut answer = vec![0; BEFORE_ATTRIBUTES];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        assert_eq!(in_answer(&answer), None);
        // One of no length, and one that is cut off.
        for attribute in [[0, 0, 0, 0], [200, 0, 2, 0]] {
            let all: Vec<u8> = answer.iter().copied().chain(attribute).collect();
            assert_eq!(in_answer(&all), None);
        }
    }

    #[test]
    fn losses_count_that_no_queue_is_the_cause_of() {
        let one = |sent, resent, round_trip| {
            Some(Segments { sent, resent, round_trip, least_round_trip: 100_000 })
        };
        assert!(!suffer(&[]));
        assert!(!suffer(&[one(1_000_000, 0, 100_000)]), "nothing is lost");
        assert!(!suffer(&[one(10, 2, 100_000)]), "too little to tell");
        assert!(suffer(&[one(1000, 10, 101_000), one(1000, 0, 150_000)]));
        assert!(!suffer(&[one(1000, 100, 150_000)]), "its own queue is full");
        assert!(!suffer(&[one(1_000_000, 100, 100_000)]), "it hardly matters");
        assert!(suffer(&[one(1_000_000, 0, 100_000), None]), "nobody knows");
    }
}
