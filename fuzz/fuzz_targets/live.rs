//! Feeds bytes to what reads the frames of live clients. Nothing may panic; every refusal can be answered; offsets and streams
//! are written as they were read.

#![no_main]

use anser_core::live::{Hello, Offset, Operation, Position, Request, Stream, answer_json};
use libfuzzer_sys::fuzz_target;

fn written_as_read(stream: &Stream, offset: Offset) {
    assert_eq!(stream.to_string().parse().ok(), Some(stream.clone()));
    assert_eq!(offset.to_string().parse().ok(), Some(offset));
}

fuzz_target!(|bytes: &[u8]| {
    let _hello = Hello::from_json(bytes);
    match Request::from_json(bytes) {
        Ok(request) => {
            if let Operation::Ack(Position::UpTo { stream, offset }) = &request.operation {
                written_as_read(stream, *offset);
            }
        }
        Err(problem) => {
            let answer = answer_json(None, &Err(problem));
            assert!(serde_json::from_slice::<serde_json::Value>(&answer).is_ok());
        }
    }
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    if let (Some(op), Some(json)) = (lines.next(), lines.next())
        && let Ok(op) = str::from_utf8(op)
    {
        let _request = Request::from_parts(op, json);
        if let (Ok(stream), Ok(offset)) = (op.parse(), String::from_utf8_lossy(json).parse()) {
            written_as_read(&stream, offset);
        }
    }
});
