//! What an agent finds where the source lies. It tells that before it serves, since only there can a
//! home, a wildcard or a list be looked up.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use wire::limits::{EVENT_BYTES, WORK_BYTES};
use wire::{EventBytes, Told};

use crate::outcome::ErrorKind;
use crate::{Lost, Malformed, Over, Post};

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Found {
    /// The directory in which the agent began, from which relative paths are.
    pub directory: Box<[u8]>,
    /// Of each source that was typed the paths that it stands for, of which nothing is left to be looked
    /// up. The controller compares them with what was typed.
    #[borsh(deserialize_with = "take_sources")]
    pub sources: Vec<Vec<Box<[u8]>>>,
    /// What is in the list of `--files-from`, if that lies there.
    pub list: Option<Box<[u8]>>,
}

/// Why there is nothing to be served.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NotFound {
    /// What kind of error.
    pub kind: ErrorKind,
    /// For the user.
    pub sentence: String,
}

/// Paths of sources at most, those of all that was typed together. A path takes more memory than bytes.
const PATHS_MAX: usize = 1_000_000;

const WHAT: &str = "source";

/// The first byte of an event says whether more is to come.
const LAST: u8 = 1;
const MORE: u8 = 0;

impl Found {
    /// As agent: tells it.
    ///
    /// # Panics
    ///
    /// Never: no list has 2^32 bytes, and pieces are as long as the limit allows.
    pub fn tell(post: &dyn Post, found: &Result<Self, NotFound>) -> Result<(), Over> {
        let bytes = borsh::to_vec(found).expect("lists are shorter than 2^32");
        let mut pieces = bytes.chunks(EVENT_BYTES - 1).peekable();
        while let Some(piece) = pieces.next() {
            let lead = if pieces.peek().is_some() { MORE } else { LAST };
            let event = EventBytes::new([&[lead][..], piece].concat());
            post.event(event.expect("pieces are as long as the limit allows"))?;
        }
        Ok(())
    }

    /// As controller: hears it.
    pub fn hear(post: &dyn Post) -> Result<Result<Self, NotFound>, Lost> {
        let mut bytes = Vec::new();
        loop {
            match post.told()? {
                Told::Event(event) => {
                    let Some((lead, piece)) = event.as_bytes().split_first() else {
                        return Err(Malformed::new(WHAT, &"an empty piece").into());
                    };
                    if bytes.len() as u64 + piece.len() as u64 > WORK_BYTES {
                        return Err(Malformed::new(WHAT, &"it is too long").into());
                    }
                    bytes.extend_from_slice(piece);
                    if *lead == LAST {
                        return Self::from_bytes(&bytes).map_err(Lost::from);
                    }
                }
                Told::Failure(failure) => {
                    return Err(Lost::Failed(failure.text.as_str().to_owned()));
                }
                Told::Bye | Told::Ended(_) => return Err(Lost::Mute),
                _ => {}
            }
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Result<Self, NotFound>, Malformed> {
        let found = Result::<Self, NotFound>::try_from_slice(bytes)
            .map_err(|error| Malformed::new(WHAT, &error))?;
        let is_odd = |found: &Self| {
            let mut paths = found.sources.iter().flatten().chain([&found.directory]);
            paths.any(|path| path.is_empty() || path.contains(&0))
        };
        let is_nothing =
            |found: &Self| found.sources.is_empty() || found.sources.iter().any(Vec::is_empty);
        if found.as_ref().is_ok_and(|found| is_nothing(found) || is_odd(found)) {
            return Err(Malformed::new(WHAT, &"a path that cannot be typed, or none"));
        }
        Ok(found)
    }
}

/// Counts are looked at before anything is made of them.
fn take_sources<R: io::Read>(reader: &mut R) -> io::Result<Vec<Vec<Box<[u8]>>>> {
    let mut paths_left = PATHS_MAX;
    let mut take_count = |reader: &mut R| {
        let count = u32::deserialize_reader(reader)? as usize;
        paths_left =
            paths_left.checked_sub(count).ok_or_else(|| io::Error::other("too many paths"))?;
        Ok::<_, io::Error>(count)
    };
    let mut sources = Vec::new();
    for _ in 0..take_count(reader)? {
        let count = take_count(reader)?;
        sources
            .push((0..count).map(|_| Box::deserialize_reader(reader)).collect::<Result<_, _>>()?);
    }
    Ok(sources)
}

pub(crate) mod fuzzing {
    use super::Found;

    /// What an agent tells of a source.
    ///
    /// # Panics
    ///
    /// If what it says has other bytes, too.
    pub fn from_source(bytes: &[u8]) {
        if let Ok(found) = Found::from_bytes(bytes) {
            assert_eq!(borsh::to_vec(&found).ok().as_deref(), Some(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, NotFound};
    use crate::outcome::ErrorKind;
    use crate::testing::pair;
    use crate::{Lost, Post};

    fn found(list_bytes: usize) -> Found {
        Found {
            directory: b"/srv/\xff"[..].into(),
            sources: vec![vec![b"a/"[..].into(), b"b\n"[..].into()], vec![b"c"[..].into()]],
            list: Some(vec![b'n'; list_bytes].into()),
        }
    }

    #[test]
    fn what_is_found_arrives_however_long_it_is() {
        let refused = NotFound { kind: ErrorKind::Usage, sentence: "no such list".to_owned() };
        for told in [Ok(found(0)), Ok(found(3 << 20)), Err(refused)] {
            let (agent, controller) = pair();
            std::thread::scope(|scope| {
                scope.spawn(|| Found::tell(&agent, &told).unwrap());
                assert_eq!(Found::hear(&controller).unwrap(), told);
            });
        }
    }

    #[test]
    fn what_makes_no_sense_is_not_found() {
        let nothing = Found { sources: Vec::new(), ..found(0) };
        let no_path = Found { sources: vec![Vec::new()], ..found(0) };
        let nul = Found { sources: vec![vec![b"a\0"[..].into()]], ..found(0) };
        let empty = Found { directory: b""[..].into(), ..found(0) };
        for odd in [nothing, no_path, nul, empty] {
            let (agent, controller) = pair();
            Found::tell(&agent, &Ok(odd)).unwrap();
            let heard = Found::hear(&controller);
            assert!(matches!(heard, Err(Lost::Malformed(_))));
        }
        let (agent, controller) = pair();
        agent.event(wire::EventBytes::new(Vec::new()).unwrap()).unwrap();
        assert!(matches!(Found::hear(&controller), Err(Lost::Malformed(_))));
        agent.hang_up();
        assert!(matches!(Found::hear(&controller), Err(Lost::Over(_))));
    }

    #[test]
    fn more_paths_than_anybody_types_are_not_taken_in() {
        for (count, is_taken) in [(super::PATHS_MAX - 1, true), (super::PATHS_MAX, false)] {
            let found = Found { sources: vec![vec![b"a"[..].into(); count]], ..found(0) };
            let bytes = borsh::to_vec(&Ok::<_, NotFound>(found)).unwrap();
            assert_eq!(Found::from_bytes(&bytes).is_ok(), is_taken);
        }
    }
}
