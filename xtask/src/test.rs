//! `cargo xtask test`.

/// Not there yet.
pub(crate) fn main(_args: &[std::ffi::OsString]) -> anyhow::Result<()> {
    anyhow::bail!("test is not there yet")
}
