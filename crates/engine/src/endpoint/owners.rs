//! Names of the users and groups that the source knows by numbers.

use std::sync::Arc;

use super::remote::Remote;

/// Where they are asked.
#[derive(Debug)]
pub(crate) enum Owners {
    /// On this host.
    Local,
    /// On another.
    Remote(Arc<Remote>),
}

impl Owners {
    /// True of those of another host, whose numbers mean nothing here.
    pub(crate) fn are_elsewhere(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Name of a user.
    pub(crate) fn user_name(&self, uid: u32) -> Option<Arc<[u8]>> {
        match self {
            Self::Local => fs::names::user_name(uid),
            Self::Remote(remote) => remote.owner_name(wire::Owner::User(uid)),
        }
    }

    /// Name of a group.
    pub(crate) fn group_name(&self, gid: u32) -> Option<Arc<[u8]>> {
        match self {
            Self::Local => fs::names::group_name(gid),
            Self::Remote(remote) => remote.owner_name(wire::Owner::Group(gid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use model::settings::Preserve;
    use model::{IdMap, IdPattern, IdRule, IdTarget, Settings};
    use sched::Cancel;
    use wire::{
        Answer, Ask, AskError, Capacity, Handle, Owner, OwnerName, Request, RequestId, System,
    };

    use super::*;
    use crate::endpoint::{Endpoint, RemoteSource};
    use crate::identity::Identity;

    /// Knows 1000 and 0 as `daemon`, and 1001 as nobody here is called.
    #[derive(Default)]
    struct Accounts {
        asked: AtomicU64,
    }

    impl Ask for Accounts {
        fn start(&self, request: Request) -> Result<RequestId, AskError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let Request::OwnerName { of: Owner::User(id) | Owner::Group(id) } = request else {
                return Err(AskError::Over("it knows nothing but accounts".into()));
            };
            Ok(RequestId(id.into()))
        }

        fn wait(&self, id: RequestId) -> Result<Answer, AskError> {
            let name = match id.0 {
                0 | 1000 => Some("daemon"),
                1001 => Some("a name that nobody has"),
                _ => None,
            };
            Ok(Answer::OwnerName(name.map(|name| OwnerName::new(name).unwrap())))
        }

        fn abandon(&self, _: RequestId) {}

        fn close(&self, _: Handle) {}
    }

    fn check(preserve: &Preserve, cases: &[(u32, u32)], questions: u64) {
        let accounts = Arc::new(Accounts::default());
        let ask = Arc::clone(&accounts) as Arc<dyn Ask>;
        let (system, directory) = (System::HERE, Box::default());
        let source =
            RemoteSource { ask, system, directory, capacity: Capacity::default(), is_pulled: true };
        let endpoint = Endpoint::remote(&source, &Settings::default(), &Cancel::new());
        let identity = Identity::new(preserve, 0, endpoint.owners());
        for _ in 0..2 {
            for &(id, expected) in cases {
                assert_eq!((identity.user(id), identity.group(id)), (expected, expected), "{id}");
            }
        }
        assert_eq!(accounts.asked.load(Ordering::Relaxed), questions);
    }

    #[test]
    fn an_owner_of_another_host_is_the_one_of_the_same_name_here() {
        let daemon = fs::names::uid_of(b"daemon").unwrap();
        assert_eq!(fs::names::gid_of(b"daemon"), Some(daemon));
        let cases = [(1000, daemon), (1001, 1001), (1002, 1002), (0, 0)];
        check(&Preserve::default(), &cases, 6);
        let mut numeric = Preserve::default();
        numeric.ids.numeric = true;
        check(&numeric, &[(1000, 1000), (1001, 1001), (0, 0)], 0);
    }

    #[test]
    fn a_rule_about_an_owner_comes_before_its_name() {
        let mut preserve = Preserve::default();
        let rule = |from, to| IdRule { from, to: IdTarget::Id(to) };
        let named = IdPattern::Name(Box::from(&b"daem*"[..]));
        let rules = vec![rule(IdPattern::Range(1001, 1001), 7), rule(named, 8)];
        preserve.ids.users = IdMap { rules: rules.clone() };
        preserve.ids.groups = IdMap { rules };
        check(&preserve, &[(1001, 7), (1000, 8), (0, 8), (1002, 1002)], 6);
    }
}
