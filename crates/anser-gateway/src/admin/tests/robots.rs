//! Robots: a token that is shown once, a secret that is kept and sealed, rights, and what they refer to.

use anser_core::ProblemKind;
use anser_core::resource::{KeySpec, RobotSpec};

use super::*;
use crate::admin::RobotView;
use crate::secrets::MASK;

fn spec(json: Value) -> RobotSpec {
    serde_json::from_value(json).unwrap()
}

async fn create(setup: &Setup, name: &str, json: Value) -> Result<Put<RobotView>, Problem> {
    let admin = &setup.admin;
    setup.gateway.create_robot(admin, name, spec(json)).await
}

fn sealed() -> Value {
    json!({"topic": "orders", "secret": "s3cret", "dialects": ["json"]})
}

#[tokio::test]
async fn a_token_is_shown_once_and_stored_as_its_hash_and_the_secret_is_sealed() {
    let setup = Setup::with_orders().await;
    let made = create(&setup, "Ops", sealed()).await.unwrap();
    let token = made.view.token.expect("it is shown");
    assert!(made.created && token.starts_with("rb_") && token.len() == 46);
    assert_eq!(made.view.resource.spec.secret.as_deref(), Some(MASK));
    for row in setup.rows(ConfigKind::Robot).await {
        let stored = String::from_utf8_lossy(&row.document).into_owned();
        assert!(
            !stored.contains(&token) && !stored.contains("s3cret"),
            "{stored}"
        );
    }
    let robot = setup.gateway.robot_of(&token).expect("it is found");
    assert_eq!(robot.spec.secret.as_deref(), Some("s3cret"));
    for wrong in ["", "rb_", &token[..45], &"x".repeat(100_000)] {
        assert!(setup.gateway.robot_of(wrong).is_none(), "{wrong:.60}");
    }
    // The same again, the secret given, masked or left out.
    for secret in [json!("s3cret"), json!(MASK), Value::Null] {
        let mut again = sealed();
        again["secret"] = secret;
        let again = create(&setup, "ops", again).await.unwrap();
        assert!(!again.created && again.view.token.is_none());
    }
    let other = create(&setup, "OPS", json!({"topic": "orders", "secret": "other"})).await;
    assert_eq!(other.unwrap_err().code, "already_exists");
    let shown = setup.gateway.get_robot(&setup.admin, "ops").unwrap();
    assert!(shown.token.is_none() && shown.resource.spec.secret.as_deref() == Some(MASK));

    let next = setup.reloaded([7; 32]).await.unwrap();
    let robot = next.robot("ops").expect("it is there after a restart");
    assert_eq!(robot.spec.secret.as_deref(), Some("s3cret"));
    assert_eq!(next.robots_by_token.len(), 1);
    let wrong = setup
        .reloaded([8; 32])
        .await
        .err()
        .expect("another master key");
    assert!(wrong.to_string().contains("robot ops"), "{wrong}");
    setup.stop().await;
}

#[tokio::test]
async fn changes_keep_token_and_secret_until_they_say_otherwise() {
    let setup = Setup::with_orders().await;
    let (gateway, admin) = (setup.gateway.clone(), setup.admin.clone());
    let token = create(&setup, "ops", sealed())
        .await
        .unwrap()
        .view
        .token
        .unwrap();
    let secret = || gateway.robot_of(&token).unwrap().spec.secret.clone();

    let replaced = spec(json!({"topic": "orders", "description": "x"}));
    let put = gateway
        .put_robot(&admin, "ops", replaced, None)
        .await
        .unwrap();
    assert!(!put.created && put.view.token.is_none());
    assert_eq!(secret().as_deref(), Some("s3cret"));
    let patch = json!({"secret": "new"});
    gateway
        .patch_robot(&admin, "ops", patch, None)
        .await
        .unwrap();
    assert_eq!(secret().as_deref(), Some("new"));
    let stale = gateway.patch_robot(&admin, "ops", json!({}), Some(1)).await;
    assert_eq!(stale.unwrap_err().code, "stale_revision");
    gateway
        .patch_robot(&admin, "ops", json!({"secret": null}), None)
        .await
        .unwrap();
    assert_eq!(secret(), None);
    let masked = gateway
        .patch_robot(&admin, "ops", json!({"secret": MASK}), None)
        .await;
    assert_eq!(masked.unwrap_err().code, "missing_secret");

    let rotated = gateway.rotate_robot_token(&admin, "ops").await.unwrap();
    let next = rotated.token.unwrap();
    assert!(gateway.robot_of(&token).is_none() && gateway.robot_of(&next).is_some());
    gateway.delete_robot(&admin, "ops", None).await.unwrap();
    assert!(gateway.robot_of(&next).is_none());
    let gone = gateway.get_robot(&admin, "ops").unwrap_err();
    assert_eq!(
        (gone.kind, gone.code),
        (ProblemKind::NotFound, "robot_not_found")
    );
    setup.stop().await;
}

#[tokio::test]
async fn what_a_robot_refers_to_is_there_and_stays() {
    let setup = Setup::with_orders().await;
    for (json, code, field) in [
        (json!({}), "invalid_destination", "topic"),
        (json!({"topic": "none"}), "unknown_topic", "topic"),
        (json!({"topic": "$ops"}), "system_topic", "topic"),
        (
            json!({"to": ["shop", "none/x"]}),
            "unknown_channel",
            "to[1]",
        ),
        (json!({"to": ["queue:none"]}), "unknown_queue", "to[0]"),
    ] {
        let problem = create(&setup, "ops", json.clone()).await.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field)),
            "{json}"
        );
    }
    create(&setup, "ops", json!({"topic": "Orders"}))
        .await
        .unwrap();
    let (gateway, admin) = (&setup.gateway, &setup.admin);
    let in_use = gateway
        .delete_topic(admin, "orders", true, None)
        .await
        .unwrap_err();
    assert!(
        in_use.code == "in_use" && in_use.detail.contains("ops"),
        "{in_use}"
    );
    gateway.delete_robot(admin, "ops", None).await.unwrap();
    gateway
        .delete_topic(admin, "orders", true, None)
        .await
        .unwrap();
    setup.stop().await;
}

#[tokio::test]
async fn a_limited_key_makes_and_sees_robots_for_what_it_may_itself() {
    let setup = Setup::with_orders().await;
    setup.topic("other", json!({})).await.unwrap();
    let key: KeySpec =
        key_spec(json!({"name": "orders", "scopes": ["admin"], "topics": ["orders"]}));
    let key = setup.gateway.create_key(&setup.admin, key).await.unwrap();
    let limited = setup.gateway.authenticate(key.view.key.as_deref()).unwrap();
    create(&setup, "theirs", json!({"topic": "other"}))
        .await
        .unwrap();
    let gateway = &setup.gateway;
    let mine = spec(json!({"topic": "orders"}));
    gateway
        .create_robot(&limited, "mine", mine.clone())
        .await
        .unwrap();
    for json in [json!({"topic": "other"}), json!({"to": ["shop"]})] {
        let refused = gateway
            .create_robot(&limited, "more", spec(json))
            .await
            .unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Forbidden);
    }
    let listed = gateway
        .list_robots(&limited, &ListQuery::default())
        .unwrap();
    let names: Vec<&str> = listed
        .items
        .iter()
        .map(|robot| robot.resource.name.as_str())
        .collect();
    assert_eq!(names, ["mine"]);
    // Nor can it take over, look at or end one that is for something else.
    for refused in [
        gateway
            .put_robot(&limited, "theirs", mine, None)
            .await
            .map(drop),
        gateway
            .patch_robot(&limited, "theirs", json!({"topic": "orders"}), None)
            .await
            .map(drop),
        gateway
            .rotate_robot_token(&limited, "theirs")
            .await
            .map(drop),
        gateway.get_robot(&limited, "theirs").map(drop),
        gateway.delete_robot(&limited, "theirs", None).await,
    ] {
        assert_eq!(refused.unwrap_err().code, "topic_not_allowed");
    }
    setup.stop().await;
}
