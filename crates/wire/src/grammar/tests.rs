//! For each request, responses that answer it and such that do not.

use model::{Kind, Metadata};

use super::Grammar;
use crate::bounded::{BlockMap, Chunks, Digest, Digests, List, Name};
use crate::frame::{Content, RequestId};
use crate::fuzzing::one_of_each;
use crate::image::{BlocksTold, DigestRun, Grain, Ground, OpenedImage, PieceHash, Pieces};
use crate::io_fault::{FaultKind, IoFault};
use crate::request::{Handle, Request, Span};
use crate::response::{After, ContentSum, FetchedFile, Mount, Piece, Reply};
use crate::seen::{Attributes, Entry, PageBuilder, PageEnd, Seen};

fn metadata() -> Metadata {
    Metadata::unknown(Kind::File)
}

fn seen() -> Piece {
    Reply::Seen(Box::new(Seen::bare(metadata()))).into()
}

fn attributes() -> Piece {
    Reply::Attributes(Attributes::default()).into()
}

fn fault() -> Piece {
    Reply::Fault(IoFault::new(FaultKind::Other, "")).into()
}

fn data(offset: u64, length: usize) -> Piece {
    Piece::Data { offset, content: content(length) }
}

fn content(length: usize) -> Content {
    Content::new(vec![1; length]).expect("it is not empty")
}

fn page(names: &[&str], end: PageEnd) -> Piece {
    let mut builder = PageBuilder::default();
    for name in names {
        let name = Name::new(name).expect("it is a name");
        builder.push(Entry { name, kind: None, seen: None }, 10_000).expect("they are few");
    }
    Reply::Page { page: builder.take(), end }.into()
}

fn extents(ranges: &[(u64, u64)], known_to: u64) -> Piece {
    let spans = ranges.iter().map(|(start, end)| span(*start, *end));
    Reply::Extents { data: List::new(spans.collect()).expect("they are few"), known_to }.into()
}

fn span(start: u64, end: u64) -> Span {
    Span::new(start..end).expect("it is a range")
}

fn sum() -> Piece {
    Reply::Sum(ContentSum::default()).into()
}

fn after() -> Piece {
    Reply::After(After { metadata: metadata(), sum: ContentSum::default() }).into()
}

fn opened_image() -> OpenedImage {
    let ground = Ground::File { dev: 1, ino: 2 };
    OpenedImage {
        changed_at: model::Timestamp { secs: 7, nanos: 9 },
        metadata: metadata(),
        bytes: 100,
        is_rotational: false,
        mounted_at: None,
        kernel: None,
        ground,
        grounds: List::default(),
        shown: None,
    }
}

fn blocks(bits: &[u8]) -> Piece {
    let filled = BlockMap::new(bits).expect("they are few");
    Reply::Blocks(BlocksTold { filled, sum: ContentSum::default() }).into()
}

fn files(lengths: &[Option<u64>]) -> Piece {
    let file = |bytes| {
        let before = Box::new(Seen::bare(metadata()));
        FetchedFile { before, bytes, after: None }
    };
    let files = lengths.iter().map(|length| length.map(file)).collect();
    let files = List::new(files).expect("they are few");
    Reply::Files { files, sum: ContentSum::default() }.into()
}

fn operations() -> Piece {
    Piece::Operations(content(5))
}

fn digest(length: usize) -> Piece {
    Reply::Digest(Digest::new(vec![1; length]).expect("it is short")).into()
}

/// The request of [`one_of_each`] that this picks. Spans in it are 0 to 100.
fn request(pick: fn(&Request) -> bool) -> Request {
    one_of_each().into_iter().find(pick).expect("it is among them")
}

/// What becomes of pieces, the last of which is marked as the last.
fn answer(request: &Request, pieces: &[Piece]) -> Result<(), &'static str> {
    let mut grammar = Grammar::of(request);
    let (last, before) = pieces.split_last().expect("there is a piece");
    before.iter().try_for_each(|piece| grammar.take(piece, false))?;
    grammar.take(last, true)
}

#[track_caller]
fn good(request: &Request, pieces: &[Piece]) {
    assert_eq!(answer(request, pieces), Ok(()), "{pieces:?}");
}

#[track_caller]
fn bad(request: &Request, pieces: &[Piece]) {
    assert!(answer(request, pieces).is_err(), "{pieces:?} answer {request:?}");
}

#[test]
fn each_request_takes_its_own_kind_of_response_and_no_other() {
    let opened = || Reply::Opened(metadata()).into();
    let mount = || Reply::Mount(Mount { id: None, is_root: None }).into();
    let zeros = DigestRun::Zeros(1);
    let kinds: [&[Piece]; 17] = [
        &[Reply::Done.into()],
        &[opened()],
        &[seen()],
        &[page(&["a"], PageEnd::Complete)],
        &[data(0, 100), sum()],
        &[extents(&[], 100), sum()],
        &[digest(16)],
        &[digest(32)],
        &[operations(), sum()],
        &[mount()],
        &[Reply::Size(5).into()],
        &[Reply::OwnerName(None).into()],
        &[files(&[None, Some(5)]), data(0, 5)],
        &[Reply::OpenedImage(Box::new(opened_image())).into()],
        &[Reply::Digests(List::new(vec![zeros]).expect("it is one")).into()],
        &[blocks(&[1]), data(0, 100)],
        &[Reply::Chunks(Chunks::new([1; 20]).expect("they are few")).into()],
    ];
    for request in one_of_each() {
        let taken: Vec<_> =
            kinds.iter().filter(|pieces| answer(&request, pieces).is_ok()).collect();
        assert_eq!(taken.len(), 1, "{request:?} takes {taken:?}");
        good(&request, &[fault()]);
        bad(&request, &[*taken[0], &[fault(), fault()]].concat());
        for alone in [after(), attributes(), sum()] {
            bad(&request, &[alone]);
        }
    }
}

#[test]
fn content_comes_in_any_order_and_covers_what_was_asked_for() {
    let read = request(|it| matches!(it, Request::Read { .. }));
    good(&read, &[data(60, 40), data(0, 30), data(30, 30), sum()]);
    good(&read, &[data(0, 30), Reply::FileEnds(30).into(), sum()]);
    good(&read, &[Reply::FileEnds(50).into(), data(20, 30), data(0, 20), sum()]);
    good(&read, &[Reply::FileEnds(0).into(), sum()]);
    bad(&read, &[data(0, 30), data(40, 60), sum()]);
    bad(&read, &[data(0, 50), sum()]);
    bad(&read, &[data(0, 100)]);
    bad(&read, &[data(0, 50), sum(), data(50, 50)]);
    bad(&read, &[data(0, 100), sum(), sum()]);
    bad(&read, &[data(0, 50), data(49, 51)]);
    bad(&read, &[data(0, 50), data(0, 50), data(50, 50)]);
    bad(&read, &[data(50, 50), data(0, 51)]);
    bad(&read, &[data(0, 101)]);
    bad(&read, &[data(u64::MAX, 1)]);
    bad(&read, &[data(1 << 63, 100)]);
    bad(&read, &[data(0, 31), Reply::FileEnds(30).into()]);
    bad(&read, &[data(0, 100), Reply::FileEnds(100).into()]);
    bad(&read, &[Reply::FileEnds(30).into(), Reply::FileEnds(30).into(), data(0, 30)]);
    bad(&read, &[data(0, 100), Reply::Done.into()]);
}

#[test]
fn a_range_behind_the_end_of_a_file_has_nothing() {
    let Request::Read { file, .. } = request(|it| matches!(it, Request::Read { .. })) else {
        unreachable!()
    };
    let read = Request::Read { file, span: Span::new(50..60).expect("it is a range") };
    good(&read, &[Reply::FileEnds(20).into(), sum()]);
    bad(&read, &[Reply::FileEnds(55).into(), sum()]);
    bad(&read, &[data(40, 20), sum()]);
}

#[test]
fn names_of_a_listing_ascend_over_all_pages() {
    let list = request(|it| matches!(it, Request::List { .. }));
    good(&list, &[page(&["a", "b"], PageEnd::More), page(&["c"], PageEnd::Complete)]);
    good(&list, &[page(&["a"], PageEnd::More)]);
    good(&list, &[page(&[], PageEnd::Complete)]);
    good(&list, &[page(&["a"], PageEnd::More), fault()]);
    bad(&list, &[page(&["b", "a"], PageEnd::Complete)]);
    bad(&list, &[page(&["a", "a"], PageEnd::Complete)]);
    bad(&list, &[page(&["b"], PageEnd::More), page(&["b"], PageEnd::Complete)]);
    bad(&list, &[page(&["a"], PageEnd::Complete), page(&["b"], PageEnd::Complete)]);
    // Else who asks for the rest would ask for ever.
    bad(&list, &[page(&[], PageEnd::More)]);
    let Request::List { dir, wants, room, .. } = list else { unreachable!() };
    let after = Some(Name::new("m").expect("it is a name"));
    let list = Request::List { dir, wants, after, room };
    good(&list, &[page(&["n"], PageEnd::Complete)]);
    bad(&list, &[page(&["m"], PageEnd::Complete)]);
    bad(&list, &[page(&["a"], PageEnd::Complete)]);
}

#[test]
fn a_file_is_fetched_in_order_and_looked_at_before_and_after() {
    let fetch = request(|it| matches!(it, Request::Fetch { .. }));
    good(&fetch, &[seen(), data(0, 10), data(10, 5), after()]);
    good(&fetch, &[seen(), attributes(), attributes(), after()]);
    good(&fetch, &[seen()]);
    good(&fetch, &[seen(), data(0, 10), fault()]);
    bad(&fetch, &[seen(), data(0, 10)]);
    bad(&fetch, &[seen(), data(5, 10), after()]);
    bad(&fetch, &[seen(), data(0, 10), data(5, 10), after()]);
    bad(&fetch, &[data(0, 10), after()]);
    bad(&fetch, &[seen(), data(0, 10), attributes(), after()]);
    bad(&fetch, &[seen(), after(), after()]);
    bad(&fetch, &[seen(), seen()]);
    bad(&fetch, &[seen(), operations(), after()]);
}

#[test]
fn a_file_is_renewed_by_operations_between_two_looks_at_it() {
    let renew = request(|it| matches!(it, Request::Renew { .. }));
    good(&renew, &[seen(), attributes(), operations(), operations(), after()]);
    good(&renew, &[seen(), after()]);
    good(&renew, &[seen()]);
    good(&renew, &[seen(), operations(), fault()]);
    bad(&renew, &[seen(), operations()]);
    bad(&renew, &[seen(), operations(), sum()]);
    bad(&renew, &[seen(), operations(), attributes(), after()]);
    bad(&renew, &[seen(), data(0, 10), after()]);
    bad(&renew, &[operations(), after()]);
}

#[test]
fn files_that_are_fetched_together_are_as_many_and_as_long_as_told() {
    let some = request(|it| matches!(it, Request::FetchSome { .. }));
    good(&some, &[files(&[Some(10), Some(5)]), data(0, 10), data(10, 5)]);
    good(&some, &[files(&[None, Some(5)]), data(0, 5)]);
    good(&some, &[files(&[None, Some(0)])]);
    good(&some, &[files(&[Some(10), None]), data(0, 5), fault()]);
    bad(&some, &[files(&[Some(10)]), data(0, 10)]);
    bad(&some, &[files(&[Some(10), None, None]), data(0, 10)]);
    bad(&some, &[files(&[Some(10), Some(5)])]);
    bad(&some, &[files(&[Some(10), Some(5)]), data(0, 10)]);
    bad(&some, &[files(&[Some(10), Some(5)]), data(0, 10), data(10, 6)]);
    bad(&some, &[files(&[Some(10), Some(5)]), data(0, 10), data(9, 6)]);
    bad(&some, &[files(&[Some(10), Some(5)]), data(0, 10), data(10, 5), data(15, 1)]);
    bad(&some, &[files(&[None, None]), files(&[None, None])]);
    let longest = Some(i64::MAX.unsigned_abs());
    bad(&some, &[files(&[longest, longest]), data(0, 10)]);
    bad(&some, &[data(0, 10)]);
    bad(&some, &[seen(), data(0, 10), after()]);
}

#[test]
fn operations_end_with_a_sum() {
    let delta = request(|it| matches!(it, Request::Delta { .. }));
    good(&delta, &[operations(), operations(), sum()]);
    bad(&delta, &[operations()]);
    bad(&delta, &[operations(), sum(), operations()]);
    bad(&delta, &[operations(), after()]);
}

#[test]
fn an_entry_comes_before_its_attributes() {
    let look = request(|it| matches!(it, Request::Look { .. }));
    good(&look, &[seen(), attributes(), attributes()]);
    bad(&look, &[attributes(), seen()]);
    bad(&look, &[seen(), after()]);
    bad(&look, &[seen(), data(0, 1)]);
}

#[test]
fn extents_ascend_within_what_was_asked_for() {
    let find = request(|it| matches!(it, Request::FindExtents { .. }));
    good(&find, &[extents(&[(0, 10), (20, 30)], 30), extents(&[(30, 40)], 100), sum()]);
    good(&find, &[extents(&[(0, 10)], 10), sum()]);
    bad(&find, &[extents(&[(0, 10)], 10)]);
    bad(&find, &[extents(&[], 0), sum()]);
    bad(&find, &[extents(&[(20, 30), (0, 10)], 100)]);
    bad(&find, &[extents(&[(0, 10), (5, 20)], 100)]);
    bad(&find, &[extents(&[(0, 101)], 100)]);
    bad(&find, &[extents(&[(0, 10)], 9)]);
    bad(&find, &[extents(&[(0, 10)], 101)]);
    bad(&find, &[extents(&[], 0)]);
    bad(&find, &[extents(&[], 50), extents(&[(40, 60)], 100)]);
}

#[test]
fn a_digest_has_the_length_of_its_algorithm() {
    let hash = request(|it| matches!(it, Request::Hash { .. }));
    good(&hash, &[digest(16)]);
    for length in [0, 8, 15, 17, 32, 64] {
        bad(&hash, &[digest(length)]);
    }
}

#[test]
fn digests_are_as_many_and_as_long_as_asked_for() {
    let spans = List::new(vec![span(0, 20_000), span(65_536, 65_537)]).unwrap();
    let file = Handle(RequestId(2));
    let (grain, hash) = (Grain::Block, PieceHash::Blake3);
    let pieces = Pieces { grain, hash, image_bytes: 65_537 };
    let ask = Request::Digests { file, spans, pieces };
    let zeros = DigestRun::Zeros;
    let some = |bytes: usize| DigestRun::Digests(Digests::new(vec![7; bytes]).unwrap());
    let told = |runs: &[DigestRun]| Reply::Digests(List::new(runs.to_vec()).unwrap()).into();
    good(&ask, &[told(&[zeros(6)])]);
    good(&ask, &[told(&[some(48)])]);
    good(&ask, &[told(&[some(8), zeros(3), some(16)])]);
    for runs in [
        &[][..],
        &[zeros(5)],
        &[zeros(7)],
        &[zeros(0), zeros(6)],
        &[some(40)],
        &[some(56)],
        &[some(47)],
        &[some(4), some(4), zeros(5)],
        &[zeros(u64::MAX), zeros(7)],
    ] {
        bad(&ask, &[told(runs)]);
    }
    bad(&ask, &[told(&[zeros(3)]), told(&[zeros(3)])]);
}

#[test]
fn blocks_that_are_told_follow_and_no_others() {
    let spans = List::new(vec![span(0, 5000), span(8192, 8193)]).unwrap();
    let read = Request::ReadBlocks { file: Handle(RequestId(2)), spans };
    good(&read, &[blocks(&[0])]);
    good(&read, &[blocks(&[0b110]), data(0, 905)]);
    good(&read, &[blocks(&[0b111]), data(0, 5000), data(5000, 1)]);
    good(&read, &[blocks(&[0b111]), data(0, 5000), fault()]);
    bad(&read, &[blocks(&[0b111]), data(0, 5000)]);
    bad(&read, &[blocks(&[0b111]), data(0, 5000), data(5000, 2)]);
    bad(&read, &[blocks(&[0b111]), data(1, 5001)]);
    bad(&read, &[blocks(&[0]), data(0, 1)]);
    bad(&read, &[blocks(&[0b1000]), data(0, 1)]);
    bad(&read, &[blocks(&[]), blocks(&[0])]);
    bad(&read, &[data(0, 5001)]);
}
