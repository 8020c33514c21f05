//! Reads SQLite's write-ahead log as SQLite does at recovery, before SQLite touches it, to tell a log torn at its end
//! from one broken before later transactions: SQLite silently stops at the first broken frame either way.
//! The format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>. Must not change the file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Bytes of the header of the log.
const HEADER_BYTES: usize = 32;
/// Bytes of the header of a frame.
const FRAME_HEADER_BYTES: usize = 24;
/// The first four bytes of a log but for the lowest bit, which tells the byte order of its checksums.
const MAGIC: u32 = 0x377f_0682;
/// Sizes of a database page, in bytes.
const PAGE_BYTES_MIN: u32 = 512;
const PAGE_BYTES_MAX: u32 = 65536;
/// Read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The two numbers that tell one run of the log from the runs before it, as they stand in the file.
pub(super) type Salts = [u8; 8];

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Log {
    /// The salts of its header; `None` when the file is missing or empty, or the header is broken.
    pub(super) salts: Option<Salts>,
    /// There is a header, and it is broken.
    pub(super) header_broken: bool,
    /// Frames up to and including the last complete transaction.
    pub(super) committed: u32,
    /// Transactions of this run that end in or behind the first broken frame.
    pub(super) commits_behind_break: u32,
}

/// Reads a log. A missing file is an empty log.
pub(super) fn read(path: &Path) -> io::Result<Log> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Log::default()),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut bytes = [0; HEADER_BYTES];
    if !filled(&mut reader, &mut bytes)? {
        return Ok(Log::default());
    }
    match Header::parse(&bytes) {
        Some(header) => read_frames(&mut reader, header),
        None => read_headless(&mut reader, &bytes),
    }
}

struct Header {
    page_bytes: usize,
    salts: Salts,
    big_endian: bool,
    sum: (u32, u32),
}

impl Header {
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        let page_bytes = page_bytes(bytes)?;
        let big_endian = magic & 1 == 1;
        let sum = add((0, 0), &bytes[..24], big_endian);
        let intact = magic & !1 == MAGIC && sum == (word(bytes, 24), word(bytes, 28));
        intact.then(|| Self {
            page_bytes,
            salts: salts(&bytes[16..24]),
            big_endian,
            sum,
        })
    }
}

fn page_bytes(header: &[u8]) -> Option<usize> {
    let bytes = word(header, 8);
    let valid = bytes.is_power_of_two() && (PAGE_BYTES_MIN..=PAGE_BYTES_MAX).contains(&bytes);
    if valid {
        usize::try_from(bytes).ok()
    } else {
        None
    }
}

fn read_frames(reader: &mut impl Read, header: Header) -> io::Result<Log> {
    let mut log = Log {
        salts: Some(header.salts),
        ..Log::default()
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES + header.page_bytes];
    let (mut sum, mut number, mut broken) = (header.sum, 0_u32, false);
    while filled(reader, &mut frame)? {
        let ours = frame[8..16] == header.salts;
        let commit = word(&frame, 4) != 0;
        if !broken {
            sum = add(sum, &frame[..8], header.big_endian);
            sum = add(sum, &frame[FRAME_HEADER_BYTES..], header.big_endian);
            broken = !ours || word(&frame, 0) == 0 || sum != (word(&frame, 16), word(&frame, 20));
        }
        if !broken {
            number += 1;
            if commit {
                log.committed = number;
            }
        } else if ours && commit {
            log.commits_behind_break += 1;
        }
    }
    Ok(log)
}

/// Without a header SQLite takes the log as empty; its frames still tell whether it was.
fn read_headless(reader: &mut impl Read, header: &[u8]) -> io::Result<Log> {
    let mut log = Log {
        header_broken: true,
        ..Log::default()
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes(header).unwrap_or(4096)];
    let mut first = None;
    while filled(reader, &mut frame)? {
        let ours = *first.get_or_insert_with(|| salts(&frame[8..16])) == frame[8..16];
        if ours && word(&frame, 4) != 0 {
            log.commits_behind_break += 1;
        }
    }
    Ok(log)
}

/// Fills the buffer; false when the file ends before that.
fn filled(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn salts(bytes: &[u8]) -> Salts {
    let mut salts = [0; 8];
    salts.copy_from_slice(bytes);
    salts
}

/// The checksum of section 4.2, over whole pairs of words.
fn add(sum: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let (mut first, mut second) = sum;
    for pair in bytes.chunks_exact(8) {
        let (left, right) = pair.split_at(4);
        let read = |half: &[u8]| {
            let half = [half[0], half[1], half[2], half[3]];
            if big_endian {
                u32::from_be_bytes(half)
            } else {
                u32::from_le_bytes(half)
            }
        };
        first = first.wrapping_add(read(left)).wrapping_add(second);
        second = second.wrapping_add(read(right)).wrapping_add(first);
    }
    (first, second)
}
