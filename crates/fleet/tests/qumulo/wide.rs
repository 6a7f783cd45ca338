//! Directories with more children than a cluster gives sums of, and how many requests they cost.

use std::fs;

use super::*;

/// So many directories with a file in each; the files have one to eight blocks.
fn wide_tree(count: usize) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for number in 0..count {
        let folder = tree.path().join(format!("folder {number}"));
        fs::create_dir(&folder).unwrap();
        let file = fs::File::create(folder.join("file")).unwrap();
        file.set_len(4096 * (1 + number as u64 % 8)).unwrap();
    }
    tree
}

#[test]
fn five_thousand_children_cost_one_request() {
    let tree = wide_tree(5_000);
    let fake = FakeCluster::serve(tree.path(), &[]);
    let lister = lister(&cluster(&fake, "/"));
    let Root { part, total } = lister.root().unwrap();
    let told = tell_one(&lister, part).unwrap();
    let (expected, all) = on_disk(tree.path());
    assert_eq!((told.len(), total), (5_000, Some(all)));
    for (name, kind, amount, _) in told {
        assert_eq!((kind, amount), expected[&name]);
    }
    assert_eq!((lister.asked(), fake.requests()), (2, 2));
}

#[test]
fn a_directory_without_a_row_is_told_where_sums_add_up_by_chance() {
    // The smallest has no row. One directory is missing among the rows, and they have two: so many counts
    // the cluster too few, were they not to count themselves.
    let tree = tempfile::tempdir().unwrap();
    for number in 0..4_998 {
        fs::write(tree.path().join(format!("{number}")), b"x").unwrap();
    }
    for name in ["a", "b"] {
        fs::create_dir(tree.path().join(name)).unwrap();
        fs::write(tree.path().join(name).join("file"), b"x").unwrap();
    }
    fs::create_dir(tree.path().join("without a row")).unwrap();
    let fake = FakeCluster::serve(tree.path(), &[]);
    let lister = lister(&cluster(&fake, "/"));
    assert_eq!(tell_all(&lister).unwrap(), on_disk(tree.path()));
}

#[test]
fn more_children_cost_a_request_for_each_page_and_share_what_is_left() {
    let tree = wide_tree(6_000);
    let fake = FakeCluster::serve(tree.path(), &[]);
    let lister = lister(&cluster(&fake, "/"));
    let Root { part, total } = lister.root().unwrap();
    let told = tell_one(&lister, part).unwrap();
    let (expected, all) = on_disk(tree.path());
    assert_eq!((told.len(), total), (6_000, Some(all)));
    let names: BTreeMap<_, _> = told.iter().map(|(name, _, amount, _)| (name, amount)).collect();
    assert_eq!(names.len(), 6_000);
    // Those with sums are the largest, and the others have what is left of them.
    let exact = names.iter().filter(|(name, amount)| expected[**name].1 == ***amount).count();
    assert!(exact >= 5_000, "{exact}");
    let sum: Amount = names.values().map(|amount| **amount).sum();
    assert_eq!(sum + Amount::of_one(0), all);
    assert_eq!((lister.asked(), fake.requests()), (4, 4));

    // One that was only estimated is told exactly when it is opened.
    let is_estimated = |name: &Vec<u8>, amount| expected[name].1 != amount;
    let (name, _, _, part) =
        told.into_iter().find(|(name, _, amount, _)| is_estimated(name, *amount)).unwrap();
    let below = tell_one(&lister, part.unwrap()).unwrap();
    let sum: Amount = below.iter().map(|(_, _, amount, _)| *amount).sum();
    assert_eq!(sum + Amount::of_one(0), expected[&name].1);
}

#[test]
fn pages_may_be_as_short_as_a_cluster_likes() {
    let tree = tempfile::tempdir().unwrap();
    for number in 0..5_300 {
        fs::write(tree.path().join(format!("{number}")), b"x").unwrap();
    }
    let fake = FakeCluster::serve(tree.path(), &["--page-max", "100"]);
    let lister = lister(&cluster(&fake, "/"));
    let (told, total) = tell_all(&lister).unwrap();
    assert_eq!((told, total), on_disk(tree.path()));
    assert_eq!(lister.asked(), 2 + 53);
    assert_eq!(fake.requests(), lister.asked());
}

#[test]
fn what_counts_may_be_names_or_blocks() {
    let tree = wide_tree(40);
    let fake = FakeCluster::serve(tree.path(), &[]);
    for (counted, bytes) in
        [(Counted::Capacity, 180 + 81), (Counted::Data, 180), (Counted::Files, 180)]
    {
        let lister = lister(&Cluster { counted, ..cluster(&fake, "/") });
        let total = lister.root().unwrap().total;
        assert_eq!(total, Some(Amount { entries: 81, bytes: bytes * 4096 }), "{counted:?}");
    }
}

#[test]
fn a_snapshot_is_told_instead_of_what_is_there_now() {
    let (now, then) = (wide_tree(3), wide_tree(5_020));
    fs::remove_dir_all(then.path().join("folder 1")).unwrap();
    let option = format!("7={}", then.path().display());
    let fake = FakeCluster::serve(now.path(), &["--snapshot", &option, "--page-max", "3000"]);
    let at_present = lister(&cluster(&fake, "/"));
    assert_eq!(tell_all(&at_present).unwrap(), on_disk(now.path()));
    assert_eq!(at_present.path_prefix(), Ok(Vec::new()));

    let lister = lister(&Cluster { snapshot: Some(7), ..cluster(&fake, "/") });
    let Root { part, total } = lister.root().unwrap();
    let (expected, all) = on_disk(then.path());
    let mut told = tell_one(&lister, part).unwrap();
    assert_eq!((told.len(), total), (5_019, Some(all)));
    assert!(told.iter().all(|(name, kind, ..)| expected[name].0 == *kind));
    // Below it, too: a directory that is not there now.
    let last = told.iter().position(|(name, ..)| name == b"folder 5019").unwrap();
    let below = tell_one(&lister, told.swap_remove(last).3.unwrap()).unwrap();
    assert_eq!(below.len(), 1);
    assert_eq!(lister.path_prefix(), Ok(b".snapshot/7_snap7/".to_vec()));
}
