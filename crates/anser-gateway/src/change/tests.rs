//! Edit and recall in a whole gateway, against a platform in memory: what people see in the end, and what is answered.

mod mail;
mod platform;
mod random;

use std::time::Duration;

use anser_core::delivery::DeliveryState;
use anser_core::outcome::Outcome;
use serde_json::json;

use super::ChangeOutcome::{Cancelled, Ended, InFlight, Replaced, Requested, Unsupported};
use super::*;
use crate::fixture::{anyone, key};
use crate::queues::Receive;
use platform::{HANG, Setup};

fn refused() -> Outcome {
    Outcome::Rejected {
        code: "no".to_owned(),
        text: "never".to_owned(),
    }
}

fn failed() -> Outcome {
    Outcome::Retry {
        reason: "later".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_is_changed_and_taken_back_part_by_part() {
    let setup = Setup::new().await;
    let id = setup.send(&["chat/a"], "one|two").await;
    setup.rest().await;
    assert_eq!(setup.platform.seen("a"), ["one", "two"]);
    for (text, seen) in [
        ("1|2|3", vec!["1", "2", "3"]),
        ("I", vec!["I"]),
        ("x|y", vec!["x", "y"]),
    ] {
        assert_eq!(setup.edit(id, text).await, [Requested]);
        setup.rest().await;
        assert_eq!(setup.platform.seen("a"), seen);
    }
    assert_eq!(setup.recall(id).await, [Requested]);
    setup.rest().await;
    assert!(setup.platform.seen("a").is_empty());
    assert_eq!(setup.try_edit(id, "z").await.unwrap_err().code, "recalled");
    let again = setup.gateway.recall(anyone(), id, None).await.unwrap();
    assert!(again.duplicate);
    assert_eq!(platform::outcomes(&again), [Requested]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_replaced_or_cancelled_and_keeps_its_time() {
    let setup = Setup::new().await;
    let due = setup.gateway.now().plus(Duration::from_secs(3_600));
    let expires = due.plus(Duration::from_secs(60));
    let header = json!({"to": ["chat/a", "mail/a"], "not_before": due, "expires_at": expires});
    let id = setup.publish(header, "old").await;
    let changed = setup.try_edit(id, "new").await.unwrap();
    assert_eq!(platform::outcomes(&changed), [Replaced, Replaced]);
    for row in setup.deliveries(id).await {
        assert_eq!(row.state, DeliveryState::Cancelled);
    }
    let rows = setup.deliveries(changed.id.unwrap()).await;
    for row in &rows {
        assert_eq!((row.due, row.expires_at), (due, Some(expires)));
    }
    let by: Vec<_> = changed
        .results
        .iter()
        .filter_map(|result| result.by)
        .collect();
    assert_eq!(by, rows.iter().map(|row| row.id).collect::<Vec<_>>());
    assert!(setup.platform.requests().is_empty());
    setup.pass(3_605).await;
    assert_eq!(setup.platform.seen("a"), ["new", "new"]);

    let id = setup
        .publish(
            json!({"to": ["mail/b"], "not_before": due.plus(Duration::from_secs(60))}),
            "x",
        )
        .await;
    assert_eq!(setup.recall(id).await, [Cancelled]);
    assert_eq!(setup.recall(id).await, [Cancelled]);
    assert_eq!(setup.try_edit(id, "y").await.unwrap_err().code, "recalled");
    setup.pass(120).await;
    assert!(setup.platform.seen("b").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_cannot_says_so_and_nothing_is_made() {
    let setup = Setup::new().await;
    let id = setup.send(&["mail/m", "chat/a"], "old").await;
    setup.rest().await;
    let changed = setup.try_edit(id, "new").await.unwrap();
    assert_eq!(platform::outcomes(&changed), [Unsupported, Requested]);
    assert_eq!(setup.deliveries(changed.id.unwrap()).await.len(), 1);
    setup.rest().await;
    assert_eq!(setup.platform.seen("m"), ["old"]);
    assert_eq!(setup.platform.seen("a"), ["new"]);
    assert_eq!(setup.recall(id).await, [Unsupported, Requested]);
    setup.rest().await;
    assert_eq!(setup.platform.seen("m"), ["old"]);
    assert!(setup.platform.seen("a").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_had_ended_otherwise_stays_so() {
    let setup = Setup::new().await;
    setup.platform.answer(refused());
    let id = setup.send(&["chat/a"], "old").await;
    setup.rest().await;
    assert_eq!(setup.edit(id, "new").await, [Ended]);
    assert_eq!(setup.recall(id).await, [Ended]);
    setup.pass(60).await;
    assert!(setup.platform.seen("a").is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_under_way_is_acted_on_when_it_ends() {
    for (edited, seen) in [(true, vec!["new"]), (false, vec![])] {
        let setup = Setup::new().await;
        let id = setup.send(&["chat/a"], HANG).await;
        setup.rest().await;
        let done = if edited {
            setup.edit(id, "new").await
        } else {
            setup.recall(id).await
        };
        assert_eq!(done, [InFlight]);
        setup.pass(60).await;
        assert_eq!(
            setup.platform.seen("a"),
            seen,
            "the time-out is not tried again"
        );
        assert_eq!(
            setup.deliveries(id).await[0].state,
            DeliveryState::Cancelled
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_under_way_that_arrives_is_changed_then() {
    // Its first part is out when the second one hangs; that is known only when it ends.
    let setup = Setup::new().await;
    let id = setup.send(&["chat/a"], "one|hang").await;
    setup.rest().await;
    assert_eq!(setup.platform.seen("a"), ["one"]);
    assert_eq!(setup.edit(id, "new").await, [InFlight]);
    setup.pass(60).await;
    assert_eq!(setup.platform.seen("a"), ["new"]);
    assert_eq!(setup.platform.requests(), ["send one", "edit 1 new"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_half_out_is_changed_where_it_is_and_not_finished() {
    for (edited, answer, seen) in [
        (true, Requested, vec!["new"]),
        (false, Requested, Vec::new()),
    ] {
        let setup = Setup::new().await;
        let id = setup.send(&["chat/a"], "one|two").await;
        // The second part fails.
        setup.platform.answer(Outcome::Delivered {
            platform_id: Some("0".to_owned()),
        });
        setup.platform.answer(failed());
        setup.rest().await;
        let row = setup.deliveries(id).await.remove(0);
        assert_eq!(row.state, DeliveryState::Retrying);
        let done = if edited {
            setup.platform.answer(Outcome::Delivered {
                platform_id: Some("0".to_owned()),
            });
            setup.edit(id, "new").await
        } else {
            setup.recall(id).await
        };
        assert_eq!(done, [answer]);
        setup.pass(60).await;
        let requests = setup.platform.requests();
        let last = requests.last().unwrap();
        assert_eq!(last, if edited { "edit 0 new" } else { "recall 0" });
        assert!(setup.platform.seen("a").is_empty(), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_process_had_under_way_is_not_sent_again() {
    for edited in [true, false] {
        let mut setup = Setup::new().await;
        let id = setup.send(&["chat/a"], HANG).await;
        setup.rest().await;
        let done = if edited {
            setup.edit(id, "new").await
        } else {
            setup.recall(id).await
        };
        assert_eq!(done, [InFlight]);
        setup.kill().await;
        setup.pass(60).await;
        let row = setup.deliveries(id).await.remove(0);
        assert_eq!(row.state, DeliveryState::Cancelled);
        let seen: &[&str] = if edited { &["new"] } else { &[] };
        assert_eq!(setup.platform.seen("a"), seen);
        // By hand it goes out all the same: somebody wants it.
        setup.platform.requests();
        setup
            .gateway
            .retry_delivery(anyone(), row.id)
            .await
            .unwrap();
        setup.pass(20).await;
        assert_ne!(
            setup.deliveries(id).await[0].state,
            DeliveryState::Cancelled
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_the_edit_and_the_withdrawal_loses_neither_content() {
    let mut setup = Setup::new().await;
    let free = json!({"channel": "chat", "target": "free", "ordering": "none"});
    setup.subscribe("free", free).await;
    setup.platform.answer(failed());
    setup.platform.answer(failed());
    let id = setup.send(&["chat/a"], "old").await;
    setup.rest().await;
    // What `edit` does up to its commit.
    let snapshot = setup.gateway.config.load_full();
    let original = setup.gateway.original(&snapshot, anyone(), id);
    let original = original.await.unwrap();
    let change = Change {
        snapshot: &snapshot,
        principal: anyone(),
        original: &original,
        kind: LinkKind::Edited,
        now: setup.gateway.now(),
    };
    let positions = setup.gateway.positions(&original).await.unwrap();
    let decided = change.decide(&positions, &Became::new());
    let body = serde_json::from_value(json!({"data": "new"})).unwrap();
    let item = Item {
        header: linked_header(&original.message, LinkKind::Edited),
        body,
        attachments: Vec::new(),
        dedupe_key: None,
    };
    let appended = setup.gateway.append_linked(&change, item, &decided);
    appended.await.unwrap();
    setup.kill().await;
    setup.pass(600).await;
    assert_eq!(setup.platform.seen("a"), ["new"]);
    assert_eq!(setup.platform.seen("free"), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_stands_behind_what_was_sent_before_it() {
    let setup = Setup::new().await;
    setup
        .subscribe(
            "free",
            json!({"channel": "chat", "target": "f", "ordering": "none"}),
        )
        .await;
    for to in [json!([]), json!(["chat/f"])] {
        setup.platform.answer(failed());
        let id = setup.publish(json!({"to": to, "key": "k"}), "1").await;
        setup.rest().await;
        // Twice at once: only the newest content is left to go out.
        let first = setup.edit(id, "2").await;
        let second = setup.edit(id, "3").await;
        assert!(
            first
                .iter()
                .chain(&second)
                .all(|result| *result != Unsupported)
        );
        setup.pass(120).await;
        assert!(
            setup.platform.seen("f").iter().all(|text| text == "3"),
            "{:?}",
            setup.platform.seen("f")
        );
    }
    assert_eq!(setup.platform.seen("f").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_fails_is_tried_again_and_a_refused_one_is_a_dead_letter() {
    let setup = Setup::new().await;
    let id = setup.send(&["chat/a"], "old").await;
    setup.rest().await;
    setup.platform.answer(failed());
    assert_eq!(setup.edit(id, "new").await, [Requested]);
    setup.pass(60).await;
    assert_eq!(setup.platform.seen("a"), ["new"]);
    setup.platform.answer(refused());
    let changed = setup.try_edit(id, "newer").await.unwrap();
    setup.pass(60).await;
    let row = setup.deliveries(changed.id.unwrap()).await.remove(0);
    assert_eq!(row.state, DeliveryState::Dead);
    assert_eq!(setup.edit(id, "newest").await, [Requested]);
    setup.pass(60).await;
    assert_eq!(setup.platform.seen("a"), ["newest"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_platforms_ids_nothing_is_changed() {
    let setup = Setup::new().await;
    setup
        .platform
        .answer(Outcome::Delivered { platform_id: None });
    let id = setup.send(&["chat/a"], "old").await;
    setup.rest().await;
    let changed = setup.try_edit(id, "new").await.unwrap();
    assert_eq!(platform::outcomes(&changed), [Requested]);
    setup.pass(5).await;
    let row = setup.deliveries(changed.id.unwrap()).await.remove(0);
    let attempts = setup.store.attempts(row.id).await.unwrap();
    let error = attempts[0].error.as_deref().unwrap();
    assert!(
        row.state == DeliveryState::Dead && error.contains("not_editable"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn in_a_queue_what_nobody_holds_is_replaced() {
    let setup = Setup::new().await;
    let id = setup.send(&["queue:jobs"], "1").await;
    assert_eq!(setup.edit(id, "2").await, [Replaced]);
    let ask = |max| Receive {
        max,
        wait: None,
        lease: None,
    };
    let received = setup
        .gateway
        .receive(anyone(), "jobs", ask(5))
        .await
        .unwrap();
    let texts: Vec<_> = received
        .iter()
        .map(|one| one.message.body.text().unwrap().into_owned())
        .collect();
    assert_eq!(texts, ["2"]);
    assert_eq!(received[0].message.header.target_id, Some(id));
    assert_eq!(setup.edit(id, "3").await, [Unsupported], "it is leased");
    let receipts = vec![received[0].receipt];
    setup
        .gateway
        .acknowledge(anyone(), "jobs", receipts)
        .await
        .unwrap();
    assert_eq!(setup.edit(id, "3").await, [Unsupported]);
    assert_eq!(setup.recall(id).await, [Unsupported]);
    assert!(
        setup
            .gateway
            .receive(anyone(), "jobs", ask(5))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_a_message_of_its_own_about_the_original() {
    let setup = Setup::new().await;
    let header = json!({"to": ["chat/a"], "key": "k", "tags": ["t"], "reply_to": "r"});
    let id = setup.publish(header, "old").await;
    let changed = setup.try_edit(id, "new").await.unwrap();
    let stored = setup
        .gateway
        .get_message(anyone(), changed.id.unwrap())
        .await
        .unwrap();
    let message = Message::from_json(stored.message.get().as_bytes()).unwrap();
    let header = &message.header;
    assert_eq!(
        (header.r#type.as_str(), header.target_id),
        ("message.edited", Some(id))
    );
    assert_eq!(
        (header.key.as_deref(), header.reply_to.as_deref()),
        (Some("k"), Some("r"))
    );
    assert_eq!(
        (&*header.to, &*header.tags),
        (&["chat/a".to_owned()][..], &["t".to_owned()][..])
    );
    for change in [
        setup.try_edit(changed.id.unwrap(), "x").await,
        setup
            .gateway
            .recall(anyone(), changed.id.unwrap(), None)
            .await,
    ] {
        let problem = change.unwrap_err();
        assert_eq!(
            (problem.kind.status(), problem.code),
            (422, "linked_message")
        );
        assert!(problem.detail.contains(&id.to_string()));
    }
    let view = setup.gateway.get_message(anyone(), id).await.unwrap();
    assert_eq!(
        (&*view.edits, view.recalled_at),
        (&[changed.id.unwrap()][..], None)
    );
    setup
        .gateway
        .recall(anyone(), id, Some("typo".to_owned()))
        .await
        .unwrap();
    let view = setup.gateway.get_message(anyone(), id).await.unwrap();
    assert_eq!(
        (view.edited_at, view.recalled_at),
        (Some(header.time), Some(setup.gateway.now()))
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_edit_under_the_same_key_is_done_once() {
    let setup = Setup::new().await;
    let (id, other) = (
        setup.send(&["chat/a"], "old").await,
        setup.send(&["chat/b"], "old").await,
    );
    setup.rest().await;
    let edit = |text: &str| Edit {
        body: serde_json::from_value(json!({"data": text})).unwrap(),
        attachments: Vec::new(),
        dedupe_key: Some("once".to_owned()),
    };
    let first = setup.gateway.edit(anyone(), id, edit("new")).await.unwrap();
    setup.rest().await;
    let again = setup.gateway.edit(anyone(), id, edit("new")).await.unwrap();
    assert_eq!(
        (first.duplicate, again.duplicate, first.id == again.id),
        (false, true, true)
    );
    assert_eq!(first.results, again.results);
    for (id, text) in [(id, "newer"), (other, "new")] {
        let problem = setup
            .gateway
            .edit(anyone(), id, edit(text))
            .await
            .unwrap_err();
        assert_eq!(
            (problem.kind.status(), problem.code),
            (409, "dedupe_conflict")
        );
    }
    setup.rest().await;
    assert_eq!(
        setup.platform.requests(),
        ["send old", "send old", "edit 1 new"]
    );
}

#[tokio::test(start_paused = true)]
async fn who_may_publish_it_may_change_it() {
    let setup = Setup::new().await;
    let id = setup.send(&["chat/a"], "old").await;
    for (principal, status, code) in [
        (key(&[Scope::Read], None, None), 403, "missing_scope"),
        (
            key(&[Scope::Publish], Some(&["other"]), None),
            404,
            "message_not_found",
        ),
        (
            key(&[Scope::Publish], Some(&["talk"]), None),
            403,
            "address_not_allowed",
        ),
        (
            key(&[Scope::Publish], Some(&["talk"]), Some(&["chat/b"])),
            403,
            "address_not_allowed",
        ),
    ] {
        let edit = Edit {
            body: serde_json::from_value(json!({"data": 1})).unwrap(),
            attachments: Vec::new(),
            dedupe_key: None,
        };
        let refused = [
            setup.gateway.edit(&principal, id, edit).await,
            setup.gateway.recall(&principal, id, None).await,
        ];
        for refused in refused {
            let problem = refused.unwrap_err();
            assert_eq!((problem.kind.status(), problem.code), (status, code));
        }
    }
    let owner = key(&[Scope::Publish], Some(&["talk"]), Some(&["chat/a"]));
    let recalled = setup.gateway.recall(&owner, id, None).await.unwrap();
    assert_eq!(recalled.results.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_edited_only_so_often_and_recalled_always() {
    let setup = Setup::new().await;
    let id = setup.send(&["chat/a"], "old").await;
    for _ in 0..EDITS_MAX {
        setup.edit(id, "new").await;
    }
    assert_eq!(
        setup.try_edit(id, "x").await.unwrap_err().code,
        "too_many_edits"
    );
    setup.recall(id).await;
    setup.pass(10).await;
    assert!(setup.platform.seen("a").is_empty());
}
