//! Whether a channel's credentials are good, asked of the platform without sending anything to anybody.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Problem;
use anser_core::channel::{Context, Report, Request};
use anser_core::id::{DeliveryId, Num};
use anser_core::outcome::{Outcome, OutcomeClass};
use schemars::JsonSchema;
use serde::Serialize;

use super::channel::{find, may_change};
use crate::auth::Principal;
use crate::config::ChannelEntry;
use crate::credentials::Refused;
use crate::dispatch;
use crate::gateway::Gateway;
use crate::sender::MailFiles;

/// What a platform says of a channel's credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChannelCheck {
    /// It takes them.
    pub ok: bool,
    /// Who it says they belong to, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What its answer would mean for a delivery: `rejected` when it refuses them, `retry` when it could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeClass>,
    /// Why they are not good, or why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// HTTP status of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Gateway {
    /// Asks the platform whether a channel's credentials are good. Nothing is sent to anybody, and it counts for nothing.
    ///
    /// # Errors
    /// `channel_not_found`; 403 without the right; `not_available` when platforms of its kind cannot be asked. That the
    /// credentials are not good is no error: the answer says why.
    pub async fn check_channel(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<ChannelCheck, Problem> {
        may_change(principal, name)?;
        let snapshot = self.config.load_full();
        let entry = Arc::clone(find(&snapshot, name)?);
        let channel = &entry.channel;
        let check = channel.credential_check();
        if check.is_none() && channel.token_issuer().is_none() {
            return Err(cannot_be_asked(&entry));
        }
        let context = self.context();
        let fresh = self
            .credentials
            .fresh(&self.sender, &*self.clock, &entry, &context);
        let token = match fresh.await {
            Ok(token) => token,
            Err(Refused { outcome, report }) => {
                return Ok(bad(&outcome, report.as_deref()));
            }
        };
        let Some(check) = check else {
            return Ok(good(None, None));
        };
        let context = Context {
            token: token.as_deref(),
            ..context
        };
        let report = self.ask(&entry, check.request(&context)?).await?;
        Ok(match check.read(&report.exchange, &context) {
            Ok(account) => good(Some(account), Some(&report)),
            Err(outcome) => bad(&outcome, Some(&report)),
        })
    }

    async fn ask(&self, entry: &ChannelEntry, request: Request) -> Result<Report, Problem> {
        let deadline = Duration::from_secs(entry.spec.timeout);
        match request {
            Request::Http(request) => Ok(self.sender.send(request, deadline).await),
            Request::Mail(request) => {
                let files = MailFiles::new();
                let sent = self.sender.send_mail(&request, &files, deadline);
                Ok(Box::pin(sent).await)
            }
            Request::Upload(_) | Request::Exec(_) => Err(cannot_be_asked(entry)),
        }
    }

    /// Of no delivery.
    pub(crate) fn context(&self) -> Context<'static> {
        Context {
            now: self.clock.now(),
            delivery: DeliveryId::new(Num(0), 0),
            num: Num(0),
            attempt: 1,
            possible_duplicate: None,
            subscription: None,
            format: None,
            target: None,
            installation: self.info.installation,
            rung: 0,
            media_refused: false,
            links: None,
            step: 0,
            outputs: &[],
            media: None,
            token: None,
            fail_fast_4xx: false,
            cmq_policy: false,
        }
    }
}

fn cannot_be_asked(entry: &ChannelEntry) -> Problem {
    Problem::invalid(
        "not_available",
        "kind",
        format!(
            "channels of kind {} cannot be checked without sending: send a test message with `anser channel test {}`",
            entry.spec.kind, entry.meta.name
        ),
    )
}

fn good(account: Option<String>, report: Option<&Report>) -> ChannelCheck {
    ChannelCheck {
        ok: true,
        account,
        outcome: None,
        error: None,
        status: report.and_then(status),
    }
}

fn bad(outcome: &Outcome, report: Option<&Report>) -> ChannelCheck {
    ChannelCheck {
        ok: false,
        account: None,
        outcome: Some(outcome.class()),
        error: dispatch::reason(outcome),
        status: report.and_then(status),
    }
}

fn status(report: &Report) -> Option<u16> {
    let answer = report.exchange.as_ref().ok()?;
    Some(answer.status.as_u16())
}
