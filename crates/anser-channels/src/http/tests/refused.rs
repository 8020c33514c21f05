//! Settings that are refused when a channel is created, each at its field, none with a secret in the error.

use serde_json::{Map, Value, json};

use super::{Http, open};
use crate::kit::testing::check_refused;

/// The usual settings with others put in.
fn with(more: &Value) -> Value {
    let mut settings = json!({"url": "https://a.example/"});
    let more = more.as_object().unwrap();
    settings.as_object_mut().unwrap().extend(more.clone());
    settings
}

fn many(count: usize) -> Value {
    let members = (0..count).map(|i| (format!("x{i}"), "v".into()));
    Value::Object(members.collect::<Map<_, _>>())
}

#[test]
fn urls() {
    let long = format!("https://a.example/{}", "a".repeat(17_000));
    #[rustfmt::skip]
    let table = [
        ("a.example/x", "invalid_url"),
        ("ftp://a.example/", "invalid_url"),
        ("https://", "invalid_url"),
        ("https://u:p@a.example/", "invalid_url"),
        ("https://a.example/#x", "invalid_url"),
        (" https://a.example/", "invalid_url"),
        ("https://a.example/a b", "invalid_url"),
        ("https://a.example/../x", "invalid_url"),
        ("https:\\\\a.example\\x", "invalid_url"),
        ("{{ text }}", "host_of_message"),
        ("{{ data.url }}/x", "host_of_message"),
        ("https://{{ target }}/x", "host_of_message"),
        ("https://a.example{{ target }}/x", "host_of_message"),
        ("https://a.example:{{ data.port }}/x", "host_of_message"),
        ("https://{{ secrets.hidden }}{{ text }}/x", "host_of_message"),
        ("http{% if text %}s{% endif %}://a.example/x", "host_of_message"),
        ("https://{# c #}a.example/x", "host_of_message"),
        ("https://a.example/{{ text", "invalid_template"),
        ("https://a.example/{{ text | nope }}", "invalid_template"),
        ("https://a.example/{{ txet }}", "unknown_variable"),
        ("https://a.example/{{ secrets.other }}", "unknown_secret"),
        (&long, "too_long"),
    ];
    let secrets = json!({"hidden": "hidden.example"});
    for (url, code) in table {
        let settings = json!({"url": url, "secrets": secrets});
        check_refused(&Http, &[(settings, code, "settings.url")]);
    }
}

#[test]
fn templates() {
    #[rustfmt::skip]
    let table = [
        (json!({"json": {"a": [1, {"b": "{{ text "}]}}), "invalid_template", "settings.json.a[1].b"),
        (json!({"json": "{% include 'x' %}"}), "invalid_template", "settings.json"),
        (json!({"json": "{% macro m() %}{% endmacro %}"}), "invalid_template", "settings.json"),
        (json!({"json": "{{ text | nope }}"}), "invalid_template", "settings.json"),
        (json!({"json": "{{ text is nope }}"}), "invalid_template", "settings.json"),
        (json!({"json": "{{ nope(text) }}"}), "unknown_variable", "settings.json"),
        (json!({"json": "{{ debug() }}"}), "unknown_variable", "settings.json"),
        (json!({"body": "x {{ status }}"}), "unknown_variable", "settings.body"),
        (json!({"body": "{{ secrets['hidden'].x.y }}{{ secrets.nope }}"}), "unknown_secret", "settings.body"),
        (json!({"form": {"a": "{% if %}"}}), "invalid_template", "settings.form.a"),
        (json!({"query": {"": "a"}}), "invalid_name", "settings.query."),
        (json!({"query": many(65)}), "too_many", "settings.query"),
        (json!({"headers": {"x-a": "{{ }}"}}), "invalid_template", "settings.headers.x-a"),
        (json!({"headers": {"bad name": "v"}}), "invalid_header", "settings.headers.bad name"),
        (json!({"headers": {"x-a": "v", "X-A": "v"}}), "invalid_header", "settings.headers.x-a"),
        (json!({"headers": {"Host": "v"}}), "reserved_header", "settings.headers.Host"),
        (json!({"headers": {"Proxy-Authorization": "v"}}), "reserved_header", "settings.headers.Proxy-Authorization"),
        (json!({"headers": {"Content-Type": "v"}}), "reserved_header", "settings.headers.Content-Type"),
        (json!({"headers": many(33)}), "too_many", "settings.headers"),
        (json!({"success": "status =="}), "invalid_template", "settings.success"),
        (json!({"success": "text == 'ok'"}), "unknown_variable", "settings.success"),
        (json!({"limited": "json.a | nope"}), "invalid_template", "settings.limited"),
        (json!({"platform_id": format!("'{}'", "a".repeat(2_048))}), "too_long", "settings.platform_id"),
    ];
    for (more, code, field) in table {
        check_refused(&Http, &[(with(&more), code, field)]);
    }
}

#[test]
fn the_rest() {
    let mut deep = json!("{{ text }}");
    for _ in 0..40 {
        deep = json!([deep]);
    }
    let parts: Vec<_> = (0..257).map(|_| "{{ text }}").collect();
    let long = "s".repeat(4_097);
    #[rustfmt::skip]
    let table = [
        (json!({"bogus": 1}), "invalid_field", "settings.bogus"),
        (json!({"method": "HEAD"}), "invalid_field", "settings.method"),
        (json!({"json": 1, "body": "x"}), "invalid_body", "settings"),
        (json!({"form": {}, "json": 1}), "invalid_body", "settings"),
        (json!({"content_type": "json"}), "invalid_media_type", "settings.content_type"),
        (json!({"json": parts}), "too_many", "settings.json"),
        (json!({"secrets": {"1a": "hidden"}}), "invalid_secret", "settings.secrets.1a"),
        (json!({"secrets": {"a-b": "hidden"}}), "invalid_secret", "settings.secrets.a-b"),
        (json!({"secrets": {"a": " hidden"}}), "invalid_secret", "settings.secrets.a"),
        (json!({"secrets": {"a": ""}}), "invalid_secret", "settings.secrets.a"),
        (json!({"secrets": {"a": long}}), "invalid_secret", "settings.secrets.a"),
        (json!({"secrets": many(33)}), "too_many", "settings.secrets"),
    ];
    for (more, code, field) in table {
        check_refused(&Http, &[(with(&more), code, field)]);
    }
    let problem = open(&with(&json!({"json": deep}))).err().unwrap();
    assert_eq!(problem.code, "too_deep");
}

#[test]
fn the_place_is_said() {
    let settings = with(&json!({"body": "line one\nand {{ text | }}"}));
    let problem = open(&settings).err().unwrap();
    assert!(problem.detail.starts_with("line 2, column 1"), "{problem}");
    let settings = with(&json!({"body": "{{ txet }}"}));
    let problem = open(&settings).err().unwrap();
    assert!(problem.accepted.unwrap().contains("text, markdown"));
}
