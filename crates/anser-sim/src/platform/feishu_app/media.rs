//! Images and files of apps: what may be sent, the keys that messages name them by, and the way back. Must not know what a
//! message may hold.

use anser_core::Timestamp;
use http::Method;
use serde_json::{Value, json};

use super::super::{Answer, Breach, Call, Desk, Refusal, Verdict};
use super::codes::{not_found, refuse};
use super::content::Named;
use super::take;
use crate::emit::SaidFile;
use crate::intake::Part;
use crate::shelf::{Parcel, Upload};

/// Bytes of an image.
const IMAGE_MAX: u64 = 10 << 20;
/// Bytes of a file.
const FILE_MAX: u64 = 30 << 20;
/// What an image may be for.
const IMAGE_TYPES: [&str; 2] = ["message", "avatar"];
/// What a file may be.
const FILE_TYPES: [&str; 7] = ["opus", "mp4", "pdf", "doc", "xls", "ppt", "stream"];
/// How images of the formats begin that the platform takes: PNG, JPEG, GIF, BMP, ICO, TIFF.
const FORMATS: [&[u8]; 7] = [
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"BM",
    b"\x00\x00\x01\x00",
    b"II*\x00",
    b"MM\x00*",
];

/// `POST /im/v1/images` and `GET /im/v1/images/{image_key}`.
pub(super) fn images(
    call: &Call,
    desk: &mut Desk<'_>,
    app: &str,
    rest: &str,
) -> Result<Verdict, Box<Refusal>> {
    if let (&Method::GET, Some(key)) = (&call.method, rest.strip_prefix('/')) {
        return download(call, desk, app, key);
    }
    if call.method != Method::POST || !rest.is_empty() {
        return Err(not_found());
    }
    take(call, desk, (app, "images"), None)?;
    let kind = call.field("image_type").unwrap_or_default();
    let image = call.part("image").filter(|_| IMAGE_TYPES.contains(&kind));
    let image = sized(image, IMAGE_MAX)?;
    if !is_image(&image.content.head) {
        return Err(refuse("234011", Breach::Content));
    }
    let key = format!("img_v3_sim{:022x}", desk.shelf.next_number());
    put(
        call,
        desk,
        app,
        ("image", &key),
        image,
        image.file_name.as_deref(),
    );
    let done = json!({"code": 0, "msg": "success", "data": {"image_key": key}});
    Ok(Verdict::Answered(Answer::json(200, &done)))
}

/// `POST /im/v1/files` and `GET /im/v1/files/{file_key}`.
pub(super) fn files(
    call: &Call,
    desk: &mut Desk<'_>,
    app: &str,
    rest: &str,
) -> Result<Verdict, Box<Refusal>> {
    if let (&Method::GET, Some(key)) = (&call.method, rest.strip_prefix('/')) {
        return download(call, desk, app, key);
    }
    if call.method != Method::POST || !rest.is_empty() {
        return Err(not_found());
    }
    take(call, desk, (app, "files"), None)?;
    let kind = call.field("file_type").unwrap_or_default();
    let name = call.field("file_name").filter(|name| !name.is_empty());
    // One that is not known may be left empty: the vendor's own client for Python does so.
    let duration = call
        .field("duration")
        .filter(|duration| !duration.is_empty());
    let duration = duration.map_or(Ok(0), str::parse::<u64>);
    let whole = FILE_TYPES.contains(&kind) && name.is_some() && duration.is_ok();
    let file = sized(call.part("file").filter(|_| whole), FILE_MAX)?;
    let key = format!("file_v3_sim{:021x}", desk.shelf.next_number());
    put(call, desk, app, (kind, &key), file, name);
    let done = json!({"code": 0, "msg": "success", "data": {"file_key": key}});
    Ok(Verdict::Answered(Answer::json(200, &done)))
}

/// A part that is there, not empty, and no larger than that.
fn sized(part: Option<&Part>, most: u64) -> Result<&Part, Box<Refusal>> {
    let part = part.ok_or_else(|| refuse("234001", Breach::Content))?;
    match part.content.size {
        0 => Err(refuse("234010", Breach::Size)),
        size if size > most => Err(refuse("234006", Breach::Size)),
        _ => Ok(part),
    }
}

fn is_image(head: &[u8]) -> bool {
    let webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    let heic = head.get(4..8) == Some(b"ftyp") && head.get(8..11) == Some(b"hei");
    webp || heic || FORMATS.iter().any(|start| head.starts_with(start))
}

fn put(
    call: &Call,
    desk: &mut Desk<'_>,
    app: &str,
    (kind, key): (&str, &str),
    part: &Part,
    name: Option<&str>,
) {
    let parcel = Parcel {
        robot: app,
        kind,
        key: key.to_owned(),
        name,
        media_type: part.media_type.as_deref(),
        content: &part.content,
    };
    desk.shelf.put(call.now, parcel);
}

/// Puts a file on the shelf that a person sent: the type and content of its message, and its key.
pub(super) fn said(
    desk: &mut Desk<'_>,
    app: &str,
    file: &SaidFile,
    now: Timestamp,
) -> (&'static str, Value, Vec<String>) {
    let number = desk.shelf.next_number();
    let (kind, of, key, content) = if file.is_picture() {
        let key = format!("img_v3_sim{number:022x}");
        ("image", "image", key.clone(), json!({"image_key": key}))
    } else {
        let key = format!("file_v3_sim{number:021x}");
        let content = json!({"file_key": key, "file_name": file.name});
        ("file", "stream", key, content)
    };
    desk.shelf.put_said(now, (app, of), key.clone(), file);
    (kind, content, vec![key])
}

/// An app gets back what it has sent itself.
fn download(
    call: &Call,
    desk: &mut Desk<'_>,
    app: &str,
    key: &str,
) -> Result<Verdict, Box<Refusal>> {
    take(call, desk, (app, "download"), None)?;
    let upload = desk
        .shelf
        .get(key)
        .ok_or_else(|| refuse("234001", Breach::Content))?;
    if upload.robot != app {
        return Err(refuse("234008", Breach::Content));
    }
    contents(upload)
}

/// The bytes of a file; one that is not kept whole is too large for a stand-in to give back.
pub(super) fn contents(upload: &Upload) -> Result<Verdict, Box<Refusal>> {
    let bytes = upload
        .content()
        .ok_or_else(|| refuse("234037", Breach::Size))?;
    let media_type = upload.media_type.as_deref();
    let media_type = media_type.unwrap_or("application/octet-stream").to_owned();
    let name = upload
        .name
        .as_deref()
        .unwrap_or(&upload.key)
        .replace(['"', '\\'], "_");
    let mut answer = Answer::bytes(bytes.clone());
    answer.headers = vec![
        ("content-type", media_type),
        (
            "content-disposition",
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok(Verdict::Answered(answer))
}

/// Whether the images and files that a message of that type names are the app's own, and files of a type that it may
/// show; answers their keys.
pub(super) fn check(
    desk: &Desk<'_>,
    app: &str,
    kind: &str,
    named: &[Named<'_>],
) -> Result<Vec<String>, Box<Refusal>> {
    let mut keys = Vec::new();
    for named in named {
        let (key, fits): (&str, fn(&str, &str) -> bool) = match named {
            Named::Image(key) => (key, |kind, _| kind == "image"),
            Named::File(key, _) => (key, fits),
        };
        let wanted = match named {
            Named::Image(_) => "image",
            Named::File(_, wanted) => wanted,
        };
        let upload = desk.shelf.get(key).ok_or_else(|| unknown(kind))?;
        if upload.robot != app {
            return Err(refuse("230017", Breach::Content));
        }
        if !fits(&upload.kind, wanted) {
            return Err(refuse("230055", Breach::Content));
        }
        if !keys.contains(&upload.key) {
            keys.push(upload.key.clone());
        }
    }
    Ok(keys)
}

/// Sound is `opus` and a video is `mp4`; anything else is a file.
fn fits(kind: &str, wanted: &str) -> bool {
    match wanted {
        "audio" => kind == "opus",
        "media" => kind == "mp4",
        _ => !["opus", "mp4", "image"].contains(&kind),
    }
}

/// A key of nothing. In a card it is the card that cannot be made.
fn unknown(kind: &str) -> Box<Refusal> {
    let code = match kind {
        "interactive" => "230099",
        _ => "230001",
    };
    refuse(code, Breach::Content)
}
