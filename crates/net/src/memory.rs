//! Both ends of a lane within one process.

use std::io;
use std::os::unix::net::UnixStream;

use crate::lane::{Hangup, Lane, LaneKind};

/// Two lanes, of which each is the other's peer.
///
/// Fails where the process may have no more descriptors.
pub fn pair() -> io::Result<(Lane, Lane)> {
    let (one, other) = UnixStream::pair()?;
    Ok((lane(one)?, lane(other)?))
}

fn lane(stream: UnixStream) -> io::Result<Lane> {
    Ok(Lane {
        kind: LaneKind::Memory,
        losses: None,
        packets: None,
        round_trip: None,
        reader: Box::new(stream.try_clone()?),
        writer: Box::new(stream.try_clone()?),
        hangup: Box::new(Both(stream)),
    })
}

struct Both(UnixStream);

impl Hangup for Both {
    fn hang_up(&self) {
        // It fails only for what has ended already.
        self.0.shutdown(std::net::Shutdown::Both).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "somebody has to wait at one end")]
    fn what_one_end_says_the_other_hears_until_it_hangs_up() {
        let (mut here, mut there) = super::pair().unwrap();
        here.writer.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        there.reader.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
        let waits = std::thread::spawn(move || here.reader.read(&mut [0; 1]).unwrap());
        there.hangup.hang_up();
        assert_eq!(waits.join().unwrap(), 0);
        assert!(there.writer.write_all(b"x").is_err());
        there.hangup.hang_up();
    }
}
