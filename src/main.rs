//! The command: reads the command line, runs what it asks for, and ends with rsync's exit code.

mod cli;

mod commands;

mod exit_code;

use std::process::ExitCode;

use cli::Request;

fn main() -> ExitCode {
    let umask = fs::process::clear_umask();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let wants_json = cli::asks_for_json(&arguments);
    let exit = match cli::read(arguments, &cli::Process { umask }) {
        Ok(Request::Sync(invocation)) => commands::sync::run(*invocation, umask),
        Ok(Request::Blocks(asked)) => commands::blocks::run(asked, umask),
        Ok(Request::Manifest(asked)) => commands::manifest::run(asked, umask),
        Ok(Request::Tell(text)) => cli::tell(&text),
        Ok(Request::Agent(words)) => commands::agent::run(&words, umask),
        Err(refusal) => {
            commands::refuse(&refusal, wants_json);
            refusal.exit
        }
    };
    exit.into()
}
