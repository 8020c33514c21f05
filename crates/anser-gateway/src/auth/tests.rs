//! What a caller's scopes and patterns allow.

use anser_core::random::SeededRandom;

use super::*;

fn principal(scopes: &[Scope], topics: Option<&[&str]>, targets: Option<&[&str]>) -> Principal {
    let owned = |patterns: &[&str]| patterns.iter().map(|&p| p.to_owned()).collect();
    Principal {
        scopes: scopes.to_vec(),
        topics: topics.map(owned),
        targets: targets.map(owned),
        ..Principal::system()
    }
}

#[test]
fn admin_implies_every_scope() {
    let all = [Scope::Publish, Scope::Consume, Scope::Read, Scope::Admin];
    for scope in all {
        assert!(Principal::system().require(scope).is_ok());
        let publisher = principal(&[Scope::Publish], None, None).require(scope);
        assert_eq!(publisher.is_ok(), scope == Scope::Publish);
    }
    let problem = principal(&[Scope::Publish], None, None)
        .require(Scope::Read)
        .unwrap_err();
    assert_eq!(
        (problem.kind, problem.code),
        (ProblemKind::Forbidden, "missing_scope")
    );
    assert!(problem.detail.contains("read"));
}

#[test]
fn patterns_decide_over_topics_and_addresses() {
    let all = principal(&[], None, None);
    assert!(all.covers_topic("orders") && all.covers_target("ops/x"));
    all.require_direct("reply_to").unwrap();
    all.require_unlimited().unwrap();

    let topics_only = principal(&[], Some(&["orders.*"]), None);
    assert!(topics_only.covers_topic("Orders.eu") && !topics_only.covers_topic("orders"));
    assert!(!topics_only.covers_target("ops/x"));
    for field in ["to", "conversation", "reply_to"] {
        let problem = topics_only.require_direct(field).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            ("address_not_allowed", Some(field))
        );
    }
    assert_eq!(
        topics_only.require_unlimited().unwrap_err().code,
        "limited_key"
    );
    let problem = topics_only.require_topic("bills").unwrap_err();
    assert_eq!(problem.code, "topic_not_allowed");
    assert!(problem.detail.contains("bills"));

    let both = principal(
        &[],
        Some(&["orders"]),
        Some(&["Ops/*", "mail/team@*", "hook"]),
    );
    for (address, covered) in [
        ("ops", true),
        ("OPS/oc_x", true),
        ("opsx", false),
        ("mail/team@example.com", true),
        ("mail/Team@example.com", false),
        ("mail", false),
        ("hook", true),
        ("hook/x", false),
    ] {
        assert_eq!(both.covers_target(address), covered, "{address}");
    }
    let queues = principal(&[], None, Some(&["queue:Jobs.*", "ops/*"]));
    for (queue, covered) in [("jobs.eu", true), ("JOBS.eu", true), ("bills", false)] {
        let required = queues.require_queue("queue", queue);
        assert_eq!(required.is_ok(), covered, "{queue}");
    }
    let problem = both.require_target("to[2]", "mail/x").unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("address_not_allowed", Some("to[2]"))
    );
    assert!(problem.detail.contains("mail/x"));
    both.require_direct("conversation").unwrap();
}

#[test]
fn a_generated_key_has_256_random_bits() {
    let random = SeededRandom::new(1);
    let (first, second) = (generate_key(&random), generate_key(&random));
    assert_ne!(first, second);
    for key in [&first, &second] {
        let text = key.strip_prefix(KEY_PREFIX).unwrap();
        assert_eq!(text.len(), 43);
        assert_eq!(URL_SAFE_NO_PAD.decode(text).unwrap().len(), KEY_BYTES);
    }
    assert_ne!(hash_key(&first), hash_key(&second));
}
