//! Reads a request's body: whole where it is small, and piece by piece where it brings files, which are measured and hashed
//! as they pass and never held whole. Knows no platform.

use aws_lc_rs::digest::{Context, SHA256, digest};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use multer::{Field, Multipart};

/// Bytes of a body that is kept whole; what a platform takes is far less.
const BODY_MAX: usize = 16 << 20;
/// Bytes of a body that brings files.
const UPLOAD_MAX: u64 = 512 << 20;
/// The first bytes of a file, which are kept: enough for a picture on the page and for any field of a form.
const HEAD_MAX: usize = 1 << 20;
/// Parts of a form.
const PARTS_MAX: usize = 100;
/// The name of the one part that a body without a form is.
const RAW: &str = "";

/// What a part of a body held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Its length in bytes.
    pub(crate) size: u64,
    /// The SHA-256 of all of it, in hex.
    pub(crate) sha256: String,
    /// Its first bytes.
    pub(crate) head: Bytes,
}

impl Content {
    /// Of bytes that are all there.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        let digest = digest(&SHA256, &bytes);
        Self {
            size: bytes.len() as u64,
            sha256: hex(digest.as_ref()),
            head: bytes,
        }
    }
}

/// A part of a form, or a whole body that is a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name in the form; empty for a body without one.
    pub(crate) name: String,
    /// The name of the file, where it has one.
    pub(crate) file_name: Option<String>,
    /// Its media type, where it has one.
    pub(crate) media_type: Option<String>,
    /// What it held.
    pub(crate) content: Content,
}

impl Part {
    /// What a field says; `None` for one that is no text, or longer than a field may be.
    pub(crate) fn text(&self) -> Option<&str> {
        let whole = self.content.head.len() as u64 == self.content.size;
        std::str::from_utf8(&self.content.head)
            .ok()
            .filter(|_| whole)
    }
}

/// A body as it was read.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// All of it, where it brings no files.
    pub(crate) body: Bytes,
    /// Its parts, where it does.
    pub(crate) parts: Vec<Part>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than a stand-in reads.
    TooLarge,
    /// It broke off, or is no form although its media type says so.
    Broken,
}

/// Reads a body: by its parts when it is a form with files, as one part when it is a file by itself (`is_file`), else whole.
pub(crate) async fn read(headers: &HeaderMap, body: Body, is_file: bool) -> Result<Intake, Unread> {
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let form =
        media_type.filter(|value| value.trim_start().to_lowercase().starts_with("multipart/"));
    if let Some(form) = form {
        let boundary = multer::parse_boundary(form).map_err(|_| Unread::Broken)?;
        return read_form(Multipart::new(body.into_data_stream(), boundary)).await;
    }
    if !is_file {
        return read_whole(body).await;
    }
    let part = Part {
        name: RAW.to_owned(),
        file_name: None,
        media_type: media_type.map(str::to_owned),
        content: read_file(body).await?,
    };
    Ok(Intake {
        body: Bytes::new(),
        parts: vec![part],
    })
}

async fn read_whole(mut body: Body) -> Result<Intake, Unread> {
    let mut whole = BytesMut::new();
    while let Some(piece) = next(&mut body).await? {
        if whole.len() + piece.len() > BODY_MAX {
            return Err(Unread::TooLarge);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(Intake {
        body: whole.freeze(),
        parts: Vec::new(),
    })
}

async fn read_file(mut body: Body) -> Result<Content, Unread> {
    let mut measure = Measure::new();
    while let Some(piece) = next(&mut body).await? {
        measure.add(&piece, UPLOAD_MAX)?;
    }
    Ok(measure.finish())
}

/// The next bytes of a body; `None` at its end.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Unread> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

async fn read_form(mut form: Multipart<'_>) -> Result<Intake, Unread> {
    let mut parts = Vec::new();
    let mut left = UPLOAD_MAX;
    while let Some(field) = form.next_field().await.map_err(|_| Unread::Broken)? {
        if parts.len() == PARTS_MAX {
            return Err(Unread::TooLarge);
        }
        let part = read_part(field, left).await?;
        left -= part.content.size;
        parts.push(part);
    }
    Ok(Intake {
        body: Bytes::new(),
        parts,
    })
}

async fn read_part(mut field: Field<'_>, most: u64) -> Result<Part, Unread> {
    let mut measure = Measure::new();
    while let Some(piece) = field.chunk().await.map_err(|_| Unread::Broken)? {
        measure.add(&piece, most)?;
    }
    Ok(Part {
        name: field.name().unwrap_or_default().to_owned(),
        file_name: field.file_name().map(str::to_owned),
        media_type: field.content_type().map(ToString::to_string),
        content: measure.finish(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file on its way through.
struct Measure {
    digest: Context,
    size: u64,
    head: BytesMut,
}

impl Measure {
    fn new() -> Self {
        Self {
            digest: Context::new(&SHA256),
            size: 0,
            head: BytesMut::new(),
        }
    }

    fn add(&mut self, piece: &[u8], most: u64) -> Result<(), Unread> {
        self.size += piece.len() as u64;
        if self.size > most {
            return Err(Unread::TooLarge);
        }
        self.digest.update(piece);
        let room = HEAD_MAX - self.head.len();
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
        Ok(())
    }

    fn finish(self) -> Content {
        let digest = self.digest.finish();
        Content {
            size: self.size,
            sha256: hex(digest.as_ref()),
            head: self.head.freeze(),
        }
    }
}

#[cfg(test)]
mod tests;
