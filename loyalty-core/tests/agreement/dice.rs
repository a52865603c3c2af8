//! Pseudo-random numbers.

/// A generator of pseudo-random numbers, equal in each run.
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from `from`, inclusive, to `to`, exclusive.
    pub(crate) fn number(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next_u64() % (to - from) as u64) as i64
    }

    pub(crate) fn chance(&mut self, percent: i64) -> bool {
        self.number(0, 100) < percent
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.number(0, all.len() as i64) as usize]
    }

    pub(crate) fn days(&mut self, percent: i64, most: i64) -> Option<u64> {
        self.chance(percent).then(|| self.number(1, most) as u64)
    }
}
