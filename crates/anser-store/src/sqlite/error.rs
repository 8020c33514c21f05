//! Why the data could not be opened, in words for the operator: what, where, and what to do.

use std::io;
use std::path::PathBuf;

/// Why the data could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the data in {} is in use by another process{holder}: stop that one first, or give this one a data directory of \
         its own",
        dir.display()
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// Who, as far as it left its number.
        holder: String,
    },
    /// A newer program wrote it.
    #[error(
        "the data in {} has schema version {found}, this program knows versions up to {known}: run the newer program \
         again, or restore a backup that this version made",
        dir.display()
    )]
    Newer {
        /// The data directory.
        dir: PathBuf,
        /// The version of the data.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// Bytes are not what was written.
    #[error(
        "{} is damaged: {what}. Nothing was changed. Copy the data directory away first; then restore a backup, or \
         start with an empty data directory and recover what can be read from the copy with `sqlite3 .recover`",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file system refused.
    #[error("cannot open the data in {}: {source}", dir.display())]
    Io {
        /// The data directory.
        dir: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The database refused.
    #[error("cannot open the data in {}: {reason}", dir.display())]
    Database {
        /// The data directory.
        dir: PathBuf,
        /// What it said.
        reason: String,
    },
}
