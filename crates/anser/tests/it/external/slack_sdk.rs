//! PyPI `slack_sdk`, unchanged, against the stand-in of Slack: messages, threads, edits, files, what it makes of refusals, and
//! its handler of rate limits. What its user sees is what the stand-in's own books say.

use serde_json::{Value, json};

use super::sdk::{Running, in_python};

#[tokio::test(flavor = "multi_thread")]
async fn slack_sdk_posts_answers_uploads_edits_deletes_and_waits_when_it_is_limited() {
    let sim = Running::start("slack");
    let asked = json!({"base_url": sim.told["base_url"], "token": sim.told["bot_token"], "chats": sim.told["chats"]});
    let told = in_python("sdk_slack.py", &asked);
    assert_eq!(
        (&told["user"], &told["channel"]),
        (&json!("anser_sim"), &sim.told["chats"][1])
    );
    let messages = sim.asked("messages").await;
    let (in_channel, in_private) = messages["messages"].as_array().unwrap().split_at(4);
    let [text, reply, file, files] = in_channel else {
        panic!("{messages:#}")
    };
    for (message, name) in [(text, "text"), (reply, "reply")] {
        assert_eq!(message["id"], told[name], "{message:#}");
    }
    assert_eq!(text["edits"][0]["text"], "edited");
    assert_eq!(reply["body"]["thread_ts"], told["text"]);
    for gone in [reply, file] {
        assert!(gone["recalled_at"].is_string(), "{gone:#}");
    }
    assert_eq!(
        (&file["text"], &file["body"]["thread_ts"]),
        (&json!("see"), &told["text"])
    );
    let shown = [&file["uploads"], &files["uploads"]].map(|keys| keys.as_array().unwrap().clone());
    assert_eq!(json!(shown.concat()), told["files"]);
    let uploads = sim.asked("uploads").await;
    assert_eq!(uploads["uploads"][0]["name"], "p.png", "{uploads:#}");

    let refused = json!([
        ["invalid_auth", 200, null],
        ["channel_not_found", 200, null],
        ["restricted_action_read_only_channel", 200, null],
        ["message_not_found", 200, null],
        ["file_deleted", 200, null]
    ]);
    assert_eq!(told["refused"], refused);
    assert_eq!(told["limited"], json!(["ratelimited", 429, "1"]));
    let ids: Vec<&Value> = in_private.iter().map(|message| &message["id"]).collect();
    assert_eq!(
        json!(ids),
        told["in_private"],
        "those that were limited came later, once"
    );
}
