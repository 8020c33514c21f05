//! Opening the data: one owner at a time, nothing damaged taken for whole, the schema brought forward, and the numbers
//! that only rise read back.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anser_core::id::{MessageId, Num};
use anser_core::random::Random;
use anser_core::store::StoreInfo;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};

use super::ack::{self, AckFile};
use super::depth::Depths;
use super::error::OpenError;
use super::failure::Failure;
use super::meta::{self, Fact};
use super::row::{self, delivery_columns};
use super::schema;

/// The database in the data directory.
const DATABASE: &str = "anser.db";
/// The file that its owner holds locked.
const LOCK: &str = "anser.lock";
/// Up to this size every index is compared with its table at open; beyond it only the unfinished deliveries are, so that
/// a start takes seconds.
const FULL_CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The smallest installation number: all have ten digits.
const INSTALLATION_MIN: u64 = 1_000_000_000;
/// How many there are.
const INSTALLATIONS: u64 = 9_000_000_000;
/// Statements the writer keeps prepared beside the hot ones.
const STATEMENTS_MAX: usize = 64;

/// How thoroughly the data is checked when it is opened. Rows are checked whenever they are read, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// `Full` for small data, `Quick` for large.
    #[default]
    Auto,
    /// Every page, and every index against its table.
    Full,
    /// Every page, and the index of unfinished deliveries against its table.
    Quick,
    /// The index of unfinished deliveries only. For an operator in a hurry.
    Skip,
}

/// What an opened data directory is made of.
pub(super) struct Opened {
    pub(super) database: PathBuf,
    pub(super) connection: Connection,
    pub(super) ack: AckFile,
    pub(super) lock: File,
    pub(super) info: StoreInfo,
    pub(super) depths: Depths,
    pub(super) log: u64,
    pub(super) revision: u64,
    pub(super) resource: u64,
}

/// What decides how it is opened.
pub(super) struct Opening<'a> {
    pub(super) dir: &'a Path,
    pub(super) verify: Verify,
    pub(super) max_page_count: Option<u32>,
    pub(super) random: &'a dyn Random,
}

impl Opening<'_> {
    pub(super) fn open(&self) -> Result<Opened, OpenError> {
        let lock = self.take().map_err(|error| self.io(error))??;
        let database = self.dir.join(DATABASE);
        let log = beside(&database, "-wal");
        self.check_files(&database, &log)?;
        let connection = self
            .connect(&database)
            .map_err(|failure| self.failed(&failure))?;
        let found = schema::stored_version(&connection).map_err(|failure| self.failed(&failure))?;
        if found > schema::version() {
            return Err(OpenError::Newer {
                dir: self.dir.to_owned(),
                found,
                known: schema::version(),
            });
        }
        self.prepare(&connection, found, &database)
            .map_err(|failure| self.failed(&failure))?;
        let info = self
            .begin_epoch(&connection)
            .map_err(|failure| self.failed(&failure))?;
        let ack =
            AckFile::open(self.dir, &beside(&database, "-shm")).map_err(|error| self.io(error))?;
        ack.acknowledge().map_err(|error| self.io(error))?;
        // The files' names must be as durable as their bytes.
        File::open(self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|error| self.io(error))?;
        let depths = count_unfinished(&connection).map_err(|failure| self.failed(&failure))?;
        let number =
            |fact| meta::number(&connection, fact).map_err(|failure| self.failed(&failure));
        let revision = number(Fact::Revision)?.unwrap_or(0);
        let resource = number(Fact::HighestResource)?.unwrap_or(0);
        let log = newest_record(&connection).map_err(|failure| self.failed(&failure))?;
        Ok(Opened {
            database,
            connection,
            ack,
            lock,
            info,
            depths,
            log,
            revision,
            resource,
        })
    }

    /// Locks the data directory for as long as the file stays open.
    fn take(&self) -> io::Result<Result<File, OpenError>> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.dir)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(self.dir.join(LOCK))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder)?;
                let holder = holder.trim().parse::<u32>();
                return Ok(Err(OpenError::InUse {
                    dir: self.dir.to_owned(),
                    holder: holder
                        .map_or_else(|_| String::new(), |process| format!(" (number {process})")),
                }));
            }
            Err(error) => return Err(error.into()),
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Ok(lock))
    }

    /// Looks at the files before SQLite does: it would take a broken log for a short one.
    fn check_files(&self, database: &Path, log: &Path) -> Result<(), OpenError> {
        let damaged = |file: &Path, what: String| OpenError::Damaged {
            file: file.to_owned(),
            what,
        };
        let opened_before = self.dir.join(ack::FILE).exists();
        if opened_before && bytes_of(database) == 0 {
            return Err(damaged(
                database,
                "it is missing or empty, and it was not before".into(),
            ));
        }
        match ack::damage(self.dir, log).map_err(|error| self.io(error))? {
            Some(what) => Err(damaged(log, what)),
            None => Ok(()),
        }
    }

    fn connect(&self, database: &Path) -> Result<Connection, Failure> {
        let is_new = bytes_of(database) == 0;
        let connection = Connection::open(database)?;
        // A store that is dropped without being closed leaves its files as a crash would.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        if is_new {
            schema::prepare_new(&connection)?;
        }
        Ok(connection)
    }

    fn prepare(
        &self,
        connection: &Connection,
        version: u32,
        database: &Path,
    ) -> Result<(), Failure> {
        schema::configure_writer(connection, self.max_page_count)?;
        if version == 0 {
            let tables: u32 =
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if tables > 0 {
                return Err(Failure::Corrupt(
                    "it has tables but no schema version".into(),
                ));
            }
        } else {
            self.verify(connection, database)?;
        }
        schema::migrate(connection, version)
    }

    fn verify(&self, connection: &Connection, database: &Path) -> Result<(), Failure> {
        let check = match self.verify {
            Verify::Skip => return Ok(()),
            Verify::Full => "PRAGMA integrity_check(1)",
            Verify::Auto if bytes_of(database) <= FULL_CHECK_BYTES_MAX => {
                "PRAGMA integrity_check(1)"
            }
            Verify::Auto | Verify::Quick => "PRAGMA quick_check(1)",
        };
        let verdict: String = connection.query_row(check, [], |row| row.get(0))?;
        if verdict == "ok" {
            Ok(())
        } else {
            Err(Failure::Corrupt(verdict))
        }
    }

    /// Counts this opening and marks the data as in use.
    fn begin_epoch(&self, connection: &Connection) -> Result<StoreInfo, Failure> {
        let transaction = connection.unchecked_transaction()?;
        let clean = meta::number(connection, Fact::Clean)?.is_none_or(|clean| clean == 1);
        let epoch = meta::number(connection, Fact::Epoch)?.unwrap_or(0) + 1;
        let installation = match meta::number(connection, Fact::Installation)? {
            Some(installation) => installation,
            None => {
                let made = INSTALLATION_MIN + self.random.next_u64() % INSTALLATIONS;
                meta::set_number(connection, Fact::Installation, made)?;
                made
            }
        };
        meta::set_number(connection, Fact::Clean, 0)?;
        meta::set_number(connection, Fact::Epoch, epoch)?;
        let num: Option<i64> =
            connection.query_row("SELECT max(num) FROM message", [], |row| row.get(0))?;
        let id: Option<[u8; 16]> = connection
            .query_row(
                "SELECT id FROM message ORDER BY id DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()?;
        let noted = meta::number(connection, Fact::HighestNum)?.unwrap_or(0);
        let info = StoreInfo {
            installation,
            epoch,
            clean,
            highest_id: meta::highest_id(connection)?.max(id.map(MessageId::from_bytes)),
            highest_num: Num(noted.max(num.unwrap_or(0).cast_unsigned())),
        };
        transaction.commit()?;
        Ok(info)
    }

    fn io(&self, source: io::Error) -> OpenError {
        OpenError::Io {
            dir: self.dir.to_owned(),
            source,
        }
    }

    /// What a failure means at open.
    pub(super) fn failed(&self, failure: &Failure) -> OpenError {
        if failure.is_damage() {
            OpenError::Damaged {
                file: self.dir.join(DATABASE),
                what: failure.to_string(),
            }
        } else {
            OpenError::Database {
                dir: self.dir.to_owned(),
                reason: failure.to_string(),
            }
        }
    }
}

/// Counts the unfinished deliveries, and compares every entry of their index with its row: a claim trusts that index.
fn count_unfinished(connection: &Connection) -> Result<Depths, Failure> {
    let depths = Depths::default();
    let mut index = connection
        .prepare("SELECT id, grp, state, due FROM delivery INDEXED BY delivery_open WHERE state < 3 ORDER BY grp, state, due")?;
    let mut lookup = connection.prepare(concat!(
        "SELECT ",
        delivery_columns!(),
        " FROM delivery WHERE id = ?1"
    ))?;
    let mut entries = index.query([])?;
    while let Some(entry) = entries.next()? {
        let (id, group, state, due): (i64, i64, u8, i64) =
            (entry.get(0)?, entry.get(1)?, entry.get(2)?, entry.get(3)?);
        let mut rows = lookup.query([id])?;
        let stored = rows
            .next()?
            .map(row::delivery)
            .transpose()?
            .map(|stored| stored.row);
        let matching = stored.filter(|row| {
            (
                row.group.0.cast_signed(),
                row.state.code(),
                row.due.millis(),
            ) == (group, state, due)
        });
        let Some(row) = matching else {
            return Err(Failure::Corrupt(format!(
                "delivery {id} is not what the index of unfinished ones says"
            )));
        };
        depths.count(&row);
    }
    drop(entries);
    drop(index);
    drop(lookup);
    Ok(depths)
}

fn newest_record(connection: &Connection) -> Result<u64, Failure> {
    let newest: Option<i64> =
        connection.query_row("SELECT max(num) FROM attempt_log", [], |row| row.get(0))?;
    Ok(newest.unwrap_or(0).cast_unsigned())
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The size of a file, 0 when there is none.
fn bytes_of(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}
