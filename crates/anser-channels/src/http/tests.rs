//! Tests of the `http` channel: what is refused, what the requests are, and that no message can break out.

mod answers;
mod examples;
mod refused;

use std::sync::Arc;

use anser_core::Message;
use anser_core::channel::{Channel, ChannelKind as _, Context, HttpRequest};
use anser_core::problem::Problem;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Http;
use crate::kit::testing::{context, message};

fn open(settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
    Http.open(settings)
}

fn request(
    channel: &dyn Channel,
    message: &Message,
    context: &Context<'_>,
) -> Result<HttpRequest, Problem> {
    let plan = channel.render(message, context)?;
    let request = channel
        .request(&plan.steps[0], message, context)?
        .into_http()
        .unwrap();
    Ok(request)
}

/// The request for that body, to a target.
fn sent(settings: &Value, body: &Value) -> Result<HttpRequest, Problem> {
    let context = Context {
        target: Some("room 7"),
        ..context(0)
    };
    request(&*open(settings).unwrap(), &message(body), &context)
}

fn body_of(settings: &Value, body: &Value) -> String {
    let request = sent(settings, body).unwrap();
    String::from_utf8(request.body.to_vec()).unwrap()
}

/// What a template of a text body makes.
fn written(template: &str, body: &Value) -> Result<String, Problem> {
    let settings = json!({"url": "https://a.example/", "body": template});
    sent(&settings, body).map(|request| String::from_utf8(request.body.to_vec()).unwrap())
}

const HOSTILE: &str = "\"}, {{ secrets.k }} {% raw %} \\ \r\nX-Evil: 1 &a=b/../?#é😀\u{0}\u{7f}";

#[test]
fn a_request_has_what_the_settings_say() {
    let settings = json!({
        "url": "https://a.example/v1/{{ target }}/send?x=1",
        "method": "PUT",
        "query": {"t": "{{ title }}", "none": "{{ target if false else none }}", "l": "a b"},
        "headers": {"X-Key": "{{ secrets.k }}", "x-none": "{{ none }}", "x-at": "{{ attempt }}"},
        "json": {"text": "{{ text }}", "n": 1, "list": ["{{ data.n }}", null, "{{ none }}"], "all": "{{ data }}",
                 "none": "{{ none }}", "mixed": "n={{ data.n }}, {{ data.yes }}, {{ none }}, {{ data.o }}"},
        "secrets": {"k": "sesame"}
    });
    let data = json!({"data": {"title": "T&T", "n": 5, "yes": true, "o": {"z": 1, "a": [2.5]}}});
    let request = sent(&settings, &data).unwrap();
    assert_eq!(request.method, "PUT");
    assert_eq!(
        request.url.as_str(),
        "https://a.example/v1/room%207/send?x=1&l=a%20b&t=T%26T"
    );
    assert_eq!(request.headers["x-key"], "sesame");
    assert!(request.headers["x-key"].is_sensitive());
    assert_eq!(request.headers["x-at"], "1");
    assert!(!request.headers.contains_key("x-none"));
    assert_eq!(request.headers["content-type"], "application/json");
    let text = data["data"].to_string();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({"text": text, "n": 1, "list": [5, null], "all": data["data"],
               "mixed": "n=5, true, , {\"z\":1,\"a\":[2.5]}"})
    );
}

#[test]
fn an_expression_alone_keeps_its_type() {
    let written = |template: &str| {
        let settings = json!({"url": "https://a.example/", "json": [template]});
        let request = sent(&settings, &json!({"data": {"n": 5, "t": "5"}})).unwrap();
        serde_json::from_slice::<Value>(&request.body).unwrap()
    };
    assert_eq!(written(" {{ data.n }} "), json!([5]));
    assert_eq!(written("{{ data.t }}"), json!(["5"]));
    assert_eq!(
        written("{{ {'a': {'b': data.n}} }}"),
        json!([{"a": {"b": 5}}])
    );
    assert_eq!(written("{{ '}}' ~ data.n ~ '{{' }}"), json!(["}}5{{"]));
    assert_eq!(written("{{ data.n }}{{ data.n }}"), json!(["55"]));
    assert_eq!(written("{{- data.n -}}"), json!(["5"]));
    assert_eq!(written("{{ data.n > 4 }}"), json!([true]));
    assert_eq!(written("{% if data.n > 4 %}x{% endif %}"), json!(["x"]));
    assert_eq!(written("{{ none }}"), json!([]));
}

#[test]
fn no_body_is_none_and_a_host_alone_is_enough() {
    let settings =
        json!({"url": "https://a.example", "method": "GET", "query": {"q": "{{ text }}"}});
    let request = sent(&settings, &json!({"data": "a"})).unwrap();
    assert_eq!(request.url.as_str(), "https://a.example/?q=a");
    assert!(request.body.is_empty() && !request.headers.contains_key("content-type"));
}

#[test]
fn a_host_from_secrets() {
    for (url, wanted) in [
        ("{{ secrets.url }}", "https://b.example:8443/hook?sig=a%2Fb"),
        (
            "{{ secrets.url }}&t={{ text }}",
            "https://b.example:8443/hook?sig=a%2Fb&t=m",
        ),
        (
            "https://{{ secrets.host }}/{{ text }}",
            "https://c.example/m",
        ),
        (
            "https://{{ secrets.host }}:81/x{{ secrets.host }}{% if text %}/{{ text }}{% endif %}",
            "https://c.example:81/xc.example/m",
        ),
        (
            "{{ 'https://' ~ secrets.host ~ '/' }}{{ text }}",
            "https://c.example/m",
        ),
    ] {
        let settings = json!({"url": url, "secrets": {"url": "https://b.example:8443/hook?sig=a%2Fb", "host": "c.example"}});
        let request = sent(&settings, &json!({"data": "m"})).unwrap();
        assert_eq!(request.url.as_str(), wanted);
        let channel = open(&settings).unwrap();
        let endpoint = channel.endpoint().unwrap();
        assert_eq!(endpoint.origin(), request.url.origin());
        assert_eq!((endpoint.path(), endpoint.query()), ("/", None));
    }
}

#[test]
fn hostile_text_stays_in_its_place() {
    let body = json!({"data": HOSTILE});
    let base =
        json!({"url": "https://a.example/p/{{ text }}/q?t={{ text }}", "secrets": {"k": "sesame"}});
    let url = sent(&base, &body).unwrap().url;
    assert_eq!(url.path_segments().unwrap().count(), 3);
    assert_eq!(url.query_pairs().next().unwrap().1, HOSTILE);
    let with = |name: &str, value: Value| {
        let mut settings = base.clone();
        settings["url"] = "https://a.example/".into();
        settings[name] = value;
        settings
    };
    let request = sent(&with("query", json!({"a&b": "{{ text }}"})), &body).unwrap();
    let pairs: Vec<_> = request.url.query_pairs().into_owned().collect();
    assert_eq!(pairs, [("a&b".to_owned(), HOSTILE.to_owned())]);
    let request = sent(&with("headers", json!({"x-t": "<{{ text }}>"})), &body).unwrap();
    let value = request.headers["x-t"].to_str().unwrap();
    assert!(
        value.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
        "{value}"
    );
    assert!(value.starts_with("<\"}, {{ secrets.k }}") && !value.contains("sesame"));
    let form = body_of(&with("form", json!({"a": "{{ text }}", "b": "1"})), &body);
    let pairs: Vec<_> = url::form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect();
    assert_eq!(
        pairs,
        [
            ("a".to_owned(), HOSTILE.to_owned()),
            ("b".to_owned(), "1".to_owned())
        ]
    );
    let typed = |media_type: &str, template: &str| {
        let mut settings = with("body", template.into());
        settings["content_type"] = media_type.into();
        body_of(&settings, &body)
    };
    let json = typed(
        "application/vnd.x+json",
        "{\"a\": {{ text }}, \"b\": {{ [text] | tojson }}}",
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, json!({"a": HOSTILE, "b": [HOSTILE]}));
    let xml = typed("text/xml", "<a b='{{ text }}'>{{ '<' ~ text }}</a>");
    assert_eq!(xml.matches('<').count(), 2);
    assert_eq!(xml.matches('\'').count(), 2);
    assert_eq!(
        typed("application/x-www-form-urlencoded", "a={{ text }}")
            .matches(['&', '='])
            .count(),
        1
    );
    assert_eq!(typed("text/plain", "{{ text }}\n"), format!("{HOSTILE}\n"));
}

#[test]
fn no_value_leads_to_another_place() {
    let failed = |url: &str, text: &str| {
        let settings = json!({"url": url, "secrets": {"k": "sesame"}});
        let problem = sent(&settings, &json!({"data": text})).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("settings.url"), "{url}");
        assert!(!problem.to_string().contains("sesame"), "{problem}");
        problem.code
    };
    assert_eq!(
        failed("https://a.example/{{ text }}/x", ".."),
        "invalid_url"
    );
    assert_eq!(failed("https://a.example/{{ text }}", "."), "invalid_url");
    assert_eq!(
        failed("https://a.example/{{ text | safe }}/x", "%2E%2e"),
        "invalid_url"
    );
    assert_eq!(
        failed("https://a.example/{{ text | safe }}", "a\\b"),
        "invalid_url"
    );
    assert_eq!(
        failed("https://a.example/{{ text | safe }}", "a b"),
        "invalid_url"
    );
    assert_eq!(
        failed("https://a.example/{{ text | safe }}", "a#b"),
        "invalid_url"
    );
    assert_eq!(
        failed("https://a.example/{{ secrets.k }}/{{ none }}", "x"),
        "template_failed"
    );
    assert_eq!(
        failed("https://a.example/{{ text }}", &"x".repeat(9_000)),
        "too_long"
    );
}

#[test]
fn the_variables() {
    let at = |template: &str, body: Value| written(template, &body).unwrap();
    let text = json!({"segments": [{"type": "markdown", "text": "# Disk *full*\n\n- [x](https://e.example/) 1<2"}]});
    assert_eq!(at("{{ title }}", text.clone()), "Disk full");
    assert_eq!(
        at("{{ text }}", text.clone()),
        "Disk full\n\n- x (https://e.example/) 1<2"
    );
    assert!(
        at("{{ markdown }}", text.clone())
            .starts_with("# Disk *full*\n\n- [x](https://e.example/) 1")
    );
    assert_eq!(
        at(
            "{{ data is none }} {{ data.x | default(1) }} {{ data.x or 2 }}",
            text
        ),
        "true 1 2"
    );
    let card = json!({"segments": [{"type": "text", "text": "a"}, {"type": "card", "title": "C", "sections": ["s"]}], "fallback": "own"});
    assert_eq!(at("{{ title }}|{{ text }}", card), "C|own");
    let bytes = json!({"bytes": "aGk=", "media_type": "text/x"});
    assert_eq!(
        at("{{ text }}|{{ title }}|{{ message.body.bytes }}", bytes),
        "hi||aGk="
    );
    assert_eq!(
        at("{{ text }}", json!({"bytes": "aGk="})),
        "[application/octet-stream, 2 bytes]"
    );
    assert_eq!(
        at(
            "{{ target }} {{ attempt }} {{ delivery_id }} {{ idempotency_key }} {{ possible_duplicate }} {{ subscription }}",
            json!({"data": 1})
        ),
        "room 7 1 dlv_917505 019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13-dlv_917505 false "
    );
    assert_eq!(
        at(
            "{{ now }} {{ now_seconds }} {{ now_millis }}",
            json!({"data": 1})
        ),
        "2023-11-14T22:13:20.000Z 1700000000 1700000000000"
    );
    assert_eq!(
        at(
            "{{ header.topic }} {{ message.header.from.id }} {{ message.body.data }}",
            json!({"data": [1]})
        ),
        "t s [1]"
    );
    assert_eq!(
        at(
            "{{ data.z }}|{% for k in data %}{{ k }}{% endfor %}",
            json!({"data": {"z": null, "a": 1}})
        ),
        "|za"
    );
}

#[test]
fn the_filters() {
    let at = |template: &str| written(template, &json!({"data": "a/é"})).unwrap();
    assert_eq!(
        at("{{ text | urlencode }} {{ text | tojson }}"),
        "a%2F%C3%A9 \"a/é\""
    );
    assert_eq!(at("{{ 'a:b' | base64 }} {{ 'a' | hex }}"), "YTpi 61");
    // FIPS 180-2, and RFC 4231 test case 2.
    assert_eq!(
        at("{{ 'abc' | sha256 | hex }}"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        at("{{ 'what do ya want for nothing?' | hmac_sha256('Jefe') | hex }}"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        at("{{ 'abcdef' | shorten(4) }}{{ 'abc' | shorten(3) }}"),
        "abc…abc"
    );
    assert_eq!(at("{{ '<b>' ~ ('a<b' | e) }}"), "<b>a&lt;b");
    let html = json!({"url": "https://a.example/", "content_type": "text/html", "body": "<b>{{ '<' | e }}{{ '<' }}{{ '<i>' | safe }}"});
    assert_eq!(body_of(&html, &json!({"data": 1})), "<b>&lt;&lt;<i>");
    let url = json!({"url": "https://a.example/{{ text | urlencode }}"});
    assert_eq!(
        sent(&url, &json!({"data": "a/é"})).unwrap().url.path(),
        "/a%2F%C3%A9"
    );
}

#[test]
fn what_fails_says_where() {
    let failed = |template: &str, body: Value| {
        let settings =
            json!({"url": "https://a.example/", "body": template, "secrets": {"k": "sesame"}});
        let problem = sent(&settings, &body).unwrap_err();
        assert!(!problem.to_string().contains("sesame"), "{problem}");
        problem.to_string()
    };
    let data = json!({"data": {"a": 1}});
    assert_eq!(
        failed("a\n {{ data.b }}", data.clone()),
        "settings.body: line 2, column 5: undefined value (data.b) (template_failed)"
    );
    assert!(failed("{{ data.b.c }}", data.clone()).contains("undefined"));
    assert!(failed("{{ data.b | base64 }}", data.clone()).contains("undefined"));
    assert!(failed("{{ secrets.k | int }}", data.clone()).contains("template_failed"));
    let endless = "{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}";
    assert!(failed(endless, data.clone()).contains("too much work"));
    assert!(failed("{{ 'x' * 99999999 }}", data.clone()).contains("too much work"));
    let sole = json!({"url": "https://a.example/", "json": {"l": [{"x": "{{ data.b }}"}]}});
    let problem = sent(&sole, &data).unwrap_err();
    assert_eq!(problem.field.as_deref(), Some("settings.json.l[0].x"));
    let settings = json!({"url": "https://a.example/", "headers": {"x-t": "{{ text }}"}});
    let problem = sent(&settings, &json!({"data": "x".repeat(5_000)})).unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("too_long", Some("settings.headers.x-t"))
    );
    let settings = json!({"url": "https://a.example/", "body": "{\"a\": \"{{ text }}\"}", "content_type": "application/json"});
    assert!(
        sent(&settings, &json!({"data": "x"}))
            .unwrap_err()
            .to_string()
            .contains("own quotes")
    );
}

#[test]
fn a_message_of_the_greatest_size_goes_through() {
    let text = "\u{1}x".repeat(250_000);
    let settings = json!({"url": "https://a.example/", "json": {"a": "{{ text | trim }}", "b": "<{{ text | length }}>"}});
    let body: Value =
        serde_json::from_str(&body_of(&settings, &json!({"data": text}))).unwrap_or_default();
    assert_eq!(body, json!({"a": text, "b": "<500000>"}));
    let settings =
        json!({"url": "https://a.example/", "json": ["{{ text }}", "{{ text }}", "{{ text }}"]});
    assert_eq!(
        sent(&settings, &json!({"data": text})).unwrap_err().code,
        "too_long"
    );
}

#[test]
fn a_target_where_one_is_needed() {
    let settings = json!({"url": "https://a.example/{{ target }}", "per_target": true});
    let channel = open(&settings).unwrap();
    let problem = channel
        .render(&message(&json!({"data": 1})), &context(0))
        .unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("target_required", Some("target"))
    );
    assert_eq!(
        sent(&settings, &json!({"data": 1})).unwrap().url.path(),
        "/room%207"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_is_one_json_text(text in any::<String>(), title in any::<String>()) {
        let settings = json!({
            "url": "https://a.example/x?t={{ data.text }}",
            "headers": {"x-title": "{{ title }}"},
            "json": {"one": "{{ data.text }}", "more": ["<{{ data.text }}>", "{{ data.text ~ '' }}"]}
        });
        let request = sent(&settings, &json!({"data": {"title": title, "text": text}})).unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        prop_assert_eq!(body, json!({"one": &text, "more": [format!("<{text}>"), &text]}));
        let (_, query) = request.url.query_pairs().next().unwrap();
        prop_assert_eq!(query, text);
        let value = request.headers["x-title"].as_bytes();
        prop_assert!(value.iter().all(|byte| (0x20..0x7f).contains(byte)));
    }

    #[test]
    fn no_text_of_a_path_adds_a_segment(text in any::<String>()) {
        let settings = json!({"url": "https://a.example/x/{{ text }}/y"});
        match sent(&settings, &json!({"data": &text})) {
            Ok(request) => {
                let segments: Vec<_> = request.url.path_segments().unwrap().collect();
                prop_assert_eq!((segments.len(), segments[0], segments[2]), (3, "x", "y"));
            }
            Err(problem) => prop_assert!([".", ".."].contains(&&*text) || problem.code == "too_long"),
        }
    }
}
