//! Issuers: a secret that is made and shown once, sealed at rest, and the sessions that its tokens may open.

use anser_core::ProblemKind;
use anser_core::name::UserId;
use anser_core::resource::{IssuerSpec, Scope};

use super::*;
use crate::admin::IssuerView;
use crate::secrets::MASK;
use crate::sessions::{Identity, TokenDraft};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PUBLIC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

async fn create(setup: &Setup, name: &str, json: Value) -> Result<Put<IssuerView>, Problem> {
    let spec: IssuerSpec = serde_json::from_value(json).unwrap();
    let admin = &setup.admin;
    setup.gateway.create_issuer(admin, name, spec).await
}

fn user(id: &str) -> UserId {
    UserId::parse("user", id).unwrap()
}

fn mint(setup: &Setup, issuer: &str, draft: Value) -> Result<String, Problem> {
    let draft: TokenDraft = serde_json::from_value(draft).unwrap();
    let minted = setup.gateway.mint_token(&setup.admin, issuer, draft)?;
    Ok(minted.token)
}

fn admit(setup: &Setup, token: &str) -> Result<Identity, (ProblemKind, &'static str)> {
    let admitted = setup.gateway.admit_live(Some(token), None);
    admitted.map_err(|problem| (problem.kind, problem.code))
}

#[tokio::test]
async fn a_secret_is_made_shown_once_and_sealed() {
    let setup = Setup::new().await;
    let made = create(&setup, "App", json!({})).await.unwrap();
    let secret = made.view.spec.secret.expect("it is shown");
    assert!(made.created && secret.starts_with("is_") && secret.len() == 46);
    for row in setup.rows(ConfigKind::Issuer).await {
        let stored = String::from_utf8_lossy(&row.document).into_owned();
        assert!(!stored.contains(&secret), "{stored}");
    }
    for again in [
        json!({}),
        json!({"secret": MASK}),
        json!({"secret": secret}),
    ] {
        let again = create(&setup, "app", again).await.unwrap();
        assert!(!again.created);
        assert_eq!(again.view.spec.secret.as_deref(), Some(MASK));
    }
    let other = create(&setup, "APP", json!({"secret": SECRET})).await;
    assert_eq!(other.unwrap_err().code, "already_exists");
    let missing = create(&setup, "new", json!({"secret": MASK})).await;
    assert_eq!(missing.unwrap_err().code, "missing_secret");
    let no_key = json!({"algorithm": "EdDSA", "public_key": "AAAA"});
    let no_key = create(&setup, "new", no_key).await.unwrap_err();
    assert_eq!(
        (no_key.code, no_key.field.as_deref()),
        ("invalid_public_key", Some("public_key"))
    );

    let next = setup.reloaded([7; 32]).await.unwrap();
    let issuer = next.issuer("app").expect("it is there after a restart");
    assert_eq!(issuer.spec.secret.as_deref(), Some(&*secret));
    let wrong = setup.reloaded([8; 32]).await;
    let wrong = wrong.err().expect("another master key").to_string();
    assert!(wrong.contains("issuer app"), "{wrong}");
    setup.stop().await;
}

#[tokio::test]
async fn its_tokens_open_sessions_until_it_is_changed_or_deleted() {
    let setup = Setup::new().await;
    let (gateway, admin) = (setup.gateway.clone(), setup.admin.clone());
    create(&setup, "app", json!({"users": ["ann*"]}))
        .await
        .unwrap();
    let token = mint(&setup, "app", json!({"user": "ann", "name": "Ann"})).unwrap();
    let identity = admit(&setup, &token).unwrap();
    assert_eq!(identity.user(), Some(&user("ann")));
    let sender = &identity.principal().sender;
    assert_eq!((&*sender.id, sender.name.as_deref()), ("ann", Some("Ann")));
    assert!(identity.principal().covers_target("user:bob"));
    assert!(!identity.principal().covers_topic("orders"));
    let for_other = gateway.admit_live(Some(&token), Some(user("annette")));
    assert_eq!(for_other.unwrap_err().code, "user_not_allowed");
    gateway.admit_live(Some(&token), Some(user("ann"))).unwrap();
    let foreign = mint(&setup, "app", json!({"user": "bob"}));
    assert_eq!(foreign.unwrap_err().code, "user_not_allowed");
    let greedy = json!({"user": "ann", "rights": {"read": ["orders"]}});
    assert_eq!(
        mint(&setup, "app", greedy).unwrap_err().code,
        "right_not_allowed"
    );
    let eternal = mint(&setup, "app", json!({"user": "ann", "lifetime": 3601}));
    assert_eq!(eternal.unwrap_err().code, "out_of_range");

    setup.advance(600);
    let expired = (ProblemKind::Unauthenticated, "expired_token");
    assert_eq!(admit(&setup, &token).unwrap_err(), expired);
    let token = mint(&setup, "app", json!({"user": "ann"})).unwrap();
    admit(&setup, &token).unwrap();
    // Another secret: the tokens of the one before it are forged now.
    let patched = gateway.patch_issuer(&admin, "app", json!({"secret": null}), None);
    assert_ne!(patched.await.unwrap().spec.secret.as_deref(), Some(MASK));
    let forged = (ProblemKind::Unauthenticated, "invalid_signature");
    assert_eq!(admit(&setup, &token).unwrap_err(), forged);
    let token = mint(&setup, "app", json!({"user": "ann"})).unwrap();
    gateway.delete_issuer(&admin, "app", None).await.unwrap();
    let unknown = (ProblemKind::Unauthenticated, "unknown_issuer");
    assert_eq!(admit(&setup, &token).unwrap_err(), unknown);
    setup.stop().await;
}

#[tokio::test]
async fn an_issuer_of_public_keys_signs_nothing_here() {
    let setup = Setup::new().await;
    let spec = json!({"algorithm": "EdDSA", "public_key": PUBLIC_KEY});
    let made = create(&setup, "app", spec).await.unwrap();
    assert_eq!(made.view.spec.secret, None);
    let minted = mint(&setup, "app", json!({"user": "ann"})).unwrap_err();
    assert_eq!(
        (minted.kind, minted.code),
        (ProblemKind::Conflict, "no_secret")
    );
    setup.stop().await;
}

#[tokio::test]
async fn only_an_unlimited_administrator_makes_issuers_and_tokens() {
    let setup = Setup::new().await;
    create(&setup, "app", json!({})).await.unwrap();
    let limited = Principal {
        topics: Some(vec!["*".to_owned()]),
        ..Principal::system()
    };
    let reader = Principal {
        scopes: vec![Scope::Read],
        ..Principal::system()
    };
    for (caller, code) in [(limited, "limited_key"), (reader, "missing_scope")] {
        let gateway = &setup.gateway;
        let made = gateway.create_issuer(&caller, "new", IssuerSpec::default());
        assert_eq!(made.await.unwrap_err().code, code);
        let draft = serde_json::from_value(json!({"user": "ann"})).unwrap();
        let minted = gateway.mint_token(&caller, "app", draft);
        assert_eq!(minted.unwrap_err().code, code);
        let deleted = gateway.delete_issuer(&caller, "app", None).await;
        assert_eq!(deleted.unwrap_err().code, code);
    }
    setup.stop().await;
}

#[tokio::test]
async fn a_key_acts_for_the_users_that_its_targets_cover() {
    let setup = Setup::new().await;
    let key = KeySpec {
        name: "app".to_owned(),
        scopes: vec![Scope::Publish, Scope::Consume],
        topics: None,
        targets: Some(vec!["user:shop-*".to_owned()]),
        replaces: None,
        cmq: false,
        app_id: None,
    };
    let created = setup.gateway.create_key(&setup.admin, key).await.unwrap();
    let text = created.view.key.unwrap();
    let admit = |id: Option<&str>| {
        let admitted = setup.gateway.admit_live(Some(&text), id.map(user));
        admitted.map_err(|problem| problem.code)
    };
    let identity = admit(Some("shop-1")).unwrap();
    assert_eq!(identity.user(), Some(&user("shop-1")));
    assert_eq!(identity.principal().sender.id, "shop-1");
    assert_eq!(admit(None).unwrap().user(), None);
    assert_eq!(admit(Some("bob")).unwrap_err(), "address_not_allowed");
    let nobody = setup.gateway.admit_live(None, Some(user("shop-1")));
    assert_eq!(nobody.unwrap_err().code, "missing_key");
    let unknown = setup.gateway.admit_live(Some("ak_x"), None);
    assert_eq!(unknown.unwrap_err().code, "unknown_key");
    setup.stop().await;
}
