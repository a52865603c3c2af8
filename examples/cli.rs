//! Entry point of the examples: arguments, runtime, exit code. An error is one line on
//! standard error.

use std::process::ExitCode;

use clap::Parser;

/// An error that stops an example.
pub(crate) type ExampleError = Box<dyn std::error::Error + Send + Sync>;

/// Reads the arguments and runs the example on a tokio runtime. Exit code 2 for a bad
/// option, 1 for any other error.
pub(crate) fn run<A: Parser>(
    example: impl AsyncFnOnce(A) -> Result<ExitCode, ExampleError>,
) -> ExitCode {
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            print!("{error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{}", first_paragraph(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    let result = tokio::runtime::Runtime::new()
        .map_err(ExampleError::from)
        .and_then(|runtime| runtime.block_on(example(arguments)));
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// The message of a clap error as one line, without the usage that follows it.
fn first_paragraph(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
