//! PyPI `discord.py`, unchanged, against the stand-in of Discord, as a bot and by a webhook: messages, nonces, replies, files,
//! edits, what it makes of refusals, and how it keeps to the windows that answers tell. What its user sees is what the stand-in's
//! own books say.

use serde_json::json;

use super::sdk::{Running, in_python};

#[tokio::test(flavor = "multi_thread")]
async fn discord_py_sends_replies_uploads_edits_and_deletes_within_the_windows() {
    let sim = Running::start("discord");
    let told = &sim.told;
    let asked = json!({"base_url": told["base_url"], "bot_token": told["bot_token"], "token": told["token"],
        "chats": told["chats"]});
    let told = in_python("sdk_discord.py", &asked);
    assert_eq!(told["user"], told["application"], "{told:#}");
    let messages = sim.asked("messages").await;
    let messages = messages["messages"].as_array().unwrap();
    let [text, reply, file, by_webhook, rest @ ..] = messages.as_slice() else {
        panic!("{messages:#?}")
    };
    for (message, name) in [
        (text, "text"),
        (reply, "reply"),
        (file, "file"),
        (by_webhook, "webhook"),
    ] {
        assert_eq!(message["id"], told[name], "{message:#}");
    }
    assert_eq!(text["edits"][0]["body"]["content"], "edited");
    assert_eq!(file["uploads"], json!([told["attachment"]]));
    assert_eq!(
        file["edits"][0]["uploads"].as_array().unwrap().len(),
        2,
        "{file:#}"
    );
    assert_eq!(by_webhook["edits"][0]["uploads"], json!([]));
    for gone in [reply, by_webhook] {
        assert!(gone["recalled_at"].is_string(), "{gone:#}");
    }
    assert_eq!(rest.len(), 6, "{rest:#?}");
    let refused = json!([
        ["NotFound", 404, 10_008],
        ["NotFound", 404, 10_003],
        ["Forbidden", 403, 50_013],
        ["HTTPException", 400, 50_035]
    ]);
    assert_eq!(told["refused"], refused);
    assert_eq!(told["gone"], json!(["NotFound", 404, 10_008]));
    assert_eq!(told["wrong_token"], "LoginFailure");
    let counters = sim.asked("counters").await;
    assert_eq!(counters["rate_violations"], 0, "{counters:#}");
}
