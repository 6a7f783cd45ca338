//! Where an agent lets in processes that further logins have started on its host.
//!
//! Such a process brings nothing but its standard streams, which it hands over to the agent; then it waits
//! until the lane is over, so that the login lasts as long. Who knocks has to run as the same user, which
//! the kernel tells, and to have the pass that the agent has told its controller over the first lane. That
//! comes on the standard input: not in an argument, not in the environment, and not in a file.
//!
//! The socket has no place in the file system (unix(7), abstract): nothing is left behind, whatever becomes
//! of the agent. Its name is no secret, and whoever else has taken it is found out by his user.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use rustix::event::PollFlags;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, listen, recvmsg, sendmsg, shutdown, socket_with,
};
use rustix::process::geteuid;
use wire::Pass;
use wire::limits::PASS_BYTES;

use crate::bootstrap::{JOINED, REFUSED};
use crate::lane::{Hangup, Lane, LaneKind};
use crate::pipe::{self, Switch};

/// The first bytes of a pass name the socket, and the others are the key.
const NAME_BYTES: usize = 16;

/// How long who has connected may take to show its key: it does that at once.
const TO_SHOW: Duration = Duration::from_secs(2);

/// How long nobody is let in when the system has no descriptor to give.
const TO_RECOVER: Duration = Duration::from_millis(100);

/// Processes that wait at the same time; one login is made after the other.
const WAITING: i32 = 16;

/// A socket that is listened on.
pub(crate) struct Door {
    socket: OwnedFd,
    pass: Pass,
}

impl Door {
    /// Opens one. Fails where the system has no random numbers or no such sockets to give.
    pub(crate) fn open() -> io::Result<Self> {
        let mut pass = Pass([0; PASS_BYTES]);
        let failed = |_| io::Error::other("the system has no random numbers to give");
        SystemRandom::new().fill(&mut pass.0).map_err(failed)?;
        let socket = new_socket(SocketFlags::NONBLOCK)?;
        bind(&socket, &address(&pass)?)?;
        listen(&socket, WAITING)?;
        Ok(Self { socket, pass })
    }

    /// What whoever comes has to show.
    pub(crate) fn pass(&self) -> Pass {
        self.pass
    }

    /// Hands over a lane for each process that comes with the pass, until there were as many as there
    /// may be, one is not taken, or the switch is off. Then nobody is let in any more.
    pub(crate) fn run(
        self,
        most: usize,
        switch: &Switch,
        mut take: impl FnMut(Lane) -> bool,
    ) -> io::Result<()> {
        let mut taken = 0;
        while taken < most {
            if !switch.wait_for_any(&[(self.socket.as_fd(), PollFlags::IN)], None)? {
                return Ok(());
            }
            let Ok(visitor) = accept_with(&self.socket, SocketFlags::CLOEXEC) else {
                switch.wait_for_any(&[], Some(TO_RECOVER))?;
                continue;
            };
            // Nobody is told what a stranger did wrong.
            let Ok(lane) = self.welcome(visitor, switch) else { continue };
            taken += 1;
            if !take(lane) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The lane that a visitor brings, if it may.
    fn welcome(&self, visitor: OwnedFd, switch: &Switch) -> io::Result<Lane> {
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        if !is_own(visitor.as_fd())? {
            return Err(refused());
        }
        switch.wait_for_any(&[(visitor.as_fd(), PollFlags::IN)], Some(TO_SHOW))?;
        let mut shown = Pass([0; PASS_BYTES]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut brought = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let said = recvmsg(&visitor, &mut [IoSliceMut::new(&mut shown.0)], &mut brought, flags)?;
        let mut streams = brought.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(streams) => streams.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        let (input, output) = streams.next().zip(streams.next()).ok_or_else(refused)?;
        if said.bytes != shown.0.len() || !is_same(&shown, &self.pass) {
            return Err(refused());
        }
        let lane = pipe::lane(LaneKind::Ssh, input, output)?;
        Ok(Lane { hangup: Box::new(Guest { streams: lane.hangup, visitor }), ..lane })
    }
}

/// What lets go of a process that has brought its streams.
struct Guest {
    streams: Box<dyn Hangup>,
    visitor: OwnedFd,
}

impl Hangup for Guest {
    fn hang_up(&self) {
        self.streams.hang_up();
        // It may have gone.
        shutdown(&self.visitor, Shutdown::Both).ok();
    }
}

/// What a process does that a further login has started: it says whether the agent is there, hands over
/// its standard streams, and stays until they are used no more.
///
/// The error has been told the controller.
pub fn knock() -> io::Result<()> {
    let (input, output) = (io::stdin(), io::stdout());
    let say = |line: &str| writeln!(io::stdout(), "{line}");
    let knocked = read_pass(input.as_fd()).and_then(|pass| Ok((pass, reach(&pass)?)));
    let (pass, agent) = match knocked {
        Ok(knocked) => knocked,
        Err(error) => {
            say(&format!("{REFUSED}{error}"))?;
            return Err(error);
        }
    };
    // From then on the stream is the agent's.
    say(JOINED)?;
    hand_over(agent.as_fd(), &pass, [input.as_fd(), output.as_fd()])?;
    rustix::io::read(&agent, &mut [0; 1])?;
    Ok(())
}

/// Takes no byte more than the pass.
fn read_pass(input: BorrowedFd<'_>) -> io::Result<Pass> {
    let mut pass = Pass([0; PASS_BYTES]);
    let mut rest = &mut pass.0[..];
    while !rest.is_empty() {
        match rustix::io::read(input, &mut *rest)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => rest = &mut rest[count..],
        }
    }
    Ok(pass)
}

/// The agent, which runs as the same user: nobody else is shown the key.
fn reach(pass: &Pass) -> io::Result<OwnedFd> {
    let agent = new_socket(SocketFlags::empty())?;
    connect(&agent, &address(pass)?)?;
    if !is_own(agent.as_fd())? {
        return Err(io::Error::other("another user listens where the agent should"));
    }
    Ok(agent)
}

fn hand_over(agent: BorrowedFd<'_>, pass: &Pass, streams: [BorrowedFd<'_>; 2]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut brought = SendAncillaryBuffer::new(&mut space);
    brought.push(SendAncillaryMessage::ScmRights(&streams));
    sendmsg(agent, &[IoSlice::new(&pass.0)], &mut brought, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// One that keeps the borders of messages.
fn new_socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

fn address(pass: &Pass) -> io::Result<SocketAddrUnix> {
    let mut name = b"lanesync-".to_vec();
    for byte in &pass.0[..NAME_BYTES] {
        write!(name, "{byte:02x}")?;
    }
    Ok(SocketAddrUnix::new_abstract_name(&name)?)
}

/// Whether who is at the other end runs as this user.
fn is_own(socket: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(socket_peercred(socket)?.uid == geteuid())
}

/// How long it takes tells nothing of where they differ.
fn is_same(one: &Pass, other: &Pass) -> bool {
    one.0.iter().zip(&other.0).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read};
    use std::sync::mpsc::{self, Receiver};
    use std::thread;

    use rustix::process::Uid;
    use rustix::thread::set_thread_res_uid;

    use super::*;

    /// A door, the lanes that come in by it, and what ends it.
    fn opened(most: usize) -> (Pass, Receiver<Lane>, Switch) {
        let door = Door::open().unwrap();
        let (pass, switch) = (door.pass(), Switch::new().unwrap());
        let (tell, told) = mpsc::channel();
        let until = switch.clone();
        let run = move || door.run(most, &until, |lane| tell.send(lane).is_ok()).unwrap();
        thread::Builder::new().spawn(run).unwrap();
        (pass, told, switch)
    }

    /// Shows a pass at the door of another one and hands over two pipes, of which the other ends come back.
    fn come(to: &Pass, shown: &Pass) -> (OwnedFd, PipeWriter, PipeReader) {
        let ((input, ours), (theirs, output)) = (io::pipe().unwrap(), io::pipe().unwrap());
        let agent = reach(to).unwrap();
        hand_over(agent.as_fd(), shown, [input.as_fd(), output.as_fd()]).unwrap();
        (agent, ours, theirs)
    }

    /// The door closes this connection, and hands over no lane for it.
    #[track_caller]
    fn check_is_refused(agent: &OwnedFd, lanes: &Receiver<Lane>) {
        assert_eq!(rustix::io::read(agent, &mut [0; 1]), Ok(0));
        assert!(lanes.try_recv().is_err());
    }

    #[test]
    fn streams_that_are_handed_over_are_a_lane_until_that_is_hung_up() {
        let (pass, lanes, _switch) = opened(2);
        for _ in 0..2 {
            let (agent, mut ours, mut theirs) = come(&pass, &pass);
            let mut lane = lanes.recv().unwrap();
            ours.write_all(b"there").unwrap();
            lane.writer.write_all(b"here!").unwrap();
            let (mut there, mut here) = ([0; 5], [0; 5]);
            lane.reader.read_exact(&mut there).unwrap();
            theirs.read_exact(&mut here).unwrap();
            assert_eq!((&there, &here), (b"there", b"here!"));
            lane.hangup.hang_up();
            assert_eq!(rustix::io::read(&agent, &mut [0; 1]), Ok(0));
        }
        assert!(lanes.recv().is_err(), "the door is closed by then");
        assert!(reach(&pass).is_err(), "more are let in than there may be");
    }

    #[test]
    fn nobody_gets_in_without_the_key() {
        let (pass, lanes, switch) = opened(1);
        for at in [NAME_BYTES, pass.0.len() - 1] {
            let mut wrong = pass;
            wrong.0[at] ^= 1;
            check_is_refused(&come(&pass, &wrong).0, &lanes);
        }
        // Nothing brought, and nothing said.
        let agent = reach(&pass).unwrap();
        let mut nothing = SendAncillaryBuffer::default();
        sendmsg(&agent, &[IoSlice::new(&pass.0)], &mut nothing, SendFlags::NOSIGNAL).unwrap();
        check_is_refused(&agent, &lanes);
        let agent = reach(&pass).unwrap();
        shutdown(&agent, Shutdown::Write).unwrap();
        check_is_refused(&agent, &lanes);
        let (_agent, ..) = come(&pass, &pass);
        lanes.recv().unwrap();
        switch.hang_up();
    }

    #[test]
    fn another_user_gets_in_neither_way() {
        let (pass, lanes, switch) = opened(1);
        let nobody = Uid::from_raw(65_534);
        let as_nobody = |what: &(dyn Fn() + Sync)| {
            thread::scope(|scope| {
                let other = scope.spawn(|| {
                    // Of this thread alone.
                    set_thread_res_uid(nobody, nobody, nobody).expect("tests run as root");
                    what();
                });
                other.join().unwrap();
            });
        };
        as_nobody(&|| {
            let agent = new_socket(SocketFlags::empty()).unwrap();
            connect(&agent, &address(&pass).unwrap()).unwrap();
            let (input, output) = io::pipe().unwrap();
            // It may have been shown out before.
            hand_over(agent.as_fd(), &pass, [input.as_fd(), output.as_fd()]).ok();
            assert!(matches!(
                rustix::io::read(&agent, &mut [0; 1]),
                Ok(0) | Err(rustix::io::Errno::CONNRESET)
            ));
        });
        assert!(lanes.try_recv().is_err());
        as_nobody(&|| {
            let error = reach(&pass).unwrap_err();
            assert!(error.to_string().contains("another user listens"), "{error}");
        });
        switch.hang_up();
    }

    #[test]
    fn a_door_that_is_closed_lets_nobody_in() {
        let (pass, lanes, switch) = opened(1);
        switch.hang_up();
        assert!(lanes.recv().is_err());
        assert!(reach(&pass).is_err());
    }
}
