//! Lanes over QUIC between two sides on this host.

use std::net::TcpListener;
use std::sync::mpsc::{self as std_mpsc, Receiver};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

struct Open {
    at: SocketAddr,
    lanes: Receiver<Lane>,
    switch: Switch,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.switch.hang_up();
    }
}

fn open(ours: &Identity, theirs: &Identity) -> Open {
    let listener = Listener::bind(PortRange::Any, Some(Family::V4)).unwrap();
    let at = (Ipv4Addr::LOCALHOST, listener.port()).into();
    let (tell, lanes) = std_mpsc::channel();
    let switch = Switch::new().unwrap();
    let (ours, peer, until) = (ours.clone(), theirs.fingerprint(), switch.clone());
    let run = move || listener.run(&ours, peer, (9, &until), |lane| tell.send(lane).is_ok());
    thread::Builder::new().spawn(run).unwrap();
    Open { at, lanes, switch }
}

fn connect_to(ours: &Identity, theirs: &Identity, at: &[SocketAddr]) -> io::Result<Lane> {
    let caller = Caller::new(ours, theirs.fingerprint())?;
    caller.dial(at, PATIENCE, &Switch::new()?).map(|(_, lane)| lane)
}

fn identities() -> [Identity; 2] {
    [(); 2].map(|()| Identity::new().unwrap())
}

/// Who has connected speaks first.
fn pair(open: &Open, near: &Identity, far: &Identity) -> (Lane, Lane) {
    let mut lane = connect_to(near, far, &[open.at]).unwrap();
    lane.writer.write_all(b"!").unwrap();
    let mut other = open.lanes.recv_timeout(PATIENCE).unwrap();
    other.reader.read_exact(&mut [0; 1]).unwrap();
    (lane, other)
}

#[test]
fn each_end_hears_what_the_other_says_until_it_hangs_up() {
    let [near, far] = identities();
    let open = open(&far, &near);
    let (near, far) = pair(&open, &near, &far);
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let (mut near_reader, mut far_reader) = (near.reader, far.reader);
    thread::scope(|scope| {
        for (mut writer, reader) in [(near.writer, &mut far_reader), (far.writer, &mut near_reader)]
        {
            let content = &content;
            scope.spawn(move || writer.write_all(content).unwrap());
            scope.spawn(move || {
                let mut heard = vec![0; content.len()];
                reader.read_exact(&mut heard).unwrap();
                assert!(heard == *content, "other bytes than were said");
            });
        }
    });
    thread::scope(|scope| {
        let ends = scope.spawn(move || far_reader.read(&mut [0; 1]).unwrap());
        let here = scope.spawn(move || near_reader.read(&mut [0; 1]).unwrap());
        near.hangup.hang_up();
        near.hangup.hang_up();
        assert_eq!((ends.join().unwrap(), here.join().unwrap()), (0, 0));
    });
}

#[test]
fn who_has_not_the_key_is_not_let_in() {
    let [near, far] = identities();
    let [stranger, other] = identities();
    let open = open(&far, &near);
    let refused = connect_to(&stranger, &far, &[open.at]).and_then(|mut lane| {
        // It learns of that when it listens.
        lane.writer.write_all(b"!")?;
        lane.reader.read(&mut [0; 1])
    });
    assert!(refused.is_err(), "{refused:?}");
    assert!(connect_to(&near, &other, &[open.at]).is_err(), "who listens is another one");
    assert!(open.lanes.try_recv().is_err());
    pair(&open, &near, &far);
}

#[test]
fn strangers_do_not_keep_out_who_is_expected() {
    let [near, far] = identities();
    let open = open(&far, &near);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for length in 1..1400 {
        socket.send_to(&vec![0xc3; length], open.at).unwrap();
    }
    pair(&open, &near, &far);
}

#[test]
fn of_several_addresses_the_one_is_taken_that_answers() {
    let [near, far] = identities();
    let open = open(&far, &near);
    // A port of TCP is free for UDP, and nobody listens there.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut lane = connect_to(&near, &far, &[taken.local_addr().unwrap(), open.at]).unwrap();
    lane.writer.write_all(b"!").unwrap();
    open.lanes.recv_timeout(PATIENCE).unwrap();
}
