//! The listener, the fault switches on the wire, and what is asked below `/_sim`.

mod events;
mod polls;

use anser_core::Timestamp;
use anser_core::clock::{Clock, ManualClock};
use serde_json::{Value, json};

use super::*;
use crate::fault::FaultKind;
use crate::platform::Platform;

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

async fn sim(platform: Platform) -> Sim {
    let mut options = SimOptions::new(platform);
    options.robots[0].secret = None;
    Sim::start(options).await.unwrap()
}

async fn post(sim: &Sim, url: &str, body: &Value) -> Result<(u16, String), reqwest::Error> {
    let url = format!("{}{url}", sim.base());
    let response = client().post(url).json(body).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.text().await?))
}

async fn get(sim: &Sim, path: &str) -> (u16, String) {
    let url = format!("{}{path}", sim.base());
    let response = client().get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn hi() -> Value {
    json!({"msg_type": "text", "content": {"text": "hi"}})
}

#[tokio::test]
async fn messages_are_recorded_and_shown() {
    let sim = sim(Platform::Feishu).await;
    let path = Platform::Feishu.path(&sim.robots()[0]);
    let (status, body) = post(&sim, &path, &hi()).await.unwrap();
    assert!(
        status == 200 && body.contains("\"code\":0"),
        "{status} {body}"
    );
    let messages = sim.messages();
    assert_eq!((messages.len(), messages[0].text.as_str()), (1, "hi"));
    assert_eq!(messages[0].body, hi());
    let (_, listed) = get(&sim, "/_sim/messages").await;
    assert_eq!(
        serde_json::from_str::<Value>(&listed).unwrap(),
        json!({"messages": messages})
    );
    assert_eq!(
        get(&sim, "/_sim/messages?after=1").await.1,
        r#"{"messages":[]}"#
    );
    assert_eq!(get(&sim, "/_sim/messages?after=x").await.0, 400);
    let (status, page) = get(&sim, "/").await;
    assert!(
        status == 200 && page.contains("hi") && page.contains(&path),
        "{page}"
    );
    let counters: Value = serde_json::from_str(&get(&sim, "/_sim/counters").await.1).unwrap();
    assert_eq!(
        (&counters["requests"], &counters["accepted"]),
        (&json!(1), &json!(1))
    );
    let forgotten = client()
        .delete(format!("{}/_sim/messages", sim.base()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (forgotten.status().as_u16(), sim.messages().len()),
        (204, 0)
    );
}

/// An image as a form with its type, from a client that knows its boundary only.
async fn upload(sim: &Sim, token: &str, image: &[u8]) -> reqwest::Result<Value> {
    let mut form =
        b"--XX\r\ncontent-disposition: form-data; name=\"image_type\"\r\n\r\nmessage\r\n--XX\r\n\
        content-disposition: form-data; name=\"image\"; filename=\"a<b>.png\"\r\n\r\n"
            .to_vec();
    form.extend(image);
    form.extend(b"\r\n--XX--\r\n");
    let url = format!("{}/open-apis/im/v1/images", sim.base());
    let request = client()
        .post(url)
        .bearer_auth(token)
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(form);
    request.send().await?.json().await
}

async fn token(sim: &Sim) -> String {
    let app = Platform::Feishu.app(1).unwrap();
    let path = "/open-apis/auth/v3/tenant_access_token/internal";
    let ask = json!({"app_id": app.token, "app_secret": app.secret});
    let (_, told) = post(sim, path, &ask).await.unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    told["tenant_access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn files_are_told_and_shown_with_their_message() {
    let sim = sim(Platform::Feishu).await;
    let token = token(&sim).await;
    let image = b"\x89PNG\r\n\x1a\nrest";
    let answer = upload(&sim, &token, image).await.unwrap();
    let key = answer["data"]["image_key"].as_str().unwrap();
    let content = json!({"image_key": key}).to_string();
    let message = json!({"receive_id": "oc_1", "msg_type": "image", "content": content});
    let url = format!(
        "{}/open-apis/im/v1/messages?receive_id_type=chat_id",
        sim.base()
    );
    let request = client().post(url).bearer_auth(&token).json(&message);
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(sim.messages()[0].uploads, [key]);
    let (_, listed) = get(&sim, "/_sim/uploads").await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        listed["uploads"][0],
        json!({"number": 1, "at": sim.uploads()[0].at, "robot": "cli_sim0000000000001", "kind": "image", "key": key,
            "name": "a<b>.png", "media_type": null, "size": 12,
            "sha256": "f02a830cf03a1cf756c0461481db682bc9254a5a399f847494d33850c3ff7156"})
    );
    assert_eq!(
        get(&sim, "/_sim/uploads?after=1").await.1,
        r#"{"uploads":[]}"#
    );
    let content = client().get(format!("{}/_sim/uploads/1/content", sim.base()));
    let content = content.send().await.unwrap();
    assert_eq!(content.headers()["content-type"], "image/png");
    assert_eq!(content.bytes().await.unwrap(), &image[..]);
    assert_eq!(get(&sim, "/_sim/uploads/2/content").await.0, 404);
    let (_, page) = get(&sim, "/").await;
    assert!(
        page.contains("<img src=\"/_sim/uploads/1/content\" alt=\"a&lt;b&gt;.png\">"),
        "{page}"
    );
    let counters = sim.counters();
    assert_eq!((counters.uploaded, counters.accepted), (1, 1));
}

#[tokio::test]
async fn faults_hit_uploads_by_their_path() {
    let sim = sim(Platform::Feishu).await;
    let token = token(&sim).await;
    let image = b"\xff\xd8\xff";
    let refuse = FaultKind::Refuse {
        code: "99991400".to_owned(),
    };
    for kind in [
        FaultKind::DropAfterAccept,
        refuse,
        FaultKind::ServerError { status: 500 },
    ] {
        sim.fail(Fault::next(1, kind).on("/im/v1/images")).unwrap();
    }
    assert!(
        upload(&sim, &token, image).await.is_err(),
        "taken, but never told"
    );
    assert_eq!(
        upload(&sim, &token, image).await.unwrap()["code"],
        99_991_400
    );
    assert!(upload(&sim, &token, image).await.unwrap_err().is_decode());
    assert_eq!(sim.uploads().len(), 1);
    assert_eq!(upload(&sim, &token, image).await.unwrap()["code"], 0);
    assert_eq!((sim.counters().uploaded, sim.counters().faults), (2, 3));
}

#[tokio::test]
async fn a_fault_drops_the_answer_of_what_was_taken() {
    let sim = sim(Platform::WeCom).await;
    let path = Platform::WeCom.path(&sim.robots()[0]);
    let body = json!({"msgtype": "text", "text": {"content": "hi"}});
    sim.fail(Fault::next(1, FaultKind::DropAfterAccept))
        .unwrap();
    let error = post(&sim, &path, &body).await.unwrap_err();
    assert!(
        !error.is_timeout() && !error.is_connect(),
        "closed after it was read: {error:?}"
    );
    assert_eq!(sim.messages().len(), 1);
    assert!(post(&sim, &path, &body).await.is_ok());
    let counters = sim.counters();
    assert_eq!(
        (counters.requests, counters.accepted, counters.faults),
        (2, 2, 1)
    );
}

#[tokio::test]
async fn faults_refuse_cut_and_break() {
    let sim = sim(Platform::DingTalk).await;
    let path = Platform::DingTalk.path(&sim.robots()[0]);
    let body = json!({"msgtype": "text", "text": {"content": "hi"}});
    let faults = json!([{"fault": "server_error", "status": 502, "times": 1}, {"fault": "refuse", "code": 130101, "times": 1},
        {"fault": "truncate_json", "times": 1}, {"fault": "slow", "millis": 20, "times": 1}]);
    let (status, told) = post(&sim, "/_sim/faults", &faults).await.unwrap();
    assert_eq!((status, told.as_str()), (204, ""));
    let listed: Value = serde_json::from_str(&get(&sim, "/_sim/faults").await.1).unwrap();
    assert_eq!(listed["faults"].as_array().unwrap().len(), 4);
    let (status, page) = post(&sim, &path, &body).await.unwrap();
    assert!(
        status == 502 && page.starts_with("<html>"),
        "{status} {page}"
    );
    let (status, told) = post(&sim, &path, &body).await.unwrap();
    assert!(
        status == 200 && told.starts_with(r#"{"errcode":130101,"#),
        "{told}"
    );
    assert!(sim.messages().is_empty(), "neither was taken");
    let (status, half) = post(&sim, &path, &body).await.unwrap();
    assert!(
        status == 200 && serde_json::from_str::<Value>(&half).is_err(),
        "{half}"
    );
    let (_, told) = post(&sim, &path, &body).await.unwrap();
    assert_eq!(told, r#"{"errcode":0,"errmsg":"ok"}"#);
    assert_eq!(sim.messages().len(), 2);
    let counters = sim.counters();
    assert_eq!(
        (
            counters.faults,
            counters.rate_violations,
            counters.refused["130101"]
        ),
        (4, 0, 1)
    );
    let (status, told) = post(&sim, "/_sim/faults", &json!({"fault": "boom"}))
        .await
        .unwrap();
    assert!(status == 400 && told.contains("truncate_json"), "{told}");
    sim.fail(Fault::every(1, FaultKind::TruncateJson)).unwrap();
    sim.heal();
    assert_eq!(
        post(&sim, &path, &body).await.unwrap().1,
        r#"{"errcode":0,"errmsg":"ok"}"#
    );
}

#[tokio::test]
async fn windows_follow_the_clock_that_was_given() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let mut options = SimOptions::new(Platform::WeCom);
    options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let sim = Sim::start(options).await.unwrap();
    let path = Platform::WeCom.path(&sim.robots()[0]);
    let body = json!({"msgtype": "text", "text": {"content": "hi"}});
    let mut codes = Vec::new();
    for n in 0..22 {
        if n == 21 {
            clock.advance(Duration::from_secs(60));
        }
        let (_, told) = post(&sim, &path, &body).await.unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        codes.push(told["errcode"].as_i64().unwrap());
    }
    assert_eq!(
        (&codes[..20], codes[20], codes[21]),
        (&[0; 20][..], 45_009, 0)
    );
    assert_eq!(sim.counters().rate_violations, 1);
}

#[tokio::test]
async fn every_platform_takes_what_its_robots_url_is_sent() {
    for platform in Platform::ALL {
        assert_eq!(Platform::of_name(platform.name()), Some(platform));
        let sim = match platform {
            // Its token is not for a signature: there is no number without one.
            Platform::WhatsApp => Sim::start(SimOptions::new(platform)).await.unwrap(),
            _ => sim(platform).await,
        };
        let robot = &sim.robots()[0];
        let url = sim.url(robot);
        let mut path = url.strip_prefix(sim.base()).unwrap().to_owned();
        let body = json!({"msg_type": "text", "msgtype": "text", "content": "hi", "text": "hi", "chat_id": 1001});
        let body = match platform {
            Platform::Feishu => hi(),
            Platform::DingTalk | Platform::WeCom => {
                json!({"msgtype": "text", "text": {"content": "hi"}})
            }
            Platform::WhatsApp => {
                path = format!("{path}?access_token={}", robot.secret.as_deref().unwrap());
                json!({"messaging_product": "whatsapp", "to": "15550001001", "text": {"body": "hi"}})
            }
            _ => body,
        };
        let (status, told) = post(&sim, &path, &body).await.unwrap();
        assert!((200..300).contains(&status), "{}: {told}", platform.name());
        assert_eq!(sim.messages().len(), 1, "{}: {told}", platform.name());
    }
    assert_eq!(Platform::of_name("fax"), None);
}
