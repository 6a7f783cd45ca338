//! The statistics and their numbers.

use crate::support::tree::{Segment, Tree};
use crate::{assert_verdicts_add_up, check_rearranged, tree, without_verdicts};

#[test]
fn statistics_count_the_same() {
    for args in [
        "-a --stats src/ dst",
        "-a --stats -h src/ dst",
        "-a --stats -hh src/ dst",
        "-a --stats -hhh src/ dst",
        "-a --stats --no-h src/ dst",
        "-av --stats src/ dst",
        "-an --stats --delete src/ dst",
        "-a --stats --delete src/ dst",
        "-aH --stats src/ fresh",
        "-r --stats src/ dst",
        "-a --stats --exclude=* src/ dst",
        "-a --stats --link-dest=../dst src/ fresh",
        "-a --info=stats1 src/ dst",
        "-a --info=stats2 src/ dst",
        "-a --stats --max-size=10 src/ dst",
    ] {
        let seen = check_rearranged(tree(), args, without_verdicts);
        assert_eq!(seen.code(), 0, "{args}");
        let has = |text: &str| seen.stdout().contains(text);
        assert!(has("Number of files: ") || args.contains("stats1"), "{args}: {}", seen.stdout());
    }
    // Delta statistics: rsync's own blocks decide, so only whole files are compared to the letter.
    let seen = check_rearranged(tree(), "-aW --stats src/ dst", without_verdicts);
    assert!(seen.stdout().contains("Matched data: 0 bytes"), "{}", seen.stdout());
    for args in ["-a --stats src/ dst", "-rh --stats --delete --max-size=10 --exclude=x src/ dst"] {
        assert_verdicts_add_up(tree(), args);
    }
}

#[test]
fn human_readable_levels() {
    let tree = || {
        Tree::new()
            .segments("src/big", vec![Segment::Hole(12_345_678)])
            .file("src/small", "x")
            .mtime(0, 0)
            .dir("dst")
    };
    for level in ["", "-h", "-hh", "-hhh", "--no-h", "-h -h --no-human-readable"] {
        for args in ["-av", "-a --stats", "-r --list-only", "-a --out-format=%l_%n"] {
            let tail = if args.contains("list") { "src/" } else { "src/ dst" };
            let args = format!("{level} {args} {tail}");
            let seen = check_rearranged(tree(), &args, without_verdicts);
            let size = ["12,345,67", "1234567", "12.35M", "11.77M"];
            assert!(
                size.iter().any(|size| seen.stdout().contains(size)),
                "{args}: {}",
                seen.stdout()
            );
        }
    }
}
