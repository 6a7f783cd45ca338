//! A cluster whose every answer is made up, by plain HTTP.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;

/// What is answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Further lines of the head, each with its end.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// So much of the body is said to come, and does not.
    pub(crate) missing: usize,
}

impl Answer {
    pub(crate) fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, head: String::new(), body: body.into(), missing: 0 }
    }
}

/// A cluster that listens until it is dropped.
pub(crate) struct Scripted {
    port: u16,
    /// What was asked for, one after the other.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// The most that were asked for at once.
    pub(crate) most_at_once: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Scripted {
    /// Answers with what `answer` says to a target; `count` is how often it was asked before.
    pub(crate) fn serve(answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let served = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            most_at_once: Arc::default(),
            connections: Arc::default(),
            is_over: Arc::default(),
        };
        let (asked, most) = (Arc::clone(&served.asked), Arc::clone(&served.most_at_once));
        let (answer, now) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        let (connections, is_over) = (Arc::clone(&served.connections), Arc::clone(&served.is_over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let (asked, most, now) = (Arc::clone(&asked), Arc::clone(&most), Arc::clone(&now));
                let answer = Arc::clone(&answer);
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(target) = request(&mut reader) {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let count = {
                            let mut asked = asked.lock().unwrap();
                            let count = asked.iter().filter(|one| **one == target).count();
                            asked.push(target.clone());
                            count
                        };
                        let answer = answer(&target, count);
                        now.fetch_sub(1, Ordering::SeqCst);
                        if !send(&stream, &answer) {
                            return;
                        }
                    }
                });
            }
        });
        served
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How it is reached: by a token, so that the first thing asked for is the root.
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls: Tls::PlainHttp,
            login: Login::Token(Secret::new("a-token-for-good")),
            path: b"/top".to_vec(),
            snapshot: None,
            counted: Counted::Data,
            in_flight: Cluster::IN_FLIGHT,
            patience: PATIENCE,
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// The target of the next request.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let target = first.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(number) = line.to_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    Some(target)
}

/// False where nothing more can be sent.
fn send(mut stream: &TcpStream, answer: &Answer) -> bool {
    let Answer { status, head, body, missing } = answer;
    let length = body.len() + missing;
    let mut text = String::new();
    write!(text, "HTTP/1.1 {status} so\r\nContent-Length: {length}\r\n{head}\r\n").unwrap();
    let sent = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(body));
    sent.is_ok() && *missing == 0
}

/// The sums of a directory, with rows that were written by [`row`].
pub(crate) fn sums(total_files: u64, total_directories: u64, rows: &[String]) -> Answer {
    let rows = rows.join(",");
    Answer::of(
        200,
        format!(
            r#"{{"path": "/top/", "id": "2", "files": [{rows}], "total_capacity": "81920",
                "total_data": "40960", "total_meta": "0", "total_files": "{total_files}",
                "total_directories": "{total_directories}", "total_symlinks": "0",
                "total_other_objects": "0"}}"#
        ),
    )
}

/// A row, whose name is written as in JSON.
pub(crate) fn row(name: &str, kind: &str, files: u64, directories: u64) -> String {
    let id = 1_000 + files + directories;
    format!(
        r#"{{"name": "{name}", "type": "FS_FILE_TYPE_{kind}", "id": "{id}", "capacity_usage": "8192",
            "data_usage": "4096", "meta_usage": "4096", "num_files": "{files}",
            "num_directories": "{directories}", "num_symlinks": "0", "num_other_objects": "0"}}"#
    )
}

/// A page, with children that were written by [`child`].
pub(crate) fn page(count: u64, next: &str, children: &[String]) -> Answer {
    let children = children.join(",");
    Answer::of(
        200,
        format!(
            r#"{{"path": "/top/", "id": "2", "child_count": {count}, "files": [{children}],
                "paging": {{"next": "{next}", "prev": ""}}}}"#
        ),
    )
}

/// A child for itself.
pub(crate) fn child(name: &str, kind: &str, id: u64, names: u64) -> String {
    format!(
        r#"{{"name": "{name}", "type": "FS_FILE_TYPE_{kind}", "id": "{id}", "num_links": {names},
            "child_count": 3, "blocks": "2", "datablocks": 1, "size": "1234"}}"#
    )
}
