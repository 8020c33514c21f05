//! Feeds requests as they may come from anywhere: a line with the number of the channel and the method, the query, headers,
//! an empty line, the body. Nothing may panic.

#![no_main]

use std::sync::{Arc, LazyLock};

use anser_core::channel::Channel;
use anser_core::inbound::InboundRequest;
use anser_fuzz::{channels, send};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;

static CHANNELS: LazyLock<Vec<Arc<dyn Channel>>> = LazyLock::new(channels);

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let which = first.first().copied().unwrap_or_default();
    let channel = &CHANNELS[usize::from(which) % CHANNELS.len()];
    let method = if first.get(1) == Some(&b'G') {
        Method::GET
    } else {
        Method::POST
    };
    let Ok(query) = std::str::from_utf8(lines.next().unwrap_or_default()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) {
            headers.append(name, value);
        }
    }
    let body = Bytes::from(lines.collect::<Vec<&[u8]>>().join(&b'\n'));
    let request = InboundRequest {
        method: &method,
        query,
        headers: &headers,
        body: &body,
    };
    send(&**channel, &request);
});
