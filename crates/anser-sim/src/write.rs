//! The page where a person writes in a chat, and the request behind it, which a program can make with JSON. Must not show
//! anything unescaped.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::json;
use url::form_urlencoded;

use crate::door::{House, Shared, json_of, query};
use crate::emit::{Amended, PERSON, Said, Unsaid};
use crate::page::{POLICY, STYLE, escape};

/// Bytes of what a person writes, with all around it, and a file in base64.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// The routes of it.
pub(crate) fn router(house: Arc<House>) -> Router {
    Router::new()
        .route("/_sim/say", get(form).post(say))
        .route("/_sim/amend", post(amend))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(house)
}

/// The form.
async fn form(State(house): Shared, uri: Uri) -> Response {
    let given = query(&uri);
    let value = |name: &str| {
        let found = given.iter().find(|(known, _)| known == name);
        escape(found.map_or("", |(_, value)| value))
    };
    let options = house.platform.talks(&house.chats);
    let options: String = options
        .iter()
        .map(|chat| format!("<option>{}</option>", escape(chat)))
        .collect();
    let (chat, reply_to) = (value("chat"), value("reply_to"));
    let name = house.platform.name();
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>anser sim {name}</title><style>{STYLE}</style></head><body><h1>Write as a person</h1>\
<form method=\"post\" action=\"/_sim/say\"><table>\
<tr><td>chat</td><td><input name=\"chat\" list=\"chats\" size=\"40\" required value=\"{chat}\"><datalist id=\"chats\">{options}</datalist></td></tr>\
<tr><td>name</td><td><input name=\"name\" size=\"40\" value=\"{PERSON}\"></td></tr>\
<tr><td>text</td><td><textarea name=\"text\" rows=\"4\" cols=\"60\" required autofocus></textarea></td></tr>\
<tr><td>reply to</td><td><input name=\"reply_to\" size=\"40\" value=\"{reply_to}\"></td></tr>\
</table><button>Send</button></form></body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

/// Somebody edits a message that people wrote, or takes it back.
async fn amend(State(house): Shared, headers: HeaderMap, body: Bytes) -> Response {
    if is_from_elsewhere(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let amended: Result<Amended, _> = serde_json::from_slice(&body);
    let amended = amended.map_err(|error| Unsaid::new(error.to_string()));
    match amended.and_then(|amended| house.amend(&amended)) {
        Ok(()) => json_of(200, &json!({})),
        Err(why) => json_of(400, &json!({"error": why.to_string()})),
    }
}

/// A page of another site must not write here by the visitor's browser.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// Somebody writes: from the form, or as JSON.
async fn say(State(house): Shared, headers: HeaderMap, body: Bytes) -> Response {
    if is_from_elsewhere(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let media_type = headers.get(header::CONTENT_TYPE);
    let is_form = media_type.is_some_and(|value| {
        let value = value.as_bytes();
        value.starts_with(b"application/x-www-form-urlencoded")
    });
    let said = if is_form {
        Ok(from_form(&body))
    } else {
        serde_json::from_slice(&body).map_err(|error| Unsaid::new(error.to_string()))
    };
    match said.and_then(|said| house.say(&said)) {
        Ok(_) if is_form => Redirect::to("/").into_response(),
        Ok(id) => json_of(200, &json!({"id": id})),
        Err(why) => json_of(400, &json!({"error": why.to_string()})),
    }
}

fn from_form(body: &[u8]) -> Said {
    let mut said = Said::default();
    for (name, value) in form_urlencoded::parse(body) {
        let value = value.into_owned();
        match &*name {
            "chat" => said.chat = value,
            "name" => said.name = value,
            "text" => said.text = value.replace("\r\n", "\n"),
            "reply_to" => said.reply_to = Some(value),
            _ => {}
        }
    }
    said
}
