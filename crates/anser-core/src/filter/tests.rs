//! Filters: what matches, what is refused, and that no expression can hurt the process.

use std::time::Duration;

use proptest::prelude::*;

use super::{Filter, FilterSpec};
use crate::clock::{Clock as _, SystemClock};
use crate::id::IdGenerator;
use crate::limits::Limits;
use crate::message::{Item, Message, Sender, SenderKind, Stamp};
use crate::problem::Problem;
use crate::random::SeededRandom;

fn message(item: &str) -> Message {
    let time = "2026-11-23T01:00:00Z".parse().unwrap();
    let stamp = Stamp {
        id: IdGenerator::above(None).next(time, &SeededRandom::new(1)),
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
    };
    let item = Item::from_json(item.as_bytes()).unwrap();
    Message::accept(item, stamp, &Limits::default()).unwrap()
}

fn compile(spec: &str) -> Result<Filter, Problem> {
    let spec: FilterSpec = crate::message::item::parse_json("filter", spec.as_bytes())?;
    Filter::compile("filter", &spec)
}

fn cel(source: &str) -> Result<Filter, Problem> {
    let spec = FilterSpec {
        cel: Some(source.to_owned()),
        ..FilterSpec::default()
    };
    Filter::compile("filter", &spec)
}

const ORDER: &str = r#"{
    "header": {"type": "order.paid", "routing_key": "eu.order.paid", "tags": ["vip", "new"], "key": "k1",
               "ext": {"shop": "cn-7", "n": 3}},
    "body": {"data": {"amount": 120, "price": 1.5, "big": 18446744073709551615, "huge": 123456789012345678901234567890,
                      "name": "Tom", "paid": true, "note": null, "items": [{"sku": "a", "qty": 2}, {"sku": "b", "qty": 0}],
                      "sizes": [1, 2, 3], "größe": {"x y": 1}}}}"#;

#[test]
fn lists_and_patterns() {
    let order = message(ORDER);
    let plain = message(r#"{"header": {"type": "chat.joined"}, "body": {"data": 1}}"#);
    for (spec, on_order, on_plain) in [
        ("{}", true, true),
        (r#"{"types": []}"#, true, true),
        (r#"{"types": ["order.paid"]}"#, true, false),
        (r#"{"types": ["order.*"]}"#, true, false),
        (r#"{"types": ["order"]}"#, false, false),
        (r#"{"types": ["a", "chat.#"]}"#, false, true),
        (r#"{"tags": ["vip"]}"#, true, false),
        (r#"{"tags": ["other", "new"]}"#, true, false),
        (r#"{"tags": ["VIP"]}"#, false, false),
        (r#"{"binding_key": "eu.#"}"#, true, false),
        (r#"{"binding_key": ["us.#", "*.order.*"]}"#, true, false),
        // Without a routing key the type is matched.
        (r#"{"binding_key": "chat.*"}"#, false, true),
        (r#"{"binding_key": "order.#"}"#, false, false),
        (r#"{"binding_key": []}"#, true, true),
        // All that is given must hold.
        (
            r#"{"types": ["order.#"], "tags": ["vip"], "binding_key": "eu.#", "cel": "true"}"#,
            true,
            false,
        ),
        (r#"{"types": ["order.#"], "tags": ["none"]}"#, false, false),
        (r#"{"types": ["order.#"], "cel": "false"}"#, false, false),
    ] {
        let filter = compile(spec).unwrap();
        assert_eq!(filter.matches(&order), on_order, "{spec} on the order");
        assert_eq!(filter.matches(&plain), on_plain, "{spec} on the plain one");
    }
}

#[test]
fn expressions() {
    let order = message(ORDER);
    for (source, expected) in [
        ("true", true),
        ("header.type == 'order.paid'", true),
        ("header.topic == 'orders' && header.kind == 'normal'", true),
        (
            "header.from.kind == 'service' && header.from.id == 'billing'",
            true,
        ),
        ("header.time == '2026-11-23T01:00:00.000Z'", true),
        (
            "timestamp(header.time) < timestamp('2027-01-01T00:00:00Z')",
            true,
        ),
        ("'vip' in header.tags", true),
        ("'x' in header.tags", false),
        ("header.ext.shop.startsWith('cn-')", true),
        ("header.ext.n > 2", true),
        ("header.ext['n'] == 3", true),
        ("data.amount > 100", true),
        ("data.amount > 100.5", true),
        ("data.amount == 120.0", true),
        ("data.price > 1", true),
        ("data.price == 1.5", true),
        ("data.amount * 2 == 240", true),
        ("data.big == 18446744073709551615u", true),
        ("data.big > 5", true),
        ("data.huge > 1.0", true),
        ("data.name == 'Tom'", true),
        ("data.name.matches('^T[a-z]+$')", true),
        ("data.name.matches('^t')", false),
        ("data.paid", true),
        ("data.note == null", true),
        ("data['größe']['x y'] == 1", true),
        ("size(data.items) == 2", true),
        ("data.sizes[1] == 2", true),
        ("has(data.name) && !has(data.nothing)", true),
        ("has(header.key) && !has(header.routing_keys)", true),
        ("data.items.exists(i, i.sku == 'a' && i.qty > 1)", true),
        ("data.items.all(i, i.qty > 0)", false),
        (
            "data.items.filter(i, i.qty > 0).map(i, i.sku) == ['a']",
            true,
        ),
        ("data.items.exists_one(i, i.sku in ['b', 'c'])", true),
        ("[data].exists(d, d.items.exists(i, i.sku == 'b'))", true),
        ("data.amount > 100 ? data.paid : false", true),
        // What fails, or is no boolean, does not match; nor does its negation.
        ("data.nothing == 1", false),
        ("!(data.nothing == 1)", false),
        ("header.reply_to == null", false),
        ("data.nothing.at.all", false),
        ("nothing", false),
        ("data.name > 5", false),
        ("data.sizes[9] == 1", false),
        ("data.amount / 0 == 1", false),
        ("9223372036854775807 + data.amount > 0", false),
        ("data.amount", false),
        ("'true'", false),
        ("1", false),
        ("null", false),
        ("[true]", false),
        // One side of `||` may fail when the other holds.
        ("data.nothing == 1 || data.paid", true),
    ] {
        let filter = cel(source).unwrap_or_else(|problem| panic!("{source}: {problem}"));
        assert_eq!(filter.matches(&order), expected, "{source}");
    }
}

#[test]
fn data_of_every_kind() {
    for (body, source, expected) in [
        (r#"{"data": 5}"#, "data == 5", true),
        (r#"{"data": "Paid"}"#, "data == 'Paid'", true),
        (r#"{"data": [1, "a"]}"#, "data[1] == 'a'", true),
        (r#"{"data": null}"#, "data == null", true),
        (r#"{"data": {"a": 1, "a": 2}}"#, "data.a == 2", true),
        (r#"{"bytes": "AA=="}"#, "data == null", true),
        (r#"{"segments": [{"type": "break"}]}"#, "data == null", true),
        // No CEL value: never a match, not even of `null`.
        (r#"{"data": 1e999}"#, "data == null || true", false),
        (r#"{"data": ["\ud800"]}"#, "true", false),
    ] {
        let message = message(&format!(r#"{{"body": {body}}}"#));
        assert_eq!(
            cel(source).unwrap().matches(&message),
            expected,
            "{body} {source}"
        );
    }
}

#[test]
fn refused() {
    let hundred_and_one = vec!["a"; 101];
    let many = |field: &str| serde_json::json!({field: hundred_and_one}).to_string();
    for (spec, code, field) in [
        (
            r#"{"types": [""]}"#.to_owned(),
            "invalid_pattern",
            "filter.types[0]",
        ),
        (
            r#"{"types": ["a", "b\u0000"]}"#.to_owned(),
            "invalid_pattern",
            "filter.types[1]",
        ),
        (
            r#"{"binding_key": "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a"}"#.to_owned(),
            "invalid_pattern",
            "filter.binding_key[0]",
        ),
        (
            r#"{"binding_key": 5}"#.to_owned(),
            "invalid_field",
            "filter.binding_key",
        ),
        (
            r#"{"binding_key": ["a", 5]}"#.to_owned(),
            "invalid_field",
            "filter.binding_key",
        ),
        (
            r#"{"tags": [""]}"#.to_owned(),
            "invalid_tag",
            "filter.tags[0]",
        ),
        (
            r#"{"tags": "vip"}"#.to_owned(),
            "invalid_field",
            "filter.tags",
        ),
        (r#"{"typs": []}"#.to_owned(), "invalid_field", "filter.typs"),
        (r#"[]"#.to_owned(), "invalid_field", "filter"),
        (r#"{"cel": ""}"#.to_owned(), "invalid_cel", "filter.cel"),
        (r#"{"cel": 1}"#.to_owned(), "invalid_field", "filter.cel"),
        (many("types"), "too_many", "filter.types"),
        (many("tags"), "too_many", "filter.tags"),
        (many("binding_key"), "too_many", "filter.binding_key"),
    ] {
        let problem = compile(&spec).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field)),
            "{spec:.60} {problem}"
        );
    }
}

#[test]
fn expressions_that_are_refused_say_why() {
    for (source, reason) in [
        ("header.type =", "is no CEL expression: 1:13"),
        ("header.type == 'a", "is no CEL expression: 1:16"),
        ("data.sizes.map(1, 2)", "argument must be a simple name"),
        (
            "data.name.matches('(')",
            "is no regular expression: unclosed group",
        ),
        (
            "data.name.matches(data.name)",
            "must be a text, not computed",
        ),
        ("data.name.matches('(\\\\w{30}){30}')", "exceeds size limit"),
        (
            "data.sizes.all(s, 'a'.matches('a'))",
            "cannot be used inside a macro",
        ),
        (
            "data.sizes.all(s, s in data.sizes)",
            "only their own variable may be used, not data",
        ),
        (
            "data.items.all(i, data.items.all(j, true))",
            "only their own variable may be used, not data",
        ),
        (
            "[data].all(d, d.all(e, e in d))",
            "only their own variable may be used, not d",
        ),
        ("data.sizes.map(s, [s, s])", "constants only"),
        ("data.sizes.map(s, {'a': s})", "maps cannot be made"),
        (
            "[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))",
            "at most 3 uses",
        ),
    ] {
        let problem = cel(source).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            ("invalid_cel", Some("filter.cel"))
        );
        assert!(problem.detail.contains(reason), "{source}: {problem}");
    }
}

/// Runs on a stack half as large as that of the runtime's workers (2 MiB): an overflow would end the test process.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1024 * 1024);
    thread.spawn(work).unwrap().join().unwrap();
}

#[test]
fn hostile_expressions_neither_panic_nor_overflow() {
    let sources: Vec<String> = [1, 16, 63, 64, 65, 200, 400, 401, 1_000, 2_000]
        .into_iter()
        .flat_map(|n: usize| {
            let nested =
                |open: &str, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
            [
                nested("(", ")"),
                nested("[", "]"),
                nested("{1:", "}"),
                nested("a[", "]"),
                nested("f(", ")"),
                nested("-(", ")"),
                nested("1+(", ")"),
                nested("true?(", "):1"),
                nested("[1].all(x,", ")"),
                nested("a{b:", "}"),
                "(".repeat(n),
                "[{(".repeat(n),
                ")".repeat(n),
                format!("a{}", ".a".repeat(n)),
                format!("a{}", ".a()".repeat(n)),
                format!("a{}", "[0]".repeat(n)),
                format!("1{}", "+1".repeat(n)),
                format!("'('{}", "+')'".repeat(n)),
                format!("1{}", "<1".repeat(n)),
                format!("1{}", " in 1".repeat(n)),
                format!("a{}", "&&a".repeat(n)),
                format!("a{}", "||a&&a".repeat(n)),
                format!("{}true", "!".repeat(n)),
                format!("{}1", "- ".repeat(n)),
                format!("{}1", "a?b:".repeat(n)),
                format!("{}a{}", "a?".repeat(n), ":b".repeat(n)),
                format!("[{}1]", "1,".repeat(n)),
                format!("\"\"\"{}", "\"".repeat(n)),
                "\\".repeat(n),
            ]
        })
        .filter(|source| source.len() <= 4_096)
        .collect();
    assert!(sources.len() > 200);
    on_a_small_stack(move || {
        let order = message(ORDER);
        for source in sources {
            if let Ok(filter) = cel(&source) {
                let _matched = filter.matches(&order);
            }
        }
    });
}

#[test]
fn everything_deep_at_once_fits_the_stack() {
    on_a_small_stack(|| {
        let source = format!("{}1{}{}", "(".repeat(60), "+1".repeat(16), ")".repeat(60));
        let source = format!("{}{source}{}", "a?b:".repeat(14), "<1".repeat(350));
        let filter = cel(&source).unwrap();
        assert!(!filter.matches(&message(ORDER)));
    });
}

#[test]
fn the_costliest_expression_on_the_largest_message_ends_soon() {
    let clock = SystemClock::new();
    let large = message(&format!(
        r#"{{"body":{{"data":[{}1]}}}}"#,
        "1,".repeat(500_000)
    ));
    for source in [
        "data.all(x, x > 0)",
        "data.map(x, [x]).filter(y, y[0] == 2).all(z, true)",
        "[data].all(d, d.all(x, x + x + x + x + x + x + x + x > 1 && x < 5 && x != 7 && x * x == 1))",
        "data == data && data == data && 5 in data",
        "size(data + data + data + data + data + data + data + data) > 1",
    ] {
        let filter = cel(source).unwrap();
        let start = clock.monotonic();
        let _matched = filter.matches(&large);
        // A debug build on a busy machine; what matters is that it is not the square of the size.
        let took = clock.monotonic() - start;
        assert!(took < Duration::from_secs(20), "{source}: {took:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_expressions_never_panic(source in "[a-c0-9.()\\[\\]{}+*/%<>=!&|?:,'\" \\\\-]{0,60}") {
        if let Ok(filter) = cel(&source) {
            let _matched = filter.matches(&message(ORDER));
        }
    }

    #[test]
    fn arbitrary_texts_never_panic(source in any::<String>(), pattern in any::<String>()) {
        let _problem = cel(&source).map(|filter| filter.matches(&message(ORDER)));
        let _problem = crate::pattern::Pattern::parse("p", &pattern).map(|pattern| pattern.matches(&source));
    }

    #[test]
    fn patterns_match_as_the_obvious_search_does(
        pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "#", ""]), 1..6),
        words in prop::collection::vec(prop::sample::select(vec!["a", "b", ""]), 1..6),
    ) {
        fn obvious(pattern: &[&str], words: &[&str]) -> bool {
            match (pattern.first(), words.first()) {
                (None, None) => true,
                (Some(&"#"), _) => {
                    obvious(&pattern[1..], words) || (!words.is_empty() && obvious(pattern, &words[1..]))
                }
                (Some(&"*"), Some(word)) => !word.is_empty() && obvious(&pattern[1..], &words[1..]),
                (Some(literal), Some(word)) => literal == word && obvious(&pattern[1..], &words[1..]),
                _ => false,
            }
        }
        let text = pattern.join(".");
        prop_assume!(!text.is_empty());
        let compiled = crate::pattern::Pattern::parse("p", &text).unwrap();
        // The empty text is one empty word.
        prop_assert_eq!(compiled.matches(&words.join(".")), obvious(&pattern, &words));
    }
}
