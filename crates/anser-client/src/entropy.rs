//! The operating system's randomness behind the `Random` handle, for dedupe keys and for jitter.

use anser_core::random::Random;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// The operating system's generator.
#[derive(Debug, Default)]
pub(crate) struct OsRandom(SystemRandom);

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .fill(bytes)
            .expect("the operating system's generator does not fail once it is seeded");
    }
}

/// A dedupe key that nobody else has: 128 random bits.
pub(crate) fn dedupe_key(random: &dyn Random) -> String {
    format!("sdk-{:016x}{:016x}", random.next_u64(), random.next_u64())
}
