//! The only crate that talks to the kernel about files.
