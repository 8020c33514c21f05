//! The OpenAPI document: current, sound, and complete.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::client;
use crate::harness::start;

/// `ANSER_UPDATE=1` writes the file.
#[test]
fn generated_openapi_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let mut document = serde_json::to_string_pretty(&anser_edge::openapi()).unwrap();
    document.push('\n');
    if std::env::var_os("ANSER_UPDATE").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document,
        "docs/openapi.json is stale: run the tests with ANSER_UPDATE=1"
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_its_own_id() {
    let document = anser_edge::openapi();
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{method} {path}"
            );
            assert!(
                !operation["summary"].as_str().unwrap().is_empty(),
                "{method} {path}"
            );
        }
    }
    walk(&document, &document);
}

/// What is described is served, by these methods and no others. What is served is described, as both are made of one table.
#[tokio::test]
async fn what_is_described_is_served_and_nothing_else_beside_it() {
    let server = start().await;
    let document = anser_edge::openapi();
    for (template, methods) in document["paths"].as_object().unwrap() {
        let path: Vec<&str> = template
            .split('/')
            .map(|word| if word.starts_with('{') { "x" } else { word })
            .collect();
        let path = path.join("/");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let reply = client::send(server.address, method, &path, &[], b"").await;
            let code = reply.json()["code"].as_str().unwrap_or_default().to_owned();
            let described = methods.get(method.to_ascii_lowercase()).is_some();
            if described {
                assert!(
                    !["no_such_route", "method_not_allowed"].contains(&code.as_str()),
                    "{method} {path}: {code}"
                );
            } else if template != "/socket.io/" {
                assert_eq!(code, "method_not_allowed", "{method} {path}");
            }
        }
    }
    for path in ["/ws", "/sse", "/poll", "/socket.io/"] {
        let tag = &document["paths"][path]["get"]["tags"][0];
        assert_eq!(tag, "live", "{path}");
    }
    server.stop().await;
}

fn walk(document: &Value, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let target = document.pointer(reference.strip_prefix('#').unwrap());
                assert!(target.is_some(), "{reference}");
            }
            fields.values().for_each(|value| walk(document, value));
        }
        Value::Array(items) => items.iter().for_each(|value| walk(document, value)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_served_to_everybody_and_head_works() {
    let server = start().await;
    let reply = server.send("GET", "/openapi.json", &[], b"").await;
    assert_eq!(reply.expect(200), anser_edge::openapi());
    let head = client::send(server.address, "HEAD", "/openapi.json", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    server.stop().await;
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let server = start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            server.send("GET", path, &[], b"").await.expect(200)["status"],
            "ok"
        );
    }
    assert_eq!(
        server.send("GET", "/metrics", &[], b"").await.code(),
        "missing_key"
    );
    let metrics = server.call("GET", "/metrics", Value::Null).await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(
        text.contains("anser_") && text.ends_with("# EOF\n"),
        "{text}"
    );
    server.stop().await;
}

#[tokio::test]
async fn metrics_may_be_public() {
    let edge = anser_edge::EdgeOptions {
        metrics_public: true,
        ..anser_edge::EdgeOptions::default()
    };
    let server = crate::harness::start_with(anser_gateway::GatewayOptions::default(), edge).await;
    assert_eq!(server.send("GET", "/metrics", &[], b"").await.status, 200);
    server.stop().await;
}
