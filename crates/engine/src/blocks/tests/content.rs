//! Contents of files of a job on a tree.

use fs::AccessTime;
use model::FileGauge;

use super::*;
use crate::blocks::content::{Content, Watch};

#[test]
fn what_was_right_already_does_not_count_as_moved() {
    let lab = Lab::new();
    let old: Vec<_> = (0_u32..3 << 20).flat_map(|it| (it / 4096 + 1).to_le_bytes()).collect();
    let mut new = old.clone();
    new[5000] = !new[5000];
    new[6 << 20..7 << 20].fill(0);
    for target in [&old, &new] {
        lab.write("source", &new);
        lab.write("target", target);
        let (dir, _) = fs::operator::open_parent(&lab.path("source")).unwrap();
        let source = dir.open_file(b"source", AccessTime::Keep).unwrap().into();
        let file = dir.open_for_update(b"target").unwrap();
        let gauge = Arc::new(FileGauge::begin());
        let watch = Arc::new(Watch::of(Some(Arc::clone(&gauge))));
        let job = lab.job(|it| it.sizes = Sizes::Truncate);
        let content = Content::of(&job.source, &source, new.len() as u64).unwrap();
        content.bring(&job, &file, &watch, &around()).unwrap();
        assert!(lab.read("target") == new);
        let moved = if *target == new { 0 } else { (1 << 20) + 4096 };
        assert_eq!((gauge.moved_bytes(), gauge.present_bytes()), (moved, new.len() as u64));
        assert_eq!(watch.passed_bytes(), new.len() as u64);
    }
}
