//! The contract as a suite that every store passes: what `anser_core::store` says, asked from outside.
