//! What becomes of a message that was sent: answers to it, edits and deletion.

use super::*;

const NOT_MODIFIED: &str = "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message";

fn edit(id: i64, text: &str) -> Value {
    json!({"chat_id": PRIVATE, "message_id": id, "text": text})
}

#[test]
fn what_was_sent_can_be_answered_edited_and_deleted() {
    let mut trial = Trial::of(Platform::Telegram);
    trial.call("sendMessage", &text("a"));
    let reply = json!({"chat_id": PRIVATE, "text": "x", "reply_parameters": {"message_id": 1}});
    let reply = trial.call("sendMessage", &reply);
    assert_eq!(reply.value()["result"]["message_id"], 2);
    let edited = trial.call("editMessageText", &edit(2, "y"));
    assert_eq!(edited.value()["result"]["text"], "y");
    assert!(edited.value()["result"]["edit_date"].is_i64());
    let deleted = trial.call("deleteMessage", &edit(2, ""));
    assert_eq!(deleted.said(), r#"{"ok":true,"result":true}"#);
    for (method, told) in [
        ("editMessageText", "Bad Request: message to edit not found"),
        ("deleteMessage", "Bad Request: message to delete not found"),
    ] {
        assert_eq!(described(&trial.call(method, &edit(2, "z"))), told);
    }
    assert_eq!((trial.letters.len(), trial.changes.len()), (2, 1));
    assert_eq!((&*trial.changes[0].id, &*trial.changes[0].text), ("2", "y"));
    assert_eq!(
        (&*trial.gone[0].id, &*trial.gone[0].conversation),
        ("2", "1001")
    );
}

#[test]
fn an_edit_that_changes_nothing_is_refused() {
    let mut trial = Trial::of(Platform::Telegram);
    trial.call("sendMessage", &text("same"));
    let answer = trial.call("editMessageText", &edit(1, "same"));
    assert_eq!((answer.status, &*described(&answer)), (400, NOT_MODIFIED));
    let keyboard = json!({"inline_keyboard": [[{"text": "ok", "callback_data": "k"}]]});
    let mut with = edit(1, "same");
    with["reply_markup"] = keyboard.clone();
    assert_eq!(trial.call("editMessageText", &with).status, 200);
    assert_eq!(
        described(&trial.call("editMessageText", &with)),
        NOT_MODIFIED
    );
    let same = json!({"chat_id": PRIVATE, "message_id": 1, "reply_markup": keyboard});
    assert_eq!(
        described(&trial.call("editMessageReplyMarkup", &same)),
        NOT_MODIFIED
    );
    let without = json!({"chat_id": PRIVATE, "message_id": 1});
    assert_eq!(trial.call("editMessageReplyMarkup", &without).status, 200);
    assert_eq!(trial.changes.len(), 2);
}

#[test]
fn a_text_has_no_caption_and_a_file_no_text() {
    let mut trial = Trial::of(Platform::Telegram);
    trial.call("sendMessage", &text("a"));
    let photo = json!({"chat_id": PRIVATE, "photo": "https://e.com/a.png", "caption": "c"});
    trial.call("sendPhoto", &photo);
    let caption =
        |id: i64, caption: &str| json!({"chat_id": PRIVATE, "message_id": id, "caption": caption});
    for (method, body, told) in [
        (
            "editMessageText",
            edit(2, "x"),
            "there is no text in the message to edit",
        ),
        (
            "editMessageCaption",
            caption(1, "x"),
            "there is no caption in the message to edit",
        ),
        (
            "editMessageCaption",
            caption(2, &"x".repeat(1025)),
            "message caption is too long",
        ),
    ] {
        assert_eq!(
            described(&trial.call(method, &body)),
            format!("Bad Request: {told}")
        );
    }
    assert_eq!(
        described(&trial.call("editMessageCaption", &caption(2, "c"))),
        NOT_MODIFIED
    );
    let answer = trial.call("editMessageCaption", &caption(2, "d"));
    assert_eq!(answer.value()["result"]["caption"], "d");
}

#[test]
fn two_days_later_nothing_is_deleted_and_many_go_at_once() {
    let mut trial = Trial::of(Platform::Telegram);
    for _ in 0..3 {
        trial.call("sendMessage", &text("a"));
    }
    let many = json!({"chat_id": PRIVATE, "message_ids": [2, 3, 9]});
    assert_eq!(trial.call("deleteMessages", &many).status, 200);
    let ids: Vec<&str> = trial.gone.iter().map(|gone| &*gone.id).collect();
    assert_eq!(ids, ["2", "3"]);
    trial.advance(Duration::from_secs(48 * 3_600));
    let answer = trial.call("deleteMessage", &edit(1, ""));
    assert_eq!(
        described(&answer),
        "Bad Request: message can't be deleted for everyone"
    );
}
