//! A relay between hands that ask it and one that answers whatever it is told to.

use std::collections::VecDeque;

use model::{Kind, Metadata};
use wire::{
    Access, AccessTime, Attribute, AttributeName, AttributeValue, ContentSum, Entry, Follow, Name,
    OperatorPath, RequestId, Room, Seen, Wants,
};

use super::*;

/// Answers in turn, and keeps what it was asked and told to close.
#[derive(Default)]
struct Other {
    answers: Mutex<VecDeque<Result<Answer, AskError>>>,
    asked: Mutex<Vec<Request>>,
    closed: Mutex<Vec<Handle>>,
}

/// Its handles have numbers that are none of this session.
const FIRST: u64 = 1000;

impl Ask for Other {
    fn start(&self, request: Request) -> Result<RequestId, AskError> {
        let mut asked = self.asked.lock();
        asked.push(request);
        Ok(RequestId(FIRST + asked.len() as u64))
    }

    fn wait(&self, _: RequestId) -> Result<Answer, AskError> {
        self.answers.lock().pop_front().expect("there is an answer to each request")
    }

    fn abandon(&self, _: RequestId) {}

    fn close(&self, handle: Handle) {
        self.closed.lock().push(handle);
    }
}

/// What a relay hands in.
#[derive(Default)]
struct Pieces(Vec<(Piece, End)>);

impl Respond for Pieces {
    fn respond(&mut self, piece: Piece, end: End) -> Result<Delivery, RespondError> {
        self.0.push((piece, end));
        Ok(Delivery::Queued)
    }
}

struct Bench {
    other: Arc<Other>,
    relay: Relay,
}

impl Bench {
    fn new() -> Self {
        let other = Arc::new(Other::default());
        Self { relay: Relay::new(Arc::clone(&other) as Arc<dyn Ask>), other }
    }

    /// The pieces of a response to a request of this number and attempt, of which the last is the last.
    fn run(
        &self,
        (id, attempt): (u64, u16),
        request: Request,
        answer: Result<Answer, AskError>,
    ) -> Vec<Piece> {
        self.other.answers.lock().push_back(answer);
        let mut pieces = Pieces::default();
        self.relay.run(Ticket { id: RequestId(id), attempt }, request, &mut pieces);
        let ends = pieces.0.iter().filter(|(_, end)| *end == End::Last).count();
        assert!(ends <= 1 && pieces.0.last().is_none_or(|(_, end)| *end == End::Last));
        self.other.answers.lock().clear();
        pieces.0.into_iter().map(|(piece, _)| piece).collect()
    }
}

fn handle(id: u64) -> Handle {
    Handle(RequestId(id))
}

fn metadata() -> Metadata {
    Metadata::unknown(Kind::Directory)
}

fn open_root() -> Request {
    Request::OpenRoot { path: OperatorPath::new("/srv").unwrap(), access: Access::Read }
}

fn look(dir: Handle) -> Request {
    let (room, follow) = (Room::new(10_000).unwrap(), Follow::Never);
    Request::Look { at: Place::Itself(dir), follow, wants: Wants::all(), room }
}

fn fault(pieces: &[Piece]) -> FaultKind {
    match pieces {
        [Piece::Reply(Reply::Fault(fault))] => fault.kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handle_is_the_one_of_the_other_session_until_it_is_dropped() {
    let bench = Bench::new();
    let opened = bench.run((1, 0), open_root(), Ok(Answer::Opened(metadata())));
    assert_eq!(opened, [Reply::Opened(metadata()).into()]);
    let name = Name::new("d").unwrap();
    let at = Named { dir: handle(1), name: name.clone() };
    let (access, follow, atime) = (Access::Read, Follow::Never, AccessTime::Keep);
    let child = Request::OpenChild { at, access, follow, atime };
    bench.run((2, 0), child, Ok(Answer::Opened(metadata())));
    let at = Named { dir: handle(FIRST + 1), name };
    let there = Request::OpenChild { at, access, follow, atime };
    assert_eq!(bench.other.asked.lock().last(), Some(&there));
    bench.run((3, 0), look(handle(2)), Err(AskError::Over("".into())));
    assert_eq!(bench.other.asked.lock().last(), Some(&look(handle(FIRST + 2))));
    bench.relay.drop_handle(handle(2));
    bench.relay.drop_handle(handle(2));
    assert_eq!(*bench.other.closed.lock(), [handle(FIRST + 2)]);
    let asked = bench.other.asked.lock().len();
    let gone = bench.run((4, 0), look(handle(2)), Ok(Answer::Done));
    assert_eq!((fault(&gone), bench.other.asked.lock().len()), (FaultKind::NoHandle, asked));
}

#[test]
fn of_two_attempts_the_later_one_counts() {
    let bench = Bench::new();
    for (attempt, closed) in [(1, vec![]), (0, vec![2]), (2, vec![2, 1])] {
        bench.run((1, attempt), open_root(), Ok(Answer::Opened(metadata())));
        let closed: Vec<_> = closed.into_iter().map(|number| handle(FIRST + number)).collect();
        assert_eq!(*bench.other.closed.lock(), closed, "attempt {attempt}");
    }
    bench.run((4, 0), look(handle(1)), Ok(Answer::Done));
    assert_eq!(bench.other.asked.lock().last(), Some(&look(handle(FIRST + 3))));
}

#[test]
fn what_did_not_open_is_not_kept_and_a_fault_goes_on_as_it_is() {
    let bench = Bench::new();
    let refused = IoFault::new(FaultKind::NotServed, "the job does not name it");
    let pieces = bench.run((1, 0), open_root(), Err(refused.clone().into()));
    assert_eq!(pieces, [Reply::Fault(refused).into()]);
    assert_eq!(fault(&bench.run((2, 0), look(handle(1)), Ok(Answer::Done))), FaultKind::NoHandle);
    // Whoever holds both sessions says why.
    assert_eq!(bench.run((3, 0), open_root(), Err(AskError::Over("lost".into()))), []);
}

#[test]
fn a_long_answer_goes_on_in_pieces_of_which_nothing_is_lost() {
    let entries: Vec<_> = (0..9000)
        .map(|number| Entry {
            name: Name::new(format!("{number:06}")).unwrap(),
            kind: None,
            seen: None,
        })
        .collect();
    let count = entries.len();
    let pieces = pieces(Answer::Listed { entries, end: PageEnd::Complete }).unwrap();
    let told: usize = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Reply(Reply::Page { page, .. }) => page.entries().len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert!(pieces.len() > 1 && told == count);

    let attribute = |number: u32| Attribute {
        name: AttributeName::new(format!("user.{number}")).unwrap(),
        value: AttributeValue::new(vec![7; 60_000]).unwrap(),
    };
    let more_attributes: Vec<_> = (0..9).map(attribute).collect();
    let detailed = Detailed { seen: Box::new(Seen::bare(metadata())), more_attributes };
    let pieces = super::pieces(Answer::Seen(detailed)).unwrap();
    assert_eq!(pieces.len(), 1 + 3);

    let data: Vec<_> = (0..10_000).map(|number| number * 10..number * 10 + 5).collect();
    let sum = ContentSum([7; 32]);
    let pieces = super::pieces(Answer::Extents { data, known_to: 100_000, sum }).unwrap();
    let [Piece::Reply(Reply::Extents { data, known_to }), Piece::Reply(last), end] = &pieces[..]
    else {
        panic!("{pieces:?}")
    };
    assert_eq!((data.as_slice().len() as u64, *known_to), (8192, 8191 * 10 + 5));
    assert!(matches!(last, Reply::Extents { known_to: 100_000, .. }));
    assert_eq!(*end, Reply::Sum(sum).into());
}
