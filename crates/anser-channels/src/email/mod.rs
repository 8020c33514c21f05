//! E-mail, through a mail server that takes it for delivery: text and HTML as alternatives, pictures inside, files beside.
//! Must not speak SMTP or write MIME, and receives nothing.

mod answer;
mod html;
mod render;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, CredentialCheck, Exchange, Mail, MailRequest, Manifest, Plan,
    Request, Step,
};
use anser_core::outcome::Outcome;
use anser_core::resource::Ordering;
use anser_core::{Message, Problem, Timestamp};
use serde_json::{Value, json};
use url::Url;

use crate::kit::settings::{url_settings, url_words};
use render::Written;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "email";
/// Where a mail says that it may repeat another.
const POSSIBLE_DUPLICATE: &str = "Anser-Possible-Duplicate";
const SETUP: &str = "Take the address of your mail provider's server for outgoing mail, and a user name and password for it: \
most providers want an app password, made on the account's page for security, in place of the account's own. Port 465 is \
`security: tls`, port 587 `starttls`. Set `from` to an address that the login may send as, and `to` to the mailboxes, or name \
them in the address: `to: [\"NAME/ops@example.com\"]`, several with commas. The subject is the first card's title or the first \
words; `override.email` sets `subject`, `text` and `html` itself. A mail has the same Message-ID however often it is tried, so \
that most mailboxes show it once. Attachments ride along up to 18 MiB in all, else they go as links. A `reply_to` that is the \
Message-ID of a mail, which is what a delivery's platform id is here, makes it an answer to that mail.";

/// The kind.
pub(crate) struct Email;

impl ChannelKind for Email {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "E-mail",
            summary: "Sends mail through an SMTP server.",
            links: vec![
                "https://www.rfc-editor.org/rfc/rfc6409",
                "https://www.rfc-editor.org/rfc/rfc8314",
            ],
            settings: settings::schema(),
            formats: render::FORMATS.to_vec(),
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "emoji", "image", "audio",
                "voice", "video", "file", "card", "reply",
            ],
            generic: true,
            ordering: Ordering::Key,
            rate: None,
            target_rate: None,
            schemes: vec!["smtps", "smtp"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            endpoint: Settings::open(settings)?,
        }))
    }

    /// `smtps://USER:PASSWORD@HOST/TO?from=…`; `smtp://…` with STARTTLS.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let [host, to] = url_words(url, ["USER:PASSWORD@HOST", "TO"])?;
        settings::mailboxes("to", &to)?;
        let security = if url.scheme() == "smtp" {
            "starttls"
        } else {
            "tls"
        };
        let mut settings = json!({"host": host, "security": security});
        if let Some(port) = url.port() {
            settings["port"] = port.into();
        }
        let decode = |text: &str| {
            let text = percent_encoding::percent_decode_str(text);
            text.decode_utf8_lossy().into_owned()
        };
        if !url.username().is_empty() {
            let username = decode(url.username());
            if username.contains('@') {
                settings["from"] = username.as_str().into();
            }
            settings["username"] = username.into();
            settings["password"] = decode(url.password().unwrap_or_default()).into();
        }
        url_settings(url, &mut settings, &["from", "security", "subject_prefix"])?;
        if settings.get("from").is_none() {
            return Err(Problem::invalid("invalid_url", "to", "lacks the sender")
                .accepted("smtps://USER:PASSWORD@HOST/TO?from=alerts@example.com"));
        }
        Ok((settings, Some(to)))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "making the password of a mailbox, which its provider makes";
        Err(Problem::not_available("kind", what))
    }
}

/// A mail server that is ready to use.
struct Opened {
    endpoint: Endpoint,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.url)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.endpoint.mailboxes(context.target)?;
        render::plan(message, context, &self.endpoint.domain)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        let written = Written::of(step);
        let endpoint = &self.endpoint;
        let duplicate = context.possible_duplicate.map(|why| why.as_str());
        let mail = Mail {
            id: written.id,
            date: message.header.time,
            from: endpoint.from.clone(),
            reply_to: endpoint.reply_to.clone(),
            to: endpoint.mailboxes(context.target)?,
            subject: format!("{}{}", endpoint.subject_prefix, written.subject),
            in_reply_to: message.header.reply_to.as_deref().and_then(answered),
            headers: duplicate
                .map(|why| (POSSIBLE_DUPLICATE, why.to_owned()))
                .into_iter()
                .collect(),
            text: written.text,
            html: written.html,
            attachments: written.files.into_iter().map(Into::into).collect(),
        };
        Ok(Request::Mail(MailRequest {
            server: endpoint.server.clone(),
            mail: Some(mail),
        }))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, _: &Context<'_>) -> Outcome {
        match answer::accepted(exchange) {
            Ok(()) => Outcome::Delivered {
                platform_id: Some(Written::of(step).id),
            },
            Err(outcome) => outcome,
        }
    }

    fn credential_check(&self) -> Option<&dyn CredentialCheck> {
        Some(self)
    }
}

impl CredentialCheck for Opened {
    fn request(&self, _: &Context<'_>) -> Result<Request, Problem> {
        Ok(Request::Mail(MailRequest {
            server: self.endpoint.server.clone(),
            mail: None,
        }))
    }

    fn read(&self, exchange: &Exchange, _: &Context<'_>) -> Result<String, Outcome> {
        answer::accepted(exchange)?;
        let server = &self.endpoint.server;
        let name = server.login.as_ref().map(|(name, _)| format!("{name} at "));
        Ok(format!("{}{}", name.unwrap_or_default(), server.host))
    }
}

/// The id of a mail, with its angle brackets or without.
fn answered(reply_to: &str) -> Option<String> {
    let id = reply_to.trim_start_matches('<').trim_end_matches('>');
    let good = id.contains('@')
        && id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'>');
    good.then(|| id.to_owned())
}

#[cfg(test)]
mod tests;
