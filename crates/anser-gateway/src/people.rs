//! What people are called: asked of their platform once, and remembered for a while. Must not know a platform. Whoever wants a
//! name can do without it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_core::channel::{Context, PERSON_NAME_CHARS_MAX};
use anser_core::clock::Clock;
use anser_core::id::ResourceId;

use crate::config::ChannelEntry;
use crate::credentials::Credentials;
use crate::sender::Sender;

/// How long a name is taken for the right one.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);
/// How long a platform that told none is not asked again.
const UNKNOWN: Duration = Duration::from_secs(10 * 60);
/// Names in memory; beyond it all are forgotten.
const NAMES_MAX: usize = 10_000;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The names that are known, by channel and id.
#[derive(Default)]
pub(crate) struct People(Mutex<HashMap<(ResourceId, String), Told>>);

#[derive(Clone)]
struct Told {
    name: Option<String>,
    until: Duration,
}

/// What platforms are asked with.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) sender: &'a Sender,
    pub(crate) credentials: &'a Credentials,
    pub(crate) clock: &'a dyn Clock,
}

impl People {
    /// What the person with this id is called on the platform of a channel, if that tells.
    pub(crate) async fn name(
        &self,
        with: Asking<'_>,
        entry: &ChannelEntry,
        id: &str,
        context: &Context<'_>,
    ) -> Option<String> {
        entry.channel.people()?;
        let key = (entry.meta.id, id.to_owned());
        let now = with.clock.monotonic();
        let known = self.known().get(&key).cloned();
        if let Some(told) = known.filter(|told| told.until > now) {
            return told.name;
        }
        let name = ask(with, entry, id, context).await;
        let lasts = if name.is_some() { REMEMBERED } else { UNKNOWN };
        let told = Told {
            name: name.clone(),
            until: now + lasts,
        };
        let mut known = self.known();
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(key, told);
        name
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(ResourceId, String), Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(
    with: Asking<'_>,
    entry: &ChannelEntry,
    id: &str,
    context: &Context<'_>,
) -> Option<String> {
    let people = entry.channel.people()?;
    let token = with
        .credentials
        .token(with.sender, with.clock, entry, context);
    let token = token.await.ok()?;
    let context = Context {
        token: token.as_deref(),
        ..context.clone()
    };
    let request = people.request(id, &context).ok()?;
    let deadline = Duration::from_secs(entry.spec.timeout).min(PATIENCE);
    let report = with.sender.send(request, deadline).await;
    let name = people.name(&report.exchange);
    if name.is_none() {
        tracing::info!(channel = %entry.meta.name, "the platform does not tell what people are called; the app may lack a permission");
    }
    let shown = |name: String| name.trim().chars().take(PERSON_NAME_CHARS_MAX).collect();
    name.map(shown).filter(|name: &String| !name.is_empty())
}
