//! What was told is what is heard.

use model::{Item, Kind, Message, Metadata, RelPath, Topic, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::limits::EVENT_BYTES;

use super::{Telling, from_bytes, to_bytes};
use crate::outcome;
use crate::progress::Progress;
use crate::testing::{Chance, entropy, sum};

fn heard(bytes: &wire::EventBytes) -> Vec<Telling> {
    from_bytes(bytes).map(Result::unwrap).collect()
}

fn item(path: &[u8]) -> Box<Item> {
    let path = RelPath::new(path).unwrap();
    Box::new(Item::new(path, Metadata::unknown(Kind::File), Verdict::Copied))
}

#[test]
fn what_is_too_long_is_told_all_the_same() {
    let deep = vec![b'n'; EVENT_BYTES];
    let begun =
        Telling::Begun { number: 1, reading: Chance(&[]).file_reading(), item: item(&deep) };
    assert!(to_bytes(&[], begun).is_none());
    let over = Telling::Over { number: 1, reading: Chance(&[]).file_reading() };
    let bytes = to_bytes(std::slice::from_ref(&over), Telling::Item(item(&deep))).unwrap();
    let [first, Telling::Message(Message { topic: Topic::Warning, text })] = &heard(&bytes)[..]
    else {
        panic!("{:?}", heard(&bytes))
    };
    assert_eq!(*first, over);
    let text = String::from_utf8_lossy(text);
    let start = "lanesync: Copied a path of 262144 bytes, too long to be told: ...nnn";
    assert!(text.starts_with(start) && text.len() < 512, "{text}");
    let long = Message { topic: Topic::Misc, text: deep.into() };
    let bytes = to_bytes(&[], Telling::Message(long)).unwrap();
    let [Telling::Message(Message { topic: Topic::Misc, text })] = &heard(&bytes)[..] else {
        panic!("{:?}", heard(&bytes))
    };
    assert_eq!(text.len(), EVENT_BYTES / 2);
}

#[test]
fn the_first_thing_that_is_none_is_the_last() {
    let item = Telling::Item(item(b"a"));
    let mut bytes =
        to_bytes(std::slice::from_ref(&item), item.clone()).unwrap().as_bytes().to_vec();
    bytes[0] = 99;
    let bytes = wire::EventBytes::new(bytes).unwrap();
    let heard: Vec<_> = from_bytes(&bytes).collect();
    assert!(matches!(&heard[..], [Err(_)]));
}

/// What all versions of one wire revision agree on. If this fails, raise `wire::REVISION`.
#[test]
fn the_form_of_what_is_told_stays_as_it_is() {
    let entropy = entropy(30_000);
    let mut chance = Chance(&entropy);
    let mut all = Vec::new();
    for _ in 0..80 {
        // How long a file took is not the same twice.
        let telling = chance.telling();
        if !matches!(telling, Telling::Begun { .. } | Telling::Over { .. }) {
            all.extend_from_slice(to_bytes(&[], telling).unwrap().as_bytes());
        }
    }
    let files = Vec::new();
    all.extend_from_slice(Progress::new(chance.reading(), files).to_bytes().as_bytes());
    all.extend_from_slice(outcome::to_bytes(&(chance.outcome(), chance.reading())).as_bytes());
    assert_eq!((all.len(), sum(&all)), (4191, 16_859_830_645_863_696_603));
}

proptest! {
    #[test]
    fn anything_that_is_told_is_heard(entropy in vec(any::<u8>(), 0..600)) {
        let mut chance = Chance(&entropy);
        let tellings = [chance.telling(), chance.telling(), chance.telling()];
        let bytes = to_bytes(&tellings[..2], tellings[2].clone()).unwrap();
        prop_assert_eq!(&heard(&bytes)[..], &tellings);
        let files = (0..3).map(|number| (number, chance.file_reading())).collect();
        let progress = Progress::new(chance.reading(), files);
        prop_assert_eq!(Progress::from_bytes(&progress.to_bytes()), Ok(progress));
        let end = (chance.outcome(), chance.reading());
        prop_assert_eq!(outcome::from_bytes(&outcome::to_bytes(&end)), Ok(end));
    }
}

#[test]
fn the_gauges_of_any_number_of_files_fit() {
    let reading = Chance(&[]).file_reading();
    let files = (0..5000).map(|number| (number, reading)).collect();
    let progress = Progress::new(Chance(&[]).reading(), files);
    let progress = Progress::from_bytes(&progress.to_bytes()).unwrap();
    assert_eq!(progress.files.first().map(|file| file.0), Some(5000 - 256));
    assert_eq!(progress.files.last().map(|file| file.0), Some(4999));
}
