//! Names of users and groups, asked for once each.
//!
//! A look-up that fails and a name that is not there both give `None`: the caller falls back to the
//! number, never to an id of its own choice.
//!
//! Answers are kept as long as the process, which makes one run, so that all of a run sees one state
//! of the accounts and a server on the network is asked once.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::Hash;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use uzers::os::unix::UserExt;

/// More accounts than a system has; numbers of owners may be anything, and many.
const ANSWERS_MAX: usize = 1 << 18;

/// Answers so far. Look-ups may ask a server on the network, so the lock is not held meanwhile.
struct Cache<K, V>(LazyLock<Mutex<HashMap<K, Option<V>>>>);

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    fn get_or_ask<Q>(&self, key: &Q, ask: impl FnOnce() -> Option<V>) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        known.unwrap_or_else(|| {
            let answer = ask();
            let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if answers.len() < ANSWERS_MAX {
                answers.insert(key.to_owned(), answer.clone());
            }
            answer
        })
    }
}

static USER_NAMES: Cache<u32, Arc<[u8]>> = Cache::new();
static GROUP_NAMES: Cache<u32, Arc<[u8]>> = Cache::new();
static USER_IDS: Cache<Vec<u8>, u32> = Cache::new();
static GROUP_IDS: Cache<Vec<u8>, u32> = Cache::new();

/// Name of a user.
pub fn user_name(uid: u32) -> Option<Arc<[u8]>> {
    USER_NAMES.get_or_ask(&uid, || {
        uzers::get_user_by_uid(uid).map(|user| Arc::from(user.name().as_bytes()))
    })
}

/// Name of a group.
pub fn group_name(gid: u32) -> Option<Arc<[u8]>> {
    GROUP_NAMES.get_or_ask(&gid, || {
        uzers::get_group_by_gid(gid).map(|group| Arc::from(group.name().as_bytes()))
    })
}

/// Id of a user by name.
pub fn uid_of(name: &[u8]) -> Option<u32> {
    USER_IDS.get_or_ask(name, || {
        uzers::get_user_by_name(OsStr::from_bytes(name)).map(|user| user.uid())
    })
}

/// Id of a group by name.
pub fn gid_of(name: &[u8]) -> Option<u32> {
    GROUP_IDS.get_or_ask(name, || {
        uzers::get_group_by_name(OsStr::from_bytes(name)).map(|group| group.gid())
    })
}

/// Home of a user by name.
pub fn home_of(name: &[u8]) -> Option<PathBuf> {
    let user = uzers::get_user_by_name(OsStr::from_bytes(name));
    user.map(|user| user.home_dir().to_owned())
}

/// Whether the process belongs to a group, and so may give files to it.
pub fn is_group_member(gid: u32) -> bool {
    static GROUPS: OnceLock<Vec<u32>> = OnceLock::new();
    let groups = GROUPS.get_or_init(|| {
        let supplementary = rustix::process::getgroups().unwrap_or_default();
        supplementary.into_iter().map(rustix::process::Gid::as_raw).collect()
    });
    crate::process::effective_gid() == gid || groups.contains(&gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_both_ways_and_strangers_are_not() {
        for _ in 0..2 {
            assert_eq!(user_name(0).as_deref(), Some(&b"root"[..]));
            assert_eq!(uid_of(b"root"), Some(0));
            let group = group_name(0).unwrap();
            assert_eq!(gid_of(&group), Some(0));
            assert_eq!(user_name(3_999_999_999), None);
            assert_eq!(group_name(3_999_999_999), None);
            for nobody in [&b"no such name here"[..], b"", b"root\0", b"\xff"] {
                assert_eq!((uid_of(nobody), gid_of(nobody)), (None, None));
            }
        }
    }

    #[test]
    fn a_process_belongs_to_its_group() {
        assert!(is_group_member(crate::process::effective_gid()));
        assert!(!is_group_member(3_999_999_999));
    }
}
