//! Passwords and tokens, which nobody gets to see.

use std::fmt;
use std::sync::Arc;

/// A password or a token. Shown, it is three dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps it.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// What is kept: for whom it is meant, and nobody else.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without it.
    pub(super) fn hide_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&*self.0, "...") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("...")
    }
}
