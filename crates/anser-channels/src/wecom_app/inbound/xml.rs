//! WeCom's XML as JSON: an element with elements is an object, any other a text. Must not expand entities, nor follow
//! anything.

use anser_core::inbound::Refusal;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use serde_json::{Map, Value};

use crate::kit::inbound::malformed;

/// What the outermost element is called.
const ROOT: &str = "xml";
/// Elements in elements.
const DEPTH_MAX: usize = 16;
/// Elements in all.
const ELEMENTS_MAX: usize = 10_000;

/// An element that is not at its end.
struct Open {
    name: String,
    text: String,
    members: Map<String, Value>,
}

/// Reads a document whose outermost element is `xml`.
///
/// # Errors
/// `malformed_event`; also for a document type, and for entities that are not XML's own.
pub(super) fn read(xml: &[u8]) -> Result<Value, Refusal> {
    let xml = std::str::from_utf8(xml).map_err(|_| malformed("the XML is no UTF-8"))?;
    if xml.chars().any(is_no_character) {
        return Err(malformed("the XML has a control character"));
    }
    let mut reader = Reader::from_str(xml);
    let mut stack: Vec<Open> = Vec::new();
    let mut root = None;
    for _ in 0..ELEMENTS_MAX.saturating_mul(4) {
        let event = reader.read_event().map_err(broken)?;
        match event {
            Event::Start(start) => open(&mut stack, root.is_some(), start.name().as_ref())?,
            Event::Empty(start) => {
                open(&mut stack, root.is_some(), start.name().as_ref())?;
                close(&mut stack, &mut root)?;
            }
            Event::End(_) => close(&mut stack, &mut root)?,
            Event::Text(text) => write(&mut stack, &text.xml10_content().map_err(broken)?)?,
            Event::CData(text) => write(&mut stack, &text.xml10_content().map_err(broken)?)?,
            Event::GeneralRef(reference) => write(&mut stack, &entity(&reference)?)?,
            Event::DocType(_) => return Err(malformed("the XML has a document type")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => {
                return root
                    .filter(|_| stack.is_empty())
                    .ok_or_else(|| malformed("the XML ends too early"));
            }
        }
    }
    Err(malformed("the XML has too many parts"))
}

/// What XML 1.0 does not allow anywhere (section 2.2).
const fn is_no_character(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    malformed(format!("the XML cannot be read: {error}"))
}

fn open(stack: &mut Vec<Open>, is_over: bool, name: &[u8]) -> Result<(), Refusal> {
    let name = String::from_utf8_lossy(name).into_owned();
    if stack.len() >= DEPTH_MAX {
        return Err(malformed("the XML nests too deep"));
    }
    if is_over || (stack.is_empty() && name != ROOT) {
        return Err(malformed("the XML is no <xml> element"));
    }
    stack.push(Open {
        name,
        text: String::new(),
        members: Map::new(),
    });
    Ok(())
}

fn close(stack: &mut Vec<Open>, root: &mut Option<Value>) -> Result<(), Refusal> {
    let open = stack
        .pop()
        .ok_or_else(|| malformed("the XML closes what is not open"))?;
    let value = if open.members.is_empty() && !stack.is_empty() {
        Value::String(open.text)
    } else {
        Value::Object(open.members)
    };
    let Some(parent) = stack.last_mut() else {
        *root = Some(value);
        return Ok(());
    };
    match parent.members.get_mut(&open.name) {
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None => {
            parent.members.insert(open.name, value);
        }
    }
    Ok(())
}

fn write(stack: &mut [Open], text: &str) -> Result<(), Refusal> {
    match stack.last_mut() {
        Some(open) => open.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed("the XML has text outside of its element")),
    }
    Ok(())
}

/// One of XML's own five, or a character by its number.
fn entity(reference: &BytesRef<'_>) -> Result<String, Refusal> {
    if let Some(character) = reference.resolve_char_ref().map_err(broken)? {
        return Ok(character.into());
    }
    let name = reference.decode().map_err(broken)?;
    resolve_predefined_entity(&name)
        .map(str::to_owned)
        .ok_or_else(|| malformed("the XML has an entity that is not XML's own"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_are_members_and_texts() {
        let xml = "<?xml version=\"1.0\"?><xml>\n <A><![CDATA[<b>&amp;]]></A><B>1 &lt; 2&#33;</B><C/>\
                   <D><E>x</E><E>y</E><E>z</E></D></xml>\n";
        assert_eq!(
            read(xml.as_bytes()).unwrap(),
            json!({"A": "<b>&amp;", "B": "1 < 2!", "C": "", "D": {"E": ["x", "y", "z"]}})
        );
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        let deep = format!("<xml>{}", "<a>".repeat(100_000));
        let wide = format!("<xml>{}</xml>", "<a/>".repeat(100_000));
        for xml in [
            "",
            "text",
            "<xml>",
            "<xml></a>",
            "<a></a>",
            "<xml/><xml/>",
            "<xml/>text",
            "<!DOCTYPE xml [<!ENTITY a \"aaaa\">]><xml>&a;</xml>",
            "<xml>&a;</xml>",
            "<xml>\0</xml>",
            "<xml>&#0;</xml>",
            "<xml>&#x110000;</xml>",
            &deep,
            &wide,
        ] {
            assert!(read(xml.as_bytes()).is_err(), "{xml:.80}");
        }
        assert!(read(b"<xml>\xff</xml>").is_err());
    }
}
