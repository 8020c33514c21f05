//! HTTP as the settings describe it: a request made of templates, and rules for its answer, so that a service needs some
//! lines of settings and no code. Must not know any service, and must not let a message choose where it goes.

mod address;
mod answer;
mod body;
mod dialect;
mod engine;
mod filters;
mod head;
mod part;
mod place;
mod scope;
mod settings;
mod variables;

use std::collections::BTreeSet;
use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Exchange, HttpRequest, Manifest, Plan, Request, Step,
};
use anser_core::outcome::Outcome;
use anser_core::resource::Ordering;
use anser_core::{Message, Problem, Timestamp};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use url::Url;

use crate::kit::{header, settings as kit};
use address::Address;
use answer::Rules;
use body::{Body, Fields, Forms};
use head::Head;
use scope::{Scope, Secrets};
use settings::Settings;
use variables::{OF_MESSAGE, Variables};

const KIND: &str = "http";
/// The one format: what the templates make.
const FORMAT: &str = "template";
/// The version of the rendering.
const VERSION: u16 = 1;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("anser/", env!("CARGO_PKG_VERSION")));
const SETUP: &str = "Take the request that the service's documentation shows, and put templates in the places of what \
changes: `{{ text }}`, `{{ title }}`, `{{ target }}`. Put tokens and passwords into `secrets` and write \
`{{ secrets.NAME }}`, so that they are kept sealed and never shown. Say in `success` what the service answers when it \
took the message; a service that answers 200 to errors needs it. `anser channel test NAME` sends a message and shows \
what came back. `docs/guide/http-channel.md` has the language, and settings for ntfy, Gotify, Microsoft Teams, \
PagerDuty, Twilio, Pushover, Bark, ServerChan and Mattermost.";

/// The kind.
pub(crate) struct Http;

impl ChannelKind for Http {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "HTTP by templates",
            summary: "Sends each message to any HTTP API: the request is made of templates, and expressions say what its \
                      answer means.",
            links: vec![
                "https://docs.rs/minijinja/latest/minijinja/syntax/index.html",
                "https://www.rfc-editor.org/rfc/rfc9110",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "card",
            ],
            generic: true,
            ordering: Ordering::Key,
            rate: None,
            target_rate: None,
            schemes: Vec::new(),
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened::open(kit::read(settings)?)?))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "making a secret for a service that has its own";
        Err(Problem::not_available("kind", what))
    }
}

/// A channel that is ready to use.
struct Opened {
    address: Address,
    method: Method,
    query: Fields,
    head: Head,
    body: Body,
    secrets: Secrets,
    per_target: bool,
    rules: Rules,
    /// The variables of the body, and those of all else.
    uses: [BTreeSet<String>; 2],
}

impl Opened {
    fn open(settings: Settings) -> Result<Self, Problem> {
        let secrets = Secrets::new(settings.secrets.clone())?;
        let rules = Rules::open(&settings, &secrets)?;
        let scope = Scope {
            variables: OF_MESSAGE,
            secrets: &secrets,
        };
        let address = Address::open(&settings.url, &scope)?;
        let query = Fields::open("settings.query", &settings.query, &scope)?;
        let head = Head::open(&settings.headers, &scope)?;
        let forms = Forms {
            body: settings.body.as_deref(),
            json: settings.json.as_ref(),
            form: settings.form.as_ref(),
            content_type: settings.content_type.as_deref(),
        };
        let body = Body::open(&forms, &scope)?;
        let mut of_body = BTreeSet::new();
        body.add_uses(&mut of_body);
        let of_rest = address.uses().iter();
        let of_rest = of_rest.chain(query.uses()).chain(head.uses()).cloned();
        let uses = [of_body, of_rest.collect()];
        Ok(Self {
            address,
            method: settings.method.into(),
            query,
            head,
            body,
            per_target: settings.per_target,
            rules,
            uses,
            secrets,
        })
    }

    fn check(&self, context: &Context<'_>) -> Result<(), Problem> {
        if context.format.is_some_and(|format| format != FORMAT) {
            let detail = "has one form only, that of its templates; leave the format out";
            return Err(Problem::invalid("invalid_format", "format", detail).accepted(FORMAT));
        }
        if self.per_target && context.target.is_none() {
            let detail = "this channel sends to a target; name it in the address, NAME/TARGET, or in the subscription";
            return Err(Problem::invalid("target_required", "target", detail));
        }
        Ok(())
    }
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.address.origin)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.check(context)?;
        let [uses, _] = &self.uses;
        let variables = Variables::of_message(uses, message, context, &self.secrets);
        let step = Step::send(self.body.bytes(&variables)?, &*self.body.media_type);
        Ok(Plan {
            version: VERSION,
            steps: vec![step],
            degraded: Vec::new(),
        })
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        let [_, uses] = &self.uses;
        let variables = Variables::of_message(uses, message, context, &self.secrets);
        let query = self.query.encoded(&variables)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, AGENT);
        if !step.media_type.is_empty() {
            headers.insert(CONTENT_TYPE, header::readable(&step.media_type));
        }
        self.head.add(&mut headers, &variables)?;
        Ok(Request::Http(HttpRequest {
            method: self.method.clone(),
            url: self.address.url(&variables, &query)?,
            headers,
            body: step.body.clone(),
        }))
    }

    fn classify(&self, _: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        self.rules.judge(exchange, context, &self.secrets)
    }
}

#[cfg(test)]
mod tests;
