//! The durable state behind the `Store` contract of `anser-core`: [`sqlite`] is the embedded default, [`memory`] the
//! obvious model of it, [`conformance`] the one suite that both pass. Must not know any platform, nor decide what is
//! sent where or when: it remembers what its one owner decided.

pub mod conformance;
pub mod memory;
pub mod sqlite;
mod transition;

pub use memory::MemoryStore;
pub use sqlite::{OpenError, SqliteOptions, SqliteStore, Verify};
