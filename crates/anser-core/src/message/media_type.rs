//! Media types by the extensions of file names, for attachments that come without one. Must not look into a file.

/// The media type of bytes of which nothing is known.
pub const UNKNOWN: &str = "application/octet-stream";
/// Characters of an extension that is one.
pub const EXTENSION_CHARS_MAX: usize = 16;
/// Extensions of names and the media types they stand for; of several for one type the first is written.
const EXTENSIONS: [(&str, &str); 38] = [
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("bmp", "image/bmp"),
    ("svg", "image/svg+xml"),
    ("ico", "image/x-icon"),
    ("tiff", "image/tiff"),
    ("heic", "image/heic"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("opus", "audio/opus"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("amr", "audio/amr"),
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("pdf", "application/pdf"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("json", "application/json"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("xml", "text/xml"),
];

/// The media type that a file's name tells by its extension; `None` when it has none that is known.
#[must_use]
pub fn of_name(name: &str) -> Option<&'static str> {
    let extension = extension(name)?;
    let mut known = EXTENSIONS.iter();
    let found = known.find(|(known, _)| *known == extension);
    found.map(|(_, media_type)| *media_type)
}

/// The extension that names of this media type have, without its dot; `None` when none is known.
#[must_use]
pub fn usual_extension(media_type: &str) -> Option<&'static str> {
    let mut known = EXTENSIONS.iter();
    let found = known.find(|(_, known)| *known == media_type);
    found.map(|(extension, _)| *extension)
}

/// The extension of a name, lower case, without its dot; `None` when what is behind the last dot is none.
#[must_use]
pub fn extension(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let good = !stem.is_empty()
        && (1..=EXTENSION_CHARS_MAX).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    good.then(|| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_a_media_type_by_its_extension_alone() {
        for (name, expected) in [
            ("r.PNG", Some("image/png")),
            ("a.tar.gz", Some("application/gzip")),
            ("photo.jpeg", Some("image/jpeg")),
            (".png", None),
            ("png", None),
            ("r.", None),
            ("r.p ng", None),
            ("r.unheardof", None),
        ] {
            assert_eq!(of_name(name), expected, "{name}");
        }
        assert_eq!(usual_extension("image/jpeg"), Some("jpg"));
        assert_eq!(usual_extension("image/unheardof"), None);
    }
}
