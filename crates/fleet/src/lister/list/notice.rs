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
    /// So many lines name what another one names.
    Repeated(u64),
    /// What `du` does not tell.
    OneNameOfLinks,
}

impl Notice {
    /// All that there are about a list.
    pub(super) fn all(form: Form, shape: Shape, repeated: u64) -> impl Iterator<Item = Self> {
        let shape = match (form, shape) {
            (Form::Auto, Shape::Sizes | Shape::SizesOrSums) => Some(Self::TakenForSizes),
            (Form::Auto, Shape::Fpart) => Some(Self::TakenForFpart),
            (_, Shape::Du(_)) => Some(Self::OneNameOfLinks),
            _ => None,
        };
        shape.into_iter().chain((repeated > 0).then_some(Self::Repeated(repeated)))
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
