//! Stored documents: what is read, and how damage is reported.

use anser_core::store::{ConfigKind, ConfigRow};

use super::*;
use crate::config::load::Changes;
use crate::secrets::Sealer;

fn row(kind: ConfigKind, key: &str, document: &str) -> ConfigRow {
    ConfigRow {
        kind,
        key: key.to_owned(),
        id: ResourceId(7),
        revision: 3,
        document: document.as_bytes().to_vec().into(),
    }
}

fn load_row(row: ConfigRow) -> Result<Snapshot, LoadError> {
    let changes = Changes {
        put: vec![row],
        deleted: Vec::new(),
    };
    Snapshot::default().with(changes, &[], &Sealer::new(&[7; 32]))
}

const TIMES: &str =
    r#""created_at":"2026-11-23T01:00:00.000Z","updated_at":"2026-11-23T01:00:00.000Z""#;

/// What this version reads, later ones must read too: a stored document of version 1, as it is.
#[test]
fn reads_documents_of_version_1() {
    let document =
        format!(r#"{{"v":1,"name":"Orders",{TIMES},"spec":{{"retention":60,"dedupe_window":5}}}}"#);
    let snapshot = load_row(row(ConfigKind::Topic, "orders", &document)).unwrap();
    let topic = snapshot.topic("ORDERS").unwrap();
    assert_eq!(
        (topic.meta.name.as_str(), topic.meta.revision),
        ("Orders", 3)
    );
    assert_eq!((topic.spec.retention, topic.spec.dedupe_window), (60, 5));

    let document = format!(
        r#"{{"v":1,"name":"Jobs",{TIMES},"spec":{{"lease":5,"dead_letter":{{"queue":"d","max_receives":3}}}},"dead_letter":9,"rewind_since":"2026-11-23T01:00:01.000Z"}}"#
    );
    let snapshot = load_row(row(ConfigKind::Queue, "jobs", &document)).unwrap();
    let queue = snapshot.queue("JOBS").unwrap();
    assert_eq!(queue.dead_letter, Some(ResourceId(9)));
    assert_eq!((queue.spec.lease, queue.spec.wait), (5, 0));
    assert!(queue.rewind_since > queue.meta.updated_at);

    let hash = "0a".repeat(32);
    let document = format!(
        r#"{{"v":1,"name":"k",{TIMES},"spec":{{"name":"k","scopes":["read"]}},"hash":"{hash}","lineage":2}}"#
    );
    let snapshot = load_row(row(ConfigKind::Key, "k", &document)).unwrap();
    assert_eq!(snapshot.keys[&[10; 32]].lineage, 2);
}

#[test]
fn a_document_that_cannot_be_used_names_itself_and_the_remedy() {
    let newer = format!(r#"{{"v":2,"name":"a",{TIMES},"spec":7}}"#);
    let unknown_kind =
        format!(r#"{{"v":1,"name":"a",{TIMES},"spec":{{"kind":"pigeon","settings":{{}}}}}}"#);
    let orphan = format!(r#"{{"v":1,"name":"a",{TIMES},"topic":9,"spec":{{"channel":"b"}}}}"#);
    let no_number = format!(
        r#"{{"v":1,"name":"a",{TIMES},"spec":{{"dead_letter":{{"queue":"d","max_receives":3}}}}}}"#
    );
    let bare_key =
        format!(r#"{{"v":1,"name":"a",{TIMES},"spec":{{"name":"a","scopes":["read"]}}}}"#);
    let bad_schema = format!(r#"{{"v":1,"name":"a",{TIMES},"spec":{{"schema":{{"type":1}}}}}}"#);
    for (kind, document, parts) in [
        (ConfigKind::Topic, "{", ["topic a", "backup"]),
        (ConfigKind::Topic, r#"{"v":1}"#, ["topic a", "backup"]),
        (ConfigKind::Topic, &newer, ["topic a", "newer"]),
        (ConfigKind::Topic, &bad_schema, ["topic a", "schema"]),
        (ConfigKind::Channel, &unknown_kind, ["channel a", "pigeon"]),
        (
            ConfigKind::Subscription,
            &orphan,
            ["subscription a", "topic"],
        ),
        (ConfigKind::Key, &bare_key, ["key a", "SHA-256"]),
        (ConfigKind::Queue, &no_number, ["queue a", "dead-letter"]),
        (ConfigKind::Endpoint, &orphan, ["endpoint a", "number"]),
    ] {
        let Err(error) = load_row(row(kind, "a", document)) else {
            panic!("{document} was taken");
        };
        let text = error.to_string();
        for part in parts {
            assert!(text.contains(part), "{text}");
        }
    }
}
