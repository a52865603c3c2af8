//! Half of the changes are libFuzzer's own, which know the dictionary; half leave JSON whole.

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 {
        libfuzzer_sys::fuzzer_mutate(data, size, max_size)
    } else {
        loyalty_tests::targets::mutate(data, size, max_size, seed)
    }
});
