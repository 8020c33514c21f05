//! Feeds a connection what may happen to it: a byte with the number of the channel, then steps of a byte that says what, two with
//! a length, and so many bytes. Nothing may panic, batches rise, and all that is taken must be a message.

#![no_main]

use std::sync::{Arc, LazyLock};

use anser_core::Timestamp;
use anser_core::channel::{Channel, HttpResponse};
use anser_core::connection::{Action, Frame, Input, TIMERS_MAX};
use anser_core::inbound::InboundContext;
use anser_fuzz::{NOW, SHARED, check, find_open};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// Channels that connect, in a fixed order: a new one goes to the end, for the numbers in the seeds.
static CHANNELS: LazyLock<Vec<Arc<dyn Channel>>> = LazyLock::new(|| {
    [
        ("feishu-app", json!({"app_id": "cli_anser0001", "app_secret": "s"})),
        ("dingtalk-app", json!({"app_key": "dingoqx7abcdefg", "app_secret": SHARED})),
        ("telegram-bot", json!({"token": "123456789:AAx"})),
        ("slack-app", json!({"token": "xoxb-1", "app_token": "xapp-1-A0000000000-0000000000000-0123456789abcdef"})),
        ("discord-bot", json!({"token": "x"})),
    ]
    .iter()
    .map(|(kind, settings)| find_open(kind, settings))
    .collect()
});

fn answer(status: u16, body: &[u8]) -> HttpResponse {
    HttpResponse {
        status: StatusCode::from_u16(status).expect("is a status"),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body),
    }
}

/// A frame of Feishu's data around an event: service 1, method 1, a type, a name, and where it is in the parts.
fn feishu(payload: &[u8], seq: u8, sum: u8) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| {
        let mut length = bytes.len();
        let mut head = vec![tag << 3 | 2];
        while length >= 0x80 {
            head.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
            length >>= 7;
        }
        head.push(u8::try_from(length).expect("seven bits"));
        [&head, bytes].concat()
    };
    let header = |key: &str, value: &str| {
        let pair = [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
        field(5, &pair)
    };
    let mut frame = vec![0x08, 7, 0x10, 11, 0x18, 1, 0x20, 1];
    frame.extend(header(
        "type",
        if seq.is_multiple_of(2) {
            "event"
        } else {
            "card"
        },
    ));
    frame.extend(header("message_id", "m"));
    frame.extend(header("sum", &sum.to_string()));
    frame.extend(header("seq", &seq.to_string()));
    frame.extend(field(8, payload));
    frame
}

/// A step, and what is behind it.
fn step(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([what, high, low], rest) = bytes.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (said, rest) = rest.split_at(length);
    Some((*what, said, rest))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, mut rest)) = bytes.split_first() else {
        return;
    };
    let channel = &CHANNELS[usize::from(*which) % CHANNELS.len()];
    let connector = channel.connector().expect("it connects");
    let mut connection = connector.begin(None);
    let mut asked = Vec::new();
    let mut unstored = Vec::new();
    let mut highest = 0;
    let mut input = Some(Input::Begin);
    let mut now = NOW * 1_000;
    while let Some(happened) = input.take() {
        let context = InboundContext {
            now: Timestamp::from_millis(now),
            channel: "ours",
            random: [7; 16],
        };
        now += 700;
        for action in connection.handle(happened, &context) {
            match action {
                Action::Ask { tag, .. } => asked.push(tag),
                Action::Take { batch, events } => {
                    assert!(batch > highest, "batches rise");
                    highest = batch;
                    unstored.push(batch);
                    check(events);
                }
                Action::Lost { .. } => return,
                _ => {}
            }
        }
        while let Some((what, said, behind)) = step(rest) {
            rest = behind;
            let small = said.first().copied().unwrap_or_default();
            input = match what % 10 {
                0 => asked.pop().map(|tag| Input::Answered {
                    tag,
                    exchange: Ok(answer(200, said)),
                }),
                1 => asked.pop().map(|tag| Input::Answered {
                    tag,
                    exchange: Ok(answer(200 + u16::from(small), said)),
                }),
                2 => Some(Input::Opened),
                3 => Some(Input::Frame(Frame::Text(
                    String::from_utf8_lossy(said).into_owned(),
                ))),
                4 => Some(Input::Frame(Frame::Binary(Bytes::copy_from_slice(said)))),
                5 => {
                    let payload = said.get(2..).unwrap_or_default();
                    let sum = said.get(1).copied().unwrap_or_default();
                    Some(Input::Frame(Frame::Binary(
                        feishu(payload, small, sum).into(),
                    )))
                }
                6 => (!unstored.is_empty()).then(|| Input::Stored {
                    batch: unstored.remove(0),
                }),
                7 => (!unstored.is_empty()).then(|| Input::NotStored {
                    batch: unstored.remove(0),
                }),
                8 => Some(Input::Timer(small % TIMERS_MAX)),
                _ => Some(Input::Closed {
                    code: Some(u16::from(small) + 1000),
                    reason: String::from_utf8_lossy(said).into_owned(),
                }),
            };
            if input.is_some() {
                break;
            }
        }
    }
});
