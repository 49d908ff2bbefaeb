//! The door: arguments → command → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    skidder::cli::main(std::env::args_os())
}
