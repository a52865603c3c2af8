//! How the examples begin and end: whatever cannot be done is one line on standard error.

use std::process::ExitCode;

use clap::Parser;

/// What stops an example.
pub(crate) type ExampleError = Box<dyn std::error::Error + Send + Sync>;

/// Reads the arguments and runs the example on a tokio runtime. A bad option ends with exit code 2, any
/// other trouble with 1.
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
    let done = tokio::runtime::Runtime::new()
        .map_err(ExampleError::from)
        .and_then(|runtime| runtime.block_on(example(arguments)));
    done.unwrap_or_else(|trouble| {
        eprintln!("error: {trouble}");
        ExitCode::FAILURE
    })
}

/// What is wrong, as one line; clap goes on with the usage after it.
fn first_paragraph(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
