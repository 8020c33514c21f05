//! PyPI `dingtalk-stream`, unchanged, against the stand-in of DingTalk: its token, and its answers to a message. Its stream is
//! in `connected`.

use serde_json::json;

use super::sdk::{Running, in_python};

#[tokio::test(flavor = "multi_thread")]
async fn dingtalk_stream_gets_a_token_and_answers() {
    let sim = Running::start("dingtalk");
    let told = in_python("sdk_dingtalk.py", &sim.told);
    assert_eq!(told["text"]["errcode"], 0, "{told:#}");
    assert_eq!(told["markdown"]["errcode"], 0, "{told:#}");
    assert_eq!(told["refused"]["errcode"], 310_000, "{told:#}");
    let messages = sim.asked("messages").await;
    let messages = messages["messages"].as_array().unwrap();
    let bodies: Vec<_> = messages.iter().map(|message| &message["body"]).collect();
    assert_eq!(bodies.len(), 2, "{bodies:#?}");
    assert_eq!(bodies[0]["text"], json!({"content": "pong"}));
    assert_eq!(bodies[0]["at"], json!({"atUserIds": ["u1"]}));
    assert_eq!(
        bodies[1]["markdown"],
        json!({"title": "title", "text": "**pong**"})
    );
}
