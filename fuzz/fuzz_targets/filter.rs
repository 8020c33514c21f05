//! Feeds texts to the filter: the first line is a pattern, the second a text to match, the rest a CEL expression.
//! Nothing may panic, overflow the stack or take long.

#![no_main]

use std::sync::LazyLock;

use anser_core::Message;
use anser_core::filter::{Filter, FilterSpec};
use anser_core::limits::Limits;
use anser_core::message::Item;
use anser_core::pattern::Pattern;
use anser_fuzz::stamp;
use libfuzzer_sys::fuzz_target;

static MESSAGE: LazyLock<Message> = LazyLock::new(|| {
    let item = Item::from_json(
        br#"{"header":{"type":"a.b","tags":["a"],"ext":{"a":1}},
             "body":{"data":{"a":1,"b":[1,2.5,"c",null,{"a":true}],"c":"abc","d":-9223372036854775808,
                     "e":18446744073709551615,"f":"2026-11-23T01:00:00Z"}}}"#,
    )
    .expect("is an item");
    Message::accept(item, stamp(), &Limits::default()).expect("is valid")
});

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\n');
    let (pattern, matched, cel) = (parts.next(), parts.next(), parts.next());
    if let Ok(pattern) = Pattern::parse("pattern", pattern.unwrap_or_default()) {
        let _matches = pattern.matches(matched.unwrap_or_default());
    }
    let spec = FilterSpec {
        cel: cel.map(str::to_owned),
        ..FilterSpec::default()
    };
    if let Ok(filter) = Filter::compile("filter", &spec) {
        let _matches = filter.matches(&MESSAGE);
    }
});
