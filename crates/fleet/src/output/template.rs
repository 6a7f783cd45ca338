//! What buckets are called.

use jiff::Zoned;

use crate::format::Form;

/// In a template, the number of the bucket.
const NUMBER: &str = "[n]";

/// In a template, the time at which the run began.
const TIME: &str = "[YYYYMMDDHHMM]";

/// What a name on a file system may have.
const NAME_MAX_BYTES: usize = 255;

/// Room for the number of a bucket, and for that of a further file with its extension.
const ROOM_BYTES: usize = 48;

/// What the buckets of a run are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What stands around the number, in turn, up to the extension.
    pieces: Vec<String>,
    /// With its dot; empty where there is none.
    extension: String,
}

/// What the files of a bucket are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    stem: String,
    extension: String,
}

/// Why a template is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It leads into another folder.
    #[error("--name-template is the name of a file, without a slash; --output names the folder")]
    Slash,
    /// It makes no name.
    #[error(
        "--name-template makes no name of a file: it is empty, \".\", \"..\", or has a NUL in it"
    )]
    NoName,
    /// It makes names that no file system takes.
    #[error("--name-template makes names that are too long")]
    TooLong,
    /// It is no text.
    #[error("--name-template is not UTF-8")]
    NoText,
    /// All buckets would have one name.
    #[error(
        "--name-template has no [n] in it, the number of the bucket, and there may be more than one"
    )]
    Unnumbered,
}

impl Template {
    /// The usual one, of a run that began at `time`.
    pub fn usual(form: Form, time: &Zoned) -> Self {
        Self::filled(&format!("qsync_{TIME}_bucket{NUMBER}.{}", form.extension()), time)
    }

    /// What the user said; `[n]` stands for the number of the bucket, and `[YYYYMMDDHHMM]` for the time.
    pub fn new(text: &[u8], time: &Zoned) -> Result<Self, TemplateError> {
        let text = std::str::from_utf8(text).map_err(|_| TemplateError::NoText)?;
        if text.contains('/') {
            return Err(TemplateError::Slash);
        }
        if matches!(text, "" | "." | "..") || text.contains('\0') {
            return Err(TemplateError::NoName);
        }
        let template = Self::filled(text, time);
        let pieces: usize = template.pieces.iter().map(String::len).sum();
        let longest = pieces + template.pieces.len() * ROOM_BYTES + template.extension.len();
        if longest > NAME_MAX_BYTES {
            return Err(TemplateError::TooLong);
        }
        Ok(template)
    }

    fn filled(text: &str, time: &Zoned) -> Self {
        let time = time.strftime("%Y%m%d%H%M").to_string();
        let pieces = text.split(NUMBER).map(|piece| piece.replace(TIME, &time));
        let mut pieces: Vec<String> = pieces.collect();
        let is_one = pieces.len() == 1;
        let extension = pieces.last_mut().and_then(|last| {
            // A dot that begins the name begins no extension.
            let dot = last.rfind('.').filter(|dot| *dot > 0 || !is_one)?;
            Some(last.split_off(dot))
        });
        Self { pieces, extension: extension.unwrap_or_default() }
    }

    /// Fails if it gives one name alone.
    pub fn check_numbered(&self) -> Result<(), TemplateError> {
        if self.is_numbered() { Ok(()) } else { Err(TemplateError::Unnumbered) }
    }

    fn is_numbered(&self) -> bool {
        self.pieces.len() > 1
    }

    /// The names of a bucket.
    pub(super) fn names(&self, number: u64) -> Names {
        Names { stem: self.pieces.join(&number.to_string()), extension: self.extension.clone() }
    }

    /// Which bucket a name belongs to: that of the list, or that of a further file.
    pub(super) fn number_of(&self, name: &str) -> Option<u64> {
        if !self.is_numbered() {
            return self.names(1).have(name).then_some(1);
        }
        let rest = name.strip_prefix(self.pieces.first()?.as_str())?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let mut numbers = (1..=digits).filter_map(|length| rest[..length].parse().ok());
        numbers.find(|&number| self.names(number).have(name))
    }
}

impl Names {
    /// Of the list.
    pub(super) fn list(&self) -> String {
        [&*self.stem, &*self.extension].concat()
    }

    /// Of a further file.
    pub(super) fn further(&self, number: u64, extension: &str) -> String {
        format!("{}_{number}.{extension}", self.stem)
    }

    fn have(&self, name: &str) -> bool {
        let is_further = |rest: &str| {
            let number = rest.strip_prefix('_').and_then(|rest| Some(rest.split_once('.')?.0));
            number.is_some_and(|number| number.parse::<u64>().is_ok())
        };
        let rest = name.strip_prefix(self.stem.as_str());
        rest.is_some_and(|rest| rest == self.extension || is_further(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::{Template, TemplateError};
    use crate::format::Form;

    fn time() -> jiff::Zoned {
        // Summer time of a zone that is ahead: the day is another one than in UTC.
        "2024-06-30T00:05:59+02:00[Europe/Berlin]".parse().unwrap()
    }

    fn template(text: &str) -> Template {
        Template::new(text.as_bytes(), &time()).unwrap()
    }

    #[test]
    fn the_usual_name_has_local_time_and_number() {
        let name = |form| Template::usual(form, &time()).names(12).list();
        assert_eq!(name(Form::Rsync), "qsync_202406300005_bucket12.txt");
        assert_eq!(name(Form::Json), "qsync_202406300005_bucket12.jsonl");
    }

    #[test]
    fn a_template_is_filled() {
        assert_eq!(template("[n]-[n].[YYYYMMDDHHMM].[x]").names(3).list(), "3-3.202406300005.[x]");
        assert_eq!(template("all").names(1).list(), "all");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let why = |text: &[u8]| Template::new(text, &time()).unwrap_err();
        assert_eq!(why(b"a/[n]"), TemplateError::Slash);
        for text in ["", ".", "..", "a\0[n]"] {
            assert_eq!(why(text.as_bytes()), TemplateError::NoName, "{text:?}");
        }
        assert_eq!(why(b"\xff[n]"), TemplateError::NoText);
        assert_eq!(why(&[b'x'; 256]), TemplateError::TooLong);
        assert_eq!(why("[n]".repeat(20).as_bytes()), TemplateError::TooLong);
        assert_eq!(template("all").check_numbered(), Err(TemplateError::Unnumbered));
        assert_eq!(template("[n]").check_numbered(), Ok(()));
    }

    #[test]
    fn names_are_known_again() {
        for text in ["[n]", "a[n].txt", "a[n]0.b", "1[n]", "[n]x[n].c.d", ".[n]", "a.b[n]"] {
            for number in [1, 2, 9, 10, 100, u64::MAX] {
                let template = template(text);
                let names = template.names(number);
                for name in [names.list(), names.further(7, "RCJ")] {
                    assert_eq!(template.number_of(&name), Some(number), "{name}");
                }
            }
        }
        for name in
            ["", "a", "a.txt", "a01.txt", "a1.tx", "b1.txt", "a1_.RCJ", "a1_x.RCJ", "aa1.txt"]
        {
            assert_eq!(template("a[n].txt").number_of(name), None, "{name}");
        }
        assert_eq!(template("all.txt").number_of("all.txt"), Some(1));
        assert_eq!(template("all.txt").number_of("all_1.RCJ"), Some(1));
        assert_eq!(template("all.txt").number_of("all"), None);
    }

    #[test]
    fn further_files_of_two_buckets_have_two_names() {
        for text in ["a.b[n]", "a[n].txt", ".[n]", "[n].a.b"] {
            let template = template(text);
            assert_ne!(template.names(1).further(1, "RCJ"), template.names(2).further(1, "RCJ"));
        }
        assert_eq!(template("a[n].b.txt").names(1).further(2, "RCJ"), "a1.b_2.RCJ");
    }
}
