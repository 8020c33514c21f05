//! What every chat platform must keep with attachments: what is uploaded is shown, what it cannot take or has refused goes
//! as a link, and no name of a file is more than a name.

use std::collections::HashSet;

use anser_core::Message;
use anser_core::channel::{
    BodyPart, Channel, Context, HttpResponse, Links, Plan, Request, Step, StepKind, UploadRequest,
};
use anser_core::message::{Attachment, Source};
use anser_core::outcome::Outcome;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::conformance::{MEDIA, chat_platforms, context, requests};

/// Bytes that no platform takes.
const TOO_LARGE: u64 = 1_000_000_000_000;

/// A gateway that has a public address.
#[derive(Debug)]
pub(crate) struct PublicLinks;

impl Links for PublicLinks {
    fn link(&self, attachment: &Attachment) -> Option<String> {
        matches!(attachment.source, Source::Blob(_))
            .then(|| format!("https://gw.example/b/{}?sig=x", attachment.id))
    }
}

pub(crate) fn media() -> Message {
    Message::from_json(MEDIA.as_bytes()).unwrap()
}

fn render(channel: &dyn Channel, message: &Message, media_refused: bool) -> Plan {
    let context = Context {
        media_refused,
        links: Some(&PublicLinks),
        ..context(None)
    };
    channel.render(message, &context).unwrap()
}

/// All that a request says, with attachments as `<ID>`.
fn text(request: &Request) -> String {
    match request {
        Request::Http(request) => {
            let body = String::from_utf8(request.body.to_vec()).unwrap();
            format!("{}\n{body}", request.url)
        }
        Request::Upload(request) => format!("{}\n{}", request.url, body(request)),
        Request::Mail(request) => format!("{:?}", request.mail),
        Request::Exec(request) => format!("{:?}", request.input),
    }
}

fn body(request: &UploadRequest) -> String {
    let part = |part: &BodyPart| match part {
        BodyPart::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        BodyPart::Attachment(id) => format!("<{id}>"),
    };
    request.body.iter().map(part).collect()
}

/// Ids of the attachments whose bytes a request carries.
fn carried(request: &Request) -> Vec<&str> {
    match request {
        Request::Http(_) | Request::Exec(_) => Vec::new(),
        Request::Upload(request) => {
            let mut ids = Vec::new();
            for part in &request.body {
                if let BodyPart::Attachment(id) = part {
                    ids.push(id.as_str());
                }
            }
            ids
        }
        Request::Mail(request) => {
            let mails = request.mail.iter();
            let attachments = mails.flat_map(|mail| &mail.attachments);
            attachments
                .map(|attachment| attachment.attachment.as_str())
                .collect()
        }
    }
}

#[test]
fn what_is_uploaded_is_used_and_comes_before_what_is_seen() {
    for (kind, channel) in chat_platforms() {
        let message = media();
        let plan = render(&*channel, &message, false);
        let requests = requests(&*channel, &plan, &message, &context(None));
        let known: HashSet<&str> = message
            .attachments
            .iter()
            .map(|known| known.id.as_str())
            .collect();
        let mut seen = false;
        for (place, step) in plan.steps.iter().enumerate() {
            seen |= step.kind.is_seen();
            for id in carried(&requests[place]) {
                assert!(known.contains(id), "{kind}: {id}");
            }
            if let Some(id) = &step.attachment {
                assert!(known.contains(id.as_str()), "{kind}: {id}");
            }
            if step.kind.is_seen() {
                continue;
            }
            assert!(!seen, "{kind}: step {place} comes after what is seen");
            assert!(step.attachment.is_some(), "{kind}: {place}");
            let key = format!("key-{place}-");
            let used = requests[place + 1..]
                .iter()
                .any(|later| text(later).contains(&key));
            // An upload to an address that a call named has no key of its own.
            let named = place > 0 && plan.steps[place - 1].kind == StepKind::Call;
            assert!(used || named, "{kind}: nothing uses step {place}");
        }
        assert_eq!(
            plan.steps.last().map(|step| step.kind),
            Some(StepKind::Send),
            "{kind}"
        );
    }
}

#[test]
fn an_attachment_that_is_too_large_for_the_platform_is_no_end() {
    let too_large = Ok(HttpResponse {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        headers: HeaderMap::new(),
        body: "<html>".into(),
    });
    let mut ends = HashSet::new();
    for (kind, channel) in chat_platforms() {
        let message = media();
        let plan = render(&*channel, &message, false);
        let requests = requests(&*channel, &plan, &message, &context(None));
        for (step, request) in plan.steps.iter().zip(&requests) {
            if matches!(request, Request::Upload(_)) {
                let outcome = channel.classify(step, &too_large, &context(None));
                let degrades = matches!(outcome, Outcome::Degrade { .. });
                if !degrades || step.attachment.is_none() {
                    ends.insert(kind);
                }
            }
        }
    }
    assert!(ends.is_empty(), "{ends:?}");
}

#[test]
fn after_a_refusal_all_attachments_are_links() {
    for (kind, channel) in chat_platforms() {
        let message = media();
        let plan = render(&*channel, &message, true);
        for step in &plan.steps {
            assert_eq!(
                (step.kind, &step.attachment, step.loaded),
                (StepKind::Send, &None, false),
                "{kind}"
            );
        }
        let requests = requests(&*channel, &plan, &message, &context(None));
        let mut all = String::new();
        for request in &requests {
            assert!(carried(request).is_empty(), "{kind}: {request:?}");
            all.push_str(&text(request));
        }
        check_links(kind, &all, &["photo", "pdf", "mp3", "mp4"]);
    }
}

#[test]
fn what_is_too_large_or_empty_is_a_link() {
    for (kind, channel) in chat_platforms() {
        for size in [0, TOO_LARGE] {
            let mut message = media();
            for attachment in &mut message.attachments {
                attachment.size = Some(size);
            }
            let plan = render(&*channel, &message, false);
            let requests = requests(&*channel, &plan, &message, &context(None));
            let mut all = String::new();
            for request in &requests {
                assert!(carried(request).is_empty(), "{kind} {size}: {request:?}");
                all.push_str(&text(request));
            }
            check_links(kind, &all, &["pdf", "mp3", "mp4"]);
        }
    }
}

#[test]
fn what_is_refused_after_a_part_was_seen_has_a_lower_form() {
    for (kind, channel) in chat_platforms() {
        let message = media();
        let plan = render(&*channel, &message, false);
        let sends = |step: &Step| step.kind == StepKind::Send && step.attachment.is_some();
        let mut lowered = plan.clone();
        // From the end, so that places stay what they are.
        for place in (0..plan.steps.len()).rev() {
            if plan.steps.len() > 1 && sends(&plan.steps[place]) {
                assert!(lowered.lower(place), "{kind}: step {place} has none");
            }
        }
        assert!(!lowered.steps.iter().any(sends), "{kind}");
        let requests = requests(&*channel, &lowered, &message, &context(None));
        assert_eq!(requests.len(), lowered.steps.len(), "{kind}");
        if lowered != plan {
            assert!(
                lowered.degraded.len() > plan.degraded.len(),
                "{kind}: it is recorded"
            );
        }
    }
}

/// Each of the blobs is linked. Slashes may be escaped.
fn check_links(kind: &str, all: &str, blobs: &[&str]) {
    for id in blobs {
        let link = format!("gw.example/b/{id}?sig=x");
        assert!(all.contains(&link), "{kind}: no link to {id} in {all}");
    }
}

#[test]
fn a_kind_can_edit_and_recall_when_it_says_so() {
    let message = Message::from_json(include_bytes!("../../fixtures/text.json")).unwrap();
    for kind in anser_channels::registry() {
        let manifest = kind.manifest();
        let channel = kind.open(&crate::conformance::examples(&*kind)[0]).unwrap();
        let sent = ["1".to_owned()];
        let can = |problem: Option<anser_core::Problem>| {
            problem.is_none_or(|problem| problem.code != "not_available")
        };
        let edits = can(channel.edit(&message, &sent, &context(None)).err());
        let recalls = can(channel.recall(&message, &sent, &context(None)).err());
        let says = |word| manifest.capabilities.contains(&word);
        assert_eq!(
            (edits, recalls),
            (says("edit"), says("recall")),
            "{}",
            manifest.kind
        );
    }
}

/// Every part of a form has a head of what a file needs, and no more.
fn check_form(kind: &str, request: &UploadRequest) -> Result<(), TestCaseError> {
    let content_type = request.headers["content-type"].to_str().unwrap();
    let Some((_, boundary)) = content_type.split_once("multipart/form-data; boundary=") else {
        return Ok(());
    };
    let body = format!("\r\n{}", body(request));
    let delimiter = format!("\r\n--{boundary}");
    let parts: Vec<&str> = body.split(&delimiter).collect();
    let [first, parts @ .., last] = parts.as_slice() else {
        panic!("{kind}: no form");
    };
    prop_assert_eq!((*first, *last), ("", "--\r\n"));
    for part in parts {
        let (head, _) = part.split_once("\r\n\r\n").unwrap();
        for line in head.split("\r\n").skip(1) {
            let known = ["Content-Disposition: form-data; name=\"", "Content-Type: "];
            prop_assert!(
                known.iter().any(|known| line.starts_with(known)),
                "{}: {}",
                kind,
                line
            );
            prop_assert!(!line.chars().any(char::is_control), "{}: {}", kind, line);
            prop_assert!(line.matches('"').count() <= 4, "{}: {}", kind, line);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_name_of_a_file_breaks_a_request(
        name in prop_oneof![
            any::<String>(),
            Just("a\r\n\r\n--boundary\r\nContent-Type: text/html\r\n\r\nx".to_owned()),
            Just("\"; filename=\"../../x\u{202e}gpj.exe".to_owned()),
            Just("報告 <b>é</b>\0.pdf".to_owned()),
        ],
        media_type in prop_oneof![
            Just(None),
            Just(Some("image/png".to_owned())),
            Just(Some("video/mp4".to_owned())),
            Just(Some("x/y\r\nX-Evil: 1".to_owned())),
            any::<Option<String>>(),
        ],
    ) {
        let mut message = media();
        for attachment in &mut message.attachments {
            attachment.name = Some(name.clone());
            attachment.media_type.clone_from(&media_type);
        }
        for (kind, channel) in chat_platforms() {
            let plan = render(&*channel, &message, false);
            for request in requests(&*channel, &plan, &message, &context(None)) {
                if let Request::Upload(request) = request {
                    check_form(kind, &request)?;
                }
            }
        }
    }
}

#[test]
fn a_message_of_nothing_but_a_file_is_no_empty_message() {
    for (kind, channel) in chat_platforms() {
        let mut json: Value = serde_json::from_str(MEDIA).unwrap();
        json["body"] = json!({"segments": [{"type": "file", "att": "pdf"}]});
        let message = Message::from_json(json.to_string().as_bytes()).unwrap();
        for media_refused in [false, true] {
            assert!(
                !render(&*channel, &message, media_refused).steps.is_empty(),
                "{kind}"
            );
        }
    }
}
