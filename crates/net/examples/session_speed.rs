//! How many requests a second go through a session, and how many bytes, with all of it in one process.
//!
//! ```sh
//! cargo run --release -p lanesync-net --example session_speed -- 2
//! ```
//!
//! The number is how many seconds each row takes. The last column is what a request costs of processor
//! time, which says more than its speed where others use the machine. The lane is a socket within the process and what is
//! served lies in memory, so the rest is what the session itself costs, at both ends together.

#![expect(clippy::print_stdout, reason = "tells a person what it measured")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use model::{Kind, Metadata};
use net::{Session, Setup, memory};
use rustix::time::{ClockId, clock_gettime};
use wire::{
    Access, AccessTime, After, Answer, Ask, Content, ContentSum, End, FileAt, Follow, Handle, Name,
    Named, OperatorPath, Piece, Reply, Request, Respond, Room, Seen, Serve, Span, Task, Ticket,
    Wants,
};

const SMALL_BYTES: usize = 4096;

const SPAN_BYTES: usize = 256 * 1024;

/// Serves zeros.
struct Zeros;

impl Serve for Zeros {
    fn run(&self, _: Ticket, request: Request, respond: &mut dyn Respond) {
        let (metadata, sum) = (Metadata::unknown(Kind::File), ContentSum::default());
        let mut hand_in = |piece: Piece, end| {
            // It fails only when the session is over.
            respond.respond(piece, end).is_ok()
        };
        match request {
            Request::Fetch { .. } => {
                let seen = Reply::Seen(Box::new(Seen::bare(metadata)));
                hand_in(seen.into(), End::More)
                    && hand_in(data(0, SMALL_BYTES), End::More)
                    && hand_in(Reply::After(After { metadata, sum }).into(), End::Last)
            }
            Request::Read { .. } => {
                hand_in(data(0, SPAN_BYTES), End::More)
                    && hand_in(Reply::Sum(sum).into(), End::Last)
            }
            _ => hand_in(Reply::Opened(metadata).into(), End::Last),
        };
    }

    fn cancel(&self, _: Ticket) {}

    fn drop_handle(&self, _: Handle) {}
}

fn data(offset: u64, length: usize) -> Piece {
    let content = Content::new(vec![0; length]).expect("it fits a frame");
    Piece::Data { offset, content }
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(2), |argument| argument.parse())?;
    let time = Duration::from_secs(seconds);
    let (near, far) = memory::pair()?;
    let controller = Session::open(near, Setup::new("0.0.0", "the agent"))?;
    let agent = Session::accept(far, Setup::new("0.0.0", "the controller"))?;
    controller.begin(Task::ServeSource, b"")?;
    agent.serve(Arc::new(Zeros));
    let ask = controller.asker();
    let path = OperatorPath::new("/")?;
    let dir = Handle(ask.start(Request::OpenRoot { path, access: Access::Read })?);
    let at = Named { dir, name: Name::new("file")? };
    let at = FileAt { at, follow: Follow::Never, atime: AccessTime::Update };
    let file = Handle(ask.start(Request::OpenFile { file: at.clone() })?);
    let (wants, room) = (Wants::METADATA, Room::new(64 * 1024)?);
    let fetch = Request::Fetch { file: at, wants, room };
    let read = Request::Read { file, span: Span::new(0..SPAN_BYTES as u64)? };
    println!("{:20} {:>8} {:>12} {:>10} {:>12}", "", "askers", "requests/s", "MB/s", "CPU ns each");
    for (what, request) in [("fetch of 4 KiB", &fetch), ("read of 256 KiB", &read)] {
        for askers in [1, 8, 64] {
            let before = processor_time();
            let (count, bytes) = run(&*ask, request, askers, time);
            let used = processor_time().saturating_sub(before);
            let cost = used.as_nanos() / u128::from(count.max(1));
            let (rate, speed) = (count / seconds, bytes / seconds / 1_000_000);
            println!("{what:20} {askers:8} {rate:12} {speed:10} {cost:12}");
        }
    }
    controller.bye();
    Ok(())
}

/// What this process has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Requests that were answered, and bytes that came.
fn run(ask: &dyn Ask, request: &Request, askers: usize, time: Duration) -> (u64, u64) {
    let (count, bytes, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..askers {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let answer = ask.ask(request.clone());
                    let length = match black_box(answer) {
                        Ok(Answer::Fetched(it)) => it.pieces.iter().map(|it| it.len()).sum(),
                        Ok(Answer::Read(it)) => it.pieces.iter().map(|(_, it)| it.len()).sum(),
                        _ => 0,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    bytes.fetch_add(length as u64, Ordering::Relaxed);
                }
            });
        }
        let begun = Instant::now();
        while begun.elapsed() < time {
            thread::sleep(time.saturating_sub(begun.elapsed()));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    (count.into_inner(), bytes.into_inner())
}
