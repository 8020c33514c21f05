//! The dialect of GitLab's webhooks and system hooks (docs.gitlab.com/user/project/integrations/webhook_events). Every event
//! becomes a card from the members that the documented payloads share. The secret comes in `X-Gitlab-Token`. A webhook that
//! is sent again has the same `Idempotency-Key`; GitLab before 17.4 sends none, and `X-Gitlab-Event-UUID` alone is shared by
//! events that follow from each other. Not checked against the service.

use anser_core::message::segment::Level;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::draft::{CardDraft, Draft};
use super::member::{TEXT_CHARS, escaped, first, line, list, scalar, shorten, text};
use super::proof;
use super::told::{Fault, Posted, Told};

/// The dialect.
const NAME: &str = "gitlab";
/// Commits of a push that are listed.
const COMMITS_SHOWN_MAX: usize = 10;
/// Digits of a commit that people read.
const COMMIT_DIGITS: usize = 8;

/// The secret itself, in a header.
pub(super) fn prove(posted: &Posted<'_>, secret: &str) -> Result<(), Fault> {
    let token = posted.header("x-gitlab-token").ok_or(Fault::Unsigned)?;
    proof::same(token.as_bytes(), secret.as_bytes())
}

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    let body = posted.json()?;
    if !body.is_object() {
        return Err(Fault::Malformed("the body is no JSON object".to_owned()));
    }
    let kind = first(&body, &["/object_kind", "/event_name", "/event_type"]);
    let kind = kind.ok_or(Fault::Missing("object_kind"))?.to_owned();
    let action = text(&body, "/object_attributes/action").unwrap_or_default();
    let mut draft = Draft::default();
    draft.event(&[NAME, &kind, action]);
    draft.id(id(posted).as_deref(), true);
    if let Some(project) = project_path(&body) {
        draft.tag(project);
    }
    draft.card(match kind.as_str() {
        "push" | "tag_push" => push(&body, &kind),
        _ => about(&body, &kind, action),
    });
    draft.keep(NAME, body);
    draft.finish(&kind)
}

fn id(posted: &Posted<'_>) -> Option<String> {
    let key = posted.header("idempotency-key").map(str::to_owned);
    key.or_else(|| {
        let uuid = posted.header("x-gitlab-event-uuid")?;
        let digest = Sha256::digest(posted.body);
        let digits: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Some(format!("{uuid} {digits}"))
    })
}

fn project_path(body: &Value) -> Option<&str> {
    first(
        body,
        &[
            "/project/path_with_namespace",
            "/project_name",
            "/repository/name",
            "/group/full_path",
        ],
    )
}

fn project_page(body: &Value) -> Option<&str> {
    first(
        body,
        &["/project/web_url", "/repository/homepage", "/group/web_url"],
    )
}

fn user(card: &mut CardDraft, body: &Value) {
    let name = first(
        body,
        &[
            "/user/name",
            "/user_name",
            "/user/username",
            "/user_username",
        ],
    );
    card.footer(name.map(|name| format!("by {name}")).as_deref());
}

fn push(body: &Value, kind: &str) -> CardDraft {
    let reference = text(body, "/ref").unwrap_or_default();
    let name = reference
        .strip_prefix("refs/heads/")
        .or_else(|| reference.strip_prefix("refs/tags/"));
    let name = name.unwrap_or(reference);
    let gone = text(body, "/after").is_some_and(|after| after.bytes().all(|byte| byte == b'0'));
    let commits = list(body, "/commits");
    let count = body["total_commits_count"]
        .as_u64()
        .unwrap_or(commits.len() as u64);
    let what = match (kind, gone) {
        ("tag_push", false) => format!("tag {name} pushed"),
        ("tag_push", true) => format!("tag {name} deleted"),
        (_, true) => format!("{name} deleted"),
        (_, false) if count == 1 => format!("1 commit to {name}"),
        (_, false) => format!("{count} commits to {name}"),
    };
    let project = project_path(body).unwrap_or("GitLab");
    let mut card = CardDraft::new(&format!("{project}: {what}"), Some(Level::Info));
    let shown = commits.iter().take(COMMITS_SHOWN_MAX).map(|commit| {
        let id: String = text(commit, "/id")
            .unwrap_or_default()
            .chars()
            .take(COMMIT_DIGITS)
            .collect();
        let message = first(commit, &["/title", "/message"]).unwrap_or_default();
        let author = text(commit, "/author/name").unwrap_or_default();
        format!(
            "- `{id}` {} – {}",
            escaped(&line(message, 200)),
            escaped(author)
        )
    });
    let shown: Vec<String> = shown.collect();
    card.section(&shown.join("\n"));
    card.button(
        "Commit",
        commits.last().and_then(|commit| text(commit, "/url")),
    );
    card.button("Project", project_page(body));
    user(&mut card, body);
    card
}

/// What most events have: attributes with a title, a number, a state and a page. Jobs, deployments and releases have them
/// at the top.
fn about(body: &Value, kind: &str, action: &str) -> CardDraft {
    let attributes = body
        .get("object_attributes")
        .filter(|attributes| attributes.is_object());
    let attributes = attributes.unwrap_or(body);
    let status = first(
        attributes,
        &["/detailed_status", "/build_status", "/status", "/state"],
    );
    let done = match (kind, action) {
        ("pipeline" | "build" | "deployment", _) | (_, "") => status.unwrap_or(action),
        (_, action) => action,
    };
    let words = |text: &str| text.replace('_', " ");
    let number = first_number(attributes).map_or_else(String::new, |number| format!(" {number}"));
    let project = project_path(body).unwrap_or("GitLab");
    let noun = match kind {
        "build" => "job",
        kind => kind,
    };
    let title = format!("{project}: {}{number} {}", words(noun), words(done));
    let mut card = CardDraft::new(&title, Some(level(done)));
    let thread = ["merge_request", "issue", "work_item"]
        .iter()
        .map(|name| &body[*name]);
    let thread = thread.into_iter().find(|thread| thread.is_object());
    let name = first(
        attributes,
        &["/title", "/name", "/build_name", "/environment", "/tag"],
    );
    card.subtitle(name.or_else(|| thread.and_then(|thread| text(thread, "/title"))));
    let said = first(attributes, &["/note", "/description"]).unwrap_or_default();
    card.section(&escaped(&shorten(said.trim(), TEXT_CHARS)));
    for (label, pointer) in [
        ("From", "/source_branch"),
        ("Into", "/target_branch"),
        ("Ref", "/ref"),
        ("Stage", "/build_stage"),
        ("Environment", "/environment"),
        ("Reason", "/build_failure_reason"),
        ("Duration (s)", "/duration"),
    ] {
        let value = attributes.pointer(pointer).and_then(scalar);
        card.field(label, &value.unwrap_or_default(), true);
    }
    card.button(
        "Open",
        first(attributes, &["/url", "/deployable_url", "/target_url"]),
    );
    card.button("Project", project_page(body));
    user(&mut card, body);
    card
}

fn first_number(attributes: &Value) -> Option<String> {
    let number = |name: &str| attributes.get(name).and_then(Value::as_u64);
    let inner = number("iid").map(|iid| format!("#{iid}"));
    inner.or_else(|| {
        number("build_id")
            .or_else(|| number("id"))
            .map(|id| format!("#{id}"))
    })
}

/// What a status or action means.
fn level(word: &str) -> Level {
    match word {
        "success" | "passed" | "merge" | "merged" | "approved" | "resolved" => Level::Success,
        "failed" | "failure" | "error" => Level::Error,
        "canceled" | "blocked" | "reopen" | "unapproved" | "manual" | "warning" => Level::Warning,
        _ => Level::Info,
    }
}
