//! Both halves, with a session in memory between them.

use std::sync::Arc;
use std::thread;

use filter::Rules;
use model::{
    Begun, Cause, Destination, Event, Fault, FileGauge, Gauges, Item, Job, Kind, Message, Metadata,
    RelPath, Settings, Side, Sink, Source, Summary, Topic, Verb, Verdict,
};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{EventBytes, Told};

use super::fuzzing::from_agent;
use super::{Lost, follow};
use crate::agent::{Around, Refused, serve};
use crate::outcome::{self, Ending, Outcome};
use crate::post::Post;
use crate::telling::{self, Telling};
use crate::testing::{Chance, Memory, pair};
use crate::{Besides, Malformed, Work};

/// Keeps what it hears.
#[derive(Default)]
struct Kept(Mutex<Vec<Event>>);

impl Sink for Kept {
    fn accept(&self, event: Event) {
        self.0.lock().push(event);
    }
}

fn job(tell_begun: bool) -> Vec<u8> {
    let job = Job {
        sources: vec![Source { path: "s".into() }],
        destination: Some(Destination { path: "d".into() }),
        settings: Settings { tell_begun, ..Settings::default() },
    };
    Work::to_bytes(&job, &Rules::default(), &Besides::default(), std::time::SystemTime::now())
        .unwrap()
}

fn item(path: &str) -> Item {
    let path = RelPath::new(path.as_bytes()).unwrap();
    Item::new(path, Metadata::unknown(Kind::File), Verdict::Copied)
}

fn complete() -> Outcome {
    Outcome { ending: Ending::Complete, summary: Summary::default() }
}

/// What the controller heard and how it went for both, of an agent that does this.
struct Talk {
    heard: Vec<Event>,
    gauges: Gauges,
    end: Result<Outcome, Lost>,
    agent: thread::Result<Result<(), Refused>>,
}

fn talk(work: Vec<u8>, run: impl FnOnce(Work, Around) -> Outcome + Send + 'static) -> Talk {
    let (near, far) = pair();
    let agent = start(far, work, run);
    let (kept, gauges) = (Kept::default(), Gauges::default());
    let end = follow::<Summary>(&near, &kept, &gauges);
    near.hang_up();
    Talk { heard: kept.0.into_inner(), gauges, end, agent: agent.join() }
}

fn start(
    far: Memory,
    work: Vec<u8>,
    run: impl FnOnce(Work, Around) -> Outcome + Send + 'static,
) -> thread::JoinHandle<Result<(), Refused>> {
    let far: Arc<dyn Post> = Arc::new(far);
    thread::Builder::new().spawn(move || serve(&far, &work, run)).unwrap()
}

#[test]
fn all_that_happens_is_heard_in_order() {
    let events = || {
        let fault = Fault {
            side: Side::Destination,
            verb: Verb::Publish,
            path: b"a/\xff"[..].into(),
            cause: Cause::Os(13),
        };
        let message = Message { topic: Topic::Made, text: b"created \xfe"[..].into() };
        (0..500).map(|number| Event::Item(Box::new(item(&format!("f{number}"))))).chain([
            Event::Line(Box::new(item("l"))),
            Event::Settled(Box::new(item("s"))),
            Event::Fault(fault),
            Event::Message(message),
        ])
    };
    let talk = talk(job(false), move |work, around| {
        assert_eq!(work.job.sources[0].path.to_str(), Some("s"));
        for event in events() {
            Gauges::add(&around.gauges.listed_entries, 1);
            around.sink.accept(event);
        }
        let summary = Summary { faults: 1, ..Summary::default() };
        Outcome { ending: Ending::TimeIsOver, summary }
    });
    let shown = |events: &[Event]| format!("{events:#?}");
    assert_eq!(shown(&talk.heard), shown(&events().collect::<Vec<_>>()));
    let summary = Summary { faults: 1, ..Summary::default() };
    assert_eq!(talk.end, Ok(Outcome { ending: Ending::TimeIsOver, summary }));
    assert_eq!(talk.gauges.listed_entries.into_inner(), 504);
    assert!(matches!(talk.agent, Ok(Ok(()))));
}

#[test]
fn a_long_file_goes_on_at_the_controller() {
    let talk = talk(job(true), |_, around| {
        let gauges: Vec<_> = (0..200).map(|_| Arc::new(FileGauge::begin())).collect();
        for gauge in &gauges {
            let begun = Begun { item: item("f"), gauge: Arc::clone(gauge) };
            around.sink.accept(Event::Begun(Box::new(begun)));
        }
        for gauge in &gauges {
            gauge.keep(1);
            gauge.add(2);
            gauge.finish();
        }
        Gauges::set(&around.gauges.done_entries, 7);
        around.sink.accept(Event::Item(Box::new(item("f"))));
        complete()
    });
    let begun = |event: &Event| match event {
        Event::Begun(begun) => Some(Arc::clone(&begun.gauge)),
        _ => None,
    };
    let gauges: Vec<_> = talk.heard.iter().filter_map(begun).collect();
    assert_eq!((talk.heard.len(), gauges.len()), (201, 200));
    assert!(gauges.iter().all(|gauge| gauge.is_finished() && gauge.present_bytes() == 3));
    assert_eq!(talk.gauges.done_entries.into_inner(), 7);
}

#[test]
fn the_controller_stops_the_agent() {
    let (near, far) = pair();
    let agent = start(far, job(false), |_, around| {
        let is_stopped = around.cancel.sleep(std::time::Duration::from_secs(600)).is_err();
        let ending = if is_stopped { Ending::Interrupted } else { Ending::Complete };
        Outcome { ending, summary: Summary::default() }
    });
    near.cancel();
    let end = follow::<Summary>(&near, &Kept::default(), &Gauges::default());
    assert_eq!(end.map(|outcome| outcome.ending), Ok(Ending::Interrupted));
    near.hang_up();
    assert!(matches!(agent.join(), Ok(Ok(()))));
}

#[test]
fn an_agent_whose_controller_is_gone_stops() {
    let (near, far) = pair();
    let agent = start(far, job(false), |_, around| {
        while !around.cancel.is_cancelled() {
            around.sink.accept(Event::Item(Box::new(item("f"))));
        }
        complete()
    });
    drop(near);
    assert!(matches!(agent.join(), Ok(Err(Refused::Over(_)))));
}

#[test]
fn an_agent_that_is_gone_has_no_outcome() {
    let (near, far) = pair();
    far.event(telling::to_bytes(&[], Telling::Item(Box::new(item("f")))).unwrap()).unwrap();
    drop(far);
    let kept = Kept::default();
    assert!(matches!(follow::<Summary>(&near, &kept, &Gauges::default()), Err(Lost::Over(_))));
    assert_eq!(kept.0.into_inner().len(), 1);
}

#[test]
fn an_agent_that_panics_says_so() {
    let talk = talk(job(false), |_, _| panic!("on purpose"));
    let sentence = "a bug of lanesync ended the run".to_owned();
    assert_eq!(talk.end, Err(Lost::Failed(sentence)));
    assert!(matches!(talk.agent, Ok(Err(Refused::Panicked))));
}

#[test]
fn an_agent_that_says_goodbye_too_early_has_no_outcome() {
    let (near, far) = pair();
    far.tell(Told::Bye).unwrap();
    assert_eq!(follow::<Summary>(&near, &Kept::default(), &Gauges::default()), Err(Lost::Mute));
}

#[test]
fn a_job_that_is_none_is_refused_by_a_sentence() {
    let talk = talk(vec![0], |_, _| panic!("nothing is to be done"));
    let sentence = "malformed job: Unexpected length of input".to_owned();
    assert_eq!(talk.end, Err(Lost::Failed(sentence)));
    assert!(matches!(talk.agent, Ok(Err(Refused::Malformed(_)))));
}

#[test]
fn a_file_that_is_begun_twice_ends_the_talk() {
    let begun = || {
        let reading = FileGauge::begin().read();
        Telling::Begun { number: 3, reading, item: Box::new(item("f")) }
    };
    let (near, far) = pair();
    let event = telling::to_bytes(&[begun()], begun()).unwrap();
    far.event(event).unwrap();
    far.ended(outcome::to_bytes(&(complete(), Gauges::default().read()))).unwrap();
    let malformed = Malformed::new("event", &"a file is begun that was begun before");
    let end = follow::<Summary>(&near, &Kept::default(), &Gauges::default());
    assert_eq!(end, Err(Lost::Malformed(malformed)));
}

#[test]
fn a_hostile_agent_cannot_begin_files_without_end() {
    let gauges = Gauges::default();
    let kept = Kept::default();
    let mut hearing =
        super::Hearing { sink: &kept, gauges: &gauges, files: std::collections::VecDeque::new() };
    for number in 0..2 * super::FILES_MAX as u64 {
        let reading = FileGauge::begin().read();
        let begun = Telling::Begun { number, reading, item: Box::new(item("f")) };
        hearing.telling(begun).unwrap();
    }
    assert_eq!(hearing.files.len(), super::FILES_MAX);
}

proptest! {
    #[test]
    fn no_bytes_of_an_agent_make_it_panic(
        entropy in vec(any::<u8>(), 0..400),
        flips in vec((any::<prop::sample::Index>(), 1..=u8::MAX), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        from_agent(&entropy);
        let mut chance = Chance(&entropy);
        let before = [chance.telling()];
        let event = telling::to_bytes(&before, chance.telling()).unwrap();
        let mut bytes = event.as_bytes().to_vec();
        let length = bytes.len();
        let cut = EventBytes::new(&bytes[..cut.index(length)]).unwrap();
        prop_assert!(telling::from_bytes(&cut).flatten().count() < 2);
        for (at, flip) in flips {
            bytes[at.index(length)] ^= flip;
        }
        for telling in telling::from_bytes(&EventBytes::new(&bytes).unwrap()).flatten() {
            // What is heard can be told: it keeps the rules of what is told.
            prop_assert!(telling::to_bytes(&[], telling).is_some());
        }
    }
}
