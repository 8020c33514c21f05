//! The files of messages: by upload, by URL and by an id that was given before; what messages show of them, and the way
//! back. Must not know what else a message says.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::{Answer, Breach, Call, Desk, Refusal, Verdict};
use super::answer::{done, refuse};
use crate::emit::SaidFile;
use crate::intake::Part;
use crate::shelf::Parcel;

/// Bytes of an upload.
const UPLOAD_MAX: u64 = 50 << 20;
/// Bytes of an upload that is shown as a photo.
const PHOTO_MAX: u64 = 10 << 20;
/// Bytes of a file that can be got back.
const DOWNLOAD_MAX: u64 = 20 << 20;
/// What the id of an uploaded file begins with, and of one that came by URL: the stand-in fetches nothing.
const FILE_ID: &str = "BQACAgSimFile";
const URL_ID: &str = "BQACAgSimUrl";
/// What names a part of the form.
const ATTACH: &str = "attach://";
/// How the images begin that are shown as photos: PNG, JPEG, GIF, BMP, WEBP.
const PHOTOS: [&[u8]; 5] = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF"];

/// A file that a request names, and that may be used.
pub(super) enum Wanted<'a> {
    /// It is in the request itself.
    Part(&'a Part),
    /// It was given before.
    Known(String),
    /// It is elsewhere.
    Url,
}

/// A file of a message.
pub(super) struct Given {
    id: String,
    name: Option<String>,
    media_type: Option<String>,
    size: Option<u64>,
    /// Its key on the shelf; one that came by URL is not there.
    pub(super) key: Option<String>,
}

/// The file that `named` or the part of the form with that name is; `kind` is what it shall be.
pub(super) fn wanted<'a>(
    call: &'a Call,
    desk: &Desk<'_>,
    token: &str,
    (member, named): (&str, &Value),
    kind: &str,
) -> Result<Wanted<'a>, Box<Refusal>> {
    let named = named.as_str().unwrap_or_default();
    let attached = named.strip_prefix(ATTACH);
    let in_form = call.part(attached.unwrap_or(member));
    if let Some(part) = in_form.filter(|part| part.file_name.is_some()) {
        check(part, kind)?;
        return Ok(Wanted::Part(part));
    }
    if named.is_empty() || attached.is_some() {
        let told = format!("Bad Request: there is no {kind} in the request");
        return Err(refuse(400, &told, Breach::Content));
    }
    if named.starts_with("https://") || named.starts_with("http://") {
        return Ok(Wanted::Url);
    }
    if named.starts_with(URL_ID) {
        return Ok(Wanted::Known(named.to_owned()));
    }
    let known = desk.shelf.get(named).filter(|known| known.robot == token);
    let Some(known) = known else {
        let told = "Bad Request: wrong remote file identifier specified: Wrong string length";
        return Err(refuse(400, told, Breach::Content));
    };
    if known.kind != kind {
        let told = "Bad Request: type of file mismatch";
        return Err(refuse(400, told, Breach::Content));
    }
    Ok(Wanted::Known(named.to_owned()))
}

fn check(part: &Part, kind: &str) -> Result<(), Box<Refusal>> {
    let size = part.content.size;
    if size == 0 {
        let told = "Bad Request: file must be non-empty";
        return Err(refuse(400, told, Breach::Size));
    }
    if size > UPLOAD_MAX {
        return Err(refuse(413, "Request Entity Too Large", Breach::Size));
    }
    if kind != "photo" {
        return Ok(());
    }
    if size > PHOTO_MAX {
        let name = part.file_name.as_deref().unwrap_or_default();
        let told =
            format!("Bad Request: file \"{name}\" of size {size} bytes is too big for a photo");
        return Err(refuse(400, &told, Breach::Size));
    }
    let head = &part.content.head;
    if !PHOTOS.iter().any(|start| head.starts_with(start)) {
        return Err(refuse(
            400,
            "Bad Request: IMAGE_PROCESS_FAILED",
            Breach::Content,
        ));
    }
    Ok(())
}

/// Takes a file that may be used: one that is in the request goes on the shelf.
pub(super) fn place(
    call: &Call,
    desk: &mut Desk<'_>,
    token: &str,
    kind: &str,
    wanted: Wanted<'_>,
) -> Given {
    let number = desk.shelf.next_number();
    let part = match wanted {
        Wanted::Part(part) => part,
        Wanted::Url => return elsewhere(format!("{URL_ID}{:020}", desk.number)),
        Wanted::Known(id) => {
            let Some(known) = desk.shelf.get(&id) else {
                return elsewhere(id);
            };
            return Given {
                name: known.name.clone(),
                media_type: known.media_type.clone(),
                size: Some(known.size),
                key: Some(id.clone()),
                id,
            };
        }
    };
    let id = format!("{FILE_ID}{number:020}");
    let parcel = Parcel {
        robot: token,
        kind,
        key: id.clone(),
        name: part.file_name.as_deref(),
        media_type: part.media_type.as_deref(),
        content: &part.content,
    };
    desk.shelf.put(call.now, parcel);
    Given {
        name: part.file_name.clone(),
        media_type: part.media_type.clone(),
        size: Some(part.content.size),
        key: Some(id.clone()),
        id,
    }
}

/// Puts a file on the shelf that a person sent: what it is, and as its message shows it.
pub(super) fn said(
    desk: &mut Desk<'_>,
    token: &str,
    file: &SaidFile,
    now: Timestamp,
) -> (&'static str, Value) {
    let kind = if file.is_picture() {
        "photo"
    } else {
        "document"
    };
    let id = format!("{FILE_ID}{:020}", desk.shelf.next_number());
    desk.shelf.put_said(now, (token, kind), id.clone(), file);
    let given = Given {
        key: Some(id.clone()),
        id,
        name: Some(file.name.clone()),
        media_type: Some(file.media_type.clone()),
        size: Some(file.bytes.len() as u64),
    };
    (kind, given.shown(kind))
}

fn elsewhere(id: String) -> Given {
    Given {
        id,
        name: None,
        media_type: None,
        size: None,
        key: None,
    }
}

impl Given {
    /// As a message shows a file of that kind.
    pub(super) fn shown(&self, kind: &str) -> Value {
        let mut file = json!({"file_id": self.id, "file_unique_id": self.unique_id()});
        if let Some(size) = self.size {
            file["file_size"] = size.into();
        }
        match kind {
            // How large a picture is nobody has looked; the members must be there.
            "photo" => {
                file["width"] = 1.into();
                file["height"] = 1.into();
                return json!([file]);
            }
            "sticker" => {
                file["type"] = "regular".into();
                file["is_animated"] = false.into();
                file["is_video"] = false.into();
            }
            _ => {}
        }
        if ["video", "animation", "sticker"].contains(&kind) {
            file["width"] = 1.into();
            file["height"] = 1.into();
        }
        if ["video", "animation", "audio", "voice"].contains(&kind) {
            file["duration"] = 0.into();
        }
        if !["sticker", "voice"].contains(&kind)
            && let Some(name) = &self.name
        {
            file["file_name"] = name.as_str().into();
        }
        if let Some(media_type) = self.media_type.as_ref().filter(|_| kind != "sticker") {
            file["mime_type"] = media_type.as_str().into();
        }
        file
    }

    fn unique_id(&self) -> &str {
        self.id.trim_start_matches("BQACAg")
    }
}

/// `getFile`: where a file can be got back from.
pub(super) fn get(desk: &Desk<'_>, token: &str, body: &Value) -> Result<Verdict, Box<Refusal>> {
    let id = body["file_id"].as_str().unwrap_or_default();
    let known = desk.shelf.get(id).filter(|known| known.robot == token);
    let Some(known) = known else {
        let told = match id.starts_with(URL_ID) {
            true => "Bad Request: wrong file_id or the file is temporarily unavailable",
            false => "Bad Request: invalid file_id",
        };
        return Err(refuse(400, told, Breach::Content));
    };
    if known.size > DOWNLOAD_MAX {
        return Err(refuse(400, "Bad Request: file is too big", Breach::Size));
    }
    let path = format!("{}s/file_{}", known.kind, known.number);
    Ok(done(
        &json!({"file_id": id, "file_unique_id": id.trim_start_matches("BQACAg"),
        "file_size": known.size, "file_path": path}),
    ))
}

/// `GET /file/bot{token}/{file_path}`. A file that is not kept whole is not found.
pub(super) fn download(desk: &Desk<'_>, token: &str, path: &str) -> Result<Verdict, Box<Refusal>> {
    let number = path
        .rsplit_once("/file_")
        .and_then(|(_, number)| number.parse().ok());
    let known = number.and_then(|number| desk.shelf.numbered(number));
    let bytes = known
        .filter(|known| known.robot == token)
        .and_then(|known| known.content())
        .ok_or_else(|| refuse(404, "Not Found", Breach::Content))?;
    Ok(Verdict::Answered(Answer::bytes(bytes.clone())))
}
