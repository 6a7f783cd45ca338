//! Two ends of a session in one process, and ends whose peer is none.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use model::{Kind, Metadata};
use parking_lot::{Condvar, Mutex};
use wire::{
    Access, AccessTime, Answer, AskError, Content, ContentSum, Delivery, End, FaultKind, FileAt,
    Follow, Frame, Handle, Link, Name, Named, OperatorPath, Piece, Reply, Request, RequestId,
    Respond, Span, StartError, Ticket, Violation,
};

use super::*;
use crate::lane::{Hangup, LaneKind};
use crate::{memory, pipe};

/// Lanes that come, stall and die.
mod lanes;

/// Peers that are none, or none that keeps the rules.
mod peers;

/// Serves one file without end, whose bytes follow from their offsets.
#[derive(Default)]
pub(super) struct Endless {
    /// Reads wait for it, if it is closed.
    pub(super) gate: Gate,
    runs: AtomicUsize,
    /// The highest attempt that was seen.
    pub(super) attempt: AtomicU16,
}

#[derive(Default)]
pub(super) struct Gate {
    is_closed: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn set(&self, is_closed: bool) {
        *self.is_closed.lock() = is_closed;
        self.changed.notify_all();
    }

    fn pass(&self) {
        self.changed.wait_while(&mut self.is_closed.lock(), |is_closed| *is_closed);
    }
}

fn byte_at(offset: u64) -> u8 {
    (offset % 251).to_le_bytes()[0]
}

impl Serve for Endless {
    fn run(&self, ticket: Ticket, request: Request, respond: &mut dyn Respond) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.attempt.fetch_max(ticket.attempt, Ordering::Relaxed);
        let reply = match request {
            Request::Read { span, .. } => {
                self.gate.pass();
                return read(span, respond);
            }
            Request::CheckSearch { .. } => Reply::Done,
            Request::Measure { .. } => panic!("it panics on purpose"),
            Request::LookAtFile { .. } => return,
            _ => Reply::Opened(Metadata::unknown(Kind::File)),
        };
        respond.respond(reply.into(), End::Last).expect("it answers the request");
    }

    /// All reads come to their end.
    fn cancel(&self, _: Ticket) {
        self.gate.set(false);
    }

    fn drop_handle(&self, _: Handle) {}
}

fn read(span: Span, respond: &mut dyn Respond) {
    let mut range = span.range();
    while !range.is_empty() {
        let end = range.end.min(range.start + 100_000);
        let content = Content::new((range.start..end).map(byte_at).collect());
        let piece = Piece::Data { offset: range.start, content: content.expect("it is short") };
        let delivery = respond.respond(piece, End::More).expect("it answers the request");
        if delivery == Delivery::Stale {
            return;
        }
        range.start = end;
    }
    let sum = Reply::Sum(ContentSum::default());
    respond.respond(sum.into(), End::Last).expect("it answers the request");
}

fn setup(peer: &str) -> Setup {
    Setup::new("0.0.0", peer)
}

/// Both ends of a session, and what serves at the one that is the responder.
pub(super) struct Both {
    pub(super) requester: Session,
    pub(super) responder: Session,
    pub(super) serve: Arc<Endless>,
}

impl Both {
    pub(super) fn over((near, far): (Lane, Lane), task: Task) -> Self {
        Self::new((near, far), task, |_| {})
    }

    fn in_memory(change: impl Fn(&mut Setup)) -> Self {
        Self::new(memory::pair().unwrap(), Task::ServeSource, change)
    }

    fn new((near, far): (Lane, Lane), task: Task, change: impl Fn(&mut Setup)) -> Self {
        let (mut here, mut there) = (setup("the agent on web1"), setup("the controller"));
        change(&mut here);
        change(&mut there);
        let controller = Session::open(near, here).unwrap();
        let agent = Session::accept(far, there).unwrap();
        controller.begin(task, b"the job").unwrap();
        assert_eq!(agent.hear(), Ok(Some(Told::Begin(task, b"the job".to_vec()))));
        let (requester, responder) = match task {
            Task::ServeSource | Task::ServeImage => (controller, agent),
            Task::RunDestination | Task::BringImage => (agent, controller),
        };
        let serve = Arc::new(Endless::default());
        responder.serve(Arc::clone(&serve) as Arc<dyn Serve>);
        Self { requester, responder, serve }
    }

    pub(super) fn file(&self) -> Handle {
        open_file(&*self.requester.asker())
    }

    /// Runs so many readers, each with its own part of the file, while something happens to them.
    pub(super) fn read_by(
        &self,
        readers: u64,
        meanwhile: impl FnOnce(),
    ) -> Vec<Result<(), AskError>> {
        let (file, ask) = (self.file(), self.requester.asker());
        let ask = &*ask;
        thread::scope(|scope| {
            let readers = (0..readers).map(|at| scope.spawn(move || read_at(ask, file, at * 1000)));
            let readers: Vec<_> = readers.collect();
            // The handle was opened by two requests.
            while self.serve.runs.load(Ordering::Relaxed) < 4 {
                thread::yield_now();
            }
            meanwhile();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        })
    }
}

fn open_root() -> Request {
    let path = OperatorPath::new("/srv").unwrap();
    Request::OpenRoot { path, access: Access::Read }
}

fn open_file(ask: &dyn Ask) -> Handle {
    let dir = Handle(ask.start(open_root()).unwrap());
    let at = Named { dir, name: Name::new("file").unwrap() };
    let file = FileAt { at, follow: Follow::Never, atime: AccessTime::Keep };
    // It is named before it is open.
    let file = ask.start(Request::OpenFile { file }).unwrap();
    ask.wait(dir.0).unwrap();
    ask.wait(file).unwrap();
    ask.close(dir);
    Handle(file)
}

fn span(start: u64, length: u64) -> Span {
    Span::new(start..start + length).unwrap()
}

/// Reads 700 bytes, which must be those that were asked for.
pub(super) fn read_at(ask: &dyn Ask, file: Handle, offset: u64) -> Result<(), AskError> {
    let answer = ask.ask(Request::Read { file, span: span(offset, 700) })?;
    check(answer, offset, 700);
    Ok(())
}

#[track_caller]
fn check(answer: Answer, mut offset: u64, length: u64) {
    let Answer::Read(read) = answer else { panic!("{answer:?} is none to a read") };
    let end = offset + length;
    for (at, content) in read.pieces {
        assert_eq!(at, offset);
        offset += content.len() as u64;
        assert!((at..offset).map(byte_at).eq(content.iter().copied()));
    }
    assert_eq!(offset, end);
}

/// Ends a lane from elsewhere.
#[derive(Clone)]
struct Scissors(Arc<dyn Hangup>);

impl Hangup for Scissors {
    fn hang_up(&self) {
        self.0.hang_up();
    }
}

impl Scissors {
    fn at(lane: &mut Lane) -> Self {
        let (idle, _) = memory::pair().unwrap();
        let scissors = Self(Arc::from(std::mem::replace(&mut lane.hangup, idle.hangup)));
        lane.hangup = Box::new(scissors.clone());
        scissors
    }
}

fn of_pipes() -> (Lane, Lane) {
    let ((here, to_here), (there, to_there)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let near = pipe::lane(LaneKind::Memory, here, to_there).unwrap();
    (near, pipe::lane(LaneKind::Memory, there, to_here).unwrap())
}

#[test]
fn many_threads_are_each_answered_their_own() {
    for task in [Task::ServeSource, Task::RunDestination] {
        for lanes in [memory::pair().unwrap(), of_pipes()] {
            let both = Both::over(lanes, task);
            let (ask, file) = (both.requester.asker(), both.file());
            thread::scope(|scope| {
                for reader in 0..64 {
                    let ask = &ask;
                    scope.spawn(move || {
                        for turn in 0..20 {
                            read_at(&**ask, file, reader * 100_000 + turn * 1000).unwrap();
                        }
                    });
                }
            });
            assert_eq!(both.serve.runs.load(Ordering::Relaxed), 2 + 64 * 20);
        }
    }
}

#[test]
fn long_reads_wait_for_each_other_and_come_whole() {
    const LENGTH: u64 = 1_000_000;
    for lanes in [memory::pair().unwrap(), of_pipes()] {
        let both = Both::new(lanes, Task::ServeSource, |setup| setup.window_bytes = 2_500_000);
        let (ask, file) = (both.requester.asker(), both.file());
        thread::scope(|scope| {
            for reader in 0..8 {
                let (ask, start) = (&ask, reader * LENGTH);
                scope.spawn(move || {
                    let read = Request::Read { file, span: span(start, LENGTH) };
                    check(ask.ask(read).unwrap(), start, LENGTH);
                });
            }
        });
    }
}

#[test]
fn answers_may_be_taken_in_any_order_though_they_fill_the_window() {
    let both = Both::in_memory(|setup| setup.window_bytes = 600_000);
    let (ask, file) = (both.requester.asker(), both.file());
    let read = |at: u64| Request::Read { file, span: span(at * 1000, 250_000) };
    let ids: Vec<RequestId> = (0..20_u64).map(|at| ask.start(read(at)).unwrap()).collect();
    for (at, id) in ids.iter().enumerate().rev() {
        check(ask.wait(*id).unwrap(), at as u64 * 1000, 250_000);
    }
    let taken = ask.wait(ids[0]).unwrap_err();
    assert!(matches!(taken, AskError::Fault(_)), "{taken}");
}

#[test]
fn what_is_not_wanted_any_more_makes_room() {
    let both = Both::in_memory(|setup| setup.window_bytes = 600_000);
    let (ask, file) = (both.requester.asker(), both.file());
    both.serve.gate.set(true);
    let read = || Request::Read { file, span: span(0, 500_000) };
    let [out, waits] = [(); 2].map(|()| ask.start(read()).unwrap());
    while both.serve.runs.load(Ordering::Relaxed) < 3 {
        thread::yield_now();
    }
    ask.abandon(waits);
    ask.abandon(out);
    // Whoever is cancelled opens the gate, and what it answers is passed over.
    read_at(&*ask, file, 5).unwrap();
    assert!(matches!(ask.wait(out), Err(AskError::Fault(_))));
}

#[test]
fn the_end_of_the_first_lane_is_told_to_all_who_wait() {
    let (mut near, far) = memory::pair().unwrap();
    let scissors = Scissors::at(&mut near);
    let both = Both::over((near, far), Task::ServeSource);
    both.serve.gate.set(true);
    let read = both.read_by(64, || scissors.hang_up());
    let sentence = "source: hear from the agent on web1: the connection ended";
    assert_eq!(read, vec![Err(AskError::Over(sentence.into())); 64]);
    assert_eq!(both.requester.hear().unwrap_err().to_string(), sentence);
    let sentence = "destination: hear from the controller: the connection ended";
    assert_eq!(both.responder.hear().unwrap_err().to_string(), sentence);
    assert!(both.requester.asker().start(open_root()).is_err());
}

#[test]
fn who_hangs_up_ends_the_waiting_of_all() {
    let both = Both::in_memory(|_| {});
    both.serve.gate.set(true);
    let read = both.read_by(64, || both.requester.hang_up());
    let sentence = "source: speak to the agent on web1: the session was ended here";
    assert_eq!(read, vec![Err(AskError::Over(sentence.into())); 64]);
    assert!(both.responder.hear().is_err());
}

#[test]
fn a_session_that_is_dropped_takes_its_threads_along() {
    let both = Both::in_memory(|_| {});
    both.serve.gate.set(true);
    let ask = both.requester.asker();
    ask.start(Request::Read { file: both.file(), span: span(0, 1) }).unwrap();
    while both.serve.runs.load(Ordering::Relaxed) < 3 {
        thread::yield_now();
    }
    let shared = Arc::downgrade(&both.responder.shared);
    drop(both.responder);
    assert!(shared.upgrade().is_none(), "a thread has outlived the session");
    assert_eq!(Arc::strong_count(&both.serve), 1);
    let shared = Arc::downgrade(&both.requester.shared);
    drop(both.requester);
    assert!(matches!(ask.start(open_root()), Err(AskError::Over(_))));
    drop(ask);
    assert!(shared.upgrade().is_none(), "a thread has outlived the session");
}

#[test]
fn a_server_that_does_not_come_back_holds_up_nothing_else() {
    /// Waits whatever it is told.
    #[derive(Default)]
    struct Deaf(Endless);

    impl Serve for Deaf {
        fn run(&self, ticket: Ticket, request: Request, respond: &mut dyn Respond) {
            self.0.run(ticket, request, respond);
        }

        fn cancel(&self, _: Ticket) {}

        fn drop_handle(&self, _: Handle) {}
    }

    let (near, far) = memory::pair().unwrap();
    let controller = Session::open(near, setup("the agent on web1")).unwrap();
    let agent = Session::accept(far, setup("the controller")).unwrap();
    controller.begin(Task::ServeSource, b"").unwrap();
    let deaf = Arc::new(Deaf::default());
    agent.serve(Arc::clone(&deaf) as Arc<dyn Serve>);
    let ask = controller.asker();
    let file = open_file(&*ask);
    deaf.0.gate.set(true);
    ask.start(Request::Read { file, span: span(0, 1) }).unwrap();
    while deaf.0.runs.load(Ordering::Relaxed) < 3 {
        thread::yield_now();
    }
    controller.bye();
    agent.hang_up();
    agent.shared.wait_for_lanes();
    // It is not waited for longer than that; who ends the process ends it as well.
    agent.shared.join(Duration::from_millis(10));
    deaf.0.gate.set(false);
}

#[test]
fn events_wait_for_room_and_none_is_lost() {
    let both = Both::in_memory(|_| {});
    let (controller, agent) = (&both.requester, &both.responder);
    let event = |number: u32| EventBytes::new(number.to_le_bytes().repeat(5000)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            // Five times what is taken at once.
            for number in 0..250 {
                agent.event(event(number)).unwrap();
                agent.progress(ProgressBytes::new(number.to_be_bytes()).unwrap()).unwrap();
            }
            agent.ended(OutcomeBytes::new("fine").unwrap()).unwrap();
            let late = agent.event(event(0));
            assert_eq!(late, Err(TellError::Control(ControlError::Order)));
            agent.bye();
        });
        let (mut events, mut progress) = (0, None);
        loop {
            match controller.hear().unwrap().expect("there is an outcome") {
                Told::Event(told) => {
                    assert_eq!(told, event(events));
                    events += 1;
                }
                Told::Progress(told) => {
                    assert!(progress < Some(told.clone()), "progress goes back");
                    progress = Some(told);
                }
                Told::Ended(outcome) => break assert_eq!(outcome.as_bytes(), b"fine"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(events, 250);
        assert_eq!(controller.hear(), Ok(None));
    });
    assert_eq!(both.requester.over().unwrap().cause, Cause::Bye);
}

#[test]
fn what_goes_over_lanes_is_counted() {
    let both = Both::in_memory(|_| {});
    assert_eq!(both.requester.greeted(), Ok(setup("").hello));
    read_at(&*both.requester.asker(), both.file(), 5).unwrap();
    both.requester.bye();
    // Nothing follows on that.
    assert_eq!(both.responder.hear(), Ok(None));
    let (near, far) = (both.requester.traffic(), both.responder.traffic());
    assert_eq!(near.sent_bytes, far.received_bytes);
    assert!(near.received_bytes > 700 && near.sent_bytes > 100, "{near:?}");
}

#[test]
fn what_was_told_before_goodbye_arrives() {
    let both = Both::in_memory(|_| {});
    both.requester.cancel().unwrap();
    both.requester.bye();
    assert_eq!(both.responder.hear(), Ok(Some(Told::Cancel)));
    assert_eq!((both.responder.hear(), both.responder.hear()), (Ok(None), Ok(None)));
    let over = both.requester.asker().start(open_root()).unwrap_err();
    assert!(matches!(over, AskError::Over(_)));
    assert!(both.requester.begin(Task::ServeSource, b"").is_err());
}

#[test]
fn a_failure_is_told_in_its_own_words() {
    let both = Both::in_memory(|_| {});
    both.responder.fail(FailureKind::Refused, "there is no /srv\n");
    let sentence = "source: hear from the agent on web1: it failed: there is no /srv\\n";
    assert_eq!(both.requester.hear().unwrap_err().to_string(), sentence);
}

#[test]
fn handles_are_waited_for_only_if_some_are_being_closed() {
    let both = Both::in_memory(|setup| setup.hello.capacity.handles = 4);
    let ask = both.requester.asker();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let id = ask.start(open_root()).unwrap();
                    ask.wait(id).unwrap();
                    ask.close(Handle(id));
                }
            });
        }
    });
    let mut open = Vec::new();
    let refused = loop {
        match ask.start(open_root()) {
            Ok(id) => open.push(id),
            Err(refused) => break refused,
        }
    };
    assert_eq!((open.len(), refused), (4, AskError::Start(StartError::TooManyHandles)));
}

#[test]
fn wake_ups_for_nothing_do_no_harm() {
    let both = Both::in_memory(|setup| setup.hello.capacity.handles = 4);
    let ask = both.requester.asker();
    let work = || {
        for _ in 0..100 {
            let id = loop {
                match ask.start(open_root()) {
                    Err(AskError::Start(StartError::TooManyHandles)) => thread::yield_now(),
                    started => break started.unwrap(),
                }
            };
            ask.wait(id).unwrap();
            ask.close(Handle(id));
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..16).map(|_| scope.spawn(work)).collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            for worker in &workers {
                worker.thread().unpark();
            }
            thread::yield_now();
        }
    });
}

#[test]
fn who_serves_and_does_not_answer_is_answered_for() {
    let both = Both::in_memory(|setup| setup.servers = 1);
    let (ask, file) = (both.requester.asker(), both.file());
    for (request, text) in [
        (Request::Measure { file }, "the server panicked"),
        (
            Request::LookAtFile {
                file,
                wants: wire::Wants::empty(),
                room: wire::Room::new(0).unwrap(),
            },
            "it was not answered",
        ),
    ] {
        let AskError::Fault(fault) = ask.ask(request).unwrap_err() else { panic!("{text}") };
        assert_eq!((fault.kind, fault.text.as_str()), (FaultKind::Other, text));
    }
    read_at(&*ask, file, 7).unwrap();
}

#[test]
fn the_side_that_answers_does_not_ask() {
    let both = Both::in_memory(|_| {});
    let refused = both.responder.asker().start(open_root());
    assert!(matches!(refused, Err(AskError::Over(_))));
}
