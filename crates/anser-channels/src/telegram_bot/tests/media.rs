//! Attachments, places and contacts: which method shows them, whether their bytes are sent along, captions.

use anser_core::channel::BodyPart;

use super::*;

/// A message with those segments and attachments: a blob for each media type, and `far` ones at URLs.
pub(super) fn with_media(segments: Value) -> Message {
    let mut message = message(&json!({"segments": segments}));
    let blob = |id: &str, media_type: &str, size: u64| {
        json!({"id": id, "name": format!("{id}.bin"), "media_type": media_type,
        "size": size, "source": {"blob": "00".repeat(32)}, "duration_ms": 1500})
    };
    let far = |id: &str, media_type: &str, url: &str| json!({"id": id, "name": "x", "media_type": media_type, "source": {"url": url}});
    let mut long = blob("long", "image/png", 9);
    (long["width"], long["height"]) = (10.into(), 300.into());
    let mut clip = blob("mp4", "video/mp4", 50_000_000);
    (clip["width"], clip["height"]) = (640.into(), 360.into());
    message.attachments = serde_json::from_value(json!([
        blob("png", "image/png", 10_000_000),
        blob("gif", "image/gif", 9),
        blob("tiff", "image/tiff", 9),
        long,
        blob("big", "image/png", 10_000_001),
        blob("huge", "application/zip", 50_000_001),
        blob("mp3", "audio/mpeg", 9),
        blob("ogg", "audio/ogg", 9),
        clip,
        blob("webp", "image/webp", 9),
        blob("pdf", "application/pdf", 9),
        far("far", "image/png", "https://f.example/x.png"),
        far("plain", "image/png", "http://f.example/x.png"),
        far("farcsv", "text/csv", "https://f.example/x.csv"),
    ]))
    .unwrap();
    message
}

/// The requests as their method, and the file's field with its source or else the body.
fn shown(message: &Message) -> Vec<(String, String)> {
    let plan = channel().render(message, &context(0)).unwrap();
    let request = |(step, place): (&Step, usize)| {
        let context = Context {
            step: place,
            ..context(0)
        };
        match channel().request(step, message, &context).unwrap() {
            Request::Upload(request) => {
                let mut form = String::new();
                for part in &request.body {
                    match part {
                        BodyPart::Bytes(bytes) => {
                            form.push_str(std::str::from_utf8(bytes).unwrap());
                        }
                        BodyPart::Attachment(id) => form.push_str(&format!("<{id}>")),
                    }
                }
                let field = form.rsplit("form-data; name=\"").next().unwrap();
                (
                    method(&request.url),
                    format!("{}={}", field.split('"').next().unwrap(), between(&form)),
                )
            }
            other => {
                let request = other.into_http().unwrap();
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                (method(&request.url), sorted(&body))
            }
        }
    };
    plan.steps.iter().zip(0..).map(request).collect()
}

/// The members of an object, sorted.
fn sorted(body: &Value) -> String {
    let members: std::collections::BTreeMap<_, _> = body.as_object().unwrap().iter().collect();
    serde_json::to_string(&members).unwrap()
}

fn method(url: &Url) -> String {
    url.path().rsplit('/').next().unwrap().to_owned()
}

fn between(form: &str) -> &str {
    let start = form.find('<').unwrap();
    &form[start..=form.find('>').unwrap()]
}

/// Each segment alone is sent by that method, with that file or body.
fn check(table: &[(Value, &str, &str)]) {
    for (segment, wanted, file) in table {
        let found = shown(&with_media(json!([segment])));
        let file = serde_json::from_str(file).map_or((*file).to_owned(), |body| sorted(&body));
        assert_eq!(found, [((*wanted).to_owned(), file)], "{segment}");
    }
}

#[test]
fn each_kind_has_its_method() {
    let segment = |kind: &str, att: &str| json!({"type": kind, "att": att});
    let far = r#"{"chat_id":-5,"photo":"https://f.example/x.png"}"#;
    let huge = r#"{"chat_id":-5,"text":"[file: huge.bin, 48 MiB]"}"#;
    #[rustfmt::skip]
    check(&[
        (segment("image", "png"), "sendPhoto", "photo=<png>"),
        (segment("image", "plain"), "sendPhoto", "photo=<plain>"),
        (segment("image", "far"), "sendPhoto", far),
        (segment("image", "gif"), "sendAnimation", "animation=<gif>"),
        (segment("image", "tiff"), "sendDocument", "document=<tiff>"),
        (segment("image", "long"), "sendDocument", "document=<long>"),
        (segment("image", "big"), "sendDocument", "document=<big>"),
        (segment("audio", "mp3"), "sendAudio", "audio=<mp3>"),
        (segment("audio", "ogg"), "sendDocument", "document=<ogg>"),
        (segment("voice", "ogg"), "sendVoice", "voice=<ogg>"),
        (segment("video", "mp4"), "sendVideo", "video=<mp4>"),
        (segment("sticker", "webp"), "sendSticker", "sticker=<webp>"),
        (segment("sticker", "png"), "sendPhoto", "photo=<png>"),
        (segment("file", "pdf"), "sendDocument", "document=<pdf>"),
        (segment("file", "farcsv"), "sendDocument", "document=<farcsv>"),
        (segment("file", "huge"), "sendMessage", huge),
    ]);
}

#[test]
fn places_and_contacts() {
    let contact = |phones: &[&str]| json!({"type": "contact", "name": "Ann", "phones": phones});
    check(&[
        (
            json!({"type": "location", "lat": 1.5, "lon": 2.5}),
            "sendLocation",
            r#"{"chat_id":-5,"latitude":1.5,"longitude":2.5}"#,
        ),
        (
            json!({"type": "location", "lat": 1.5, "lon": 2.5, "name": "N"}),
            "sendVenue",
            r#"{"chat_id":-5,"latitude":1.5,"longitude":2.5,"title":"N","address":"1.5, 2.5"}"#,
        ),
        (
            contact(&["+1"]),
            "sendContact",
            r#"{"chat_id":-5,"phone_number":"+1","first_name":"Ann"}"#,
        ),
        (
            contact(&["+1", "+2"]),
            "sendMessage",
            r#"{"chat_id":-5,"text":"[contact: Ann +1, +2]"}"#,
        ),
    ]);
}

#[test]
fn a_form_has_all_that_the_body_has() {
    let mut message = with_media(
        json!([{"type": "video", "att": "mp4"}, {"type": "text", "text": "a <b>", "style": ["bold"]}]),
    );
    message.header.reply_to = Some("99".to_owned());
    let plan = channel().render(&message, &context(0)).unwrap();
    let request = channel()
        .request(&plan.steps[0], &message, &context(0))
        .unwrap();
    let Request::Upload(request) = request else {
        panic!("{request:?}");
    };
    assert_eq!(
        request.url.as_str(),
        "https://api.telegram.org/bot123:AAhidden/sendVideo"
    );
    let BodyPart::Bytes(head) = &request.body[0] else {
        panic!("{request:?}");
    };
    let head = std::str::from_utf8(head).unwrap().replace("\r\n", "\n");
    let mut fields: Vec<&str> = head.split("form-data; ").skip(1).collect();
    fields
        .iter_mut()
        .for_each(|field| *field = field.split("\n--").next().unwrap());
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "name=\"caption\"\n\n<b>a &lt;b&gt;</b>",
            "name=\"chat_id\"\n\n-5",
            "name=\"duration\"\n\n2",
            "name=\"height\"\n\n360",
            "name=\"parse_mode\"\n\nHTML",
            "name=\"reply_parameters\"\n\n{\"message_id\":99,\"allow_sending_without_reply\":true}",
            "name=\"video\"; filename=\"mp4.bin\"\nContent-Type: video/mp4\n\n",
            "name=\"width\"\n\n640",
        ]
    );
}

#[test]
fn text_beside_a_single_picture_is_its_caption() {
    let picture = json!({"type": "image", "att": "far"});
    let text = |length: usize| json!({"type": "text", "text": "a".repeat(length)});
    let methods = |segments: Value| -> Vec<String> {
        shown(&with_media(segments))
            .into_iter()
            .map(|(method, _)| method)
            .collect()
    };
    assert_eq!(methods(json!([text(1_024), picture])), ["sendPhoto"]);
    assert_eq!(methods(json!([picture, text(1_024)])), ["sendPhoto"]);
    assert_eq!(
        methods(json!([picture, text(1_025)])),
        ["sendPhoto", "sendMessage"]
    );
    assert_eq!(
        methods(json!([text(1), picture, picture])),
        ["sendMessage", "sendPhoto", "sendPhoto"]
    );
    let sticker = json!({"type": "sticker", "att": "webp"});
    assert_eq!(
        methods(json!([text(1), sticker])),
        ["sendMessage", "sendSticker"]
    );
}

#[test]
fn a_native_payload_names_its_method_but_not_its_chat() {
    let raw = |payload: Value| json!([{"type": "raw", "platform": KIND, "payload": payload}]);
    let poll = json!({"method": "sendPoll", "chat_id": 1, "question": "q", "options": ["a", "b"]});
    assert_eq!(
        shown(&with_media(raw(poll))),
        [(
            "sendPoll".to_owned(),
            r#"{"chat_id":-5,"options":["a","b"],"question":"q"}"#.to_owned()
        )]
    );
    for method in ["deleteWebhook", "send/../logOut", "close"] {
        let message = with_media(raw(json!({"method": method, "text": "t"})));
        let problem = channel().render(&message, &context(0)).unwrap_err();
        assert_eq!(problem.code, "empty_message", "{method}");
    }
}

#[test]
fn a_refused_file_goes_as_a_link() {
    let message = with_media(json!([{"type": "image", "att": "png"}]));
    let plan = channel().render(&message, &context(0)).unwrap();
    let refuse = |status: u16, body: Value| {
        let response = anser_core::channel::HttpResponse {
            status: http::StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: body.to_string().into(),
        };
        let outcome = channel().classify(&plan.steps[0], &Ok(response), &context(0));
        format!("{:?}", outcome.class())
    };
    for (status, text, wanted) in [
        (400, "Bad Request: PHOTO_INVALID_DIMENSIONS", "Degrade"),
        (
            400,
            "Bad Request: failed to get HTTP URL content",
            "Degrade",
        ),
        (400, "Bad Request: chat not found", "Rejected"),
        (413, "Request Entity Too Large", "Degrade"),
        (403, "Forbidden: bot was kicked", "Rejected"),
    ] {
        let body = json!({"ok": false, "error_code": status, "description": text});
        assert_eq!(refuse(status, body), wanted, "{text}");
    }
    assert_eq!(refuse(413, json!("<html>")), "Degrade");
}
