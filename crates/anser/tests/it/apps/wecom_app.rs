//! An app of WeCom: forms to people and groups, files, recalls, its token, its check for duplicates, and who is not reached.

use anser_sim::{FaultKind, Platform};
use serde_json::{Value, json};

use super::{PNG_BYTES, Stage, attempts, outcomes, said, with_files};

const KIND: &str = "wecom-app";
const GROUP: &str = "chat/chat/simgroup";
const SEND: &str = "/message/send";

fn settings() -> Value {
    let app = Platform::WeCom.app(1).expect("there are apps");
    let (corp, agent) = app.token.split_once('/').expect("both are in it");
    let agent: u32 = agent.parse().expect("a number");
    json!({"corp_id": corp, "corp_secret": app.secret, "agent_id": agent, "to": "user/ann"})
}

async fn stage() -> Stage {
    Stage::set(Platform::WeCom, KIND, settings()).await
}

fn card() -> Value {
    json!([{"type": "card", "title": "T", "sections": ["s"],
        "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://e.example"}]}])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_native_to_people_and_groups_with_one_token() {
    let stage = stage().await;
    for (to, place, of_card) in [
        ("chat", "ann", "template_card"),
        (GROUP, "simgroup", "textcard"),
    ] {
        for (segments, kind) in [
            (json!([{"type": "text", "text": "hi"}]), "text"),
            (
                json!([{"type": "markdown", "text": "**bold**"}]),
                "markdown",
            ),
            (card(), of_card),
        ] {
            let id = stage.publish(to, said(&segments)).await;
            let delivery = stage.delivered(&id).await;
            let taken = stage.newest();
            assert_eq!((&*taken.kind, &*taken.conversation), (kind, place));
            // Messages to groups have no ids.
            let ids = attempts(&delivery)[0].get("platform_ids");
            let known = taken.id.map(|id| json!([id]));
            assert_eq!(ids, known.as_ref(), "{delivery:#}");
        }
    }
    let counters = stage.sim.counters();
    assert_eq!(counters.requests, 7, "one for the token: {counters:?}");
    assert!(counters.refused.is_empty(), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_files_are_uploaded_and_all_of_it_is_taken_back() {
    let stage = stage().await;
    let id = stage.publish("chat", with_files()).await;
    let delivery = stage.delivered(&id).await;
    assert_eq!(
        stage.kinds(),
        ["text", "image", "text", "file"],
        "{delivery:#}"
    );
    let uploads = stage.sim.uploads();
    let sizes: Vec<u64> = uploads.iter().map(|upload| upload.size).collect();
    assert_eq!(sizes, [PNG_BYTES, 9]);
    assert_eq!(uploads[1].content().unwrap().as_ref(), b"%PDF-1.4\n");
    assert_eq!(stage.newest().uploads, [&*uploads[1].key]);
    stage.recall(&id, 4).await;
    assert!(stage.sim.counters().refused.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_reached_is_told_although_the_answer_is_a_success() {
    let stage = stage().await;
    let id = stage.send("chat/user/ann|nobody7", "hi").await;
    let error = stage.dead(&id).await;
    assert!(
        error.contains("partly_delivered") && error.contains("nobody7"),
        "{error}"
    );
    assert_eq!(stage.sim.messages().len(), 1, "once");
    let id = stage.send("chat/user/nobody7", "hi").await;
    let error = stage.dead(&id).await;
    assert!(error.contains("81013"), "{error}");
    let id = stage.send("chat/chat/nosuchgroup", "hi").await;
    let error = stage.dead(&id).await;
    assert!(
        error.contains("86003") && error.contains("an app made"),
        "{error}"
    );
    assert_eq!(stage.sim.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_what_the_table_says() {
    let stage = stage().await;
    let id = stage.send("chat", "for the token").await;
    stage.delivered(&id).await;
    for (code, wanted) in [
        ("-1", &["retry", "delivered"][..]),
        ("40014", &["delivered"]),
        ("42001", &["delivered"]),
        ("48001", &["rejected"]),
        ("60020", &["rejected"]),
    ] {
        let before = stage.sim.messages().len();
        stage.refuse(code, SEND);
        let id = stage.send("chat", code).await;
        let delivery = stage.tried(&id, wanted.len()).await;
        assert_eq!(outcomes(&delivery), wanted, "{code}: {delivery:#}");
        let taken = stage.sim.messages().len() - before;
        assert_eq!(taken, usize::from(wanted.contains(&"delivered")), "{code}");
    }
    stage.refuse("45009", SEND);
    let id = stage.send("chat", "too fast").await;
    let delivery = stage.tried(&id, 1).await;
    assert_eq!(outcomes(&delivery), ["limited"], "{delivery:#}");
    assert_eq!(delivery["state"], "pending", "{delivery:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told() {
    let mut wrong = settings();
    wrong["corp_secret"] = "wrong".into();
    let stage = Stage::set(Platform::WeCom, KIND, wrong).await;
    let check = stage.check().await;
    assert_eq!(check["ok"], false, "{check}");
    let id = stage.send("chat", "refused").await;
    let error = stage.dead(&id).await;
    assert!(
        error.contains("40001") && error.contains("settings.corp_secret"),
        "{error}"
    );
    assert!(stage.sim.messages().is_empty());
}

/// With the platform's check for duplicates the second is not shown; without it, it is, and is marked.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_was_lost_appears_once_where_duplicates_are_checked() {
    for (interval, shown) in [(Some(600), 1), (None, 2)] {
        let mut settings = settings();
        if let Some(interval) = interval {
            settings["duplicate_check_interval"] = interval.into();
        }
        let stage = Stage::set(Platform::WeCom, KIND, settings).await;
        stage.fail(FaultKind::DropAfterAccept, SEND);
        let id = stage.send("chat", "again").await;
        let delivery = stage.delivered(&id).await;
        assert_eq!(outcomes(&delivery), ["unknown", "delivered"]);
        let again = &attempts(&delivery)[1];
        assert_eq!(again["possible_duplicate"], "unknown", "{delivery:#}");
        assert_eq!(stage.sim.messages().len(), shown, "{interval:?}");
        // Without it the first did not ask for a check; the second does.
        assert_eq!(stage.newest().body["enable_duplicate_check"], 1);
    }
}
