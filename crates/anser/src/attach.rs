//! Files of this machine as attachments: looked at once and hashed as a stream, small ones put into the message, others
//! brought by whoever sends it. Must not hold a file whole, and must not talk to a server.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use anser_core::blob::BlobHash;
use anser_core::limits::{ATTACHMENT_INLINE_BYTES_MAX, ATTACHMENTS_MAX, BLOB_BYTES_MAX};
use anser_core::message::media_type;
use anser_gateway::blobs::LocalFiles;
use anyhow::Context as _;
use aws_lc_rs::digest::{self, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::exit::Failure;

/// Bytes read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes of files that go inside of one message; a message has at most 1 MiB, in which they are a third longer.
const INLINE_BYTES_MAX: u64 = 512 * 1024;

/// A file, as it was when it was looked at.
#[derive(Debug)]
pub(crate) struct LocalFile {
    path: PathBuf,
    file: File,
    /// Bytes.
    pub(crate) size: u64,
    /// The SHA-256 of the bytes.
    pub(crate) hash: BlobHash,
    /// Its media type.
    pub(crate) media_type: String,
}

/// A file's attachment, and the segment that shows it.
#[derive(Debug)]
pub(crate) struct Attached {
    /// As the message has it.
    pub(crate) attachment: Value,
    /// As the body has it.
    pub(crate) segment: Value,
}

impl LocalFile {
    /// Reads a file once, to its end. Its media type is `given`, else the one that its name tells.
    pub(crate) fn look(path: &Path, given: Option<&str>) -> Result<Self, Failure> {
        let shown = path.display();
        let mut file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let about = file
            .metadata()
            .with_context(|| format!("cannot read {shown}"))?;
        if !about.is_file() {
            return Err(Failure::Usage(format!("{shown} is no file")));
        }
        check_size(path, about.len())?;
        let (size, hash) = digest(&mut file).with_context(|| format!("cannot read {shown}"))?;
        check_size(path, size)?;
        let named = media_type::of_name(&name(path));
        let media_type = given.or(named).unwrap_or(media_type::UNKNOWN);
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            hash,
            media_type: media_type.to_owned(),
        })
    }

    /// Its name, without folders.
    pub(crate) fn name(&self) -> String {
        name(&self.path)
    }

    /// The file, to be read from its beginning.
    pub(crate) fn open(&self) -> Result<File, Failure> {
        let opened = self.file.try_clone();
        Ok(opened.with_context(|| format!("cannot read {}", self.path.display()))?)
    }

    /// The segment that shows it.
    pub(crate) fn segment_type(&self) -> &'static str {
        match self.media_type.split('/').next().unwrap_or_default() {
            "image" => "image",
            "audio" => "audio",
            "video" => "video",
            _ => "file",
        }
    }

    /// It as an attachment with this id, its bytes being where `source` says.
    pub(crate) fn attachment(&self, id: &str, source: &Value) -> Value {
        json!({"id": id, "name": self.name(), "media_type": self.media_type, "size": self.size,
            "sha256": self.hash.to_string(), "source": source})
    }

    fn attached(&self, id: &str, source: &Value) -> Attached {
        Attached {
            attachment: self.attachment(id, source),
            segment: json!({"type": self.segment_type(), "att": id}),
        }
    }

    /// The bytes in base64. They are those that were hashed, or the message is refused for its `sha256`.
    fn inline(&self) -> Result<Value, Failure> {
        let mut bytes = Vec::new();
        let most = ATTACHMENT_INLINE_BYTES_MAX as u64;
        let mut file = self.open()?;
        let read = file
            .rewind()
            .and_then(|()| file.take(most).read_to_end(&mut bytes));
        read.with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(json!({"inline": STANDARD.encode(bytes)}))
    }
}

/// Looks at all files, before anything is sent of any.
pub(crate) fn look_at(paths: &[PathBuf]) -> Result<Vec<LocalFile>, Failure> {
    if paths.len() > ATTACHMENTS_MAX {
        return Err(Failure::Usage(format!(
            "a message has at most {ATTACHMENTS_MAX} attachments, these are {}",
            paths.len()
        )));
    }
    let files = paths.iter().map(|path| LocalFile::look(path, None));
    files.collect()
}

/// The files as attachments: small ones inside of the message, the others referred to by their hash. Those are listed.
pub(crate) fn attach(files: &[LocalFile]) -> Result<(Vec<Attached>, Vec<&LocalFile>), Failure> {
    let (mut attached, mut outside) = (Vec::new(), Vec::new());
    let mut room = INLINE_BYTES_MAX;
    for (number, file) in files.iter().enumerate() {
        let id = format!("f{}", number + 1);
        let fits = file.size <= room.min(ATTACHMENT_INLINE_BYTES_MAX as u64);
        let source = if fits {
            room -= file.size;
            file.inline()?
        } else {
            outside.push(file);
            json!({"blob": file.hash.to_string()})
        };
        attached.push(file.attached(&id, &source));
    }
    Ok((attached, outside))
}

/// The files by their hash, for a sender without a server.
pub(crate) fn local(files: &[&LocalFile]) -> LocalFiles {
    let mut local = LocalFiles::default();
    for file in files {
        local.add(file.hash, file.path.clone(), file.size);
    }
    local
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn check_size(path: &Path, size: u64) -> Result<(), Failure> {
    if size <= BLOB_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{} has {size} bytes, and a file may have at most {BLOB_BYTES_MAX}",
        path.display()
    )))
}

/// Its length and its SHA-256. One that grows beyond what is taken is read no further.
fn digest(file: &mut File) -> std::io::Result<(u64, BlobHash)> {
    let mut context = digest::Context::new(&SHA256);
    let mut piece = vec![0; PIECE_BYTES];
    let mut size = 0;
    while size <= BLOB_BYTES_MAX {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        context.update(&piece[..read]);
        size += read as u64;
    }
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    hash.copy_from_slice(context.finish().as_ref());
    Ok((size, BlobHash(hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, size: usize) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, vec![b'a'; size]).unwrap();
        path
    }

    #[test]
    fn small_files_go_inside_as_far_as_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = vec![file(folder.path(), "v.MP4", 64 * 1024 + 1)];
        paths.extend((0..9).map(|n| file(folder.path(), &format!("{n}.png"), 64 * 1024)));
        paths.push(file(folder.path(), "s.mp3", 0));
        let files = look_at(&paths).unwrap();
        let (attached, outside) = attach(&files).unwrap();
        let outside: Vec<String> = outside.iter().map(|file| file.name()).collect();
        assert_eq!(outside, ["v.MP4", "8.png"]);
        let types: Vec<&str> = files.iter().map(LocalFile::segment_type).collect();
        assert_eq!((types[0], types[1], types[10]), ("video", "image", "audio"));
        assert_eq!(
            attached[10].attachment,
            json!({"id": "f11", "name": "s.mp3", "media_type": "audio/mpeg", "size": 0,
                "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "source": {"inline": ""}})
        );
        assert_eq!(attached[0].segment, json!({"type": "video", "att": "f1"}));
    }

    #[test]
    fn what_is_no_file_and_too_many_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), &folder.path().join("none")] {
            let refused = LocalFile::look(path, None).unwrap_err();
            assert!(format!("{refused:?}").contains(&path.display().to_string()));
        }
        let path = file(folder.path(), "a", 1);
        let refused = look_at(&vec![path; ATTACHMENTS_MAX + 1]).unwrap_err();
        assert!(format!("{refused:?}").contains("at most 32"), "{refused:?}");
    }
}
