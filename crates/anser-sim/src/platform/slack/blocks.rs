//! What a message of Slack may say: text, blocks and attachments, and their limits. From the reference of Block Kit. Must not
//! know how a refusal is answered.

use serde_json::Value;

use super::super::Breach;
use super::super::fields::{chars, text};

/// Characters of a text.
const TEXT_MAX: usize = 40_000;
/// Blocks of a message.
const BLOCKS_MAX: usize = 50;
/// Attachments of a message.
const ATTACHMENTS_MAX: usize = 100;
/// Characters of a section's text.
const SECTION_MAX: usize = 3000;
/// Characters of a header's text.
const HEADER_MAX: usize = 150;
/// Characters of all `markdown` blocks of a message.
const MARKDOWN_MAX: usize = 12_000;
/// Fields of a section.
const FIELDS_MAX: usize = 10;
/// Characters of one of them.
const FIELD_MAX: usize = 2000;
/// Elements of an `actions` block.
const ACTIONS_MAX: usize = 25;
/// Elements of a `context` block.
const CONTEXT_MAX: usize = 10;
/// Characters of a button's text.
const BUTTON_TEXT_MAX: usize = 75;
/// Characters of a button's value.
const BUTTON_VALUE_MAX: usize = 2000;

/// What is wrong with a message.
pub(super) struct Wrong {
    /// The platform's word for it.
    pub(super) code: &'static str,
    pub(super) breach: Breach,
    /// Which block it is about, where it is one.
    pub(super) block: Option<usize>,
}

impl Wrong {
    fn at(mut self, block: usize) -> Self {
        self.block = Some(block);
        self
    }
}

fn wrong(code: &'static str, breach: Breach) -> Wrong {
    Wrong {
        code,
        breach,
        block: None,
    }
}

/// Checks what a message says.
pub(super) fn check(body: &Value) -> Result<(), Wrong> {
    let list = |name: &str| body[name].as_array().map_or(&[][..], Vec::as_slice);
    let (blocks, attachments) = (list("blocks"), list("attachments"));
    let said = text(body, "/text");
    if said.is_none() && blocks.is_empty() && attachments.is_empty() {
        return Err(wrong("no_text", Breach::Content));
    }
    if said.is_some_and(|text| chars(text) > TEXT_MAX) {
        return Err(wrong("msg_too_long", Breach::Size));
    }
    if attachments.len() > ATTACHMENTS_MAX {
        return Err(wrong("too_many_attachments", Breach::Size));
    }
    if body.get("blocks").is_some_and(|blocks| !blocks.is_array()) {
        return Err(wrong("invalid_blocks_format", Breach::Content));
    }
    if blocks.len() > BLOCKS_MAX {
        return Err(wrong("invalid_blocks", Breach::Size));
    }
    let attached = attachments
        .iter()
        .filter_map(|attachment| attachment["blocks"].as_array())
        .flatten();
    let mut markdown = 0;
    for (place, block) in blocks.iter().chain(attached).enumerate() {
        check_block(block).map_err(|wrong| wrong.at(place))?;
        if block["type"] == "markdown" {
            markdown += chars(block["text"].as_str().unwrap_or_default());
        }
    }
    if markdown > MARKDOWN_MAX {
        return Err(wrong("msg_blocks_too_long", Breach::Size));
    }
    Ok(())
}

fn check_block(block: &Value) -> Result<(), Wrong> {
    let invalid = || wrong("invalid_blocks", Breach::Content);
    let elements = block["elements"].as_array().map_or(&[][..], Vec::as_slice);
    match block["type"].as_str().unwrap_or_default() {
        "section" => {
            let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
            if block.get("text").is_none() && fields.is_empty() {
                return Err(invalid());
            }
            if block.get("text").is_some() {
                text_object(&block["text"], SECTION_MAX)?;
            }
            if fields.len() > FIELDS_MAX {
                return Err(wrong("invalid_blocks", Breach::Size));
            }
            for field in fields {
                text_object(field, FIELD_MAX)?;
            }
        }
        "header" => {
            if block["text"]["type"] != "plain_text" {
                return Err(invalid());
            }
            text_object(&block["text"], HEADER_MAX)?;
        }
        "actions" => {
            if elements.len() > ACTIONS_MAX {
                return Err(wrong("invalid_blocks", Breach::Size));
            }
            if elements.is_empty() {
                return Err(invalid());
            }
            for element in elements {
                check_element(element)?;
            }
        }
        "context" => {
            if elements.len() > CONTEXT_MAX {
                return Err(wrong("invalid_blocks", Breach::Size));
            }
            if elements.is_empty() {
                return Err(invalid());
            }
        }
        "image" => {
            let shown = text(block, "/image_url").or(text(block, "/slack_file/id"));
            if shown.is_none() || text(block, "/alt_text").is_none() {
                return Err(invalid());
            }
        }
        "markdown" => {
            text(block, "/text").ok_or_else(invalid)?;
        }
        "rich_text" => {
            if elements.is_empty() || !elements.iter().all(is_rich) {
                return Err(invalid());
            }
        }
        "divider" | "video" | "file" | "input" | "table" => {}
        _ => return Err(invalid()),
    }
    Ok(())
}

/// A section, list, quote or preformatted part of rich text, with something in it.
fn is_rich(part: &Value) -> bool {
    let kind = part["type"].as_str().unwrap_or_default();
    let elements = part["elements"].as_array().map_or(&[][..], Vec::as_slice);
    let whole = |element: &Value| match element["type"].as_str().unwrap_or_default() {
        "text" => element["text"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "link" => text(element, "/url").is_some(),
        "user" => text(element, "/user_id").is_some(),
        "usergroup" => text(element, "/usergroup_id").is_some(),
        "channel" => text(element, "/channel_id").is_some(),
        "emoji" => text(element, "/name").is_some(),
        "broadcast" => ["here", "channel", "everyone"]
            .iter()
            .any(|range| element["range"] == *range),
        "rich_text_section" => kind == "rich_text_list" && is_rich(element),
        "color" | "date" | "team" => true,
        _ => false,
    };
    kind.starts_with("rich_text_") && !elements.is_empty() && elements.iter().all(whole)
}

fn check_element(element: &Value) -> Result<(), Wrong> {
    if element["type"] != "button" {
        return Ok(());
    }
    if element["text"]["type"] != "plain_text" {
        return Err(wrong("invalid_blocks", Breach::Content));
    }
    text_object(&element["text"], BUTTON_TEXT_MAX)?;
    let value = element["value"].as_str().unwrap_or_default();
    if chars(value) > BUTTON_VALUE_MAX {
        return Err(wrong("invalid_blocks", Breach::Size));
    }
    Ok(())
}

/// `{"type": "plain_text" | "mrkdwn", "text": "…"}`, of at most `most` characters.
fn text_object(object: &Value, most: usize) -> Result<(), Wrong> {
    let kind = object["type"].as_str().unwrap_or_default();
    let said = object["text"].as_str().unwrap_or_default();
    if !matches!(kind, "plain_text" | "mrkdwn") || said.is_empty() {
        return Err(wrong("invalid_blocks", Breach::Content));
    }
    if chars(said) > most {
        return Err(wrong("invalid_blocks", Breach::Size));
    }
    Ok(())
}
