//! What the one who made a list should know.

use std::fmt;

use super::Form;
use super::line::Shape;

/// What the one who made a list should know, as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Every line begins with a size, and nobody said that they do.
    TakenForSizes,
    /// Every line is as fpart writes it, and nobody said so.
    TakenForFpart,
    /// Every line could begin with a size, or be one of fpart, but as paths more of the first ones are there.
    TakenForPaths,
    /// So many lines may be empty directories, and are taken for files.
    TakenForFiles(u64),
    /// So many lines name what another one names.
    Repeated(u64),
    /// What `du` does not tell.
    OneNameOfLinks,
}

impl Notice {
    /// Those about what lines are taken for, and what else they look like.
    pub(super) fn of_shape(
        form: Form,
        looks_like: Shape,
        shape: Shape,
    ) -> impl Iterator<Item = Self> {
        let notice = match (form, shape) {
            (Form::Auto, Shape::Sizes | Shape::SizesOrSums) => Some(Self::TakenForSizes),
            (Form::Auto, Shape::Fpart) => Some(Self::TakenForFpart),
            (Form::Auto, Shape::Paths) if looks_like != shape => Some(Self::TakenForPaths),
            (_, Shape::Du(_)) => Some(Self::OneNameOfLinks),
            _ => None,
        };
        notice.into_iter()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenForSizes => formatter.write_str(
                "every line of the list is taken for a size in bytes and a path; where that is wrong, say \
                 --list-format paths, or du of what du wrote",
            ),
            Self::TakenForFpart => formatter.write_str(
                "every line of the list is taken for a partition, a size and a path, as fpart writes them; \
                 where that is wrong, say --list-format paths or sizes",
            ),
            Self::TakenForPaths => formatter.write_str(
                "every line of the list is taken for a path, since there is more by these names in the source \
                 than by those after the numbers; where that is wrong, say --list-format sizes or fpart",
            ),
            Self::TakenForFiles(count) => write!(
                formatter,
                "{count} lines of the list are taken for files, though some may be empty directories; a slash \
                 at its end makes a line one, as of find -type d -printf '%s %p/\\n'"
            ),
            Self::Repeated(1) => {
                formatter.write_str("1 line of the list names what another one names; it counts once")
            }
            Self::Repeated(count) => write!(
                formatter,
                "{count} lines of the list name what others name; each path counts once"
            ),
            Self::OneNameOfLinks => formatter.write_str(
                "of a file with several names du tells only one unless it is given -l: the others are in no \
                 bucket then",
            ),
        }
    }
}
