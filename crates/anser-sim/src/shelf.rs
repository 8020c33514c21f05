//! The files that a stand-in was sent: what is known of each, and the first bytes of those that came last. Bounded: the
//! oldest are forgotten, their bytes first.

use std::collections::{BTreeMap, HashMap, VecDeque};

use anser_core::Timestamp;
use bytes::Bytes;
use serde::Serialize;

use crate::emit::SaidFile;
use crate::intake::Content;

/// Files that are known.
const UPLOADS_MAX: usize = 20_000;
/// Bytes of files that are kept.
const BYTES_MAX: usize = 64 << 20;

/// A file that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    /// In the order in which they were taken, from 1.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The token or id of the robot or app that sent it.
    pub robot: String,
    /// The platform's name for what it is, such as `image`, `mp4` or `voice`.
    pub kind: String,
    /// What messages name it by: `image_key`, `media_id`, `file_id` or what the platform calls it.
    pub key: String,
    /// The file's name, where it was told.
    pub name: Option<String>,
    /// Its media type, where it was told.
    pub media_type: Option<String>,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Its first bytes, at most 1 MiB, and all of what a person sent; `None` once too many came after it.
    #[serde(skip)]
    pub head: Option<Bytes>,
}

impl Upload {
    /// All of its bytes; `None` where not all of them were kept.
    #[must_use]
    pub fn content(&self) -> Option<&Bytes> {
        let head = self.head.as_ref()?;
        (head.len() as u64 == self.size).then_some(head)
    }
}

/// A file that was taken, before it has its number.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    pub(crate) robot: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) key: String,
    pub(crate) name: Option<&'a str>,
    pub(crate) media_type: Option<&'a str>,
    pub(crate) content: &'a Content,
}

/// The files.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    uploads: BTreeMap<u64, Upload>,
    by_key: HashMap<String, u64>,
    /// Those whose bytes are kept, oldest first, and how many bytes that are.
    kept: VecDeque<u64>,
    bytes: usize,
    number: u64,
}

impl Shelf {
    /// The number that the next file will have.
    pub(crate) fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// Puts a file on the shelf.
    pub(crate) fn put(&mut self, at: Timestamp, parcel: Parcel<'_>) {
        self.number += 1;
        let head = parcel.content.head.clone();
        self.bytes += head.len();
        self.kept.push_back(self.number);
        self.by_key.insert(parcel.key.clone(), self.number);
        let upload = Upload {
            number: self.number,
            at,
            robot: parcel.robot.to_owned(),
            kind: parcel.kind.to_owned(),
            key: parcel.key,
            name: parcel.name.map(str::to_owned),
            media_type: parcel.media_type.map(str::to_owned),
            size: parcel.content.size,
            sha256: parcel.content.sha256.clone(),
            head: Some(head),
        };
        self.uploads.insert(self.number, upload);
        self.make_room();
    }

    /// Puts a file there that a person sent where the robot is.
    pub(crate) fn put_said(
        &mut self,
        at: Timestamp,
        (robot, kind): (&str, &str),
        key: String,
        file: &SaidFile,
    ) {
        let content = Content::whole(file.bytes.clone());
        let parcel = Parcel {
            robot,
            kind,
            key,
            name: Some(&file.name),
            media_type: Some(&file.media_type),
            content: &content,
        };
        self.put(at, parcel);
    }

    fn make_room(&mut self) {
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            let head = self
                .uploads
                .get_mut(&oldest)
                .and_then(|old| old.head.take());
            self.bytes -= head.map_or(0, |head| head.len());
        }
        while self.uploads.len() > UPLOADS_MAX {
            let Some((number, old)) = self.uploads.pop_first() else {
                break;
            };
            if self.kept.front() == Some(&number) {
                self.kept.pop_front();
            }
            self.bytes -= old.head.map_or(0, |head| head.len());
            if self.by_key.get(&old.key) == Some(&number) {
                self.by_key.remove(&old.key);
            }
        }
    }

    /// The file with that key.
    pub(crate) fn get(&self, key: &str) -> Option<&Upload> {
        self.uploads.get(self.by_key.get(key)?)
    }

    /// The file of that number.
    pub(crate) fn numbered(&self, number: u64) -> Option<&Upload> {
        self.uploads.get(&number)
    }

    /// Those with a number above `after`, oldest first.
    pub(crate) fn uploads(&self, after: u64) -> Vec<Upload> {
        let newer = self.uploads.range(after.saturating_add(1)..);
        newer.map(|(_, upload)| upload.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(shelf: &mut Shelf, key: &str, head: &Bytes) {
        let content = Content {
            size: head.len() as u64,
            sha256: String::new(),
            head: head.clone(),
        };
        let parcel = Parcel {
            robot: "r",
            kind: "image",
            key: key.to_owned(),
            name: None,
            media_type: None,
            content: &content,
        };
        shelf.put(Timestamp::EPOCH, parcel);
    }

    #[test]
    fn bytes_are_forgotten_before_what_is_known() {
        let mut shelf = Shelf::default();
        let large = Bytes::from(vec![1; 1 << 20]);
        for number in 0..65 {
            put(&mut shelf, &number.to_string(), &large);
        }
        let first = shelf.get("0").unwrap();
        assert_eq!((first.size, first.content()), (1 << 20, None));
        assert!(shelf.get("1").unwrap().content().is_some());
        let small = Bytes::from_static(b"x");
        for number in 65..UPLOADS_MAX + 1 {
            put(&mut shelf, &number.to_string(), &small);
        }
        assert!(shelf.get("0").is_none() && shelf.get("1").is_some());
        assert_eq!(shelf.uploads(0).len(), UPLOADS_MAX);
        assert_eq!(shelf.uploads(UPLOADS_MAX as u64)[0].number, shelf.number);
    }
}
