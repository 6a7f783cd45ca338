//! The agent of a source, and one of a destination that does not keep to what was agreed.

use wire::{
    Access, AskError, DirectMeeting, LaneCount, List, OperatorPath, PortRange, Request, Text,
};

use super::*;

/// Longer than any of this takes where all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// What somebody comes to who was made known to the agent of a source, which is to serve an image.
fn meet<T: Send + 'static>(act: impl Fn(Session) -> T + Send + Sync + 'static) -> T {
    let (near, far) = net::memory::pair().unwrap();
    let controller = Session::open(near, setup("the agent")).unwrap();
    let source = Arc::new(Session::accept(far, setup("the controller")).unwrap());
    controller.begin(Task::ServeImage, &[]).unwrap();
    source.hear().unwrap();
    let terms = Terms::for_image("/image".as_ref(), None);
    offer(&source, Task::ServeImage, Offered { terms, method: None, pace: pace::Told::new() });
    let wish =
        DirectWish { kind: LaneKind::Tcp, listens: true, ports: PortRange::Any, family: None };
    controller.talk_of_direct(DirectTalk::Prepare(wish)).unwrap();
    let Some(DirectTalk::Ready(of_source)) = controller.hear_of_direct(PATIENCE) else {
        panic!("it is not ready")
    };
    let here = Whereabouts::Connection(Some("127.0.0.1 1 127.0.0.1 22".into()));
    let (ready, own) = Ready::new(DirectWish { listens: false, ..wish }, here).unwrap();
    let meeting = |offer, connects_after_ms| DirectMeeting {
        offer,
        names: List::new(vec![Text::new("127.0.0.1")]).unwrap(),
        connects_after_ms,
        peer: Text::new("the other"),
        silence_secs: 30,
        count: LaneCount::Auto,
        mixes_kinds: true,
        tells: true,
    };
    let to_source = DirectTalk::Meet(Box::new(meeting(own, None)));
    controller.talk_of_direct(to_source).unwrap();
    let take: Take<T> = Arc::new(move |lane, _| {
        let session = Session::open(lane, setup("the source")).unwrap();
        session.greeted().unwrap();
        Some(act(session))
    });
    ready.meet(&meeting(of_source, Some(0)), PATIENCE, || Other::MayCome, &take).unwrap()
}

#[test]
fn who_begins_something_else_or_nothing_is_shown_out() {
    for begins in [Some((Task::ServeImage, &b"a job"[..])), Some((Task::ServeSource, b"")), None] {
        let heard = meet(move |session| {
            if let Some((task, work)) = begins {
                session.begin(task, work).unwrap();
            }
            session.hear()
        });
        assert!(heard.is_err(), "{begins:?}: {heard:?}");
    }
}

#[test]
fn who_is_met_gets_what_the_job_is_of_and_nothing_beside_it() {
    let asked = meet(|session| {
        session.begin(Task::ServeImage, &[]).unwrap();
        let path = OperatorPath::new("/").unwrap();
        session.asker().ask(Request::OpenRoot { path, access: Access::Read })
    });
    assert!(matches!(asked, Err(AskError::Fault(_))), "{asked:?}");
}
