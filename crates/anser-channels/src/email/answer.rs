//! What a mail server's replies mean (RFC 5321 §4.2, RFC 3463). Must not take anything but 2xx for success.

use anser_core::channel::Exchange;
use anser_core::outcome::Outcome;

use crate::kit::classify::{no_answer, rejected};

/// The reply that accepted the mail, or what became of it. The exchange's status is the reply's code.
pub(super) fn accepted(exchange: &Exchange) -> Result<(), Outcome> {
    let reply = match exchange {
        Ok(reply) => reply,
        Err(error) => return Err(no_answer(error)),
    };
    let code = reply.status.as_u16();
    let text = String::from_utf8_lossy(&reply.body);
    let text = text.trim();
    match code {
        200..=299 => Ok(()),
        500..=599 => Err(rejected(code, text, remedy(code, text))),
        _ => Err(Outcome::Retry {
            reason: format!("{code} {text}"),
        }),
    }
}

fn remedy(code: u16, text: &str) -> &'static str {
    match code {
        530 => {
            "the server wants a login, or encryption first: set settings.username and settings.password, or settings.security to starttls"
        }
        534 | 535 => {
            "check settings.username and settings.password; many providers want an app password here"
        }
        538 => "set settings.security to tls or starttls",
        552 => "the mail is too big for the server, or the mailbox is full",
        553 => "the server does not let this login send as settings.from",
        550 | 551 | 554 if text.contains("5.1.1") => "no such mailbox",
        550 | 551 | 554 if text.contains("5.7.") => {
            "the server's policy refuses it: check settings.from and the domain's SPF and DKIM"
        }
        _ => "",
    }
}
