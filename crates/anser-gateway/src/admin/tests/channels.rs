//! Channels: their secrets, their endpoints, who may see them.

use anser_core::ProblemKind;
use anser_core::attempt::Attempt;
use anser_core::id::ResourceId;
use anser_core::outcome::OutcomeClass;
use anser_core::resource::Scope;

use super::*;
use crate::admin::ChannelState;
use crate::config::EndpointState;
use crate::gateway::StartError;
use crate::secrets::MASK;

const URL: &str = "https://shop.example/hook";

async fn patch(setup: &Setup, patch: Value) -> Result<ChannelView, Problem> {
    setup
        .gateway
        .patch_channel(&setup.admin, "shop", patch, None)
        .await
}

#[tokio::test]
async fn secrets_are_sealed_at_rest_and_never_shown() {
    let setup = Setup::new().await;
    let put = setup
        .channel("shop", json!({"url": URL, "secret": "hush-hush"}))
        .await
        .unwrap();
    let shown = serde_json::to_string(&put.view).unwrap();
    assert!(
        !shown.contains("hush-hush") && shown.contains(MASK),
        "{shown}"
    );
    assert_eq!(setup.settings("shop")["secret"], "hush-hush");
    for row in setup.store.config_list().await.unwrap() {
        let document = String::from_utf8(row.document.to_vec()).unwrap();
        assert!(!document.contains("hush-hush"), "{document}");
    }
    let rows = setup.rows(ConfigKind::Channel).await;
    let document: Value = serde_json::from_slice(&rows[0].document).unwrap();
    assert_eq!(document["v"], 1);
    assert_eq!(document["spec"]["settings"]["url"], URL);
    let sealed = document["spec"]["settings"]["secret"].as_str().unwrap();
    assert!(sealed.starts_with("sealed:v1:"));
    setup.stop().await;
}

#[tokio::test]
async fn a_restart_opens_the_secrets_and_another_master_key_is_refused() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let setup = Setup::on(store.clone(), [1; 32]).await;
    let secret = json!({"url": URL, "secret": "hush"});
    let before = setup.channel("shop", secret.clone()).await.unwrap().view;
    setup.advance(60);
    patch(&setup, json!({"paused": true})).await.unwrap();

    let snapshot = config::load(&*store, &registry(), &Sealer::new(&[1; 32]), START).await;
    let snapshot = snapshot.unwrap();
    let entry = snapshot.channel("shop").unwrap();
    assert_eq!(entry.spec.settings, secret);
    assert_eq!(entry.meta.id, before.resource.id);
    let held = snapshot.held_between(&[entry.meta.id], START, START.plus(Duration::from_secs(90)));
    assert_eq!(held, Duration::from_secs(30));

    let clock = Arc::new(ManualClock::at(START));
    let wrong = parts(store, clock, [2; 32]);
    let error = Gateway::start(wrong, GatewayOptions::default())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StartError::Config(_)));
    let text = error.to_string();
    for part in ["channel shop", "settings.secret", "ANSER_MASTER_KEY"] {
        assert!(text.contains(part), "{text}");
    }
    setup.stop().await;
}

#[tokio::test]
async fn secrets_left_out_or_masked_are_kept() {
    let setup = Setup::new().await;
    let settings = json!({"url": URL, "secret": "hush"});
    setup.channel("shop", settings.clone()).await.unwrap();
    for same in [
        json!({"url": URL}),
        json!({"url": URL, "secret": MASK}),
        settings.clone(),
    ] {
        assert!(!setup.channel("shop", same).await.unwrap().created);
    }
    let other = setup
        .channel("shop", json!({"url": URL, "secret": "other"}))
        .await;
    assert_eq!(other.unwrap_err().code, "already_exists");

    let new = channel_spec(json!({"url": "https://new.example/"}));
    setup
        .gateway
        .put_channel(&setup.admin, "shop", new, None)
        .await
        .unwrap();
    assert_eq!(
        setup.settings("shop"),
        json!({"url": "https://new.example/", "secret": "hush"})
    );

    patch(&setup, json!({"settings": {"secret": MASK, "url": URL}}))
        .await
        .unwrap();
    assert_eq!(setup.settings("shop"), settings);
    patch(&setup, json!({"settings": {"secret": null}}))
        .await
        .unwrap();
    assert_eq!(setup.settings("shop"), json!({"url": URL}));
    let missing = patch(&setup, json!({"settings": {"secret": MASK}}))
        .await
        .unwrap_err();
    assert_eq!(
        (missing.code, missing.field.as_deref()),
        ("missing_secret", Some("settings.secret"))
    );
    setup.stop().await;
}

#[tokio::test]
async fn what_a_channel_cannot_be_is_refused_with_its_field() {
    let setup = Setup::new().await;
    for (spec, code, field) in [
        (
            json!({"kind": "pigeon", "settings": {}}),
            "unknown_kind",
            "kind",
        ),
        (
            json!({"kind": "safe", "settings": {}}),
            "invalid_url",
            "settings.url",
        ),
        (
            json!({"kind": "safe", "settings": {"url": "http://169.254.169.254/"}}),
            "address_not_allowed",
            "settings.url",
        ),
        (
            json!({"kind": "safe", "settings": {"url": URL}, "timeout": 61}),
            "out_of_range",
            "timeout",
        ),
        (
            json!({"kind": "safe", "settings": {"url": URL}, "rate": {"per_second": 0.0}}),
            "out_of_range",
            "rate.per_second",
        ),
    ] {
        let spec: ChannelSpec = serde_json::from_value(spec).unwrap();
        let problem = setup
            .gateway
            .create_channel(&setup.admin, "shop", spec)
            .await;
        let problem = problem.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field))
        );
    }
    assert!(setup.rows(ConfigKind::Channel).await.is_empty());
    setup.channel("shop", json!({"url": URL})).await.unwrap();
    let problem = patch(&setup, json!({"settings": {"url": "http://[::1]/"}})).await;
    assert_eq!(problem.unwrap_err().field.as_deref(), Some("settings.url"));
    setup.stop().await;
}

#[tokio::test]
async fn rotation_shows_the_new_secret_once_and_keeps_the_old_one() {
    let setup = Setup::new().await;
    setup
        .channel("shop", json!({"url": URL, "secret": "first"}))
        .await
        .unwrap();
    let rotate = |kind: &'static str, grace| {
        setup
            .gateway
            .rotate_secret(&setup.admin, "shop", kind, grace)
    };
    let rotated = rotate("secret", None).await.unwrap();
    assert_eq!(
        rotated.old_until,
        START.plus(Duration::from_secs(24 * 3600))
    );
    let settings = setup.settings("shop");
    assert_eq!(settings["secret"], rotated.secret.as_str());
    assert_eq!(settings["old_secrets"][0]["secret"], "first");
    let view = setup.gateway.get_channel(&setup.admin, "shop").unwrap();
    assert_eq!(
        view.resource.spec.settings,
        json!({"url": URL, "secret": MASK, "old_secrets": MASK})
    );
    let too_long = rotate("secret", Some(Duration::from_secs(7 * 24 * 3600 + 1))).await;
    assert_eq!(too_long.unwrap_err().field.as_deref(), Some("grace"));
    assert_eq!(
        rotate("other", None).await.unwrap_err().code,
        "invalid_field"
    );
    let at_once = rotate("secret", Some(Duration::ZERO)).await.unwrap();
    assert_eq!(at_once.old_until, START);
    // A replacement without secrets does not end the rotation.
    let spec = channel_spec(json!({"url": URL}));
    setup
        .gateway
        .put_channel(&setup.admin, "shop", spec, None)
        .await
        .unwrap();
    assert!(setup.settings("shop")["old_secrets"].is_array());
    setup.stop().await;
}

#[tokio::test]
async fn a_channel_in_use_is_deleted_only_with_its_users() {
    let setup = Setup::with_orders().await;
    let gateway = &setup.gateway;
    let id = gateway
        .get_channel(&setup.admin, "shop")
        .unwrap()
        .resource
        .id;
    let disabled = EndpointState {
        failures: 3,
        ..EndpointState::default()
    };
    gateway
        .endpoints_changed(vec![(id, disabled)])
        .await
        .unwrap();
    let problem = gateway
        .delete_channel(&setup.admin, "shop", false, None)
        .await
        .unwrap_err();
    assert_eq!(
        (problem.kind, problem.code),
        (ProblemKind::Conflict, "in_use")
    );
    assert!(
        problem.detail.contains("orders/billing"),
        "{}",
        problem.detail
    );
    gateway
        .delete_channel(&setup.admin, "SHOP", true, None)
        .await
        .unwrap();
    for kind in [
        ConfigKind::Channel,
        ConfigKind::Subscription,
        ConfigKind::Endpoint,
    ] {
        assert!(setup.rows(kind).await.is_empty(), "{kind:?}");
    }
    assert!(
        gateway
            .config
            .load()
            .topic("orders")
            .unwrap()
            .subscriptions
            .is_empty()
    );
    // The dispatcher may still report on it.
    gateway
        .endpoints_changed(vec![(id, EndpointState::default())])
        .await
        .unwrap();
    assert!(setup.rows(ConfigKind::Endpoint).await.is_empty());
    let gone = gateway
        .delete_channel(&setup.admin, "shop", true, None)
        .await;
    assert_eq!(gone.unwrap_err().code, "channel_not_found");
    setup.stop().await;
}

/// What the dispatcher does when it gives an endpoint up.
async fn disable(gateway: &Gateway, channel: ResourceId) {
    let state = EndpointState {
        failing_since: Some(START),
        failures: 100,
        disabled_at: Some(gateway.clock.now()),
        disabled_reason: Some("gone".to_owned()),
        reported_percent: 90,
    };
    let changed = gateway.endpoints_changed(vec![(channel, state)]);
    changed.await.unwrap();
}

#[tokio::test]
async fn a_disabled_channel_is_remembered_and_enabled_again() {
    let setup = Setup::with_orders().await;
    let gateway = &setup.gateway;
    let before = gateway.get_channel(&setup.admin, "shop").unwrap();
    let id = before.resource.id;
    assert_eq!(before.state, ChannelState::Active);
    setup.advance(10);
    disable(gateway, id).await;
    let view = gateway.get_channel(&setup.admin, "shop").unwrap();
    assert_eq!(
        (view.state, view.disabled_reason.as_deref()),
        (ChannelState::Disabled, Some("gone"))
    );
    assert_eq!(view.resource.revision, before.resource.revision);

    setup.advance(10);
    let sealer = Sealer::new(&[7; 32]);
    let now = gateway.clock.now();
    let loaded = config::load(&*setup.store, &registry(), &sealer, now)
        .await
        .unwrap();
    assert_eq!(
        loaded.channel("shop").unwrap().endpoint,
        gateway.config.load().channel("shop").unwrap().endpoint
    );
    assert_eq!(loaded.held, gateway.config.load().held);
    assert_eq!(
        loaded.held_between(&[id], START, now),
        Duration::from_secs(10)
    );

    // A replacement does not enable it, an explicit `paused: false` and `enable` do.
    let spec = channel_spec(json!({"url": "https://new.example/"}));
    let put = gateway
        .put_channel(&setup.admin, "shop", spec, None)
        .await
        .unwrap();
    assert_eq!(put.view.state, ChannelState::Disabled);
    let view = patch(&setup, json!({"paused": false})).await.unwrap();
    assert_eq!(
        (view.state, view.failing_since),
        (ChannelState::Active, None)
    );
    assert!(!gateway.config.load().is_held(&[id]));
    patch(&setup, json!({"paused": true})).await.unwrap();
    disable(gateway, id).await;
    setup.advance(5);
    let view = gateway.enable_channel(&setup.admin, "shop").await.unwrap();
    assert_eq!(
        (view.state, view.resource.spec.paused),
        (ChannelState::Active, false)
    );
    let now = gateway.clock.now();
    assert_eq!(
        gateway.config.load().held_between(&[id], START, now),
        Duration::from_secs(15)
    );
    let loaded = config::load(&*setup.store, &registry(), &sealer, now)
        .await
        .unwrap();
    assert_eq!(loaded.held, gateway.config.load().held);
    setup.stop().await;
}

#[tokio::test]
async fn a_change_shares_what_it_does_not_touch() {
    let setup = Setup::with_orders().await;
    setup.topic("bills", json!({})).await.unwrap();
    setup.channel("other", json!({"url": URL})).await.unwrap();
    let before = setup.gateway.config.load_full();
    patch(&setup, json!({"description": "changed"}))
        .await
        .unwrap();
    let after = setup.gateway.config.load_full();
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(Arc::ptr_eq(
        &before.topics["orders"],
        &after.topics["orders"]
    ));
    assert!(Arc::ptr_eq(&before.topics["bills"], &after.topics["bills"]));
    assert!(Arc::ptr_eq(
        &before.channels["other"],
        &after.channels["other"]
    ));
    assert!(!Arc::ptr_eq(
        &before.channels["shop"],
        &after.channels["shop"]
    ));

    let patch = json!({"description": "changed"});
    let gateway = &setup.gateway;
    gateway
        .patch_subscription(&setup.admin, "orders", "billing", patch, None)
        .await
        .unwrap();
    let last = gateway.config.load_full();
    assert!(Arc::ptr_eq(&after.topics["bills"], &last.topics["bills"]));
    assert!(Arc::ptr_eq(&after.channels["shop"], &last.channels["shop"]));
    assert!(!Arc::ptr_eq(
        &after.topics["orders"],
        &last.topics["orders"]
    ));
    setup.stop().await;
}

#[tokio::test]
async fn a_test_message_answers_with_its_attempt() {
    let setup = Setup::with_orders().await;
    let test = |name: &'static str| setup.gateway.test_channel(&setup.admin, name);
    let attempt: Attempt = test("shop").await.unwrap();
    assert_eq!(
        (attempt.number, attempt.outcome),
        (1, OutcomeClass::Delivered)
    );
    setup
        .channel("mute", json!({"url": "https://shop.example/mute"}))
        .await
        .unwrap();
    let attempt = test("mute").await.unwrap();
    assert_eq!(attempt.outcome, OutcomeClass::Rejected);
    assert!(attempt.error.unwrap().contains("mute"));
    assert_eq!(test("none").await.unwrap_err().code, "channel_not_found");
    setup.stop().await;
}

#[tokio::test]
async fn a_kind_that_cannot_be_asked_about_its_credentials_says_what_to_do() {
    let setup = Setup::with_orders().await;
    let check = |name: &'static str| setup.gateway.check_channel(&setup.admin, name);
    let problem = check("shop").await.unwrap_err();
    assert_eq!(problem.code, "not_available");
    assert!(problem.detail.contains("anser channel test shop"));
    assert_eq!(check("none").await.unwrap_err().code, "channel_not_found");
    setup.stop().await;
}

#[tokio::test]
async fn a_limited_key_sees_and_changes_only_its_channels() {
    let setup = Setup::with_orders().await;
    setup.channel("ops", json!({"url": URL})).await.unwrap();
    let limited = Principal {
        scopes: vec![Scope::Admin],
        topics: None,
        targets: Some(vec!["ops/*".to_owned()]),
        ..Principal::system()
    };
    let gateway = &setup.gateway;
    let seen = gateway.list_channels(&limited, &all()).unwrap();
    assert_eq!(seen.items.len(), 1);
    assert_eq!(seen.items[0].resource.name, "ops");
    let spec = channel_spec(json!({"url": URL}));
    let hidden = gateway
        .create_channel(&limited, "shop", spec)
        .await
        .unwrap_err();
    assert_eq!(
        (hidden.kind, hidden.code),
        (ProblemKind::Forbidden, "address_not_allowed")
    );
    assert!(hidden.detail.contains("shop"));
    let subscribe = |channel: &str| {
        let spec = serde_json::from_value(json!({"channel": channel})).unwrap();
        gateway.create_subscription(&limited, "orders", "mine", spec)
    };
    assert_eq!(
        subscribe("shop").await.unwrap_err().field.as_deref(),
        Some("channel")
    );
    assert!(subscribe("ops").await.unwrap().created);
    let kinds = gateway.channel_kinds(&limited).unwrap();
    assert_eq!((kinds.len(), kinds[0].kind), (1, "safe"));
    setup.stop().await;
}
