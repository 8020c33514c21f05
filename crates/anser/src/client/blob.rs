//! `anser blob`: files kept by the gateway under their SHA-256, sent and fetched as streams. Must not hold one in memory.

use std::fs::Permissions;
use std::io::{IsTerminal as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anser_core::blob::BlobHash;
use anyhow::Context as _;
use aws_lc_rs::digest::{self, SHA256};
use clap::Subcommand;
use serde_json::{Value, json};

use super::api::Api;
use crate::attach::LocalFile;
use crate::exit::Failure;
use crate::output::Output;

/// Who may read a file that is fetched: whoever the umask leaves.
const FILE_MODE: u32 = 0o666;

/// What to do with blobs.
#[derive(Debug, Subcommand)]
pub(crate) enum BlobCommand {
    /// Upload a file; shows its hash and how a message refers to it. It is kept for a day, and for as long as messages
    /// refer to it.
    Put {
        /// The file.
        file: PathBuf,
        /// Its media type; default: what its name tells. It goes into the attachment that is shown.
        #[arg(long, value_name = "TYPE")]
        media_type: Option<String>,
    },
    /// Download a blob, and check that it is the one that its hash names.
    Get {
        /// Its hash: the SHA-256 of its bytes, 64 hexadecimal digits.
        hash: BlobHash,
        /// Where to; default: standard output, unless that is a terminal. A file that is there is replaced once all has
        /// come.
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

impl BlobCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Put { file, media_type } => put(api, output, &file, media_type.as_deref()).await,
            Self::Get {
                hash,
                out: Some(path),
            } => get_file(api, output, hash, &path).await,
            Self::Get { hash, out: None } => get(api, hash).await,
        }
    }
}

async fn put(
    api: &Api,
    output: &Output,
    path: &Path,
    media_type: Option<&str>,
) -> Result<(), Failure> {
    let file = LocalFile::look(path, media_type)?;
    let mut kept = upload(api, &file).await?;
    let source = json!({"blob": file.hash.to_string()});
    kept["attachment"] = file.attachment("f1", &source);
    output.result(&kept.to_string(), |kept| {
        format!(
            "{}  {} bytes\nattachment: {}",
            file.hash, file.size, kept["attachment"]
        )
    });
    Ok(())
}

/// Uploads a file and answers what the server says of it.
pub(super) async fn upload(api: &Api, file: &LocalFile) -> Result<Value, Failure> {
    let answer = api.upload(file.open()?, file.size, file.hash).await?;
    answer.json()
}

async fn get(api: &Api, hash: BlobHash) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        let text = "a blob is not shown on a terminal; name a file with -o, or redirect the output";
        return Err(Failure::Usage(text.to_owned()));
    }
    fetch(api, hash, &mut out).await?;
    Ok(out.flush().context("cannot write to standard output")?)
}

/// Puts it beside the file first, so that half of one is never taken for all of it.
pub(super) async fn get_file(
    api: &Api,
    output: &Output,
    hash: BlobHash,
    path: &Path,
) -> Result<(), Failure> {
    let cannot = || format!("cannot write {}", path.display());
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        let why = format!("{}: what is there is no file", cannot());
        return Err(Failure::Usage(why));
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut part = tempfile::Builder::new()
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .with_context(cannot)?;
    let size = fetch(api, hash, &mut part).await?;
    part.persist(path).with_context(cannot)?;
    let told = json!({"hash": hash, "size": size, "file": path.display().to_string()});
    output.result(&told.to_string(), |_| {
        format!("{}  {size} bytes", path.display())
    });
    Ok(())
}

/// Writes the blob's bytes as they come; says how many they were.
async fn fetch(api: &Api, hash: BlobHash, out: &mut impl Write) -> Result<u64, Failure> {
    let mut download = api.download(&["v1", "blobs", &hash.to_string()]).await?;
    let (mut size, mut context) = (0, digest::Context::new(&SHA256));
    while let Some(piece) = download.next().await? {
        size += piece.len() as u64;
        context.update(&piece);
        out.write_all(&piece).context("cannot write the blob")?;
    }
    if context.finish().as_ref() != hash.as_bytes() {
        return Err(Failure::Here(anyhow::anyhow!(
            "what came is not the blob {hash}: its {size} bytes have another SHA-256"
        )));
    }
    Ok(size)
}
