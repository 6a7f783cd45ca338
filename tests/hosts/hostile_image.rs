//! A host that lies about an image: it ends the run, and nothing is written that it has not stood by.

use std::fs;
use std::process::Output;

use model::{Kind, Metadata, Timestamp};
use wire::{
    BlockMap, BlocksTold, Content, ContentSum, DigestRun, FrameKind, Grain, Ground, List,
    OpenedImage, Piece, Pieces, Reply, Request, Span, Ticket,
};

use super::hostile::{Answer, Peer, Says, frame, start};
use super::{Hosts, check};

const IMAGE_BYTES: usize = 100_000;

/// Brings over what such a peer serves, onto what is there.
fn bring(hosts: &Hosts, answer: impl Fn(Ticket, &Request) -> Says) -> Output {
    fs::write(hosts.path().join("dst"), vec![7; IMAGE_BYTES]).unwrap();
    let run = start(hosts, &["blocks", "h:image", "dst"]);
    let mut peer = Peer::new(hosts);
    peer.source = Ok("image");
    peer.serve(answer);
    run.wait_with_output().unwrap()
}

#[track_caller]
fn check_untouched(hosts: &Hosts) {
    assert!(fs::read(hosts.path().join("dst")).unwrap() == vec![7; IMAGE_BYTES]);
}

fn metadata() -> Metadata {
    Metadata { mode: 0o644, size: IMAGE_BYTES as u64, ..Metadata::unknown(Kind::File) }
}

/// An image that is there, and has something everywhere.
fn plain(request: &Request) -> Reply {
    match request {
        Request::OpenImage { .. } => Reply::OpenedImage(Box::new(OpenedImage {
            changed_at: Timestamp::default(),
            metadata: metadata(),
            bytes: IMAGE_BYTES as u64,
            is_rotational: false,
            mounted_at: None,
            kernel: None,
            ground: Ground::File { dev: 1, ino: 2 },
            grounds: List::default(),
            shown: None,
        })),
        _ => Reply::Fault(wire::IoFault::new(wire::FaultKind::NotFound, "none")),
    }
}

/// Where all of it has something.
fn extents() -> Says {
    let end = IMAGE_BYTES as u64;
    let data = List::new(vec![Span::new(0..end).unwrap()]).unwrap();
    let mut hasher = blake3::Hasher::new();
    for number in [0, end, end] {
        hasher.update(&number.to_le_bytes());
    }
    let sum = ContentSum(*hasher.finalize().as_bytes());
    let told = Reply::Extents { data, known_to: end };
    Says::Pieces(vec![told.into(), Reply::Sum(sum).into()])
}

fn digests(pieces: &Pieces, count: usize) -> Reply {
    let told = vec![9; pieces.digest_bytes() * count];
    let run = DigestRun::Digests(wire::Digests::new(told).unwrap());
    Reply::Digests(List::new(vec![run]).unwrap())
}

#[test]
fn what_breaks_a_rule_ends_the_run() {
    // A file of 2^64 - 1 bytes, of which no numbers are told but this.
    let long = [&[15, 1][..], &[0; 16], &[0xff; 9], &[1, 0, 0, 0, 1, 1, 2, 0, 0]].concat();
    let none = [&[17, 0][..], &[7; 32]].concat();
    let many = [&[17, 2, 0xff, 0xff][..], &[7; 32]].concat();
    let endless = [&[16, 1, 1, 0xff, 0xff, 0xff, 0xff, 7][..], &[9; 100]].concat();
    let answers: [(&str, Kindred, Vec<u8>); 8] = [
        ("an offset in a file", Kindred::Open, long),
        ("is of another kind than the request", Kindred::Open, vec![0]),
        ("has other digests than were asked for", Kindred::Digests, vec![16, 1, 0, 2]),
        ("has other digests than were asked for", Kindred::Digests, vec![16, 0]),
        ("has other digests than were asked for", Kindred::Digests, vec![16, 1, 1, 3, 9, 9, 9]),
        ("malformed body", Kindred::Digests, endless),
        ("tells of blocks not asked for", Kindred::Blocks, none),
        ("tells of blocks not asked for", Kindred::Blocks, many),
    ];
    for (says, of, body) in answers {
        let hosts = Hosts::new();
        let lie: Answer<'_> = Box::new(|at| frame(FrameKind::Response, at, &body));
        let output = bring(&hosts, |ticket, request| match (of, request) {
            (Kindred::Open, Request::OpenImage { .. })
            | (Kindred::Digests, Request::Digests { .. })
            | (Kindred::Blocks, Request::ReadBlocks { .. }) => Says::Bytes(lie(ticket)),
            (_, Request::FindExtents { .. }) => extents(),
            (_, Request::Digests { spans, pieces, .. }) => {
                let count = pieces.grain.count_in(spans.as_slice()).unwrap();
                Says::Reply(digests(pieces, usize::try_from(count).unwrap()))
            }
            (_, request) => Says::Reply(plain(request)),
        });
        check(&output, 12, says);
        check_untouched(&hosts);
    }
}

/// Which request is answered by a lie.
#[derive(Clone, Copy)]
enum Kindred {
    Open,
    Digests,
    Blocks,
}

#[test]
fn what_does_not_come_out_as_it_was_told_is_not_written() {
    let hosts = Hosts::new();
    let output = bring(&hosts, |_, request| match request {
        Request::FindExtents { .. } => extents(),
        Request::Digests { spans, pieces, .. } => {
            let count = pieces.grain.count_in(spans.as_slice()).unwrap();
            Says::Reply(digests(pieces, usize::try_from(count).unwrap()))
        }
        Request::ReadBlocks { spans, .. } => {
            let bytes: u64 = spans.as_slice().iter().map(|span| span.bytes()).sum();
            let count = Grain::Block.count_in(spans.as_slice()).unwrap();
            let mut bits = vec![0; usize::try_from(count.div_ceil(8)).unwrap()];
            for number in 0..usize::try_from(count).unwrap() {
                bits[number / 8] |= 1 << (number % 8);
            }
            let content = vec![3; usize::try_from(bytes).unwrap()];
            let mut hasher = blake3::Hasher::new();
            let sum = *hasher.update(&bits).update(&content).finalize().as_bytes();
            let filled = BlockMap::new(bits).unwrap();
            Says::Pieces(vec![
                Reply::Blocks(BlocksTold { filled, sum: ContentSum(sum) }).into(),
                Piece::Data { offset: 0, content: Content::new(content).unwrap() },
            ])
        }
        request => Says::Reply(plain(request)),
    });
    check(&output, 23, "it changed while it was read");
    check_untouched(&hosts);
}
