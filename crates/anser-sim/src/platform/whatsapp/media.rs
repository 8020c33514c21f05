//! Files of a number: what may be uploaded, the ids that messages name them by, and the way back. Must not know what else a
//! message says.

use anser_core::Timestamp;
use serde_json::json;

use super::super::{Answer, Breach, Call, Desk, Refusal, Robot, Verdict};
use super::ATTACHMENTS;
use super::codes::{missing, refuse, refuse_for, without_number};
use crate::emit::SaidFile;
use crate::shelf::{Parcel, Upload};

/// What messages may show each media type as, and the bytes that it may have
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>). Anything may be a document.
const TYPES: &[(&str, &[&str], u64)] = &[
    (
        "audio",
        &[
            "audio/aac",
            "audio/mp4",
            "audio/mpeg",
            "audio/amr",
            "audio/ogg",
            "audio/opus",
        ],
        16 << 20,
    ),
    ("image", &["image/jpeg", "image/png"], 5 << 20),
    ("sticker", &["image/webp"], 500 << 10),
    ("video", &["video/mp4", "video/3gpp"], 16 << 20),
    (
        "document",
        &[
            "text/plain",
            "application/pdf",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ],
        100 << 20,
    ),
];
/// Bytes of a document.
const DOCUMENT_MAX: u64 = 100 << 20;
/// What the ids of files begin with.
const ID: u64 = 700_000_000_000_000;

/// `POST /{phone_number_id}/media`.
pub(super) fn upload(
    call: &Call,
    desk: &mut Desk<'_>,
    number: &Robot,
) -> Result<Verdict, Box<Refusal>> {
    if call.field("messaging_product") != Some("whatsapp") {
        return Err(refuse_for(
            "100",
            "The parameter messaging_product is required.",
            Breach::Content,
        ));
    }
    let file = call.part("file").ok_or_else(|| missing("file"))?;
    // The file's own type counts; `type` stands for one that has none.
    let media_type = file.media_type.as_deref().or_else(|| call.field("type"));
    let media_type = media_type.unwrap_or_default();
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    let known = TYPES.iter().find(|(_, types, _)| types.contains(&plain));
    let (kind, ..) = known.ok_or_else(|| {
        let details = format!(
            "Param file must be a file with one of the supported types. Received file of type '{plain}'."
        );
        refuse_for("100", &details, Breach::Content)
    })?;
    // A picture may also be sent as a document: the message's type decides, and its limit is looked at there.
    if !(1..=DOCUMENT_MAX).contains(&file.content.size) {
        return Err(refuse("131053", Breach::Size));
    }
    let id = (ID + desk.shelf.next_number()).to_string();
    let parcel = Parcel {
        robot: &number.token,
        kind,
        key: id.clone(),
        name: file.file_name.as_deref(),
        media_type: Some(plain),
        content: &file.content,
    };
    desk.shelf.put(call.now, parcel);
    Ok(Verdict::Answered(Answer::json(200, &json!({"id": id}))))
}

/// Puts a file there that a person sent; answers its id.
pub(super) fn said(
    desk: &mut Desk<'_>,
    number: &str,
    kind: &str,
    file: &SaidFile,
    now: Timestamp,
) -> String {
    let id = (ID + desk.shelf.next_number()).to_string();
    desk.shelf.put_said(now, (number, kind), id.clone(), file);
    id
}

/// `GET /{media_id}`.
pub(super) fn about(
    call: &Call,
    desk: &Desk<'_>,
    number: &str,
    id: &str,
) -> Result<Verdict, Box<Refusal>> {
    let upload = own(desk, number, id).ok_or_else(|| without_number(id))?;
    let host = call.headers.get(http::header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let known = json!({"messaging_product": "whatsapp", "url": format!("http://{host}{ATTACHMENTS}?mid={id}"),
        "mime_type": upload.media_type, "sha256": upload.sha256, "file_size": upload.size, "id": id});
    Ok(Verdict::Answered(Answer::json(200, &known)))
}

/// Gives a file back; one that is not kept whole is not found.
pub(super) fn download(
    call: &Call,
    desk: &Desk<'_>,
    number: &str,
) -> Result<Verdict, Box<Refusal>> {
    let id = call.parameter("mid").unwrap_or_default();
    let bytes = own(desk, number, id)
        .and_then(Upload::content)
        .ok_or_else(|| without_number(id))?;
    Ok(Verdict::Answered(Answer::bytes(bytes.clone())))
}

fn own<'s>(desk: &'s Desk<'_>, number: &str, id: &str) -> Option<&'s Upload> {
    desk.shelf.get(id).filter(|upload| upload.robot == number)
}

/// The file that a message of that type shows, if it may.
pub(super) fn shown(
    desk: &Desk<'_>,
    number: &str,
    kind: &str,
    id: &str,
) -> Result<String, Box<Refusal>> {
    let upload = own(desk, number, id).ok_or_else(|| {
        let details = format!(
            "Param {kind}['id'] is not a valid whatsapp business account media attachment ID"
        );
        refuse_for("100", &details, Breach::Content)
    })?;
    if kind != "document" && upload.kind != kind {
        return Err(refuse("131053", Breach::Content));
    }
    let most = TYPES.iter().find(|(known, ..)| *known == kind);
    match most {
        Some((.., most)) if upload.size > *most => Err(refuse("131053", Breach::Size)),
        _ => Ok(upload.key.clone()),
    }
}
