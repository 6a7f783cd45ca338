//! `cargo xtask tidy`.

/// Not there yet.
pub(crate) fn main(_args: &[std::ffi::OsString]) -> anyhow::Result<()> {
    anyhow::bail!("tidy is not there yet")
}
