//! One authenticated CMQ request, and what actions ask of it: names, pages, message bodies. Must not know an action.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::message::Item;
use anser_core::message::body::BodyFields;
use anser_core::message::item::ItemHeader;
use anser_gateway::Gateway;
use anser_gateway::auth::Principal;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{BATCH_TOO_LONG, BODY_TOO_LONG, EMPTY_BODY, Fault, INTERNAL};
use super::names::Noun;
use super::params::Params;
use crate::options::CmqOptions;
use crate::state::Edge;

/// Members of a batch.
pub(super) const BATCH_MAX: usize = 16;
/// Bytes of all bodies of a batch together, decoded.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Members of a page unless the request says otherwise.
const PAGE_DEFAULT: i64 = 20;

/// One authenticated request.
pub(super) struct Request<'a> {
    /// What it is served with.
    pub(super) edge: &'a Edge,
    /// Who sent it.
    pub(super) principal: &'a Principal,
    /// The APPID of its key.
    pub(super) app_id: u64,
    /// What it asks for.
    pub(super) params: &'a Params<'a>,
    /// What tells a repetition of this very request from every other one; `None` when nothing does.
    pub(super) repeat: Option<String>,
    /// Its number.
    pub(super) id: u64,
}

/// Which part of a list: what contains a text in its name, and of that the members from a place on.
pub(super) struct Page {
    search: String,
    offset: usize,
    limit: usize,
}

impl Page {
    /// The page of `members`, which are sorted by name, and how many there are on all pages.
    pub(super) fn of<T>(
        &self,
        members: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> &str,
    ) -> (usize, Vec<T>) {
        let mut found: Vec<T> = members
            .into_iter()
            .filter(|member| name(member).to_ascii_lowercase().contains(&self.search))
            .collect();
        let total = found.len();
        found.drain(..self.offset.min(total));
        found.truncate(self.limit);
        (total, found)
    }
}

impl Request<'_> {
    pub(super) fn gateway(&self) -> &Gateway {
        &self.edge.gateway
    }

    pub(super) fn options(&self) -> &CmqOptions {
        &self.edge.options.cmq
    }

    /// A name that must be there, as sent. `exists` says whether there is something called so: what was made through
    /// another door may have a name that CMQ does not allow.
    ///
    /// # Errors
    /// Missing, given twice, or of the wrong form.
    pub(super) fn name(
        &self,
        parameter: &str,
        noun: Noun,
        exists: impl Fn(&str) -> bool,
    ) -> Result<&str, Fault> {
        let name = self.params.required(parameter)?;
        if !exists(name) {
            noun.check(name)?;
        }
        Ok(name)
    }

    /// `queueName`.
    ///
    /// # Errors
    /// As [`Request::name`].
    pub(super) fn queue_name(&self) -> Result<&str, Fault> {
        self.name("queueName", Noun::Queue, |name| {
            self.gateway().queue_in_force(name).is_some()
        })
    }

    /// `topicName`.
    ///
    /// # Errors
    /// As [`Request::name`].
    pub(super) fn topic_name(&self) -> Result<&str, Fault> {
        self.name("topicName", Noun::Topic, |name| {
            !name.starts_with('$') && self.gateway().topic_in_force(name).is_some()
        })
    }

    /// `searchWord`, `offset` and `limit`.
    ///
    /// # Errors
    /// Out of range.
    pub(super) fn page(&self, offset_max: i64, limit_max: i64) -> Result<Page, Fault> {
        let number = |name, most| self.params.integer(name, 0..=most);
        let offset = number("offset", offset_max)?.unwrap_or(0);
        let limit = number("limit", limit_max)?.unwrap_or(PAGE_DEFAULT);
        let search = self.params.text("searchWord")?.unwrap_or("");
        Ok(Page {
            search: search.to_ascii_lowercase(),
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        })
    }

    /// The `msgBody` of a single message of at most `most` bytes.
    ///
    /// # Errors
    /// Missing, empty or too long.
    pub(super) fn body(&self, most: u64) -> Result<&str, Fault> {
        let body = self.params.required("msgBody")?;
        check_body(body, most)?;
        Ok(body)
    }

    /// The `msgBody.N` of a batch, each of at most `most` bytes.
    ///
    /// # Errors
    /// None or too many; one that is empty or too long; too long together.
    pub(super) fn bodies(&self, most: u64) -> Result<Vec<&str>, Fault> {
        let bodies = self.params.required_list("msgBody", BATCH_MAX)?;
        for body in &bodies {
            check_body(body, most)?;
        }
        let total: usize = bodies.iter().map(|body| body.len()).sum();
        if total > BATCH_BYTES_MAX {
            return Err(Fault::from(&BATCH_TOO_LONG));
        }
        Ok(bodies)
    }

    /// The items with these bodies and this header. Their dedupe keys make the publish idempotent where the request
    /// can be recognised.
    ///
    /// # Errors
    /// Never in practice: a text can always be written as JSON.
    pub(super) fn items(&self, bodies: &[&str], header: &ItemHeader) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::with_capacity(bodies.len());
        for (place, body) in bodies.iter().enumerate() {
            items.push(Item {
                header: header.clone(),
                body: BodyFields {
                    data: Some(json_text(body)?),
                    ..BodyFields::default()
                },
                attachments: Vec::new(),
                dedupe_key: self
                    .repeat
                    .as_ref()
                    .map(|repeat| format!("{repeat}:{place}")),
            });
        }
        Ok(items)
    }

    /// The time so many seconds from now.
    pub(super) fn after(&self, seconds: u64) -> Timestamp {
        self.gateway().now().plus(Duration::from_secs(seconds))
    }
}

fn check_body(body: &str, most: u64) -> Result<(), Fault> {
    if body.is_empty() {
        return Err(Fault::from(&EMPTY_BODY));
    }
    if body.len() as u64 > most {
        let rule = format!(
            "a body here has at most {most} bytes, this one has {}",
            body.len()
        );
        return Err(Fault::from(&BODY_TOO_LONG).detail(rule));
    }
    Ok(())
}

fn json_text(text: &str) -> Result<Box<RawValue>, Fault> {
    let json = Value::from(text).to_string();
    RawValue::from_string(json).map_err(|error| Fault::from(&INTERNAL).detail(error.to_string()))
}
