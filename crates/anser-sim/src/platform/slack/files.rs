//! Slack, files of apps: an address to upload to, the bytes, what shows them, and their end. Must not know messages.

use std::collections::BTreeMap;

use anser_core::Timestamp;
use http::Method;
use serde_json::{Value, json};

use super::super::fields::{chars, text};
use super::super::{Answer, Breach, Call, Desk, Refusal, Verdict};
use super::request::{BOT_USER, Request, TEAM, done, refuse, refuse_about};
use crate::emit::SaidFile;
use crate::shelf::Parcel;

/// Where files are uploaded to; a ticket follows.
pub(super) const UPLOAD: &str = "/upload/v1/";
/// Where files of people are.
pub(super) const PRIVATE: &str = "/files-pri/";
/// What a ticket begins with.
const TICKET: &str = "SimUploadTicket";
/// Bytes of a file.
const FILE_MAX: u64 = 1_000_000_000;
/// Characters of a picture's description.
const ALT_MAX: usize = 1_000;
/// Files that are known.
const FILES_MAX: usize = 20_000;

/// The files of all apps, by their numbers.
#[derive(Default)]
pub(super) struct Files {
    known: BTreeMap<u64, File>,
    last: u64,
}

/// A file that was announced.
struct File {
    app: String,
    name: String,
    title: Option<String>,
    size: u64,
    state: State,
    /// Where it is shown, and by which message.
    shared: Option<(String, String)>,
}

/// How far a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Announced,
    Uploaded,
    Complete,
    Deleted,
}

impl Files {
    /// `files.getUploadURLExternal`.
    pub(super) fn announce(
        &mut self,
        request: &Request<'_>,
        desk: &Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let name = request.required("filename")?;
        let length = &request.body["length"];
        let size = length.as_u64().or_else(|| length.as_str()?.parse().ok());
        let size = size.ok_or_else(|| {
            let told = "[ERROR] must provide an integer [json-pointer:/length]";
            refuse_about("invalid_arguments", Breach::Content, told)
        })?;
        if size == 0 {
            return Err(refuse("missing_argument", Breach::Size));
        }
        if size > FILE_MAX {
            return Err(refuse("file_upload_size_restricted", Breach::Size));
        }
        if text(&request.body, "/alt_txt").is_some_and(|alt| chars(alt) > ALT_MAX) {
            return Err(refuse("alt_txt_too_large", Breach::Size));
        }
        self.last += 1;
        let file = File {
            app: request.app.to_owned(),
            name: name.to_owned(),
            title: None,
            size,
            state: State::Announced,
            shared: None,
        };
        self.known.insert(self.last, file);
        while self.known.len() > FILES_MAX {
            self.known.pop_first();
        }
        let url = format!("{}{UPLOAD}{TICKET}{:012}", desk.base, self.last);
        Ok(done(&json!({"upload_url": url, "file_id": id(self.last)})))
    }

    /// The bytes, as the whole body or as a form. They must be as many as were announced, and can be brought again until
    /// the file is complete.
    pub(super) fn bring(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        ticket: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        let number = ticket
            .strip_prefix(TICKET)
            .and_then(|number| number.parse().ok());
        let open = |file: &&mut File| matches!(file.state, State::Announced | State::Uploaded);
        let file = number.and_then(|number| self.known.get_mut(&number));
        let (Some(number), Some(file)) = (number, file.filter(open)) else {
            return Err(refuse_upload(404, "not_found"));
        };
        if call.method != Method::POST {
            return Err(refuse_upload(405, "method_not_allowed"));
        }
        let is_file = |name: &str| name.is_empty() || name == "filename" || name == "file";
        let part = call.parts.iter().find(|part| is_file(&part.name));
        let part = part.filter(|part| part.content.size == file.size);
        let part = part.ok_or_else(|| refuse_upload(400, "length_mismatch"))?;
        file.state = State::Uploaded;
        let key = id(number);
        let parcel = Parcel {
            robot: &file.app,
            kind: file_type(&file.name),
            key,
            name: Some(&file.name),
            media_type: part.media_type.as_deref(),
            content: &part.content,
        };
        desk.shelf.put(call.now, parcel);
        let answer = format!("OK - {}", file.size);
        Ok(Verdict::Answered(Answer::text(200, &answer)))
    }

    /// `files.completeUploadExternal`: all of the files, or none. Answers their ids, and what is said of them.
    pub(super) fn complete(
        &mut self,
        request: &Request<'_>,
    ) -> Result<(Vec<String>, Vec<Value>), Box<Refusal>> {
        let named = request.body["files"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        if named.is_empty() {
            let told = "[ERROR] missing required field: files";
            return Err(refuse_about("invalid_arguments", Breach::Content, told));
        }
        let mut numbers = Vec::new();
        for file in named {
            let number = text(file, "/id").and_then(number);
            let known = number.and_then(|number| self.known.get(&number));
            let ready =
                known.filter(|file| file.app == request.app && file.state == State::Uploaded);
            match number.filter(|number| ready.is_some() && !numbers.contains(number)) {
                Some(number) => numbers.push(number),
                None => return Err(refuse("file_not_found", Breach::Content)),
            }
        }
        let mut shown = Vec::new();
        for (number, named) in numbers.iter().zip(named) {
            if let Some(file) = self.known.get_mut(number) {
                file.state = State::Complete;
                file.title = text(named, "/title").map(str::to_owned);
                shown.push(file.shown(*number));
            }
        }
        Ok((numbers.into_iter().map(id).collect(), shown))
    }

    /// Files are shown by a message.
    pub(super) fn shared(&mut self, ids: &[String], place: &str, ts: &str) {
        for number in ids.iter().filter_map(|id| number(id)) {
            if let Some(file) = self.known.get_mut(&number) {
                file.shared = Some((place.to_owned(), ts.to_owned()));
            }
        }
    }

    /// `files.info`.
    pub(super) fn info(&mut self, request: &Request<'_>) -> Result<Verdict, Box<Refusal>> {
        let (number, file) = self.existing(request)?;
        Ok(done(&json!({"file": file.shown(number)})))
    }

    /// `files.delete`; answers the place and the message that showed it.
    pub(super) fn delete(
        &mut self,
        request: &Request<'_>,
    ) -> Result<Option<(String, String)>, Box<Refusal>> {
        let (_, file) = self.existing(request)?;
        if file.app != request.app {
            return Err(refuse("cant_delete_file", Breach::Content));
        }
        file.state = State::Deleted;
        Ok(file.shared.take())
    }

    /// The file that the call names, once it is complete.
    fn existing(&mut self, request: &Request<'_>) -> Result<(u64, &mut File), Box<Refusal>> {
        let number = number(request.required("file")?);
        let file = number.and_then(|number| Some((number, self.known.get_mut(&number)?)));
        match file {
            Some((_, file)) if file.state == State::Deleted => {
                Err(refuse("file_deleted", Breach::Content))
            }
            Some((number, file)) if file.state == State::Complete => Ok((number, file)),
            _ => Err(refuse("file_not_found", Breach::Content)),
        }
    }
}

impl Files {
    /// Takes a file that a person sent; answers its number.
    pub(super) fn said(
        &mut self,
        desk: &mut Desk<'_>,
        app: &str,
        user: &str,
        file: &SaidFile,
        now: Timestamp,
    ) -> u64 {
        self.last += 1;
        let known = File {
            app: user.to_owned(),
            name: file.name.clone(),
            title: None,
            size: file.bytes.len() as u64,
            state: State::Complete,
            shared: None,
        };
        let kind = file_type(&file.name);
        desk.shelf.put_said(now, (app, kind), id(self.last), file);
        self.known.insert(self.last, known);
        while self.known.len() > FILES_MAX {
            self.known.pop_first();
        }
        self.last
    }

    /// As events show a file: with the addresses that a bot's token opens.
    pub(super) fn shown_to_apps(&self, number: u64, desk: &Desk<'_>) -> Value {
        let Some(file) = self.known.get(&number) else {
            return Value::Null;
        };
        let id = id(number);
        let mut shown = file.shown(number);
        let media_type = desk
            .shelf
            .get(&id)
            .and_then(|known| known.media_type.clone());
        let url = format!("{}{PRIVATE}{TEAM}-{id}/{}", desk.base, file.name);
        shown["user"] = file.app.as_str().into();
        shown["mimetype"] = media_type.into();
        shown["url_private_download"] = url.replacen(&id, &format!("{id}/download"), 1).into();
        shown["url_private"] = url.into();
        shown
    }

    /// What is at such an address.
    pub(super) fn private(
        &self,
        desk: &Desk<'_>,
        app: &str,
        path: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        let named = path.split('/').next().and_then(|part| part.split_once('-'));
        let number = named.and_then(|(_, id)| number(id));
        let file = number.and_then(|number| Some((number, self.known.get(&number)?)));
        let file = file.filter(|(_, file)| file.state == State::Complete);
        let upload = file.and_then(|(number, _)| desk.shelf.get(&id(number)));
        let upload = upload.filter(|upload| upload.robot == app);
        let Some((upload, bytes)) = upload.and_then(|upload| Some((upload, upload.content()?)))
        else {
            return Ok(Verdict::Answered(Answer::text(404, "File not found")));
        };
        let mut answer = Answer::bytes(bytes.clone());
        let media_type = upload.media_type.clone().unwrap_or_default();
        let name = upload.name.as_deref().unwrap_or_default();
        let name = name.replace(['"', '\\'], "_");
        answer.headers = vec![
            ("content-type", media_type),
            (
                "content-disposition",
                format!("attachment; filename=\"{name}\""),
            ),
        ];
        Ok(Verdict::Answered(answer))
    }
}

impl File {
    /// As the API shows it. Where it is shown is not known yet when it is complete, as on the platform.
    fn shown(&self, number: u64) -> Value {
        let title = self.title.as_deref().unwrap_or(&self.name);
        json!({"id": id(number), "name": self.name, "title": title, "filetype": file_type(&self.name),
            "size": self.size, "user": BOT_USER, "mode": "hosted", "is_external": false, "shares": {}})
    }
}

fn refuse_upload(status: u16, word: &str) -> Box<Refusal> {
    Box::new(Refusal {
        code: word.to_owned(),
        breach: Breach::Content,
        answer: Answer::text(status, word),
    })
}

/// The id of a file, by its number.
fn id(number: u64) -> String {
    format!("F{number:010}")
}

/// The number of a file, by its id.
fn number(id: &str) -> Option<u64> {
    id.strip_prefix('F')?.parse().ok()
}

/// The platform's name for what a file is: mostly its extension.
fn file_type(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((_, extension)) if !extension.is_empty() => extension,
        _ => "binary",
    }
}
