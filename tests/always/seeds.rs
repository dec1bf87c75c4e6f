//! Repeatable random numbers: a seed always gives the same sequence.

use std::ops::RangeInclusive;

/// Returns the seeds to try: from 1 to `few`, or those of `AMBIKIALI_SEEDS`, such as `100` or `17-17`.
pub fn seeds(few: u64) -> RangeInclusive<u64> {
    let Ok(said) = std::env::var("AMBIKIALI_SEEDS") else {
        return 1..=few;
    };
    let (first, last) = said.split_once('-').unwrap_or(("1", &said));
    let number = |text: &str| text.parse().expect("AMBIKIALI_SEEDS is 100 or 17-17");
    number(first)..=number(last)
}

/// The generator SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
