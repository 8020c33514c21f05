//! A number of WhatsApp: forms, replies, files, templates outside of the 24 hours, and refusals.

use anser_sim::{FaultKind, Platform};
use serde_json::{Value, json};

use super::{PNG_BYTES, Stage, attempts, outcomes, said, with_files};

const PERSON: &str = "15550001001";
/// Has not written for a day, and has no WhatsApp.
const SILENT: &str = "15550131047";
const STRANGER: &str = "15550131026";
const MESSAGES: &str = "/messages";

fn settings() -> Value {
    let number = Platform::WhatsApp.robot(1);
    json!({"phone_number_id": number.token, "access_token": number.secret, "to": PERSON})
}

async fn stage(more: &Value) -> Stage {
    let mut settings = settings();
    if let (Some(settings), Some(more)) = (settings.as_object_mut(), more.as_object()) {
        settings.extend(more.clone());
    }
    Stage::set(Platform::WhatsApp, "whatsapp-cloud", settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_native_and_carries_the_deliverys_id() {
    let stage = stage(&json!({})).await;
    let card = |kind: &str, value: Value| {
        json!([{"type": "card", "title": "Order 42", "sections": ["Paid"],
            "actions": [{"id": "a", "label": "Open", "kind": kind, "value": value}]}])
    };
    for (segments, kind, member, wanted) in [
        (
            json!([{"type": "markdown", "text": "**bold** <b>"}]),
            "text",
            "/text/body",
            json!("*bold* <b>"),
        ),
        (
            card("url", json!("https://e.example")),
            "interactive",
            "/interactive/type",
            json!("cta_url"),
        ),
        (
            card("callback", json!({"n": 1})),
            "interactive",
            "/interactive/action/buttons/0/reply",
            json!({"id": "a", "title": "Open"}),
        ),
        (
            json!([{"type": "location", "lat": 59.9, "lon": 10.7, "name": "Oslo"}]),
            "location",
            "/location/latitude",
            json!(59.9),
        ),
        (
            json!([{"type": "contact", "name": "Ann", "phones": ["+1555"]}]),
            "contacts",
            "/contacts/0/name/formatted_name",
            json!("Ann"),
        ),
    ] {
        let id = stage.publish("chat", said(&segments)).await;
        let delivery = stage.delivered(&id).await;
        let taken = stage.newest();
        assert_eq!(
            (&*taken.kind, taken.body.pointer(member)),
            (kind, Some(&wanted)),
            "{taken:?}"
        );
        assert_eq!(taken.body["biz_opaque_callback_data"], delivery["id"]);
        assert_eq!(
            attempts(&delivery)[0]["platform_ids"],
            json!([taken.id]),
            "{delivery:#}"
        );
    }
    assert!(stage.sim.counters().refused.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_can_be_a_template_and_a_reply() {
    let stage = stage(&json!({})).await;
    let mut item = said(&json!([{"type": "text", "text": "t"}]));
    item["body"]["override"] = json!({"whatsapp-cloud": {"type": "template",
        "template": {"name": "hello_world", "language": {"code": "en_US"}}}});
    let id = stage.publish(&format!("chat/{SILENT}"), item).await;
    stage.delivered(&id).await;
    let template = stage.newest();
    assert_eq!(
        (&*template.kind, &*template.conversation),
        ("template", SILENT)
    );
    let mut item = said(&json!([{"type": "text", "text": "answer"}]));
    item["header"]["reply_to"] = template.id.clone().into();
    let id = stage.publish("chat", item).await;
    stage.delivered(&id).await;
    assert_eq!(
        stage.newest().body["context"],
        json!({"message_id": template.id})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_documents_are_uploaded_and_shown_in_their_place() {
    let stage = stage(&json!({})).await;
    let id = stage.publish("chat", with_files()).await;
    let delivery = stage.delivered(&id).await;
    let uploads = stage.sim.uploads();
    let sizes: Vec<u64> = uploads.iter().map(|upload| upload.size).collect();
    assert_eq!(sizes, [PNG_BYTES, 9], "{delivery:#}");
    assert_eq!(uploads[1].content().unwrap().as_ref(), b"%PDF-1.4\n");
    let shown: Vec<String> = stage
        .sim
        .messages()
        .into_iter()
        .flat_map(|message| message.uploads)
        .collect();
    assert_eq!(shown, [&*uploads[0].key, &*uploads[1].key]);
    let all: String = stage
        .sim
        .messages()
        .iter()
        .map(|m| m.body.to_string())
        .collect();
    let places = ["one", "\"image\":", "two", "r.pdf"].map(|part| all.find(part));
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{all}"
    );
    assert!(stage.sim.counters().refused.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_written_for_a_day_gets_the_template_that_was_set() {
    let stage =
        stage(&json!({"template": {"name": "note", "language": "de", "with_text": true}})).await;
    let id = stage.send(&format!("chat/{SILENT}"), "two\nlines").await;
    let delivery = stage.delivered(&id).await;
    let taken = stage.newest();
    assert_eq!(taken.kind, "template", "{delivery:#}");
    assert_eq!(
        taken.body["template"]["components"][0]["parameters"],
        json!([{"type": "text", "text": "two lines"}])
    );
    let last = attempts(&delivery).last().unwrap();
    assert_eq!(last["degraded"], json!(["text->template"]), "{delivery:#}");
    assert_eq!(last.get("possible_duplicate"), None, "{delivery:#}");
    assert_eq!(stage.sim.counters().refused["131047"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_end_a_delivery_and_say_what_to_do() {
    let stage = stage(&json!({})).await;
    for (number, code, remedy) in [
        (SILENT, "131047", "settings.template"),
        (STRANGER, "131026", "no WhatsApp"),
    ] {
        let id = stage.send(&format!("chat/{number}"), "hi").await;
        let error = stage.dead(&id).await;
        assert!(error.contains(code) && error.contains(remedy), "{error}");
    }
    assert!(stage.sim.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_checked_without_a_message() {
    let stage = stage(&json!({"access_token": "EAAwrong"})).await;
    let check = stage.check().await;
    assert_eq!(check["ok"], false, "{check}");
    assert!(check["error"].as_str().unwrap().contains("190"), "{check}");
    let mut settings = settings();
    settings["base_url"] = stage.sim.base().into();
    let change = json!({"settings": settings});
    let (status, shown) = stage.api.patch("/v1/channels/chat", &change).await;
    assert_eq!(status, 200, "{shown}");
    assert!(!shown.to_string().contains("EAASim"), "{shown}");
    let check = stage.check().await;
    assert_eq!(check["ok"], true, "{check}");
    assert!(
        check.to_string().contains("Anser (+1 555-010-0001)"),
        "{check}"
    );
    assert!(stage.sim.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_to_one_person_holds_up_nobody_else() {
    let stage = stage(&json!({})).await;
    stage.refuse("131056", MESSAGES);
    let held = stage.send("chat", "held back").await;
    let delivery = stage.tried(&held, 1).await;
    assert_eq!(outcomes(&delivery), ["limited"], "{delivery:#}");
    let other = stage.send("chat/15550001002", "at once").await;
    stage.delivered(&other).await;
    assert_eq!(stage.kinds(), ["text"]);
    let delivery = stage.delivered(&held).await;
    assert_eq!(
        outcomes(&delivery),
        ["limited", "delivered"],
        "{delivery:#}"
    );
    assert_eq!(stage.newest().conversation, PERSON);
}

/// There is no key against duplicates: both are seen, and the second is marked.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_was_lost_is_marked_when_it_is_sent_again() {
    let stage = stage(&json!({})).await;
    for fault in [FaultKind::DropAfterAccept, FaultKind::TruncateJson] {
        let before = stage.kinds().len();
        stage.fail(fault.clone(), MESSAGES);
        let id = stage.send("chat", "again").await;
        let delivery = stage.delivered(&id).await;
        assert_eq!(outcomes(&delivery), ["unknown", "delivered"], "{fault:?}");
        let again = &attempts(&delivery)[1];
        assert_eq!(again["possible_duplicate"], "unknown", "{delivery:#}");
        assert_eq!(stage.kinds().len(), before + 2);
    }
}

/// What was not shown to anybody is no duplicate.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_answer_was_lost_is_made_again() {
    let stage = stage(&json!({})).await;
    stage.fail(FaultKind::DropAfterAccept, "/media");
    let id = stage.publish("chat", with_files()).await;
    let delivery = stage.delivered(&id).await;
    assert_eq!(stage.sim.uploads().len(), 3, "{delivery:#}");
    let marked = attempts(&delivery)
        .iter()
        .any(|attempt| attempt.get("possible_duplicate").is_some());
    assert!(!marked, "{delivery:#}");
}
