//! Feeds requests to the dialects of robots: the first line chooses the dialect, the second is the content type, the third
//! the query, the rest the body. Nothing may panic, and what is read must be a message that is read back the same.

#![no_main]

use std::collections::HashMap;

use anser_core::blob::BlobHash;
use anser_core::limits::Limits;
use anser_core::message::{Source, Stamp};
use anser_core::{Message, Timestamp};
use anser_edge::robot::{Dialect, Posted, Told};
use anser_fuzz::stamp;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};

const NOW: Timestamp = Timestamp::from_millis(1_763_859_600_000);

fn accept(told: Told) {
    let mut item = told.item;
    let mut blobs = HashMap::new();
    for (place, bytes) in told.files {
        let hash = BlobHash(Sha256::digest(&bytes).into());
        item.attachments[place].source = Source::Blob(hash.to_string());
        blobs.insert(hash, bytes.len() as u64);
    }
    let stamp = Stamp { blobs, ..stamp() };
    let message = Message::accept(item, stamp, &Limits::default()).expect("what is read is valid");
    let stored = message.to_json();
    let read = Message::from_json(&stored).expect("a stored message is a message");
    assert_eq!(read.to_json(), stored);
}

fuzz_target!(|request: &[u8]| {
    let mut parts = request.splitn(4, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (name, media_type, query, body) = (next(), next(), next(), next());
    let Some(dialect) = std::str::from_utf8(name).ok().and_then(Dialect::find) else {
        return;
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(media_type) {
        headers.insert("content-type", value);
    }
    // Without a type of event its dialect refuses every body.
    headers.insert("x-github-event", HeaderValue::from_static("pull_request"));
    let posted = Posted {
        method: &Method::POST,
        rest: "",
        query: std::str::from_utf8(query).unwrap_or_default(),
        headers: &headers,
        body,
        now: NOW,
    };
    let _verdict = dialect.prove(&posted, "secret");
    match dialect.read(&posted) {
        Ok(told) => accept(told),
        Err(fault) => {
            let _reply = dialect.refused(&fault);
        }
    }
});
