//! The dialect of GitHub's webhooks, as JSON or in the field `payload` of a form (docs.github.com/webhooks/
//! webhook-events-and-payloads, docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries). Every event becomes a
//! card from the members that the documented payloads share. A delivery that GitHub, or somebody there, sends again has the
//! same `X-GitHub-Delivery`. Not checked against the service.

use anser_core::message::segment::Level;
use serde_json::Value;

use super::draft::{CardDraft, Draft};
use super::member::{TEXT_CHARS, escaped, first, line, list, scalar, shorten, text};
use super::proof;
use super::told::{Fault, Posted, Told};

/// The dialect.
const NAME: &str = "github";
const SIGNATURE: &str = "x-hub-signature-256";
/// Commits of a push that are listed.
const COMMITS_SHOWN_MAX: usize = 10;
/// Digits of a commit that people read.
const COMMIT_DIGITS: usize = 7;
/// What an event is about: the member that describes it, in the order in which they are looked for.
const SUBJECTS: [&str; 17] = [
    "review",
    "comment",
    "pull_request",
    "issue",
    "discussion",
    "release",
    "workflow_run",
    "workflow_job",
    "check_run",
    "check_suite",
    "deployment_status",
    "deployment",
    "alert",
    "security_advisory",
    "milestone",
    "package",
    "forkee",
];

/// The signature: `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits.
pub(super) fn prove(posted: &Posted<'_>, secret: &str) -> Result<(), Fault> {
    let signature = posted.header(SIGNATURE).ok_or(Fault::Unsigned)?;
    let digits = signature.strip_prefix("sha256=").ok_or(Fault::Forged)?;
    proof::hmac_hex(secret.as_bytes(), posted.body, digits)
}

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    let body = posted.json()?;
    if !body.is_object() {
        return Err(Fault::Malformed("the payload is no JSON object".to_owned()));
    }
    let event = posted
        .header("x-github-event")
        .ok_or(Fault::Missing("X-GitHub-Event"))?;
    let action = text(&body, "/action").unwrap_or_default();
    let mut draft = Draft::default();
    draft.event(&[NAME, event, action]);
    draft.id(posted.header("x-github-delivery"), true);
    if let Some(repository) = text(&body, "/repository/full_name") {
        draft.tag(repository);
    }
    draft.card(match event {
        "push" => push(&body),
        "ping" => ping(&body),
        "create" | "delete" => reference(&body, event),
        "status" => status(&body),
        _ => about(&body, event, action),
    });
    draft.keep(NAME, body);
    draft.finish(event)
}

fn repository(body: &Value) -> &str {
    first(body, &["/repository/full_name", "/organization/login"]).unwrap_or("GitHub")
}

fn sender(card: &mut CardDraft, body: &Value) {
    let login = text(body, "/sender/login");
    card.footer(login.map(|login| format!("by {login}")).as_deref());
}

fn branch(reference: &str) -> &str {
    let branch = reference.strip_prefix("refs/heads/");
    branch
        .or_else(|| reference.strip_prefix("refs/tags/"))
        .unwrap_or(reference)
}

fn push(body: &Value) -> CardDraft {
    let branch = branch(text(body, "/ref").unwrap_or_default());
    let commits = list(body, "/commits");
    let what = match (
        body["deleted"] == true,
        body["forced"] == true,
        commits.len(),
    ) {
        (true, _, _) => format!("{branch} deleted"),
        (_, true, _) => format!("{branch} force-pushed"),
        (_, _, 1) => format!("1 commit to {branch}"),
        (_, _, count) => format!("{count} commits to {branch}"),
    };
    let mut card = CardDraft::new(&format!("{}: {what}", repository(body)), Some(Level::Info));
    let shown = commits.iter().take(COMMITS_SHOWN_MAX).map(|commit| {
        let id: String = text(commit, "/id")
            .unwrap_or_default()
            .chars()
            .take(COMMIT_DIGITS)
            .collect();
        let message = line(text(commit, "/message").unwrap_or_default(), 200);
        let author = first(commit, &["/author/username", "/author/name"]).unwrap_or_default();
        format!("- `{id}` {} – {}", escaped(&message), escaped(author))
    });
    let mut shown: Vec<String> = shown.collect();
    if commits.len() > COMMITS_SHOWN_MAX {
        shown.push(format!(
            "- … and {} more",
            commits.len() - COMMITS_SHOWN_MAX
        ));
    }
    card.section(&shown.join("\n"));
    card.button("Compare", text(body, "/compare"));
    sender(&mut card, body);
    card
}

fn ping(body: &Value) -> CardDraft {
    let mut card = CardDraft::new(
        &format!("{}: webhook is set up", repository(body)),
        Some(Level::Info),
    );
    card.section(&escaped(text(body, "/zen").unwrap_or_default()));
    card.button("Repository", text(body, "/repository/html_url"));
    sender(&mut card, body);
    card
}

fn reference(body: &Value, event: &str) -> CardDraft {
    let kind = text(body, "/ref_type").unwrap_or("reference");
    let name = text(body, "/ref").unwrap_or_default();
    let mut card = CardDraft::new(
        &format!("{}: {kind} {name} {event}d", repository(body)),
        Some(Level::Info),
    );
    card.button("Repository", text(body, "/repository/html_url"));
    sender(&mut card, body);
    card
}

fn status(body: &Value) -> CardDraft {
    let state = text(body, "/state").unwrap_or_default();
    let context = text(body, "/context").unwrap_or("status");
    let mut card = CardDraft::new(
        &format!("{}: {context} {state}", repository(body)),
        Some(level(state)),
    );
    card.section(&escaped(text(body, "/description").unwrap_or_default()));
    card.button("Details", text(body, "/target_url"));
    card.button("Commit", text(body, "/commit/html_url"));
    sender(&mut card, body);
    card
}

/// What most events have: something with a title, a number, a state and a page.
fn about(body: &Value, event: &str, action: &str) -> CardDraft {
    let mut subjects = SUBJECTS.iter().map(|name| &body[*name]);
    let subject = subjects
        .find(|subject| subject.is_object())
        .unwrap_or(&Value::Null);
    let thread = ["pull_request", "issue", "discussion"]
        .iter()
        .map(|name| &body[*name]);
    let thread = thread
        .into_iter()
        .find(|thread| thread.is_object())
        .unwrap_or(subject);
    let outcome = first(subject, &["/conclusion", "/state", "/status"]);
    let merged = body.pointer("/pull_request/merged") == Some(&Value::Bool(true));
    let done = match (action, merged) {
        ("closed", true) => "merged",
        ("completed", _) => outcome.unwrap_or(action),
        ("", _) => outcome.unwrap_or_default(),
        (action, _) => action,
    };
    let number = thread
        .get("number")
        .and_then(scalar)
        .map_or_else(String::new, |n| format!(" #{n}"));
    let words = |text: &str| text.replace('_', " ");
    let title = format!(
        "{}: {}{number} {}",
        repository(body),
        words(event),
        words(done)
    );
    let decisive = if merged {
        "merged"
    } else if action == "completed" || action.is_empty() {
        outcome.unwrap_or_default()
    } else {
        action
    };
    let mut card = CardDraft::new(&title, Some(level(decisive)));
    let name = first(thread, &["/title", "/name", "/tag_name", "/display_title"]);
    let name = name.or_else(|| {
        first(
            subject,
            &["/name", "/rule/description", "/summary", "/environment"],
        )
    });
    card.subtitle(name);
    card.section(&escaped(&shorten(
        text(subject, "/body").unwrap_or_default().trim(),
        TEXT_CHARS,
    )));
    for (label, pointer) in [
        ("Branch", "/head_branch"),
        ("From", "/head/ref"),
        ("Into", "/base/ref"),
        ("Environment", "/environment"),
        ("Run", "/run_number"),
        ("Severity", "/security_advisory/severity"),
        ("Severity", "/rule/severity"),
        ("Package", "/dependency/package/name"),
    ] {
        let value = subject.pointer(pointer).and_then(scalar);
        card.field(label, &value.unwrap_or_default(), true);
    }
    let page = first(subject, &["/html_url", "/target_url", "/details_url"]);
    card.button("Open", page.or_else(|| text(thread, "/html_url")));
    card.button("Repository", text(body, "/repository/html_url"));
    sender(&mut card, body);
    card
}

/// What a conclusion, state or action means.
fn level(word: &str) -> Level {
    match word {
        "success" | "merged" | "approved" | "fixed" | "published" | "resolved"
        | "closed_as_fixed" => Level::Success,
        "failure" | "error" | "timed_out" | "startup_failure" => Level::Error,
        "cancelled" | "action_required" | "stale" | "changes_requested" | "reopened" => {
            Level::Warning
        }
        _ => Level::Info,
    }
}
