//! What the kernel of this operating system offers beyond POSIX.
//!
//! The rest of the crate calls these functions and has no `#[cfg]` of its own.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!("lanesync-fs knows Linux only so far: add a module beside sys/linux.rs");
