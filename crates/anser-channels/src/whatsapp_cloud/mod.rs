//! A number of the WhatsApp Business Platform, by Meta's public Cloud API: text, cards, media, places and contacts to people, and
//! replies; and what people write and what becomes of messages. Must not edit or recall, which WhatsApp lets no business do.

mod answer;
mod card;
mod dialect;
mod fetch;
mod inbound;
mod media;
mod render;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Counted, CredentialCheck, Exchange, HttpRequest, Manifest,
    MediaSource, Plan, Request, Step, StepKind,
};
use anser_core::inbound::Inbound;
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use url::Url;

use crate::kit::plan::{FORMAT, MEDIA_TYPE};
use crate::kit::post::{post, post_as};
use crate::kit::settings::{url_settings, url_words};
use inbound::Receiver;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "whatsapp-cloud";
const SETUP: &str = "In Meta's App Dashboard make an app of the type Business with the product WhatsApp. Copy Phone number ID (not the \
number) from WhatsApp, API Setup, into `phone_number_id`. In Business Settings make a system user, give it the app and the \
account, and a token with the permission whatsapp_business_messaging: `access_token`; the token on the page API Setup is \
good for a day only. Set `to`, or name the number in the address: `to: [\"NAME/15551234567\"]`, with the country code. \
WhatsApp takes what is not a template only within 24 hours after the person wrote. A message chooses its template by \
`override`: `{\"whatsapp-cloud\": {\"type\": \"template\", \"template\": {\"name\": \"order_paid\", \"language\": {\"code\": \
\"en_US\"}, \"components\": […]}}}`. With `template` set, a message that WhatsApp refuses for the 24 hours is sent as that \
template. WhatsApp often takes a message and refuses it later; then only its status events tell. A card with one link, or with one to \
three buttons that call back, is interactive. A message whose `reply_to` is an id of WhatsApp's (`wamid.…`) is a reply. Pictures (JPEG, \
PNG, 5 MiB), sound and video (16 MiB), documents (100 MiB) and stickers (WebP) are uploaded, other files go as links. WhatsApp \
takes 80 messages a second of a number, and of one person one in 6 seconds for long. It has no key against duplicates: a message \
sent again after a lost answer may appear twice and is marked. To receive, copy App secret from App settings, Basic, into \
`app_secret`, make up a `verify_token`, and then enter `https://GATEWAY/in/NAME` and that token at WhatsApp, Configuration, as \
Callback URL and Verify token, and subscribe to the field messages: what people write comes in, and what becomes of messages.";

/// The kind.
pub(crate) struct WhatsAppCloud;

impl ChannelKind for WhatsAppCloud {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "WhatsApp Cloud API",
            summary: "Sends WhatsApp messages from a business number through Meta's Cloud API.",
            links: vec![
                "https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages",
                "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "emoji", "image", "audio",
                "voice", "video", "file", "sticker", "location", "contact", "card", "raw", "reply",
                "receive",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 20 + 60 in any second.
            rate: Some(Rate {
                per_second: 60.0,
                burst: 20,
            }),
            target_rate: Some(Rate {
                per_second: 1.0 / 6.0,
                burst: 10,
            }),
            schemes: vec!["whatsapp"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let endpoint = Settings::open(settings)?;
        let (secrets, phone_number_id) =
            (endpoint.secrets.clone(), endpoint.phone_number_id.clone());
        let receiver = secrets.map(|secrets| Receiver {
            secrets,
            phone_number_id,
        });
        Ok(Arc::new(Opened { endpoint, receiver }))
    }

    /// `whatsapp://PHONE_NUMBER_ID/NUMBER?access_token=…`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let [id, number] = url_words(url, ["PHONE_NUMBER_ID", "NUMBER"])?;
        settings::check_id("to", &id)?;
        let number = settings::number("to", &number)?;
        let mut settings = json!({"phone_number_id": id});
        url_settings(
            url,
            &mut settings,
            &["access_token", "api_version", "base_url"],
        )?;
        if settings.get("access_token").is_none() {
            let detail = "lacks the access token";
            return Err(Problem::invalid("invalid_url", "to", detail)
                .accepted("whatsapp://PHONE_NUMBER_ID/NUMBER?access_token=…"));
        }
        Ok((settings, Some(number)))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "making an access token, which the platform makes";
        Err(Problem::not_available("kind", what))
    }
}

/// A number that is ready to use.
struct Opened {
    endpoint: Endpoint,
    /// Reads what comes in, where the settings say what proves it.
    receiver: Option<Receiver>,
}

/// The message of WhatsApp that a message answers: only in a delivery to the one chat that it can be in.
fn answered<'m>(message: &'m Message, number: &str) -> Option<&'m str> {
    let header = &message.header;
    let is_here = match &header.conversation {
        Some(conversation) => {
            let chat = conversation.id.split_once('/').map(|(_, chat)| chat);
            chat.is_some_and(|chat| settings::number("conversation", chat).as_deref() == Ok(number))
        }
        None => header.to.len() <= 1,
    };
    let id = header.reply_to.as_deref().filter(|_| is_here)?;
    id.starts_with("wamid.").then_some(id)
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.url)
    }

    fn counted<'a>(&'a self, target: Option<&'a str>) -> Counted<'a> {
        Counted::by(self.endpoint.number(target).unwrap_or_default())
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        let number = self.endpoint.number(context.target)?;
        let mut plan = render::render(self.endpoint.template.as_ref(), message, context)?;
        if let Some(id) = answered(message, &number) {
            render::answer(&mut plan, id);
        }
        Ok(plan)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        let bearer = self.endpoint.bearer.clone();
        if step.kind == StepKind::Upload {
            let url = self.endpoint.part("media");
            let mut upload = media::request(step, message, context, url)?;
            upload.headers.insert(AUTHORIZATION, bearer);
            return Ok(Request::Upload(upload));
        }
        let number = self.endpoint.number(context.target)?;
        let body = render::addressed(&number, step, context)?;
        let mut request = post(self.endpoint.part("messages"), step, body);
        request.headers.insert(AUTHORIZATION, bearer);
        Ok(Request::Http(request))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        let template = self.endpoint.template.is_some();
        answer::classify(step, template, exchange, context)
    }

    fn credential_check(&self) -> Option<&dyn CredentialCheck> {
        Some(self)
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        let receiver = self.receiver.as_ref()?;
        Some(receiver)
    }

    fn media(&self) -> Option<&dyn MediaSource> {
        Some(self)
    }
}

impl CredentialCheck for Opened {
    fn request(&self, _: &Context<'_>) -> Result<Request, Problem> {
        let mut url = self.endpoint.url.clone();
        url.set_query(Some("fields=display_phone_number,verified_name"));
        let mut request: HttpRequest = post_as(url, MEDIA_TYPE, Bytes::new());
        request.method = Method::GET;
        request.headers.remove(CONTENT_TYPE);
        let bearer = self.endpoint.bearer.clone();
        request.headers.insert(AUTHORIZATION, bearer);
        Ok(Request::Http(request))
    }

    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
        answer::owner(exchange, context)
    }
}

#[cfg(test)]
mod tests;
