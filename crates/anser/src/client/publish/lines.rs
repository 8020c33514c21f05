//! Reads the file line by line and makes items of the lines. Bounded: a line may be no longer than a request.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anser_core::limits;
use anyhow::Context as _;
use serde_json::value::RawValue;

use super::batch::{Batch, Item};
use crate::exit::Failure;

/// The file being read.
pub(crate) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    topic: Option<String>,
    content: String,
    line: u64,
    bytes_read: u64,
    bytes_total: u64,
    next: Option<Item>,
}

/// What a line says of its place and repeats; the rest is the server's to judge.
#[derive(serde::Deserialize)]
struct Head<'a> {
    #[serde(default, borrow)]
    header: Option<Header<'a>>,
    #[serde(default, borrow)]
    dedupe_key: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Header<'a> {
    #[serde(default, borrow)]
    topic: Option<std::borrow::Cow<'a, str>>,
}

impl Lines {
    /// Opens the file. `content` tells its bytes from those of other files, in dedupe keys.
    pub(crate) fn open(path: &Path, topic: Option<String>, content: &str) -> Result<Self, Failure> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let bytes_total = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::new(file),
            topic,
            content: content.to_owned(),
            line: 0,
            bytes_read: 0,
            bytes_total,
            next: None,
        })
    }

    /// The file's size.
    pub(crate) fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// How far it has been read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Leaves out the first `count` lines; answers how many there were.
    pub(crate) fn skip(&mut self, count: u64) -> Result<u64, Failure> {
        let mut line = String::new();
        while self.line < count && self.read(&mut line)? {}
        Ok(self.line)
    }

    /// The next lines for one request; `None` at the end.
    pub(crate) fn next_batch(&mut self, messages_max: usize) -> Result<Option<Batch>, Failure> {
        let mut batch = Batch::default();
        while batch.len() < messages_max {
            let item = match self.next.take() {
                Some(item) => item,
                None => match self.next_item()? {
                    Some(item) => item,
                    None => break,
                },
            };
            if let Err(item) = batch.add(item) {
                self.next = Some(item);
                break;
            }
        }
        Ok((batch.len() > 0).then_some(batch))
    }

    fn next_item(&mut self) -> Result<Option<Item>, Failure> {
        let mut line = String::new();
        while self.read(&mut line)? {
            if !line.trim().is_empty() {
                return self.item(line.trim()).map(Some);
            }
        }
        Ok(None)
    }

    /// Reads the next line; false at the end.
    fn read(&mut self, line: &mut String) -> Result<bool, Failure> {
        line.clear();
        let most = limits::BATCH_BYTES_MAX as u64;
        let read = (&mut self.reader).take(most + 1).read_line(line);
        let read = read.with_context(|| {
            format!(
                "cannot read line {} of {}",
                self.line + 1,
                self.path.display()
            )
        })?;
        if read as u64 > most {
            return Err(self.wrong(self.line + 1, &format!("is longer than {most} bytes")));
        }
        self.line += u64::from(read > 0);
        self.bytes_read += read as u64;
        Ok(read > 0)
    }

    fn item(&self, text: &str) -> Result<Item, Failure> {
        let head: Head<'_> = serde_json::from_str(text)
            .map_err(|error| self.wrong(self.line, &format!("is no item: {error}")))?;
        let own = head.header.and_then(|header| header.topic);
        let topic = self.topic.clone().or(own.map(std::borrow::Cow::into_owned));
        let json = match head.dedupe_key {
            Some(_) => text.to_owned(),
            // Put in as text: everything else stays the bytes of the file.
            None => format!(
                "{{\"dedupe_key\":\"{}:{}\",{}",
                self.content,
                self.line,
                text.trim_start_matches('{').trim_start()
            ),
        };
        Ok(Item {
            line: self.line,
            topic,
            json,
        })
    }

    fn wrong(&self, line: u64, what: &str) -> Failure {
        Failure::Usage(format!("line {line} of {} {what}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str, topic: Option<&str>) -> Vec<(u64, Option<String>, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.jsonl");
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::open(&path, topic.map(str::to_owned), "c0ffee").unwrap();
        let mut items = Vec::new();
        while let Some(item) = lines.next_item().unwrap() {
            items.push((item.line, item.topic, item.json));
        }
        items
    }

    #[test]
    fn a_line_keeps_its_bytes_and_gets_a_dedupe_key() {
        let text = "{\"body\":{\"data\":1.0}}\n\n{ \"header\":{\"topic\":\"a\"},\"body\":{},\"dedupe_key\":\"mine\"}\n";
        assert_eq!(
            items(text, None),
            [
                (
                    1,
                    None,
                    "{\"dedupe_key\":\"c0ffee:1\",\"body\":{\"data\":1.0}}".to_owned()
                ),
                (
                    3,
                    Some("a".to_owned()),
                    "{ \"header\":{\"topic\":\"a\"},\"body\":{},\"dedupe_key\":\"mine\"}"
                        .to_owned()
                ),
            ]
        );
        assert_eq!(items("{\"body\":{}}", Some("t"))[0].1.as_deref(), Some("t"));
    }

    #[test]
    fn batches_end_where_the_topic_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.jsonl");
        let line =
            |topic: &str| format!("{{\"header\":{{\"topic\":\"{topic}\"}},\"body\":{{}}}}\n");
        let text: String = ["a", "a", "b", "b", "b", "a"].map(line).concat();
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::open(&path, None, "c0ffee").unwrap();
        let mut sizes = Vec::new();
        while let Some(batch) = lines.next_batch(2).unwrap() {
            sizes.push((batch.len(), batch.last_line()));
        }
        assert_eq!(sizes, [(2, 2), (2, 4), (1, 5), (1, 6)]);
    }
}
