//! Keys: shown once, replaced, the first one, those made offline.

use anser_core::ProblemKind;
use anser_core::resource::Scope;

use super::*;
use crate::admin::{ADMIN_KEY_NAME, KeyCreated, create_key_offline};
use crate::auth::AdminKey;

async fn create(setup: &Setup, spec: Value) -> Result<Put<KeyCreated>, Problem> {
    setup.gateway.create_key(&setup.admin, key_spec(spec)).await
}

#[tokio::test]
async fn a_key_is_shown_once_and_stored_as_its_hash() {
    let setup = Setup::new().await;
    let spec = json!({"name": "shop", "scopes": ["publish"], "topics": ["orders*"]});
    let created = create(&setup, spec.clone()).await.unwrap();
    let text = created.view.key.unwrap();
    assert!(created.created && text.starts_with("ak_") && text.len() == 46);
    for row in setup.rows(ConfigKind::Key).await {
        assert!(!String::from_utf8_lossy(&row.document).contains(&text));
    }
    let again = create(&setup, spec).await.unwrap();
    assert!(!again.created && again.view.key.is_none());
    let other = create(&setup, json!({"name": "SHOP", "scopes": ["read"]})).await;
    assert_eq!(other.unwrap_err().code, "already_exists");

    let principal = setup.gateway.authenticate(Some(&text)).unwrap();
    assert_eq!(principal.sender.id, "shop");
    assert_eq!(principal.key, Some(created.view.view.id));
    assert_eq!(principal.lineage, created.view.view.id.0);
    assert_eq!(principal.scopes, [Scope::Publish]);
    assert!(principal.covers_topic("orders.eu") && !principal.covers_target("shop"));

    setup
        .gateway
        .delete_key(&setup.admin, "Shop")
        .await
        .unwrap();
    let gone = setup.gateway.authenticate(Some(&text)).unwrap_err();
    assert_eq!(
        (gone.kind, gone.code),
        (ProblemKind::Unauthenticated, "unknown_key")
    );
    setup.stop().await;
}

#[tokio::test]
async fn without_a_key_only_the_developer_mode_answers() {
    let setup = Setup::new().await;
    for (bearer, code) in [
        (None, "missing_key"),
        (Some(""), "unknown_key"),
        (Some("ak_x"), "unknown_key"),
        (Some(&*"x".repeat(100_000)), "unknown_key"),
    ] {
        assert_eq!(setup.gateway.authenticate(bearer).unwrap_err().code, code);
    }
    setup.stop().await;

    let clock = Arc::new(ManualClock::at(START));
    let options = GatewayOptions {
        dev: true,
        ..GatewayOptions::default()
    };
    let parts = parts(Arc::new(MemoryStore::new()), clock, [7; 32]);
    let gateway = Gateway::start(parts, options).await.unwrap();
    let dev = gateway.authenticate(None).unwrap();
    assert_eq!(
        (dev.sender.id.as_str(), dev.lineage, dev.key),
        ("dev", 0, None)
    );
    dev.require(Scope::Admin).unwrap();
    assert_eq!(
        gateway.authenticate(Some("x")).unwrap_err().code,
        "unknown_key"
    );
    gateway.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_replacement_goes_on_with_its_predecessors_lineage() {
    let setup = Setup::new().await;
    let first = create(&setup, json!({"name": "a", "scopes": ["publish"]}))
        .await
        .unwrap();
    let lineage = first.view.view.id.0;
    let second = json!({"name": "b", "scopes": ["publish"], "replaces": "A"});
    let second = create(&setup, second).await.unwrap().view;
    setup.gateway.delete_key(&setup.admin, "a").await.unwrap();
    let third = json!({"name": "c", "scopes": ["publish"], "replaces": "b"});
    let third = create(&setup, third).await.unwrap().view;
    for key in [second, third] {
        let principal = setup.gateway.authenticate(key.key.as_deref()).unwrap();
        assert_eq!(principal.lineage, lineage);
    }
    let unknown = json!({"name": "d", "scopes": ["publish"], "replaces": "a"});
    let unknown = create(&setup, unknown).await.unwrap_err();
    assert_eq!(
        (unknown.code, unknown.field.as_deref()),
        ("unknown_key", Some("replaces"))
    );
    setup.stop().await;
}

#[tokio::test]
async fn keys_are_checked_and_kept_from_limited_ones() {
    let setup = Setup::new().await;
    for (spec, code, field) in [
        (
            json!({"name": "1", "scopes": ["read"]}),
            "invalid_name",
            "name",
        ),
        (
            json!({"name": "a", "scopes": []}),
            "invalid_scopes",
            "scopes",
        ),
        (
            json!({"name": "a", "scopes": ["read"], "topics": ["a", ""]}),
            "invalid_pattern",
            "topics[1]",
        ),
        (
            json!({"name": "a", "scopes": ["read"], "targets": ["a\u{7}"]}),
            "invalid_pattern",
            "targets[0]",
        ),
        (
            json!({"name": "a", "scopes": ["read"], "topics": vec!["x"; 101]}),
            "too_many",
            "topics",
        ),
    ] {
        let problem = create(&setup, spec).await.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field))
        );
    }
    let limited = Principal {
        topics: Some(vec!["*".to_owned()]),
        ..Principal::system()
    };
    let spec = key_spec(json!({"name": "more", "scopes": ["admin"]}));
    let gateway = &setup.gateway;
    assert_eq!(
        gateway.create_key(&limited, spec).await.unwrap_err().code,
        "limited_key"
    );
    assert_eq!(
        gateway.list_keys(&limited, &all()).unwrap_err().code,
        "limited_key"
    );
    let reader = Principal {
        scopes: vec![Scope::Read],
        ..Principal::system()
    };
    assert_eq!(
        gateway.list_keys(&reader, &all()).unwrap_err().code,
        "missing_scope"
    );
    setup.stop().await;
}

#[tokio::test]
async fn the_first_admin_key_is_made_or_taken_from_the_environment() {
    let setup = Setup::new().await;
    let gateway = &setup.gateway;
    let AdminKey::Generated(text) = gateway.ensure_admin_key(None).await.unwrap() else {
        panic!("there was no key yet");
    };
    let admin = gateway.authenticate(Some(&text)).unwrap();
    admin.require(Scope::Admin).unwrap();
    assert_eq!(
        gateway.ensure_admin_key(None).await.unwrap(),
        AdminKey::Present
    );
    let other = "0123456789abcdef0123456789abcdef".to_owned();
    let unused = gateway.ensure_admin_key(Some(other.clone())).await.unwrap();
    assert_eq!(unused, AdminKey::EnvironmentUnused);
    let known = gateway.ensure_admin_key(Some(text)).await.unwrap();
    assert_eq!(known, AdminKey::FromEnvironment);
    let last = gateway
        .delete_key(&admin, ADMIN_KEY_NAME)
        .await
        .unwrap_err();
    assert_eq!(
        (last.kind, last.code),
        (ProblemKind::Conflict, "last_admin_key")
    );
    setup.stop().await;

    let setup = Setup::new().await;
    let weak = setup
        .gateway
        .ensure_admin_key(Some("secret".to_owned()))
        .await;
    assert_eq!(weak.unwrap_err().code, "weak_key");
    let taken = setup
        .gateway
        .ensure_admin_key(Some(other.clone()))
        .await
        .unwrap();
    assert_eq!(taken, AdminKey::FromEnvironment);
    setup
        .gateway
        .authenticate(Some(&other))
        .unwrap()
        .require(Scope::Admin)
        .unwrap();
    setup.stop().await;
}

#[tokio::test]
async fn a_key_made_on_a_stopped_server_is_known_at_the_next_start() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let (clock, random) = (ManualClock::at(START), SeededRandom::new(3));
    let spec = || key_spec(json!({"name": "rescue", "scopes": ["admin"]}));
    let created = create_key_offline(&*store, &clock, &random, spec())
        .await
        .unwrap();
    let twice = create_key_offline(&*store, &clock, &random, spec()).await;
    assert_eq!(twice.unwrap_err().code, "already_exists");
    let setup = Setup::on(store, [7; 32]).await;
    setup.gateway.authenticate(created.key.as_deref()).unwrap();
    let listed = setup.gateway.list_keys(&setup.admin, &all()).unwrap();
    assert_eq!(listed.items, [created.view]);
    setup.stop().await;
}

#[tokio::test]
async fn a_key_for_cmq_clients_has_a_sealed_secret_shown_once() {
    let setup = Setup::new().await;
    let spec =
        json!({"name": "cmq", "scopes": ["consume"], "cmq": true, "app_id": 1_250_000_000_u64});
    let created = create(&setup, spec.clone()).await.unwrap().view;
    let shown = created.view.cmq.clone().unwrap();
    let secret_key = shown.secret_key.clone().unwrap();
    assert!(shown.secret_id.starts_with("AKID") && shown.secret_id.len() == 36);
    assert!(secret_key.len() == 32 && secret_key.bytes().all(|c| c.is_ascii_alphanumeric()));
    for row in setup.rows(ConfigKind::Key).await {
        assert!(!String::from_utf8_lossy(&row.document).contains(&secret_key));
    }
    let again = create(&setup, spec).await.unwrap().view;
    let listed = setup.gateway.list_keys(&setup.admin, &all()).unwrap();
    for view in [&again.view, &listed.items[0]] {
        let cmq = view.cmq.as_ref().unwrap();
        assert_eq!((&cmq.secret_id, &cmq.secret_key), (&shown.secret_id, &None));
    }
    let gateway = &setup.gateway;
    let found = gateway.cmq_credentials(&shown.secret_id).unwrap();
    assert_eq!(
        (found.secret_key.as_str(), found.app_id),
        (secret_key.as_str(), 1_250_000_000)
    );
    let next = setup.reloaded([7; 32]).await.unwrap();
    assert_eq!(next.cmq_keys[&shown.secret_id].secret_key, secret_key);
    let wrong = setup.reloaded([8; 32]).await.err().unwrap().to_string();
    assert!(wrong.contains("key cmq") && wrong.contains("cmq.secret_key"));
    assert_eq!(found.principal.sender.id, "cmq");
    assert!(gateway.cmq_credentials("AKIDnone").is_none());

    // A replacement has its own.
    let spec = json!({"name": "next", "scopes": ["consume"], "cmq": true, "replaces": "cmq"});
    let next = create(&setup, spec).await.unwrap().view.view.cmq.unwrap();
    assert_ne!(next.secret_id, shown.secret_id);
    assert_eq!(next.app_id, setup.store.info().installation);
    gateway.delete_key(&setup.admin, "CMQ").await.unwrap();
    assert!(gateway.cmq_credentials(&shown.secret_id).is_none());
    assert!(gateway.cmq_credentials(&next.secret_id).is_some());

    let random = SeededRandom::new(3);
    let offline = key_spec(json!({"name": "off", "scopes": ["read"], "cmq": true}));
    let refused = create_key_offline(&*setup.store, &*setup.clock, &random, offline).await;
    assert_eq!(refused.unwrap_err().code, "needs_running_server");
    setup.stop().await;
}
