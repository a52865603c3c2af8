//! See `loyalty_tests::targets`.
#![no_main]

mod mutator;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    loyalty_tests::targets::run("webhooks", data);
});
