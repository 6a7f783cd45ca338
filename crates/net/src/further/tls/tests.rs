//! Lanes between two sides on this host, strangers, and wires that harm what they carry.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use wire::PortRange;

use super::super::dialer::dial;
use super::super::listener::Listener;
use super::super::{Family, Identity};
use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A listener that lets in who has a key, and what it lets in.
struct Open {
    port: u16,
    lanes: Receiver<Lane>,
    switch: Switch,
    ended: thread::JoinHandle<io::Result<()>>,
}

fn open(ours: &Identity, theirs: &Identity, most: usize) -> Open {
    let listener = Listener::bind(PortRange::Any, Some(Family::V4)).unwrap();
    let (port, switch) = (listener.port(), Switch::new().unwrap());
    let config = Arc::new(ours.server(theirs.fingerprint()).unwrap());
    let (tell, lanes) = mpsc::channel();
    let until = switch.clone();
    let run = move || listener.run(&config, most, &until, |lane| tell.send(lane).is_ok());
    let ended = thread::Builder::new().spawn(run).unwrap();
    Open { port, lanes, switch, ended }
}

fn connect(ours: &Identity, theirs: &Identity, port: u16) -> io::Result<Lane> {
    let config = Arc::new(ours.client(theirs.fingerprint()).unwrap());
    dial(&[local(port)], &config, PATIENCE, &Switch::new()?).map(|(_, lane)| lane)
}

fn identities() -> [Identity; 2] {
    [(); 2].map(|()| Identity::new().unwrap())
}

/// Both ends of a lane that goes through something.
fn pair_through(carry: impl FnOnce(u16) -> u16) -> (Lane, Lane) {
    let [near, far] = identities();
    let open = open(&far, &near, 1);
    let lane = connect(&near, &far, carry(open.port)).unwrap();
    (lane, open.lanes.recv_timeout(PATIENCE).unwrap())
}

fn pair() -> (Lane, Lane) {
    pair_through(|port| port)
}

fn content() -> Vec<u8> {
    (0..3_000_000_u32).map(|number| (number % 251).to_le_bytes()[0]).collect()
}

#[test]
fn each_end_hears_what_the_other_says_however_much_that_is() {
    let (near, far) = pair();
    let content = content();
    let say_and_hear = |lane: Lane| {
        let Lane { mut reader, mut writer, hangup, .. } = lane;
        let said = content.clone();
        thread::scope(|scope| {
            scope.spawn(move || {
                for part in said.chunks(100_000) {
                    writer.write_all(part).unwrap();
                }
                writer.flush().unwrap();
            });
            let mut heard = vec![0; content.len()];
            reader.read_exact(&mut heard).unwrap();
            assert!(heard == content, "other bytes than were said");
        });
        hangup.hang_up();
        // Both have said all.
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
    };
    thread::scope(|scope| {
        scope.spawn(|| say_and_hear(far));
        say_and_hear(near);
    });
}

#[test]
fn who_hangs_up_wakes_those_who_wait_at_both_ends() {
    let (near, mut far) = pair();
    let Lane { mut reader, mut writer, hangup, .. } = near;
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0));
        scope.spawn(|| assert_eq!(far.reader.read(&mut [0; 1]).unwrap(), 0));
        scope.spawn(move || {
            let content = content();
            let refused =
                std::iter::repeat_with(|| writer.write_all(&content)).find_map(Result::err);
            assert_eq!(refused.unwrap().kind(), io::ErrorKind::BrokenPipe);
        });
        hangup.hang_up();
        hangup.hang_up();
    });
}

/// Carries what comes to a port on to another, and may harm what goes to who has connected.
fn proxy(to: u16, mut harm: impl FnMut(&mut Vec<u8>) -> bool + Send + 'static) -> u16 {
    let socket = TcpListener::bind(local(0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let run = move || {
        let (near, _) = socket.accept().unwrap();
        let far = TcpStream::connect(local(to)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                io::copy(&mut &near, &mut &far).ok();
                far.shutdown(std::net::Shutdown::Both).ok();
            });
            let mut buffer = vec![0; 65_536];
            while let Ok(count @ 1..) = (&far).read(&mut buffer) {
                let mut bytes = buffer[..count].to_vec();
                if !harm(&mut bytes) || (&near).write_all(&bytes).is_err() {
                    break;
                }
            }
            near.shutdown(std::net::Shutdown::Both).ok();
        });
    };
    thread::Builder::new().spawn(run).unwrap();
    port
}

/// What a reader comes to when the other end says so much.
fn hears((mut near, far): (Lane, Lane)) -> io::Error {
    let mut writer = far.writer;
    let say = move || while writer.write_all(&content()).is_ok() {};
    thread::Builder::new().spawn(say).unwrap();
    let mut buffer = vec![0; 65_536];
    loop {
        match near.reader.read(&mut buffer) {
            Ok(count) => assert!(count > 0, "the end was not said"),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_byte_that_was_changed_on_the_way_breaks_the_lane() {
    let mut passed = 0;
    let flip = move |bytes: &mut Vec<u8>| {
        passed += bytes.len();
        if passed > 1_000_000 {
            bytes[0] ^= 1;
            passed = 0;
        }
        true
    };
    let error = hears(pair_through(|port| proxy(port, flip)));
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
}

#[test]
fn a_connection_that_is_cut_is_no_end_that_was_said() {
    let mut passed = 0;
    let cut = move |bytes: &mut Vec<u8>| {
        passed += bytes.len();
        passed < 1_000_000
    };
    let error = hears(pair_through(|port| proxy(port, cut)));
    assert_ne!(error.kind(), io::ErrorKind::InvalidData, "{error}");
}

#[test]
fn who_has_not_the_key_is_not_let_in() {
    let [near, far] = identities();
    let [stranger, other] = identities();
    let open = open(&far, &near, 1);
    // It learns of that when it listens: it has proved what it was asked for first.
    let mut lane = connect(&stranger, &far, open.port).unwrap();
    assert!(lane.reader.read(&mut [0; 1]).is_err());
    assert!(connect(&near, &other, open.port).is_err(), "who listens is another one");
    assert!(open.lanes.try_recv().is_err());
    connect(&near, &far, open.port).unwrap();
    open.lanes.recv_timeout(PATIENCE).unwrap();
    open.ended.join().unwrap().unwrap();
    assert!(TcpStream::connect(local(open.port)).is_err(), "nobody else is expected");
}

#[test]
fn strangers_do_not_keep_out_who_is_expected() {
    let [near, far] = identities();
    let open = open(&far, &near, 2);
    let mut strangers: Vec<_> =
        (0..200).map(|_| TcpStream::connect(local(open.port)).unwrap()).collect();
    for (at, stranger) in strangers.iter_mut().enumerate() {
        // They may have been let go meanwhile.
        match at % 4 {
            0 => stranger.write_all(b"GET / HTTP/1.0\r\n\r\n").ok(),
            1 => stranger.write_all(&[22, 3, 1, 255, 255, 1]).ok(),
            2 => stranger.write_all(&vec![0; 40_000]).ok(),
            _ => None,
        };
    }
    connect(&near, &far, open.port).unwrap();
    open.lanes.recv_timeout(PATIENCE).unwrap();
    assert!(open.lanes.try_recv().is_err());
    open.switch.hang_up();
    open.ended.join().unwrap().unwrap();
}

#[test]
fn a_port_that_is_taken_is_passed_over() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let first = taken.local_addr().unwrap().port();
    let bind = |last| {
        Listener::bind(PortRange::Within { first, last }, Some(Family::V4)).map(|it| it.port())
    };
    assert_eq!(bind(first).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    assert!(bind(first.saturating_add(20)).unwrap() > first);
}

#[test]
fn of_several_addresses_the_one_is_taken_that_answers_and_is_right() {
    let [near, far] = identities();
    let [stranger, _] = identities();
    let (wrong, right) = (open(&stranger, &near, 1), open(&far, &near, 1));
    let silent = TcpListener::bind(local(0)).unwrap().local_addr().unwrap();
    let nobody = TcpListener::bind(local(0)).map(|it| it.local_addr().unwrap()).unwrap();
    let addresses = [nobody, silent, local(wrong.port), local(right.port)];
    let config = Arc::new(near.client(far.fingerprint()).unwrap());
    let switch = Switch::new().unwrap();
    let (at, _lane) = dial(&addresses, &config, PATIENCE, &switch).unwrap();
    assert_eq!(at, local(right.port));
    right.lanes.recv_timeout(PATIENCE).unwrap();
    let refused = dial(&addresses[..1], &config, PATIENCE, &switch).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    wrong.switch.hang_up();
}

#[test]
fn who_dials_comes_back_when_it_is_hung_up() {
    let [near, far] = identities();
    let silent = TcpListener::bind(local(0)).unwrap();
    let config = Arc::new(near.client(far.fingerprint()).unwrap());
    let switch = Switch::new().unwrap();
    thread::scope(|scope| {
        let to = [silent.local_addr().unwrap()];
        let (config, until) = (&config, switch.clone());
        let dialed = scope.spawn(move || dial(&to, config, PATIENCE, &until).map(drop));
        silent.accept().unwrap();
        switch.hang_up();
        assert!(dialed.join().unwrap().is_err());
    });
}
