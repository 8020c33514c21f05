//! `anser send --to URL`: one message through a channel that the URL describes, with no server. Must not keep anything:
//! what fails is told, and that is all.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::attempt::Attempt;
use anser_core::channel::ChannelKind;
use anser_core::clock::{Clock, SystemClock};
use anser_core::message::item::parse_json;
use anser_core::outcome::OutcomeClass;
use anser_gateway::blobs::LocalFiles;
use anser_gateway::oneshot::{OneShot, lacks_attachments};
use anser_gateway::sender::{AddressGuard, GuardOptions, Sender, SenderOptions, SystemResolver};
use anyhow::anyhow;
use serde_json::json;
use url::Url;

use crate::exit::Failure;
use crate::output::Output;
use crate::server::OsRandom;

/// Whether an address is a URL and not the name of a channel.
pub(crate) fn is_url(address: &str) -> bool {
    address.contains("://")
}

/// Sends `item`, whose attachments may refer to `files`, to each URL and shows what came of it.
pub(crate) async fn send(
    urls: &[String],
    item: &str,
    files: &LocalFiles,
    output: &Output,
) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut options = SenderOptions::new(Arc::clone(&clock), Arc::new(SystemResolver::new()));
    // Whoever types the URL may reach what this machine reaches.
    options.guard = AddressGuard::new(GuardOptions {
        allow_cidrs: vec![
            ipnet::Ipv4Net::default().into(),
            ipnet::Ipv6Net::default().into(),
        ],
        ..GuardOptions::default()
    });
    let sender = Sender::new(options).map_err(refused)?;
    let one_shot = OneShot {
        sender: &sender,
        clock: &*clock,
        random: &OsRandom::default(),
        files,
    };
    let mut failed = 0_usize;
    for text in urls {
        let (kind, url) = parse(text)?;
        let (settings, target) = kind.of_url(&url).map_err(refused)?;
        let item = parse_json("", item.as_bytes()).map_err(refused)?;
        let sent = one_shot.send(&*kind, settings, target, item).await;
        let attempt = sent.map_err(refused)?;
        failed += usize::from(!is_whole(&attempt));
        show(kind.manifest().kind, &attempt, output);
    }
    if failed > 0 {
        return Err(Failure::Here(anyhow!(
            "{failed} of {} did not take the whole message; nothing is kept or tried again without a server",
            urls.len()
        )));
    }
    Ok(())
}

/// The kind of channel that a URL's scheme names.
fn parse(text: &str) -> Result<(Box<dyn ChannelKind>, Url), Failure> {
    // The URL itself may hold a secret and is not repeated.
    let url = Url::parse(text)
        .map_err(|error| Failure::Usage(format!("--to has a URL that is none: {error}")))?;
    let registry = anser_channels::registry();
    let known: Vec<&str> = registry
        .iter()
        .flat_map(|kind| kind.manifest().schemes)
        .collect();
    let kind = registry
        .into_iter()
        .find(|kind| kind.manifest().schemes.contains(&url.scheme()));
    let Some(kind) = kind else {
        return Err(Failure::Usage(format!(
            "no kind of channel has URLs that begin with {}://; known: {}",
            url.scheme(),
            known.join(", ")
        )));
    };
    Ok((kind, url))
}

/// Whether all of it arrived: what goes out without its attachments is not what was to be sent.
fn is_whole(attempt: &Attempt) -> bool {
    attempt.outcome == OutcomeClass::Delivered && !lacks_attachments(&attempt.degraded)
}

fn show(kind: &str, attempt: &Attempt, output: &Output) {
    let raw = json!({"kind": kind, "attempt": attempt}).to_string();
    output.result(&raw, |_| match (&attempt.error, attempt.outcome) {
        (_, OutcomeClass::Delivered) if is_whole(attempt) => format!("{kind}: delivered"),
        (_, OutcomeClass::Delivered) => {
            let lost = attempt.degraded.join(", ");
            format!("{kind}: delivered without all of its attachments, which were refused: {lost}")
        }
        (Some(error), _) => format!("{kind}: not delivered: {error}"),
        (None, _) => format!("{kind}: not delivered"),
    });
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature map_err asks for"
)]
fn refused(problem: Problem) -> Failure {
    Failure::Usage(problem.to_string())
}
