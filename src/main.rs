//! tmp main
use clap::Parser;
#[derive(clap::Parser)]
#[command(disable_help_flag = true)]
enum Cli {
    Demo(tiderace::cli::demo::DemoArgs),
    Why(tiderace::cli::why::WhyArgs),
}
fn main() -> std::process::ExitCode {
    let cli = Cli::parse_from(tiderace::runtime::expand_help(std::env::args_os()));
    let r = match cli {
        Cli::Demo(a) => tiderace::cli::demo::run(a),
        Cli::Why(a) => tiderace::cli::why::run(&a),
    };
    match r {
        Ok(c) => std::process::ExitCode::from(c as u8),
        Err(e) => {
            tiderace::runtime::report(&e);
            std::process::ExitCode::from(e.kind().exit_code() as u8)
        }
    }
}
