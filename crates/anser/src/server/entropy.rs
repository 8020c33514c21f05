//! The operating system's randomness behind the `Random` handle.

use anser_core::random::Random;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// For ids, jitter and secrets.
#[derive(Debug, Default)]
pub(crate) struct OsRandom(SystemRandom);

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .fill(bytes)
            .expect("the operating system's generator does not fail once it is seeded");
    }
}
