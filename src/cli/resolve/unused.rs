//! Options that change nothing on one machine, checked as far as rsync checks them, so that a
//! mistake in a script shows here and not when the script meets another host.

use std::os::unix::ffi::OsStrExt;

use crate::cli::host::remote;
use crate::cli::options::Opt;
use crate::cli::raw::{RawArgs, RawFlag};
use crate::cli::refusal::Refusal;
use crate::cli::resolve::size;
use crate::cli::surroundings::Surroundings;
use crate::exit_code::Exit;

/// Largest block of rsync's protocol, bytes.
const LARGEST_BLOCK: u64 = 128 << 10;

/// Smallest `--max-alloc` that rsync takes, bytes.
const SMALLEST_ALLOC: u64 = 1 << 20;

/// Versions of the protocol that rsync speaks.
const PROTOCOLS: std::ops::RangeInclusive<i32> = 20..=32;

const COMPRESSIONS: [&str; 6] = ["auto", "zstd", "lz4", "zlibx", "zlib", "none"];

/// Turns down what rsync would.
pub(super) fn check(raw: &RawArgs, surroundings: &dyn Surroundings) -> Result<(), Refusal> {
    let is_far = raw.paths.iter().any(|path| remote(path.as_bytes()).is_some());
    for flag in raw.flags.iter().filter(|flag| flag.is_on()) {
        check_flag(flag, is_far)?;
    }
    check_variable(raw, surroundings)?;
    if is_in_force(raw, Opt::OldArgs) && is_in_force(raw, Opt::SecludedArgs) {
        return Err(Refusal::usage("--old-args and --secluded-args do not go together"));
    }
    check_charsets(raw, surroundings)
}

fn check_flag(flag: &RawFlag, is_far: bool) -> Result<(), Refusal> {
    let size = || size::parse(flag.text()?, b'B').ok_or_else(|| flag.refuse("is not a size"));
    match flag.opt {
        Opt::BlockSize if size()? > LARGEST_BLOCK => Err(flag.refuse("is more than 128K")),
        Opt::MaxAlloc => check_max_alloc(size()?).map_err(|what| flag.refuse(what)),
        Opt::CompressChoice if !COMPRESSIONS.contains(&&*flag.text()?.to_ascii_lowercase()) => {
            let known = COMPRESSIONS.join(", ");
            let sentence = flag.refuse(&format!("is not one of {known}")).sentence;
            Err(Refusal::unsupported(sentence))
        }
        Opt::Protocol if !PROTOCOLS.contains(&flag.number()?) => {
            let sentence = flag.refuse("is not a version from 20 to 32").sentence;
            Err(Refusal { exit: Exit::Protocol, sentence })
        }
        Opt::Contimeout if flag.number()? != 0 && !is_far => {
            Err(flag.refuse("is only for connections to another host"))
        }
        Opt::PasswordFile => Err(flag.refuse("is only for connections to a daemon")),
        _ => Ok(()),
    }
}

fn check_max_alloc(bytes: u64) -> Result<(), &'static str> {
    if (1..SMALLEST_ALLOC).contains(&bytes) { Err("is less than 1M and not 0") } else { Ok(()) }
}

/// `RSYNC_MAX_ALLOC` stands for `--max-alloc` where that is not typed.
fn check_variable(raw: &RawArgs, surroundings: &dyn Surroundings) -> Result<(), Refusal> {
    let name = "RSYNC_MAX_ALLOC";
    let value = surroundings.variable(name).unwrap_or_default();
    if value.is_empty() || raw.flags.iter().any(|flag| flag.opt == Opt::MaxAlloc) {
        return Ok(());
    }
    let value = value.to_string_lossy();
    let checked = size::parse(&value, b'B').ok_or("is not a size").and_then(check_max_alloc);
    checked.map_err(|what| Refusal::usage(format!("{name}={value} {what}")))
}

fn is_in_force(raw: &RawArgs, opt: Opt) -> bool {
    raw.flags.iter().rev().find(|flag| flag.opt == opt).is_some_and(RawFlag::is_on)
}

/// Names are bytes here and stay as they are.
fn check_charsets(raw: &RawArgs, surroundings: &dyn Surroundings) -> Result<(), Refusal> {
    let last = raw.flags.iter().rev().find(|flag| flag.opt == Opt::Iconv);
    let (source, charsets) = match last {
        Some(flag) if !flag.is_on() => return Ok(()),
        Some(flag) => ("--iconv", flag.value.clone()),
        None => ("RSYNC_ICONV", surroundings.variable("RSYNC_ICONV").unwrap_or_default()),
    };
    if charsets.is_empty() || charsets == "-" {
        return Ok(());
    }
    let sentence = "converting names is not there yet; --no-iconv keeps them as they are";
    Err(Refusal::unsupported(format!("{source}: {sentence}")))
}
