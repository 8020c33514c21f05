//! The dialect of Sentry's integration webhooks (docs.sentry.io/integrations/integration-platform/webhooks), and of the older
//! webhook plugin of a project, which has no headers of its own. The signature is an HMAC-SHA256 of the body with the
//! integration's client secret; the timestamp header is not signed, so it proves nothing and is not looked at. Sentry asks
//! for an answer within a second. Not checked against the service.

use anser_core::message::segment::Level;
use serde_json::Value;

use super::draft::{CardDraft, Draft};
use super::member::{TEXT_CHARS, escaped, first, list, scalar, shorten, text};
use super::proof;
use super::told::{Fault, Posted, Told};

/// The dialect.
const NAME: &str = "sentry";
/// What the event is about, in the order in which it is looked for.
const SUBJECTS: [&str; 6] = [
    "/data/event",
    "/data/issue",
    "/data/error",
    "/data/metric_alert",
    "/data/issue_alert",
    "/data",
];

/// The signature: the HMAC-SHA256 of the body in hexadecimal digits.
pub(super) fn prove(posted: &Posted<'_>, secret: &str) -> Result<(), Fault> {
    let signature = posted
        .header("sentry-hook-signature")
        .ok_or(Fault::Unsigned)?;
    proof::hmac_hex(secret.as_bytes(), posted.body, signature)
}

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    let body = posted.json()?;
    if !body.is_object() {
        return Err(Fault::Malformed("the body is no JSON object".to_owned()));
    }
    let resource = posted
        .header("sentry-hook-resource")
        .unwrap_or("event")
        .to_owned();
    let action = text(&body, "/action").unwrap_or_default();
    let mut draft = Draft::default();
    draft.event(&[NAME, &resource, action]);
    draft.id(posted.header("request-id"), true);
    let found = SUBJECTS.iter().find_map(|pointer| body.pointer(pointer));
    let subject = found.filter(|subject| subject.is_object()).unwrap_or(&body);
    let level = level(action, subject, &body);
    if let Some(project) = project(subject, &body) {
        draft.tag(&project);
    }
    draft.card(card(&body, subject, &resource, action, level));
    draft.keep(NAME, body);
    draft.finish(&resource)
}

fn project(subject: &Value, body: &Value) -> Option<String> {
    let name = first(
        subject,
        &["/project/slug", "/project/name", "/project_name"],
    );
    let name = name.or_else(|| {
        first(
            body,
            &[
                "/data/project_slug",
                "/project_slug",
                "/project_name",
                "/project",
            ],
        )
    });
    name.map(str::to_owned)
}

fn level(action: &str, subject: &Value, body: &Value) -> Level {
    if action == "resolved" {
        return Level::Success;
    }
    let word = text(subject, "/level")
        .or_else(|| text(body, "/level"))
        .unwrap_or(action);
    match word {
        "fatal" | "error" | "critical" => Level::Error,
        "warning" => Level::Warning,
        _ => Level::Info,
    }
}

fn card(body: &Value, subject: &Value, resource: &str, action: &str, level: Level) -> CardDraft {
    let name = text(body, "/data/description_title");
    let name = name.or_else(|| {
        first(
            subject,
            &["/title", "/message", "/metadata/title", "/alert_rule/name"],
        )
    });
    let name = name.or_else(|| text(body, "/message"));
    let words = format!("{} {action}", resource.replace('_', " "));
    let project = project(subject, body).unwrap_or_else(|| "Sentry".to_owned());
    let title = match name {
        Some(name) => format!("{project}: {name}"),
        None => format!("{project}: {}", words.trim()),
    };
    let mut card = CardDraft::new(&title, Some(level));
    card.subtitle(first(subject, &["/culprit", "/location"]).or_else(|| text(body, "/culprit")));
    let said = text(body, "/data/description_text");
    let said = said.or_else(|| first(subject, &["/metadata/value", "/comment"]));
    card.section(&escaped(&shorten(said.unwrap_or_default(), TEXT_CHARS)));
    for (label, pointer) in [
        ("Issue", "/shortId"),
        ("Environment", "/environment"),
        ("Release", "/release"),
        ("Platform", "/platform"),
        ("Events", "/count"),
        ("Users", "/userCount"),
    ] {
        let value = subject.pointer(pointer).and_then(scalar);
        card.field(label, &value.unwrap_or_default(), true);
    }
    for tag in list(subject, "/tags") {
        // Pairs, or objects with key and value.
        let (name, value) = match tag.as_array().map(Vec::as_slice) {
            Some([name, value]) => (name, value),
            _ => (&tag["key"], &tag["value"]),
        };
        if let (Some(name), Some(value)) = (name.as_str(), value.as_str())
            && ["server_name", "transaction", "browser", "os"].contains(&name)
        {
            card.field(name, value, true);
        }
    }
    card.button(
        "Open",
        first(subject, &["/web_url", "/permalink", "/issue_web_url"]),
    );
    card.button("Open", first(body, &["/data/web_url", "/url"]));
    let rule = first(body, &["/data/triggered_rule", "/triggering_rules/0"]);
    let actor = text(body, "/actor/name").filter(|name| *name != "Sentry");
    let footer = rule.map(|rule| format!("rule: {rule}"));
    card.footer(
        footer
            .or_else(|| actor.map(|name| format!("by {name}")))
            .as_deref(),
    );
    card
}
