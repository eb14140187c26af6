//! The command `copytrace`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
