//! Feeds bytes to the message parser. What is accepted must be read back the same; nothing may panic.

#![no_main]

use anser_core::id::MessageId;
use anser_core::limits::Limits;
use anser_core::message::{Item, Sender, SenderKind, Stamp};
use anser_core::{Message, Timestamp};
use libfuzzer_sys::fuzz_target;

fn stamp() -> Stamp {
    let time = Timestamp::from_millis(1_763_859_600_000);
    Stamp {
        id: MessageId::lowest_at(time),
        time,
        topic: "orders".to_owned(),
        from: Sender {
            kind: SenderKind::Service,
            id: "billing".to_owned(),
            name: None,
            platform: None,
            account: None,
        },
        target_id: None,
        origin: None,
        hops: 0,
        blobs: std::collections::HashMap::new(),
    }
}

fuzz_target!(|json: &[u8]| {
    let _problem = Message::from_json(json);
    let item = match Item::from_json(json) {
        Ok(item) => item,
        Err(problem) => {
            assert!(problem.to_string().len() < 2_000, "problems stay short");
            return;
        }
    };
    let written = serde_json::to_vec(&item).expect("an item always serialises");
    let again = Item::from_json(&written).expect("a written item is an item");
    assert_eq!(item.fingerprint(), again.fingerprint());
    let Ok(message) = Message::accept(item, stamp(), &Limits::default()) else {
        return;
    };
    let stored = message.to_json();
    let read = Message::from_json(&stored).expect("a stored message is a message");
    assert_eq!(read.to_json(), stored);
    assert_eq!(read.body.payload(), message.body.payload());
});
