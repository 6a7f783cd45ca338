//! rsync as a mover: the user's own command, of which only the selection differs.

/// The words that the user typed.
pub mod options;

/// The source and the destination.
pub mod ends;

/// What rsync is called with.
pub mod command;
