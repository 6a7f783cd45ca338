//! Any cut of a journal tells a prefix of its records, and a changed one nothing that was not written.

use fleet::amount::Amount;
use proptest::prelude::*;

use super::record::{Begin, CutEnd, FORM, Mark, Over, Part, Step};
use super::replay::{ReplayError, Tail, replay};
use super::*;
use crate::bucket::{BucketId, Class};
use crate::lists::ListAt;
use crate::store::memory::Memory;

fn any_at() -> impl Strategy<Value = ListAt> {
    any::<(u64, u32, [u8; 16])>().prop_map(|(offset, len, digest)| ListAt { offset, len, digest })
}

fn any_part() -> impl Strategy<Value = Part> {
    (any::<bool>(), any::<(u64, u64)>(), any_at()).prop_map(|(is_deep, (entries, bytes), at)| {
        Part {
            class: if is_deep { Class::Deep } else { Class::Flat },
            amount: Amount { entries, bytes },
            at,
        }
    })
}

fn any_mark() -> impl Strategy<Value = Mark> {
    (any::<Vec<u8>>(), ".{0,20}").prop_map(|(digest, text)| Mark { digest, text })
}

fn any_record() -> impl Strategy<Value = Record> {
    let begin = (".{0,9}", ".{0,9}", any_mark(), any_mark(), any_mark()).prop_map(
        |(version, id, job, source, listing)| {
            Record::Begin(Begin { form: FORM, version, id, job, source, listing })
        },
    );
    prop_oneof![
        begin,
        any::<(u32, Vec<u8>)>().prop_map(|(number, boot)| Record::Incarnation { number, boot }),
        any_part().prop_map(Record::Cut),
        (any_at(), any::<bool>())
            .prop_map(|(split, is_whole)| Record::CutEnded(CutEnd { split, is_whole })),
        any::<u32>()
            .prop_map(|bucket| Record::Ended { bucket: BucketId(bucket), end: Over::Vanished }),
        (any::<u32>(), prop::collection::vec(any_part(), 0..16))
            .prop_map(|(bucket, into)| Record::Parted { bucket: BucketId(bucket), into }),
        Just(Record::Finished(Step::Delete)),
        any::<u8>().prop_map(|code| Record::Over { code }),
    ]
}

fn any_records() -> impl Strategy<Value = Vec<Dated>> {
    let dated = (any::<u64>(), any_record()).prop_map(|(at, record)| Dated { at, record });
    prop::collection::vec(dated, 0..30)
}

fn written(records: &[Dated]) -> Memory {
    let mut journal = Journal::behind(Memory::default(), 0).expect("it is memory");
    for (index, record) in records.iter().enumerate() {
        journal.put(record).expect("it is short");
        if index % 7 == 6 {
            journal.flush().expect("it is memory");
        }
    }
    assert_eq!(journal.unsynced(), records.len() % 7);
    journal.flush().expect("it is memory");
    journal.store
}

fn read(store: &Memory) -> (Vec<Dated>, Result<Tail, ReplayError>) {
    let mut records = Vec::new();
    let tail = replay(store, &mut |record| records.push(record));
    (records, tail)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_cut_tells_a_prefix_and_can_be_gone_on_from(
        records in any_records(),
        cut in any::<prop::sample::Index>(),
        more in any_records(),
    ) {
        let store = written(&records);
        let size = store.size().expect("it is memory");
        let cut = cut.index(usize::try_from(size).expect("it is in memory") + 1) as u64;
        store.cut(cut).expect("it is memory");
        let (mut told, tail) = read(&store);
        let tail = tail.expect("a cut is a torn tail");
        prop_assert_eq!(tail.end + tail.torn, cut);
        prop_assert_eq!(&told[..], &records[..told.len()]);
        prop_assert!(cut < size || told.len() == records.len());

        let mut journal = Journal::behind(store, tail.end).expect("it is memory");
        for record in &more {
            journal.put(record).expect("it is short");
        }
        journal.flush().expect("it is memory");
        told.extend(more);
        let (again, tail) = read(&journal.store);
        prop_assert_eq!(again, told);
        prop_assert_eq!(tail.expect("it is whole").torn, 0);
    }

    #[test]
    fn a_changed_byte_ends_it_before_the_record_that_has_it(
        records in any_records(),
        changed in any::<prop::sample::Index>(),
        bits in 1_u8..=255,
    ) {
        let store = written(&records);
        let size = store.0.borrow().len();
        if size > 0 {
            let changed = changed.index(size);
            store.0.borrow_mut()[changed] ^= bits;
            let (told, tail) = read(&store);
            let tail = tail.expect("little lies behind it");
            prop_assert!(told.len() < records.len());
            prop_assert_eq!(&told[..], &records[..told.len()]);
            prop_assert!(tail.end <= changed as u64);
        }
    }

    #[test]
    fn any_bytes_are_no_journal(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let torn = bytes.len() as u64;
        let (told, tail) = read(&Memory(bytes.into()));
        prop_assert_eq!(told, []);
        prop_assert_eq!(tail.ok(), Some(Tail { end: 0, torn }));
    }
}

fn over() -> Dated {
    Dated { at: 7, record: Record::Over { code: 23 } }
}

#[test]
fn a_length_that_cannot_be_is_the_end() {
    for len in [0, u32::try_from(PAYLOAD_MAX).unwrap() + 1, u32::MAX] {
        let mut bytes = written(&[over()]).0.into_inner();
        let end = bytes.len() as u64;
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.resize(bytes.len() + 2 * PAYLOAD_MAX, 0);
        let torn = bytes.len() as u64 - end;
        let (told, tail) = read(&Memory(bytes.into()));
        assert_eq!((told, tail.ok()), (vec![over()], Some(Tail { end, torn })), "{len}");
    }
}

#[test]
fn much_behind_a_frame_that_is_not_whole_is_damage() {
    let text = "x".repeat(PAYLOAD_MAX - 100);
    let mark = Mark { digest: Vec::new(), text };
    let begin = Begin {
        form: FORM,
        version: String::new(),
        id: String::new(),
        job: mark,
        source: Mark { digest: Vec::new(), text: String::new() },
        listing: Mark { digest: Vec::new(), text: String::new() },
    };
    let long = Dated { at: 0, record: Record::Begin(begin) };
    let records = [over(), long.clone(), long.clone(), long.clone(), long.clone(), long];
    let store = written(&records);
    assert_eq!(read(&store).0, records);
    let behind = store.0.borrow().len() as u64 - 22;
    store.0.borrow_mut()[40] ^= 1;
    let (told, tail) = read(&store);
    assert_eq!(told, [over()]);
    assert!(
        matches!(tail, Err(ReplayError::Damaged { at: 22, behind: told }) if told == behind),
        "{tail:?}"
    );
}

#[test]
fn a_record_that_is_too_long_is_not_taken() {
    let record = Record::Incarnation { number: 1, boot: vec![0; PAYLOAD_MAX] };
    let mut journal = Journal::behind(Memory::default(), 0).unwrap();
    let error = journal.put(&Dated { at: 0, record }).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    journal.flush().unwrap();
    assert_eq!(journal.store.size().unwrap(), 0);
}

#[test]
fn what_another_version_wrote_is_refused() {
    let payload = b"\0\0\0\0\0\0\0\0\xff";
    let mut bytes = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(&sum_of(0, payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    let (told, tail) = read(&Memory(bytes.into()));
    assert_eq!(told, []);
    assert!(matches!(tail, Err(ReplayError::Foreign { at: 0 })), "{tail:?}");
}
