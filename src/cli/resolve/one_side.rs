//! Options for one side only: `-M`, and those that mean the side for which they are typed.
//!
//! `--fake-super` and `--munge-links` are about the side of whoever types them, `-M` is about the other
//! one (rsync(1)). On one machine the typed side reads, and what is typed of `--fake-super` holds for
//! both.

use std::ffi::OsString;

use model::settings::Privilege;
use report::settings::Movement;

use crate::cli::options::Opt;
use crate::cli::raw::{self, RawFlag};
use crate::cli::refusal::Refusal;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    near: Host,
    /// The words of all `-M`, in order.
    far: Vec<OsString>,
}

/// What is asked of one host.
#[derive(Debug, Default)]
struct Host {
    privilege: Option<Privilege>,
    munges: bool,
    agent_path: Option<OsString>,
}

/// What is asked of each side.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) source_pretends: bool,
    pub(super) privilege: Privilege,
    /// The destination stores links in a form that cannot be followed.
    pub(super) munge: bool,
    /// The source reads that form.
    pub(super) unmunge: bool,
    /// `-M--rsync-path`.
    pub(super) agent_path: Option<OsString>,
}

impl Typed {
    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        if flag.opt != Opt::RemoteOption {
            self.near.take(flag);
            return Ok(());
        }
        if !flag.bytes().starts_with(b"-") {
            return Err(flag.refuse("is no option: it has to begin with a dash"));
        }
        self.far.push(flag.value.clone());
        Ok(())
    }

    pub(super) fn settle(self, movement: Movement) -> Result<Sides, Refusal> {
        let far = Host::of_words(self.far)?;
        let near = self.near;
        let pretends = |host: &Host| host.privilege == Some(Privilege::Fake);
        // Whether it is tried is up to who writes; what is pretended is each side's own.
        let passed_on = near.privilege.filter(|privilege| *privilege != Privilege::Fake);
        let (source_pretends, privilege, munge, unmunge) = match movement {
            Movement::Within => {
                (pretends(&near), far.privilege.or(near.privilege), far.munges, near.munges)
            }
            Movement::Out => {
                (pretends(&near), far.privilege.or(passed_on), far.munges, near.munges)
            }
            Movement::In => (pretends(&far), near.privilege, near.munges, far.munges),
        };
        let privilege = privilege.unwrap_or_default();
        Ok(Sides { source_pretends, privilege, munge, unmunge, agent_path: far.agent_path })
    }
}

impl Host {
    fn of_words(words: Vec<OsString>) -> Result<Self, Refusal> {
        let mut host = Self::default();
        let refuse =
            |refusal: Refusal| Refusal { sentence: format!("-M: {}", refusal.sentence), ..refusal };
        let raw = raw::parse(words).map_err(refuse)?;
        for flag in &raw.flags {
            if !host.take(flag) {
                let spelling = &flag.spelling;
                return Err(Refusal::unsupported(format!(
                    "-M{spelling}: of the options for the other side only, --fake-super, --super, \
                     --munge-links and --rsync-path are there yet"
                )));
            }
        }
        if let Some(path) = raw.paths.first() {
            let path = path.to_string_lossy();
            return Err(Refusal::usage(format!("-M: \"{path}\" is no option")));
        }
        Ok(host)
    }

    /// False if it is nothing for one side.
    fn take(&mut self, flag: &RawFlag) -> bool {
        let on = flag.is_on();
        match flag.opt {
            Opt::Super if on => self.privilege = Some(Privilege::Assume),
            Opt::Super => self.privilege = Some(Privilege::Renounce),
            Opt::FakeSuper => self.privilege = Some(Privilege::Fake),
            Opt::MungeLinks => self.munges = on,
            Opt::RsyncPath => self.agent_path = Some(flag.value.clone()),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use model::settings::Privilege::{self, Assume, Auto, Fake, Renounce};
    use report::settings::Movement::{self, In, Out, Within};

    use super::Typed;
    use crate::cli::raw;
    use crate::cli::testing::words;

    /// Whether the source pretends, the privilege of the destination, `munge` and `unmunge`.
    #[track_caller]
    fn check(line: &str, movement: Movement, expected: (bool, Privilege, bool, bool)) {
        let mut typed = Typed::default();
        for flag in &raw::parse(words(line)).unwrap().flags {
            typed.take(flag).unwrap();
        }
        let sides = typed.settle(movement).unwrap();
        let got = (sides.source_pretends, sides.privilege, sides.munge, sides.unmunge);
        assert_eq!(got, expected, "{line} {movement:?}");
    }

    #[test]
    fn an_option_is_for_the_side_that_it_is_typed_for() {
        for (line, within, out, into) in [
            ("", (false, Auto), (false, Auto), (false, Auto)),
            ("--fake-super", (true, Fake), (true, Auto), (false, Fake)),
            ("-M--fake-super", (false, Fake), (false, Fake), (true, Auto)),
            ("--fake-super -M--super", (true, Assume), (true, Assume), (false, Fake)),
            ("--fake-super -M --fake-super", (true, Fake), (true, Fake), (true, Fake)),
            ("--super", (false, Assume), (false, Assume), (false, Assume)),
            ("--no-super", (false, Renounce), (false, Renounce), (false, Renounce)),
        ] {
            for (movement, (source, destination)) in [(Within, within), (Out, out), (In, into)] {
                check(line, movement, (source, destination, false, false));
            }
        }
        for movement in [Within, Out] {
            check("--munge-links", movement, (false, Auto, false, true));
            check("-M--munge-links", movement, (false, Auto, true, false));
        }
        check("--munge-links", In, (false, Auto, true, false));
        check("-M--munge-links -M--no-munge-links", In, (false, Auto, false, false));
    }

    #[test]
    fn what_is_nothing_for_one_side_is_refused() {
        for (line, part) in [
            ("-M--delete", "-M--delete: of the options"),
            ("-M--nonsense", "-M: --nonsense: there is no such option"),
            ("-M--fake-super=x", "-M: "),
        ] {
            let mut typed = Typed::default();
            for flag in &raw::parse(words(line)).unwrap().flags {
                typed.take(flag).unwrap();
            }
            let sentence = typed.settle(Out).unwrap_err().sentence;
            assert!(sentence.contains(part), "{line}: {sentence}");
        }
        let raw = raw::parse(words("-Mx")).unwrap();
        assert!(Typed::default().take(&raw.flags[0]).is_err());
    }
}
