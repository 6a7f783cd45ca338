//! A source whose digests of parts and blocks are of something else than its content, as where two digests
//! are equal by chance: what comes out is not what was told of the unit, so all of that is asked for, and is right.

use std::convert::Infallible;

use model::blocks::Hashing;
use wire::{DigestRun, Digests, Grain, Piece, Pieces, Reply, Request};

use super::super::pieces::Digester;
use super::super::unit::length_of;
use super::*;

const MIB: usize = 1 << 20;

/// What is told in the place of the truth.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// The digests of what the target has, so that nothing seems to differ.
    Same,
    /// Digests of nothing that is anywhere.
    Other,
    /// That all is zeros.
    Zeros,
}

impl Lie {
    fn told(self, spans: &[Range<u64>], asked: Pieces, old: &[u8]) -> DigestRun {
        let digester = Digester::new(asked.image_bytes, asked.hash);
        let read = |part: &Range<u64>, buffer: &mut [u8]| -> Result<(), Infallible> {
            let at = length_of(&(0..part.start));
            buffer.copy_from_slice(&old[at..at + buffer.len()]);
            Ok(())
        };
        let digests =
            spans.iter().flat_map(|span| digester.digests(asked.grain, span, read).unwrap());
        let mut digests: Vec<_> =
            digests.map(|digest| digest.expect("there are no zeros")).collect();
        if let Self::Other = self {
            for digest in &mut digests {
                digest[3] ^= 1;
            }
        }
        if let Self::Zeros = self {
            return DigestRun::Zeros(digests.len() as u64);
        }
        let told = digests.iter().flat_map(|digest| &digest[..asked.digest_bytes()]);
        DigestRun::Digests(Digests::new(told.copied().collect::<Vec<_>>()).unwrap())
    }
}

/// Ranges, and how digests of them are asked for.
type Asked = (Vec<Range<u64>>, Pieces);

/// Lies about pieces of a grain as often as that; says how often it could, and how the job ended.
fn bring_with_lies(
    lab: &Lab,
    (grain, lie, times): (Grain, Lie, usize),
    change: impl FnOnce(&mut BlocksSettings),
) -> (usize, Result<BlocksSummary, BlocksError>) {
    let session = Arc::new(Session::new(wire::Capacity::default()));
    let asked: Arc<Mutex<Option<Asked>>> = Arc::default();
    let told = Arc::new(Mutex::new(0));
    let (asking, telling, old) = (Arc::clone(&asked), Arc::clone(&told), lab.read("target"));
    session.show_requests(move |request| {
        *asking.lock() = match request {
            Request::Digests { spans, pieces, .. } if pieces.grain == grain => {
                let spans = spans.as_slice().iter().map(|span| span.range());
                Some((spans.collect(), *pieces))
            }
            _ => None,
        };
    });
    session.change_pieces(move |piece| {
        let Piece::Reply(Reply::Digests(_)) = &piece else { return piece };
        let Some((spans, pieces)) = asked.lock().take() else { return piece };
        let mut told = telling.lock();
        if *told == times {
            return piece;
        }
        *told += 1;
        let run = lie.told(&spans, pieces, &old);
        Reply::Digests(wire::List::new(vec![run]).unwrap()).into()
    });
    let job = lab.job(|settings| {
        settings.readers = Some(1);
        change(settings);
    });
    let done = bring_through(&session, &job, &around());
    let told = *told.lock();
    (told, done)
}

#[test]
fn digests_that_lie_bring_no_wrong_image() {
    for grain in [Grain::Part, Grain::Block] {
        for lie in [Lie::Same, Lie::Other, Lie::Zeros] {
            for (times, hash) in [(1, Hashing::Blake3), (9, Hashing::Blake3), (9, Hashing::Xxh3)] {
                let lab = Lab::new();
                let old = content(1, MIB + 5000);
                let mut new = old.clone();
                for at in [7, 70_000, MIB + 4999] {
                    new[at] = !new[at];
                }
                lab.write("source", &new);
                lab.write("target", &old);
                let lies = (grain, lie, times);
                let (told, done) = bring_with_lies(&lab, lies, |settings| settings.hash = hash);
                let case = format!("{grain:?} {lie:?} {times} {hash:?}: {done:?}");
                assert!(told > 0, "{case}: nobody asked");
                assert!(done.is_ok() && lab.read("target") == new, "{case}");
            }
        }
    }
}
