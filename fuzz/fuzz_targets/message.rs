//! Feeds bytes to the message parser. What is accepted must be read back the same; nothing may panic.

#![no_main]

use anser_core::Message;
use anser_core::limits::Limits;
use anser_core::message::Item;
use anser_fuzz::stamp;
use libfuzzer_sys::fuzz_target;

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
