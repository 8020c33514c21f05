//! A form with files (`multipart/form-data`, RFC 7578) that is in memory already, taken apart. Must not copy what it holds.

use super::told::Fault;

/// Parts of one form.
const PARTS_MAX: usize = 64;
/// Bytes of a boundary (RFC 2046 §5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'b> {
    /// The field's name.
    pub(super) name: String,
    /// The file's name, if it is a file.
    pub(super) file_name: Option<String>,
    /// The media type, if it has one.
    pub(super) media_type: Option<String>,
    /// Its bytes.
    pub(super) bytes: &'b [u8],
}

/// The parts of a form, whose boundary the content type names.
///
/// # Errors
/// [`Fault::Malformed`]; [`Fault::TooLarge`] for more parts than a form may have.
pub(super) fn parts<'b>(content_type: &str, body: &'b [u8]) -> Result<Vec<Part<'b>>, Fault> {
    let boundary = boundary(content_type).ok_or_else(|| malformed("names no boundary"))?;
    let delimiter = format!("--{boundary}");
    let delimiter = delimiter.as_bytes();
    let start = find(body, delimiter).ok_or_else(|| malformed("has no part"))?;
    let mut rest = &body[start + delimiter.len()..];
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        if parts.len() == PARTS_MAX {
            return Err(Fault::TooLarge(format!(
                "a form has at most {PARTS_MAX} parts"
            )));
        }
        let line = [b"\r\n".as_slice(), delimiter].concat();
        let end = find(rest, &line).ok_or_else(|| malformed("ends without its boundary"))?;
        parts.push(part(&rest[..end])?);
        rest = &rest[end + line.len()..];
    }
    Ok(parts)
}

fn malformed(what: &str) -> Fault {
    Fault::Malformed(format!("the form {what}"))
}

fn boundary(content_type: &str) -> Option<&str> {
    let (media_type, parameters) = content_type.split_once(';')?;
    if !media_type
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
    {
        return None;
    }
    let named = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"'))
    })?;
    (1..=BOUNDARY_BYTES_MAX)
        .contains(&named.len())
        .then_some(named)
}

/// Where `wanted`, which is not empty, begins.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut place = 0;
    while let Some(found) = bytes.get(place..)?.iter().position(|byte| *byte == first) {
        let at = place + found;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        place = at + 1;
    }
    None
}

fn part(bytes: &[u8]) -> Result<Part<'_>, Fault> {
    let bytes = bytes
        .strip_prefix(b"\r\n")
        .ok_or_else(|| malformed("has a part without head"))?;
    // A head without lines ends with its first line break.
    let (head, body) = match bytes.strip_prefix(b"\r\n") {
        Some(body) => (&bytes[..0], body),
        None => {
            let end =
                find(bytes, b"\r\n\r\n").ok_or_else(|| malformed("has a part without end"))?;
            (&bytes[..end], &bytes[end + 4..])
        }
    };
    let head = String::from_utf8_lossy(head);
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition").unwrap_or_default();
    let name =
        parameter(&disposition, "name").ok_or_else(|| malformed("has a part without name"))?;
    Ok(Part {
        name,
        file_name: parameter(&disposition, "filename"),
        media_type: header("content-type"),
        bytes: body,
    })
}

/// A parameter of a header, without its quotes; `%22` is what browsers write for a quote (RFC 7578 §2).
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once(';') {
        rest = after;
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.trim().replace("%22", "\""));
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x y\"";

    #[test]
    fn a_form_is_taken_apart() {
        let body = b"preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n{}\r\n--x y\r\n\
            content-disposition: form-data; name=\"files[0]\"; filename=\"a;b.txt\"\r\nContent-Type: text/plain\r\n\r\n\r\n--x\r\n\r\n--x y--\r\n";
        let parts = parts(TYPE, body).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (parts[0].name.as_str(), parts[0].bytes),
            ("payload_json", b"{}".as_slice())
        );
        assert_eq!(parts[1].file_name.as_deref(), Some("a;b.txt"));
        assert_eq!(parts[1].media_type.as_deref(), Some("text/plain"));
        assert_eq!(parts[1].bytes, b"\r\n--x\r\n");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for (content_type, body) in [
            ("multipart/form-data", "--x\r\n\r\n\r\n--x--"),
            ("multipart/form-data; boundary=", "--\r\n\r\n--"),
            ("text/plain; boundary=x", "--x\r\n\r\n\r\n--x--"),
            ("multipart/form-data; boundary=x", ""),
            (
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb",
            ),
            ("multipart/form-data; boundary=x", "--x\r\n\r\nb\r\n--x--"),
        ] {
            assert!(
                parts(content_type, body.as_bytes()).is_err(),
                "{content_type} {body}"
            );
        }
    }
}
