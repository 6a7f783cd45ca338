//! Works for a lanesync on another host, which starts it through a remote shell.
//!
//! Nobody types this: the standard streams are those of a session. Before one begins, whoever starts it
//! asks two things, of an installed program and of one that was sent: whether they would understand each
//! other, and whether it arrived whole.

use std::ffi::OsString;

use crate::cli::{self, Refusal};
use crate::exit_code::Exit;

/// Does what the words behind `lanesync agent` say.
pub(crate) fn run(words: &[OsString]) -> Exit {
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let refusal = match words.as_slice() {
        ["--revision"] => return cli::tell(&format!("{}\n", wire::REVISION)),
        ["--hash"] => match fs::process::read_own_program() {
            Ok(program) => return cli::tell(&format!("{}\n", hash(&program))),
            Err(error) => {
                let sentence = format!("agent: read the own program: {error}");
                Refusal { exit: Exit::FileIo, sentence }
            }
        },
        [] => Refusal::unsupported("agent: a session with another host is not there yet"),
        _ => Refusal::usage(
            "agent is started by lanesync on another host and takes no arguments; a path is written \
             ./agent",
        ),
    };
    cli::complain(&refusal);
    refusal.exit
}

/// By what a program that was sent is known (BLAKE3, in hexadecimal).
fn hash(program: &[u8]) -> String {
    blake3::hash(program).to_hex().to_string()
}
