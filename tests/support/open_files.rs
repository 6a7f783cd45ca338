//! How a process has files open, as proc(5) tells.

use std::fmt::Display;
use std::fs;
use std::path::Path;

/// How a process has files of a path open: reading (0), writing (1) or both (2).
pub(crate) fn access_modes(process: impl Display, path: &Path) -> Vec<u32> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let of_it = descriptors.filter(|it| fs::read_link(it.path()).is_ok_and(|to| to == path));
    let told = of_it.filter_map(|it| {
        let number = it.file_name().into_string().unwrap();
        fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).ok()
    });
    told.map(|text| {
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        u32::from_str_radix(flags.trim(), 8).unwrap() & 3
    })
    .collect()
}
