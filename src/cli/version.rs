//! `-V` and `-VV`, in the shape that scripts know from rsync.
//!
//! The first line and the JSON keys are rsync's, since scripts probe them. The protocol number is
//! that of the rsync whose options and output are meant; what is said of abilities is our own.

use std::fmt::Write;

use model::settings::Checksum;
use serde::{Serialize, Serializer};

use super::options::Opt;
use super::raw::RawArgs;

/// The rsync whose options, output and exit codes these are.
const RSYNC: &str = "3.5.0";

/// The version of the protocol that comes with it.
const PROTOCOL: u8 = 32;

/// Abilities by rsync's names, in rsync's order.
const CAPABILITIES: [(&str, Ability); 23] = [
    ("file_bits", Ability::Bits(64)),
    ("inum_bits", Ability::Bits(64)),
    ("timestamp_bits", Ability::Bits(64)),
    ("long_int_bits", Ability::Bits(64)),
    ("socketpairs", Ability::Has(false)),
    ("symlinks", Ability::Has(true)),
    ("symtimes", Ability::Has(true)),
    ("hardlinks", Ability::Has(true)),
    ("hardlink_specials", Ability::Has(true)),
    ("hardlink_symlinks", Ability::Has(true)),
    ("IPv6", Ability::Has(true)),
    ("atimes", Ability::Has(true)),
    ("batchfiles", Ability::Has(false)),
    ("inplace", Ability::Has(true)),
    ("append", Ability::Has(true)),
    ("ACLs", Ability::Has(true)),
    ("ACL_at", Ability::Has(false)),
    ("xattrs", Ability::Has(true)),
    ("secluded_args", Ability::Has(false)),
    ("iconv", Ability::Has(false)),
    ("prealloc", Ability::Has(true)),
    ("stop_at", Ability::Has(true)),
    ("crtimes", Ability::Has(false)),
];

const OPTIMIZATIONS: [(&str, Ability); 4] = [
    ("SIMD_roll", Ability::Has(false)),
    ("asm_roll", Ability::Has(false)),
    ("openssl_crypto", Ability::Has(false)),
    ("asm_MD5", Ability::Has(false)),
];

const COMPRESSIONS: [&str; 3] = ["zstd", "lz4", "none"];

#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum Ability {
    Bits(u8),
    Has(bool),
}

/// The answer, where the version is asked for.
pub(super) fn answer(raw: &RawArgs) -> Option<String> {
    match raw.count(Opt::Version) {
        0 => None,
        1 => Some(text()),
        _ => Some(json() + "\n"),
    }
}

fn text() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let checksums = Checksum::NAMES.map(|(_, name)| name).join(" ");
    format!(
        "lanesync  version {version}  protocol version {PROTOCOL}\n\
         Copyright (C) the lanesync authors.\n\
         Web site: {url}\n\
         Options, output and exit codes: those of rsync {RSYNC}\n\
         Capabilities:\n{capabilities}\
         Optimizations:\n{optimizations}\
         Checksum list:\n    {checksums}\n\
         Compress list:\n    {compressions}\n\
         Daemon auth list:\n    none\n\
         \n\
         lanesync comes with no warranty. It is free software under either of the MIT licence\n\
         and the Apache License, version 2.0.\n",
        url = env!("CARGO_PKG_REPOSITORY"),
        compressions = COMPRESSIONS.join(" "),
        capabilities = wrapped(&CAPABILITIES),
        optimizations = wrapped(&OPTIMIZATIONS),
    )
}

/// Columns of a line, as rsync breaks them.
const WIDTH: usize = 76;

fn wrapped(table: &[(&str, Ability)]) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for (index, (name, ability)) in table.iter().enumerate() {
        let words = words(name, *ability);
        let comma = if index + 1 == table.len() { "" } else { "," };
        if line.len() + 1 + words.len() + comma.len() > WIDTH {
            writeln!(text, "   {line}").ok();
            line.clear();
        }
        write!(line, " {words}{comma}").ok();
    }
    writeln!(text, "   {line}").ok();
    text
}

fn words(name: &str, ability: Ability) -> String {
    let spoken = |name: &str| name.replace('_', "-");
    match ability {
        Ability::Bits(bits) => {
            let what = match name {
                "file_bits" => "files",
                "inum_bits" => "inums",
                "timestamp_bits" => "timestamps",
                _ => "long ints",
            };
            format!("{bits}-bit {what}")
        }
        Ability::Has(true) => spoken(name),
        Ability::Has(false) => format!("no {}", spoken(name)),
    }
}

/// The keys in rsync's order, for whoever reads them line by line.
#[derive(Serialize)]
struct Answer {
    program: &'static str,
    version: &'static str,
    protocol: String,
    copyright: &'static str,
    url: &'static str,
    compatible_with: String,
    capabilities: Table,
    optimizations: Table,
    checksum_list: Vec<&'static str>,
    compress_list: [&'static str; 3],
    daemon_auth_list: [&'static str; 0],
    license: &'static str,
    caveat: &'static str,
}

struct Table(&'static [(&'static str, Ability)]);

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

fn json() -> String {
    let answer = Answer {
        program: "lanesync",
        version: env!("CARGO_PKG_VERSION"),
        protocol: format!("{PROTOCOL}.0"),
        copyright: "(C) the lanesync authors.",
        url: env!("CARGO_PKG_REPOSITORY"),
        compatible_with: format!("rsync {RSYNC}"),
        capabilities: Table(&CAPABILITIES),
        optimizations: Table(&OPTIMIZATIONS),
        checksum_list: Checksum::NAMES.iter().map(|row| row.1).collect(),
        compress_list: COMPRESSIONS,
        daemon_auth_list: [],
        license: env!("CARGO_PKG_LICENSE"),
        caveat: "lanesync comes with no warranty",
    };
    serde_json::to_string_pretty(&answer).expect("text and numbers are always JSON")
}
