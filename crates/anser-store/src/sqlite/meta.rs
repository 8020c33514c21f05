//! What the store remembers about itself, one small checked row a fact.

use anser_core::id::MessageId;
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;
use super::row::Sum;

/// A fact that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// The installation's number.
    Installation,
    /// How often the data was opened.
    Epoch,
    /// 1 while nobody has it open and the last owner closed it.
    Clean,
    /// The greatest number given out, as far as no stored message shows it.
    HighestNum,
    /// The configuration's revision.
    Revision,
    /// The greatest resource number given out.
    HighestResource,
    /// Written by probes.
    Probe,
}

impl Fact {
    const fn key(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Epoch => "epoch",
            Self::Clean => "clean",
            Self::HighestNum => "highest_num",
            Self::Revision => "revision",
            Self::HighestResource => "highest_resource",
            Self::Probe => "probe",
        }
    }
}

/// The key of the greatest message id, as far as no stored message shows it.
const HIGHEST_ID: &str = "highest_id";

/// The number of a fact; `None` when it was never set.
pub(super) fn number(connection: &Connection, fact: Fact) -> Result<Option<u64>, Failure> {
    let Some(bytes) = get(connection, fact.key())? else {
        return Ok(None);
    };
    let bytes = bytes
        .try_into()
        .map_err(|_| Failure::Corrupt(format!("the fact {}", fact.key())))?;
    Ok(Some(u64::from_le_bytes(bytes)))
}

/// Sets the number of a fact.
pub(super) fn set_number(connection: &Connection, fact: Fact, number: u64) -> Result<(), Failure> {
    put(connection, fact.key(), &number.to_le_bytes())
}

/// The greatest message id that was noted.
pub(super) fn highest_id(connection: &Connection) -> Result<Option<MessageId>, Failure> {
    let Some(bytes) = get(connection, HIGHEST_ID)? else {
        return Ok(None);
    };
    let bytes = bytes
        .try_into()
        .map_err(|_| Failure::Corrupt(format!("the fact {HIGHEST_ID}")))?;
    Ok(Some(MessageId::from_bytes(bytes)))
}

/// Notes the greatest message id.
pub(super) fn set_highest_id(connection: &Connection, id: MessageId) -> Result<(), Failure> {
    put(connection, HIGHEST_ID, id.as_bytes())
}

fn get(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, Failure> {
    let found: Option<(Vec<u8>, i64)> = connection
        .prepare_cached("SELECT value, sum FROM meta WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((value, stored)) if stored != sum(key, &value) => Err(Failure::Corrupt(format!(
            "the fact {key} does not match its checksum"
        ))),
        Some((value, _)) => Ok(Some(value)),
        None => Ok(None),
    }
}

fn put(connection: &Connection, key: &str, value: &[u8]) -> Result<(), Failure> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta(key, value, sum) VALUES(?1, ?2, ?3)")?
        .execute(params![key, value, sum(key, value)])?;
    Ok(())
}

fn sum(key: &str, value: &[u8]) -> i64 {
    Sum::new().bytes(key.as_bytes()).bytes(value).finish()
}
