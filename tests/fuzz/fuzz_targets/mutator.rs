//! Half of the mutations are libFuzzer's own, which uses the dictionary; half keep JSON
//! well formed.

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 {
        libfuzzer_sys::fuzzer_mutate(data, size, max_size)
    } else {
        loyalty_tests::targets::mutate_in_place(data, size, max_size, seed)
    }
});
