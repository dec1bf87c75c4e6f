//! The program `ambikiali`; everything is in the library, so that tests can run it in process.

use std::process::ExitCode;

fn main() -> ExitCode {
    ambikiali::main()
}
