//! The robot of a DingTalk app: forms, files, recalls, its token, and who is not reached although all is well.

use std::time::Duration;

use anser_sim::{Counted, FaultKind, Limit, Platform};
use serde_json::{Value, json};

use super::{PNG_BYTES, Stage, attempts, outcomes, said, with_files};

const GROUP: &str = "chat/chat/cidE2eTest==";
const KIND: &str = "dingtalk-app";
const SEND: &str = "/batchSend";

fn settings() -> Value {
    let app = Platform::DingTalk.app(1).expect("there are apps");
    json!({"app_key": app.token, "app_secret": app.secret, "to": "user/ann"})
}

async fn stage() -> Stage {
    Stage::set(Platform::DingTalk, KIND, settings()).await
}

/// The parameters of a message as the stand-in took it.
fn param(body: &Value) -> Value {
    serde_json::from_str(body["msgParam"].as_str().expect("it is a text")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_native_to_people_and_groups_with_one_token() {
    let stage = stage().await;
    let link =
        |id: &str| json!({"id": id, "label": id, "kind": "url", "value": "https://e.example"});
    let card = |actions: Value| json!([{"type": "card", "title": "T", "sections": ["s"], "actions": actions}]);
    let cases = [
        (
            json!([{"type": "text", "text": "hi"}]),
            "sampleText",
            "content",
            "hi",
        ),
        (
            json!([{"type": "markdown", "text": "**bold**"}]),
            "sampleMarkdown",
            "text",
            "**bold**",
        ),
        (
            card(json!([link("one")])),
            "sampleActionCard",
            "singleTitle",
            "one",
        ),
        (
            card(json!([link("one"), link("two")])),
            "sampleActionCard2",
            "actionTitle2",
            "two",
        ),
    ];
    for (to, place) in [("chat", "ann"), (GROUP, "cidE2eTest==")] {
        for (segments, kind, member, wanted) in &cases {
            let id = stage.publish(to, said(segments)).await;
            let delivery = stage.delivered(&id).await;
            let taken = stage.newest();
            assert_eq!((&*taken.kind, &*taken.conversation), (*kind, place));
            assert_eq!(param(&taken.body)[member], *wanted, "{taken:?}");
            let ids = &attempts(&delivery)[0]["platform_ids"];
            assert_eq!(*ids, json!([taken.id]), "{delivery:#}");
        }
    }
    let counters = stage.sim.counters();
    assert_eq!(counters.requests, 9, "one for the token: {counters:?}");
    assert!(counters.refused.is_empty(), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told_and_the_right_one_is_used_at_once() {
    let mut wrong = settings();
    wrong["app_secret"] = "wrong".into();
    let stage = Stage::set(Platform::DingTalk, KIND, wrong).await;
    let check = stage.check().await;
    assert_eq!(check["ok"], false, "{check}");
    let id = stage.send("chat", "refused").await;
    let error = stage.dead(&id).await;
    assert!(
        error.contains("invalidClientIdOrSecret") && error.contains("settings.app_secret"),
        "{error}"
    );
    let mut right = settings();
    right["base_url"] = stage.sim.base().into();
    let change = json!({"settings": right});
    let (status, shown) = stage.api.patch("/v1/channels/chat", &change).await;
    assert_eq!(status, 200, "{shown}");
    assert!(
        !shown.to_string().contains("SimDingTalkAppSecret"),
        "{shown}"
    );
    assert_eq!(stage.check().await["ok"], true);
    let id = stage.send("chat", "taken").await;
    let delivery = stage.delivered(&id).await;
    assert!(
        !delivery.to_string().contains("simdingtalktoken"),
        "{delivery:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_within_the_attempt() {
    let stage = stage().await;
    let id = stage.send("chat", "first").await;
    stage.delivered(&id).await;
    for code in ["InvalidAuthentication", "Unauthorized"] {
        stage.refuse(code, SEND);
        let id = stage.send("chat", "again").await;
        let delivery = stage.delivered(&id).await;
        assert_eq!(attempts(&delivery).len(), 1, "{delivery:#}");
    }
    let counters = stage.sim.counters();
    // The first: token, message. Each of the others: refused, token, message.
    assert_eq!((counters.requests, counters.accepted), (8, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_files_are_uploaded_and_all_of_it_is_taken_back() {
    let stage = stage().await;
    for (to, gone) in [("chat", 4), (GROUP, 8)] {
        let id = stage.publish(to, with_files()).await;
        let delivery = stage.delivered(&id).await;
        let taken = stage.sim.messages().split_off(gone - 4);
        let kinds: Vec<&str> = taken.iter().map(|message| &*message.kind).collect();
        assert_eq!(
            kinds,
            ["sampleText", "sampleImageMsg", "sampleText", "sampleFile"],
            "{delivery:#}"
        );
        let uploads = stage.sim.uploads().split_off(gone / 2 - 2);
        let sizes: Vec<u64> = uploads.iter().map(|upload| upload.size).collect();
        assert_eq!(sizes, [PNG_BYTES, 9]);
        assert_eq!(uploads[1].content().unwrap().as_ref(), b"%PDF-1.4\n");
        assert_eq!(param(&taken[3].body)["mediaId"], *uploads[1].key);
        assert_eq!(taken[1].uploads, [&*uploads[0].key]);
        stage.recall(&id, gone).await;
    }
    assert!(stage.sim.counters().refused.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_that_id_is_no_delivery_although_the_answer_is_a_success() {
    let stage = stage().await;
    let id = stage.send("chat/user/nobody7", "hi").await;
    let error = stage.dead(&id).await;
    assert!(error.contains("nobody7"), "{error}");
    assert!(stage.sim.messages().is_empty());
    let id = stage.send("chat/user/ann|nobody7", "hi").await;
    let error = stage.dead(&id).await;
    assert!(
        error.contains("partly_delivered") && error.contains("nobody7"),
        "{error}"
    );
    assert_eq!(
        stage.newest().conversation,
        "ann",
        "once, to the one there is"
    );
    assert_eq!(stage.sim.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_held_back_for_the_flow_is_written_to_later_and_others_at_once() {
    let limit = Limit::sliding(Counted::Chat, 1, Duration::from_secs(3_600));
    let stage = Stage::with_limits(Platform::DingTalk, KIND, settings(), vec![limit]).await;
    let id = stage.send("chat", "first").await;
    stage.delivered(&id).await;
    let id = stage.send("chat", "too much").await;
    let delivery = stage.tried(&id, 1).await;
    assert_eq!(outcomes(&delivery), ["limited"], "{delivery:#}");
    assert_eq!(delivery["state"], "pending", "{delivery:#}");
    let id = stage.send("chat/user/bob", "to another").await;
    stage.delivered(&id).await;
    let counters = stage.sim.counters();
    assert_eq!(counters.refused["flowControlledStaffIdList"], 1);
    assert_eq!(counters.accepted, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_what_the_table_says() {
    let stage = stage().await;
    for (code, wanted) in [
        (
            "Forbidden.AccessDenied.QpsLimitForApi",
            &["limited", "delivered"][..],
        ),
        ("systemError", &["retry", "delivered"]),
        (
            "Forbidden.AccessDenied.AccessTokenPermissionDenied",
            &["rejected"],
        ),
        ("bot.stopped", &["rejected"]),
    ] {
        let before = stage.sim.messages().len();
        stage.refuse(code, SEND);
        let id = stage.send("chat", "hi").await;
        let delivery = stage.tried(&id, wanted.len()).await;
        assert_eq!(outcomes(&delivery), wanted, "{code}: {delivery:#}");
        let taken = stage.sim.messages().len() - before;
        assert_eq!(taken, wanted.len() - 1, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_was_lost_is_marked_when_it_is_sent_again() {
    let stage = stage().await;
    stage.fail(FaultKind::DropAfterAccept, SEND);
    let id = stage.send("chat", "again").await;
    let delivery = stage.delivered(&id).await;
    assert_eq!(outcomes(&delivery), ["unknown", "delivered"]);
    let again = &attempts(&delivery)[1];
    assert_eq!(again["possible_duplicate"], "unknown", "{delivery:#}");
    assert_eq!(stage.sim.messages().len(), 2);
}
