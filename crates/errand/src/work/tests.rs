//! What was sent is what arrives, and what does not make sense does not.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use filter::Rules;
use model::blocks::{BlocksJob, BlocksSettings, Dangers, Sizes};
use model::settings::{DeleteLimit, Workers};
use model::{Destination, Job, Settings, Source};
use proptest::collection::vec;
use proptest::prelude::*;

use super::fuzzing::from_controller;
use super::{Asks, Besides, Errand, ImageService, List, Service, TooLong, Work, image_to_bytes};
use crate::testing::{Chance, entropy, sum};

fn job() -> Job {
    Job {
        sources: vec![Source { path: "s/".into() }],
        destination: Some(Destination { path: "d".into() }),
        settings: Settings::default(),
    }
}

fn arrives(job: &Job) -> Result<Work, String> {
    let bytes = Work::to_bytes(job, &Rules::default(), &Besides::default(), UNIX_EPOCH).unwrap();
    Work::from_bytes(&bytes, UNIX_EPOCH).map_err(|malformed| malformed.to_string())
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Job), why: &str) {
    let mut job = job();
    change(&mut job);
    assert_eq!(arrives(&job).unwrap_err(), format!("malformed job: {why}"));
}

#[test]
fn names_that_are_no_text_arrive_as_they_are() {
    use std::os::unix::ffi::OsStringExt;
    let odd = || PathBuf::from(std::ffi::OsString::from_vec(b"\xff\n'$(x)/..".to_vec()));
    let mut job = job();
    job.sources[0].path = odd();
    job.settings.write.temp_dir = Some(odd());
    job.settings.basis.dirs = vec![odd(), odd()];
    assert_eq!(arrives(&job).unwrap().job.sources, job.sources);
    let limits = arrives(&job).unwrap().job.settings.limits;
    assert_eq!(limits.started.secs, 0);
    job.settings.limits = limits;
    assert_eq!(arrives(&job).unwrap().job, job);
}

#[test]
fn a_clock_that_is_wrong_does_not_change_the_time_that_is_left() {
    let mut job = job();
    let minute = Duration::from_secs(60);
    let year = Duration::from_secs(365 * 86400);
    job.settings.limits.stop_at = Some(UNIX_EPOCH + year + minute);
    let bytes =
        Work::to_bytes(&job, &Rules::default(), &Besides::default(), UNIX_EPOCH + year).unwrap();
    let ends = |now| Work::from_bytes(&bytes, now).unwrap().job.settings.limits.stop_at;
    assert_eq!(ends(UNIX_EPOCH), Some(UNIX_EPOCH + minute));
    assert_eq!(ends(UNIX_EPOCH + 3 * year), Some(UNIX_EPOCH + 3 * year + minute));
    let late = Work::to_bytes(&job, &Rules::default(), &Besides::default(), UNIX_EPOCH + 2 * year)
        .unwrap();
    let work = Work::from_bytes(&late, UNIX_EPOCH + year).unwrap();
    assert_eq!(work.job.settings.limits.stop_at, Some(UNIX_EPOCH + year));
}

#[test]
fn what_no_command_line_says_is_refused() {
    check_refused(|job| job.destination = None, "it has no source or no destination");
    check_refused(|job| job.sources.clear(), "it has no source or no destination");
    check_refused(|job| job.sources[0].path = "a\0b".into(), "a path that cannot be typed");
    let listed = |name: &[u8]| Some(vec![name.into()]);
    for name in [&b""[..], b"/a", b"a/../../b", b"..", b"a\0"] {
        check_refused(
            |job| job.settings.traverse.files_from = listed(name),
            "a listed name that leads out of the source",
        );
    }
    check_refused(
        |job| job.settings.backup.suffix = b"/../x"[..].into(),
        "a suffix that is not part of a name",
    );
    check_refused(
        |job| job.settings.delete.limit = DeleteLimit::Percent(101),
        "more than 100 percent",
    );
    check_refused(
        |job| job.settings.limits.workers = Workers::Fixed(usize::MAX.try_into().unwrap()),
        "too many workers",
    );
    check_refused(|job| job.settings.traverse.max_size = Some(u64::MAX), "a size that no file has");
    check_refused(
        |job| job.settings.compare.modify_window_secs = i64::MIN,
        "a window that cannot be typed",
    );
    check_refused(|job| job.settings.compare.fuzzy = 3, "a degree of fuzziness that is not there");
}

#[test]
fn a_length_that_is_a_lie_takes_no_memory() {
    // The number of sources, then nothing.
    let error = Work::from_bytes(&[0xff; 4], UNIX_EPOCH).unwrap_err();
    assert_eq!(error.to_string(), "malformed job: Unexpected length of input");
    let mut bytes = vec![1, 0, 0, 0];
    bytes.extend([0xff; 4]);
    assert!(Work::from_bytes(&bytes, UNIX_EPOCH).is_err());
}

#[test]
fn a_job_beyond_the_limit_is_not_sent() {
    let mut job = job();
    let name: Box<[u8]> = vec![b'n'; 1 << 20].into();
    job.settings.traverse.files_from = Some(vec![name; 256]);
    let sent = Work::to_bytes(&job, &Rules::default(), &Besides::default(), UNIX_EPOCH);
    assert_eq!(sent.unwrap_err(), TooLong);
}

#[test]
fn a_service_arrives_as_it_was() {
    let list = List { path: b"~/\xff"[..].into(), from0: true };
    for (list, asks) in [
        (None, Asks::Controller),
        (Some(list), Asks::AnotherHost),
        (None, Asks::AnotherHostByItsList),
    ] {
        let bytes = Service::to_bytes(&job(), &Rules::default(), list.as_ref(), asks).unwrap();
        let service = Service::from_bytes(&bytes).unwrap();
        assert_eq!((service.job, service.list, service.asks), (job(), list, asks));
    }
    let mut nothing = job();
    nothing.sources.clear();
    let bytes = Service::to_bytes(&nothing, &Rules::default(), None, Asks::Controller).unwrap();
    let refused = Service::from_bytes(&bytes).unwrap_err();
    assert_eq!(refused.to_string(), "malformed job: it has no source");
}

fn image_job() -> BlocksJob {
    let settings = BlocksSettings {
        sizes: Sizes::Truncate,
        changed: Some(vec![0..10, 20..4096]),
        undo: Some("~/\u{e4}".into()),
        allowed: Dangers::OVERLAP | Dangers::READ_ONLY,
        readers: Some(3),
        ..BlocksSettings::default()
    };
    BlocksJob { source: "s".into(), target: "/dev/sdb".into(), settings }
}

#[test]
fn a_job_about_an_image_arrives_and_one_that_nobody_can_type_does_not() {
    let arrives = |job: &BlocksJob| {
        let bytes = image_to_bytes(job).unwrap();
        <BlocksJob as Errand>::from_bytes(&bytes, UNIX_EPOCH)
    };
    assert_eq!(arrives(&image_job()).unwrap(), image_job());
    let changes: [fn(&mut BlocksJob); 5] = [
        |job| job.settings.block_bytes = 0,
        |job| job.settings.changed = Some(vec![5..10, 10..20]),
        |job| job.settings.changed = Some(vec![0..2, 5..5]),
        |job| job.source = "a\0b".into(),
        |job| job.settings.allowed = Dangers::from_bits_retain(1 << 7),
    ];
    for change in changes {
        let mut job = image_job();
        change(&mut job);
        assert!(arrives(&job).is_err(), "{job:?}");
    }
    let service = ImageService { source: b"~/\xff"[..].into(), compression: None };
    assert_eq!(ImageService::from_bytes(&service.to_bytes().unwrap()), Ok(service));
    for source in [&b""[..], b"a\0"] {
        let service = ImageService { source: source.into(), compression: None };
        assert!(ImageService::from_bytes(&service.to_bytes().unwrap()).is_err());
    }
}

/// What all versions of one wire revision agree on. If this fails, raise `wire::REVISION`.
#[test]
fn the_form_of_a_job_stays_as_it_is() {
    let entropy = entropy(4000);
    let mut chance = Chance(&entropy);
    let (job, rules, besides) = (chance.job(), chance.rules(), chance.besides());
    let bytes = Work::to_bytes(&job, &rules, &besides, UNIX_EPOCH).unwrap();
    assert_eq!((bytes.len(), sum(&bytes)), (477, 15_973_269_652_645_734_777));
    let image = image_to_bytes(&image_job()).unwrap();
    assert_eq!((image.len(), sum(&image)), (79, 2_123_952_577_074_239_582));
}

proptest! {
    #[test]
    fn any_job_arrives(entropy in vec(any::<u8>(), 0..600)) {
        let mut chance = Chance(&entropy);
        let (mut job, rules, besides) = (chance.job(), chance.rules(), chance.besides());
        let bytes = Work::to_bytes(&job, &rules, &besides, UNIX_EPOCH).unwrap();
        let work = Work::from_bytes(&bytes, UNIX_EPOCH).unwrap();
        job.settings.limits.started = work.job.settings.limits.started;
        prop_assert_eq!(&work.job, &job);
        prop_assert_eq!(Work::to_bytes(&work.job, &work.rules, &work.besides, UNIX_EPOCH).unwrap(), bytes);
    }

    #[test]
    fn no_bytes_make_it_panic(
        entropy in vec(any::<u8>(), 0..400),
        flips in vec((any::<prop::sample::Index>(), 1..=u8::MAX), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        from_controller(&entropy);
        let mut chance = Chance(&entropy);
        let (job, rules, besides) = (chance.job(), chance.rules(), chance.besides());
        let mut bytes = Work::to_bytes(&job, &rules, &besides, UNIX_EPOCH).unwrap();
        let length = bytes.len();
        prop_assert!(Work::from_bytes(&bytes[..cut.index(length)], UNIX_EPOCH).is_err());
        for (at, flip) in flips {
            bytes[at.index(length)] ^= flip;
        }
        from_controller(&bytes);
    }
}
