//! Header values from text that users wrote: whatever is in the text, the value is valid and has no line break.
//! Nothing is dropped; what a header cannot carry is percent-encoded as UTF-8.

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Beside everything that is not printable ASCII: space, double quote and percent (CloudEvents 1.0.2 HTTP binding,
/// section 3.1.3.2).
const REVERSIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Percent-encodes so that decoding gives the text back.
pub(crate) fn reversible(text: &str) -> HeaderValue {
    encode(text, REVERSIBLE)
}

/// Leaves printable ASCII and blanks as they are, percent signs too, and percent-encodes the rest: for receivers that
/// do not decode.
pub(crate) fn readable(text: &str) -> HeaderValue {
    encode(text, CONTROLS)
}

fn encode(text: &str, set: &'static AsciiSet) -> HeaderValue {
    HeaderValue::try_from(utf8_percent_encode(text, set).to_string())
        .expect("percent-encoded text is printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_value() {
        for (text, reversed, read) in [
            ("plain", "plain", "plain"),
            (
                "Euro € 😀",
                "Euro%20%E2%82%AC%20%F0%9F%98%80",
                "Euro %E2%82%AC %F0%9F%98%80",
            ),
            ("50% \"a\"", "50%25%20%22a%22", "50% \"a\""),
            (
                "a\r\nx: y\0\x7f",
                "a%0D%0Ax:%20y%00%7F",
                "a%0D%0Ax: y%00%7F",
            ),
            ("", "", ""),
        ] {
            assert_eq!(reversible(text), reversed);
            assert_eq!(readable(text), read);
        }
    }
}
