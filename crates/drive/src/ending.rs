//! What a run ends with: one exit code made of many.

/// The codes that were seen, in the numbers of rsync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    ours: Option<u8>,
    fatal: Option<u8>,
    other: Option<u8>,
    /// Whether 23, 25 and 24 were seen.
    seen: [bool; 3],
}

/// Codes after which all that can be done has been done: the worst first.
const PARTIAL: [u8; 3] = [23, 25, 24];

impl Codes {
    /// Why we have ended the run ourselves: 20 a signal, 30 the time that was given, 14 a fault of ours.
    pub fn stopped(&mut self, code: u8) {
        self.ours.get_or_insert(code);
    }

    /// With this no bucket can be moved any more.
    pub fn fatal(&mut self, code: u8) {
        self.fatal.get_or_insert(code);
    }

    /// The last of a bucket, when it will not be tried again, or of what is done after the last one.
    pub fn note(&mut self, code: u8) {
        if let Some(index) = PARTIAL.iter().position(|partial| *partial == code) {
            self.seen[index] = true;
        } else if code != 0 {
            self.other.get_or_insert(code);
        }
    }

    /// What the run ends with: what has ended it early; the first that is no partial transfer; then the worst
    /// of these.
    pub fn merged(&self) -> u8 {
        let partial = PARTIAL.iter().zip(self.seen).find(|(_, seen)| *seen).map(|(code, _)| *code);
        self.ours.or(self.fatal).or(self.other).or(partial).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(noted: &[u8], expected: u8) {
        let mut codes = Codes::default();
        for code in noted {
            codes.note(*code);
        }
        assert_eq!(codes.merged(), expected, "{noted:?}");
    }

    #[test]
    fn the_worst_is_told() {
        check(&[], 0);
        check(&[0, 0], 0);
        check(&[24, 0], 24);
        check(&[24, 25], 25);
        check(&[24, 23, 25], 23);
        check(&[23, 12, 10, 24], 12);
        check(&[137, 3], 137);
    }

    #[test]
    fn what_has_ended_the_run_comes_first() {
        let mut codes = Codes::default();
        codes.note(12);
        codes.fatal(11);
        codes.fatal(5);
        assert_eq!(codes.merged(), 11);
        codes.stopped(20);
        codes.stopped(30);
        assert_eq!(codes.merged(), 20);
    }
}
