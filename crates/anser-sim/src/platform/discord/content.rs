//! Discord, what a message may say: content, embeds, components and who may be pinged, and their limits. Must not know files or
//! who writes.

use serde_json::{Value, json};

use super::super::fields::{chars, text};
use super::super::{Breach, Refusal};
use super::codes::{invalid, too_long};

/// Characters of the content.
const CONTENT_MAX: usize = 2000;
/// Embeds of a message.
const EMBEDS_MAX: usize = 10;
/// Characters of all embeds of a message.
const EMBEDS_CHARS_MAX: usize = 6000;
/// Fields of an embed.
const FIELDS_MAX: usize = 25;
/// Characters of the parts of an embed.
const PARTS: &[(&str, usize)] = &[
    ("/title", 256),
    ("/description", 4096),
    ("/footer/text", 2048),
    ("/author/name", 256),
];
/// Characters of the parts of an embed's field.
const FIELD_PARTS: &[(&str, usize)] = &[("/name", 256), ("/value", 1024)];
/// Addresses in an embed, and the schemes that they may have.
const EMBED_URLS: &[(&str, &[&str])] = &[
    ("/url", &["http", "https"]),
    ("/image/url", &["http", "https", "attachment"]),
    ("/thumbnail/url", &["http", "https", "attachment"]),
    ("/author/url", &["http", "https"]),
];
/// Rows of components, and buttons of a row.
const ROWS_MAX: usize = 5;
const BUTTONS_MAX: usize = 5;
/// Characters of a button's label and of its address.
const LABEL_MAX: usize = 80;
const BUTTON_URL_MAX: usize = 512;
/// Kinds of component, and of button.
const ROW: u64 = 1;
const BUTTON: u64 = 2;
const LINK: u64 = 5;
/// Users or roles that may be pinged by their ids.
const MENTIONS_MAX: usize = 100;

/// Whether nothing is in it that can be seen.
pub(super) fn is_empty(body: &Value) -> bool {
    let has = |list: &str| body[list].as_array().is_some_and(|list| !list.is_empty());
    text(body, "/content").is_none()
        && !["embeds", "components", "sticker_ids"].into_iter().any(has)
        && !body["poll"].is_object()
}

/// Checks what a message says.
pub(super) fn check(body: &Value) -> Result<(), Box<Refusal>> {
    let content = body["content"].as_str().unwrap_or_default();
    if chars(content) > CONTENT_MAX {
        return Err(too_long("/content", CONTENT_MAX));
    }
    let embeds = list(body, "embeds");
    if embeds.len() > EMBEDS_MAX {
        return Err(too_long("/embeds", EMBEDS_MAX));
    }
    let mut all = 0;
    for (index, embed) in embeds.iter().enumerate() {
        all += check_embed(&format!("/embeds/{index}"), embed)?;
    }
    if all > EMBEDS_CHARS_MAX {
        let message = format!("Embed size exceeds maximum size of {EMBEDS_CHARS_MAX}");
        return Err(invalid(
            "/embeds",
            "MAX_EMBED_SIZE_EXCEEDED",
            &message,
            Breach::Size,
        ));
    }
    check_rows(list(body, "components"))?;
    check_mentions(&body["allowed_mentions"])
}

fn list<'a>(body: &'a Value, name: &str) -> &'a [Value] {
    body[name].as_array().map_or(&[], Vec::as_slice)
}

/// Checks an embed and counts its characters.
fn check_embed(at: &str, embed: &Value) -> Result<usize, Box<Refusal>> {
    let mut all = check_parts(at, embed, PARTS)?;
    let fields = list(embed, "fields");
    if fields.len() > FIELDS_MAX {
        return Err(too_long(&format!("{at}/fields"), FIELDS_MAX));
    }
    for (index, field) in fields.iter().enumerate() {
        let at = format!("{at}/fields/{index}");
        for (part, _) in FIELD_PARTS {
            if text(field, part).is_none() {
                return Err(required(&format!("{at}{part}")));
            }
        }
        all += check_parts(&at, field, FIELD_PARTS)?;
    }
    for (place, schemes) in EMBED_URLS {
        let url = embed.pointer(place).and_then(Value::as_str);
        let known = |url: &str| {
            let scheme = url.split_once("://").map(|(scheme, _)| scheme);
            scheme.is_some_and(|scheme| schemes.contains(&scheme))
        };
        if url.is_some_and(|url| !known(url)) {
            let message = "Not a well formed URL.";
            let at = format!("{at}{place}");
            return Err(invalid(
                &at,
                "URL_TYPE_INVALID_URL",
                message,
                Breach::Content,
            ));
        }
    }
    Ok(all)
}

fn check_parts(at: &str, value: &Value, parts: &[(&str, usize)]) -> Result<usize, Box<Refusal>> {
    let mut all = 0;
    for (part, most) in parts {
        let said = value.pointer(part).and_then(Value::as_str).unwrap_or("");
        if chars(said) > *most {
            return Err(too_long(&format!("{at}{part}"), *most));
        }
        all += chars(said);
    }
    Ok(all)
}

/// Rows of buttons; other components are not looked into.
fn check_rows(rows: &[Value]) -> Result<(), Box<Refusal>> {
    if rows.len() > ROWS_MAX {
        return Err(too_long("/components", ROWS_MAX));
    }
    for (row, within) in rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row["type"] == ROW)
    {
        let at = format!("/components/{row}/components");
        let buttons = list(within, "components");
        if buttons.is_empty() || buttons.len() > BUTTONS_MAX {
            let message = format!("Must be between 1 and {BUTTONS_MAX} in length.");
            return Err(invalid(&at, "BASE_TYPE_BAD_LENGTH", &message, Breach::Size));
        }
        for (place, button) in buttons.iter().enumerate() {
            if button["type"] == BUTTON {
                check_button(&format!("{at}/{place}"), button)?;
            }
        }
    }
    Ok(())
}

fn check_button(at: &str, button: &Value) -> Result<(), Box<Refusal>> {
    let parts = [("/label", LABEL_MAX), ("/url", BUTTON_URL_MAX)];
    check_parts(at, button, &parts)?;
    let wanted = match button["style"] == LINK {
        true => "url",
        false => "custom_id",
    };
    match text(button, &format!("/{wanted}")) {
        Some(_) => Ok(()),
        None => Err(required(&format!("{at}/{wanted}"))),
    }
}

fn required(at: &str) -> Box<Refusal> {
    let message = "This field is required";
    invalid(at, "BASE_TYPE_REQUIRED", message, Breach::Content)
}

/// A kind of mention is allowed as a whole, or by a list of ids, and not both.
fn check_mentions(allowed: &Value) -> Result<(), Box<Refusal>> {
    for (place, kind) in list(allowed, "parse").iter().enumerate() {
        if !["roles", "users", "everyone"]
            .iter()
            .any(|known| kind == known)
        {
            let at = format!("/allowed_mentions/parse/{place}");
            let message = "Value must be one of {'everyone', 'roles', 'users'}.";
            return Err(invalid(&at, "BASE_TYPE_CHOICES", message, Breach::Content));
        }
    }
    for kind in ["roles", "users"] {
        let named = list(allowed, kind);
        let at = format!("/allowed_mentions/{kind}");
        if named.len() > MENTIONS_MAX {
            return Err(too_long(&at, MENTIONS_MAX));
        }
        let as_a_whole = list(allowed, "parse").iter().any(|known| known == kind);
        if as_a_whole && !named.is_empty() {
            let message =
                format!("parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive.");
            let code = "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE";
            return Err(invalid(
                "/allowed_mentions",
                code,
                &message,
                Breach::Content,
            ));
        }
    }
    Ok(())
}

/// Who is pinged by a message: users and roles by their ids, and whether everyone is.
pub(super) struct Pinged {
    pub(super) users: Vec<String>,
    pub(super) roles: Vec<String>,
    pub(super) everyone: bool,
}

/// Whom the content mentions outside of code, as far as they may be pinged.
pub(super) fn pinged(body: &Value) -> Pinged {
    let allowed = &body["allowed_mentions"];
    let may =
        |kind: &str| allowed.is_null() || list(allowed, "parse").iter().any(|known| known == kind);
    let (users, roles) = (may("users"), may("roles"));
    let mut found = Pinged {
        users: Vec::new(),
        roles: Vec::new(),
        everyone: false,
    };
    let content = body["content"].as_str().unwrap_or_default();
    for said in content.split('`').step_by(2) {
        found.everyone |= may("everyone") && (said.contains("@everyone") || said.contains("@here"));
        for rest in said.split("<@").skip(1) {
            let named = rest.split_once('>').map_or("", |(named, _)| named);
            let (kind, all, id, into) = match named.strip_prefix('&') {
                Some(id) => ("roles", roles, id, &mut found.roles),
                None => (
                    "users",
                    users,
                    named.trim_start_matches('!'),
                    &mut found.users,
                ),
            };
            let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            let is_named = list(allowed, kind).iter().any(|known| known == id);
            if is_id && (all || is_named) && !into.iter().any(|known| known == id) {
                into.push(id.to_owned());
            }
        }
    }
    found
}

/// The user whom an id names, as messages show one.
pub(super) fn user(id: &str, name: &str) -> Value {
    json!({"id": id, "username": name, "avatar": null, "discriminator": "0", "public_flags": 0, "flags": 0,
        "global_name": null, "clan": null, "primary_guild": null})
}
