//! Attachments: what is uploaded and how, the messages that show it, and what becomes of what is refused.

use anser_core::channel::{BodyPart, StepKind, UploadRequest};

use super::*;

/// A message with those segments and attachments `png`, `opus`, `mp4`, `pdf` and `big`, all of them blobs.
pub(super) fn with_media(segments: Value) -> Message {
    let mut message = message(&json!({"segments": segments}));
    let blob = |id: &str, media_type: &str, size: u64| {
        json!({"id": id, "name": format!("名 {id}.{id}"), "media_type": media_type,
        "size": size, "sha256": "00".repeat(32), "source": {"blob": "00".repeat(32)}, "duration_ms": 1500})
    };
    message.attachments = serde_json::from_value(json!([
        blob("png", "image/png", 10_000_000),
        blob("opus", "audio/ogg", 1),
        blob("mp4", "video/mp4", 30_000_000),
        blob("pdf", "application/pdf", 9),
        blob("big", "image/png", 10_000_001),
        blob("huge", "application/zip", 30_000_001),
    ]))
    .unwrap();
    message
}

fn steps(message: &Message, context: &Context<'_>) -> Plan {
    channel().render(message, context).unwrap()
}

/// Each step as its kind with the `msg_type` or the form's type.
fn shown(plan: &Plan) -> Vec<String> {
    let word = |step: &Step| {
        let body: Value = serde_json::from_slice(&step.body).unwrap();
        let named = ["msg_type", "image_type", "file_type"];
        let name = named.iter().find_map(|name| body[*name].as_str()).unwrap();
        format!("{:?} {name}", step.kind)
    };
    plan.steps.iter().map(word).collect()
}

fn request_of(message: &Message, plan: &Plan, place: usize, outputs: &[Option<String>]) -> Request {
    let context = Context {
        step: place,
        outputs,
        ..context(0)
    };
    channel()
        .request(&plan.steps[place], message, &context)
        .unwrap()
}

fn upload(request: Request) -> UploadRequest {
    match request {
        Request::Upload(upload) => upload,
        other => panic!("{other:?}"),
    }
}

/// The form, without its boundary, an attachment as `<ID>`.
fn form(request: &UploadRequest) -> String {
    let mut text = String::new();
    for part in &request.body {
        match part {
            BodyPart::Bytes(bytes) => text.push_str(std::str::from_utf8(bytes).unwrap()),
            BodyPart::Attachment(id) => text.push_str(&format!("<{id}>")),
        }
    }
    let content_type = request.headers["content-type"].to_str().unwrap();
    let (_, boundary) = content_type.split_once("boundary=").unwrap();
    text.replace(boundary, "B").replace("\r\n", "\n")
}

#[test]
fn each_kind_is_uploaded_and_shown() {
    for (segment, wanted) in [
        (
            json!({"type": "image", "att": "png"}),
            vec!["Upload message", "Send image"],
        ),
        (
            json!({"type": "image", "att": "big"}),
            vec!["Upload stream", "Send file"],
        ),
        (
            json!({"type": "file", "att": "pdf"}),
            vec!["Upload pdf", "Send file"],
        ),
        (
            json!({"type": "voice", "att": "opus"}),
            vec!["Upload opus", "Send audio"],
        ),
        (
            json!({"type": "audio", "att": "opus"}),
            vec!["Upload stream", "Send file"],
        ),
        (
            json!({"type": "video", "att": "mp4"}),
            vec!["Upload mp4", "Send media"],
        ),
        (
            json!({"type": "video", "att": "mp4", "cover": "png"}),
            vec!["Upload message", "Upload mp4", "Send media"],
        ),
        (
            json!({"type": "video", "att": "pdf"}),
            vec!["Upload pdf", "Send file"],
        ),
        (
            json!({"type": "sticker", "att": "png"}),
            vec!["Upload message", "Send image"],
        ),
        (json!({"type": "file", "att": "huge"}), vec!["Send text"]),
    ] {
        let plan = steps(&with_media(json!([segment])), &context(0));
        assert_eq!(shown(&plan), wanted, "{segment}");
    }
}

#[test]
fn a_picture_as_the_documentation_uploads_it() {
    let message = with_media(json!([{"type": "image", "att": "png"}]));
    let plan = steps(&message, &context(0));
    let brought = upload(request_of(&message, &plan, 0, &[]));
    assert_eq!(
        brought.url.as_str(),
        "https://open.feishu.cn/open-apis/im/v1/images"
    );
    assert_eq!(
        form(&brought),
        "--B\nContent-Disposition: form-data; name=\"image_type\"\n\nmessage\n\
         --B\nContent-Disposition: form-data; name=\"image\"; filename=\"名 png.png\"\nContent-Type: image/png\n\n<png>\n\
         --B--\n"
    );
    let outputs = [Some("img_1".to_owned())];
    let sent = request_of(&message, &plan, 1, &outputs)
        .into_http()
        .unwrap();
    let sent = body(&sent);
    assert_eq!(
        (&sent["msg_type"], &sent["content"], &sent["receive_id"]),
        (
            &json!("image"),
            &json!("{\"image_key\":\"img_1\"}"),
            &json!("oc_c1")
        )
    );
    assert_eq!(sent["uuid"].as_str().map(str::len), Some(25));
}

#[test]
fn a_video_has_its_duration_and_cover() {
    let message = with_media(json!([{"type": "video", "att": "mp4", "cover": "png"}]));
    let plan = steps(&message, &context(0));
    let token = Token::new("t-1".to_owned(), LIMITED).unwrap();
    let context = Context {
        step: 1,
        token: Some(&token),
        ..context(0)
    };
    let brought = upload(
        channel()
            .request(&plan.steps[1], &message, &context)
            .unwrap(),
    );
    assert_eq!(
        brought.url.as_str(),
        "https://open.feishu.cn/open-apis/im/v1/files"
    );
    assert_eq!(brought.headers["authorization"], "Bearer t-1");
    assert_eq!(
        form(&brought),
        "--B\nContent-Disposition: form-data; name=\"file_type\"\n\nmp4\n\
         --B\nContent-Disposition: form-data; name=\"duration\"\n\n1500\n\
         --B\nContent-Disposition: form-data; name=\"file_name\"\n\n名 mp4.mp4\n\
         --B\nContent-Disposition: form-data; name=\"file\"; filename=\"名 mp4.mp4\"\nContent-Type: video/mp4\n\n<mp4>\n\
         --B--\n"
    );
    let outputs = ["img_1", "file_1"].map(|key| Some(key.to_owned()));
    let sent = request_of(&message, &plan, 2, &outputs)
        .into_http()
        .unwrap();
    let content: Value = serde_json::from_str(body(&sent)["content"].as_str().unwrap()).unwrap();
    assert_eq!(content, json!({"file_key": "file_1", "image_key": "img_1"}));
}

#[test]
fn a_card_has_its_picture() {
    let message = with_media(json!([{"type": "card", "title": "T", "image": "png"}]));
    let plan = steps(&message, &context(0));
    assert_eq!(shown(&plan), ["Upload message", "Send interactive"]);
    let outputs = [Some("img_1".to_owned())];
    let sent = request_of(&message, &plan, 1, &outputs)
        .into_http()
        .unwrap();
    let card: Value = serde_json::from_str(body(&sent)["content"].as_str().unwrap()).unwrap();
    let alt = json!({"tag": "plain_text", "content": "名 png.png"});
    assert_eq!(
        card["body"]["elements"],
        json!([{"tag": "img", "img_key": "img_1", "alt": alt}])
    );
    assert!(plan.degraded.is_empty());
    let refused = Context {
        media_refused: true,
        ..context(0)
    };
    let plan = steps(&message, &refused);
    assert_eq!(shown(&plan), ["Send interactive"]);
    assert_eq!(plan.degraded, ["image->text"]);
}

#[test]
fn uploads_come_first_and_the_first_part_replies() {
    let mut message =
        with_media(json!([{"type": "text", "text": "a"}, {"type": "image", "att": "png"}]));
    message.header.reply_to = Some("om_1".to_owned());
    let plan = steps(&message, &context(0));
    assert_eq!(shown(&plan), ["Upload message", "Send text", "Send image"]);
    let outputs = [Some("img_1".to_owned()), Some("om_2".to_owned())];
    let path = |place| {
        let request = request_of(&message, &plan, place, &outputs)
            .into_http()
            .unwrap();
        request.url.path().rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!([path(1), path(2)], ["reply", "messages"]);
    // A refused picture of a reply may be the reply's fault: the next form is one without.
    let about = |context: &Context<'_>| -> Vec<Option<String>> {
        let plan = steps(&message, context);
        plan.steps
            .iter()
            .map(|step| step.attachment.clone())
            .collect()
    };
    let png = Some("png".to_owned());
    assert_eq!(about(&context(0)), [png.clone(), None, None]);
    assert_eq!(about(&context(1)), [png.clone(), None, png]);
}

#[test]
fn what_is_refused_after_text_was_seen_has_a_lower_form_in_its_place() {
    let mut message = with_media(
        json!([{"type": "text", "text": "a"}, {"type": "file", "att": "pdf"}, {"type": "card", "title": "T", "image": "png"}]),
    );
    message.header.reply_to = Some("om_1".to_owned());
    message.header.conversation =
        serde_json::from_value(json!({"id": "ops/oc_c1", "thread": "omt_1"})).unwrap();
    let mut plan = steps(&message, &context(0));
    assert_eq!(
        shown(&plan),
        [
            "Upload pdf",
            "Upload message",
            "Send text",
            "Send file",
            "Send interactive"
        ]
    );
    assert!(!plan.lower(2), "text has none");
    assert!(plan.lower(4) && plan.lower(3));
    assert_eq!(
        shown(&plan),
        [
            "Upload pdf",
            "Upload message",
            "Send text",
            "Send text",
            "Send post"
        ]
    );
    assert_eq!(plan.degraded, ["card->post", "file->text"]);
    for place in [3, 4] {
        let request = request_of(&message, &plan, place, &[]).into_http().unwrap();
        assert!(request.url.path().ends_with("/om_1/reply"), "{place}");
    }
}

#[test]
fn answers_to_uploads() {
    let message = with_media(json!([{"type": "image", "att": "png"}]));
    let plan = steps(&message, &context(0));
    let judge =
        |status, body: &str| channel().classify(&plan.steps[0], &answer(status, body), &context(0));
    let key = |key: &str| Outcome::Delivered {
        platform_id: Some(key.to_owned()),
    };
    assert_eq!(
        judge(200, r#"{"code":0,"data":{"image_key":"img_1"}}"#),
        key("img_1")
    );
    assert_eq!(
        judge(200, r#"{"code":0,"data":{"file_key":"file_1"}}"#),
        key("file_1")
    );
    for (status, body, wanted) in [
        (200, r#"{"code":0,"data":{}}"#, "Retry"),
        (400, r#"{"code":234006,"msg":"too large"}"#, "Degrade"),
        (400, r#"{"code":234010,"msg":"empty"}"#, "Degrade"),
        (413, "<html>", "Degrade"),
        (400, r#"{"code":99991672,"msg":"scope"}"#, "Degrade"),
        (400, r#"{"code":99991663,"msg":"token"}"#, "RefreshAuth"),
        (400, r#"{"code":99991400,"msg":"slow"}"#, "Limited"),
        (503, "", "Retry"),
        (200, "<html>", "Retry"),
    ] {
        let outcome = judge(status, body);
        assert_eq!(format!("{:?}", outcome.class()), wanted, "{body}");
    }
    assert_eq!(plan.steps[0].kind, StepKind::Upload);
}
