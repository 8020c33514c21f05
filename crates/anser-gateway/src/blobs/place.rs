//! Where the bytes are: a folder or an object store, and the names in it. A folder syncs what it writes before it says
//! so, as object stores do by themselves. Must not know what a blob is for.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use anser_core::blob::BlobHash;
use anser_core::{Problem, ProblemKind};
use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, ObjectStoreScheme};
use url::Url;

use super::BlobPlace;
use super::gauge::Gauge;

/// The folder of temporary objects.
const TEMPORARY: &str = "uploads";
/// A part as it is written to a folder.
const FOLDER_PART_BYTES: usize = 1024 * 1024;
/// A part as it is sent to an object store; S3 takes no smaller ones, apart from the last ("Amazon S3 multipart upload
/// limits").
const CLOUD_PART_BYTES: usize = 5 * 1024 * 1024;
/// One request to an object store in all, unless the options say otherwise: as long as the platform that a blob is
/// streamed on to may take.
const REQUEST_TIMEOUT: (&str, &str) = ("timeout", "600s");

impl BlobPlace {
    /// The options that the environment has for the object store of `url`, by the variables that the vendor's own tools
    /// take: `AWS_…`, `AZURE_…`, `GOOGLE_…`. Those that mean nothing here, and empty ones, are left out.
    #[must_use]
    pub fn options_of(
        url: &Url,
        variables: impl Iterator<Item = (String, String)>,
    ) -> BTreeMap<String, String> {
        let Ok((scheme, _)) = ObjectStoreScheme::parse(url) else {
            return BTreeMap::new();
        };
        let prefix = match scheme {
            ObjectStoreScheme::AmazonS3 => "AWS_",
            ObjectStoreScheme::GoogleCloudStorage => "GOOGLE_",
            ObjectStoreScheme::MicrosoftAzure => "AZURE_",
            _ => return BTreeMap::new(),
        };
        variables
            .filter(|(name, value)| name.starts_with(prefix) && !value.is_empty())
            .filter(|(name, _)| is_option(&scheme, name))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect()
    }
}

/// The place.
pub(super) struct Place {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    folder: Option<PathBuf>,
    gauge: Option<Gauge>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.objects, self.prefix)
    }
}

impl Place {
    /// # Errors
    /// A [`Problem`] whose field is a setting of `[blobs]`.
    pub(super) fn open(place: BlobPlace, reserve: Option<u64>) -> Result<Self, Problem> {
        match place {
            BlobPlace::Folder(folder) => Self::folder(&folder, reserve),
            BlobPlace::Url { url, options } if url.scheme() == "file" => {
                if let Some(name) = options.keys().next() {
                    return Err(unknown_option(name, "a folder"));
                }
                let folder = url.to_file_path().map_err(|()| {
                    bad_url("file:///ABSOLUTE/PATH names no folder of this machine")
                })?;
                Self::folder(&folder, reserve)
            }
            BlobPlace::Url { url, options } => Self::cloud(&url, options),
        }
    }

    fn folder(folder: &FilePath, reserve: Option<u64>) -> Result<Self, Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            Problem::new(
                ProblemKind::Unavailable,
                "blobs_unavailable",
                format!("the folder {} cannot be used: {error}", folder.display()),
            )
            .field("blobs")
        };
        let temporary = folder.join(TEMPORARY);
        // Nothing is being uploaded yet, so whatever is there was left behind.
        match std::fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(&error));
            }
            _ => {}
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&temporary)
            .map_err(|error| failed(&error))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(&error))?;
        Ok(Self {
            objects: Arc::new(objects.with_fsync(true)),
            prefix: Path::default(),
            folder: Some(folder.to_owned()),
            gauge: Some(Gauge::new(folder.to_owned(), reserve)),
        })
    }

    fn cloud(url: &Url, mut options: BTreeMap<String, String>) -> Result<Self, Problem> {
        if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
            return Err(bad_url(
                "has a query, a fragment or a password; options go into [blobs.options], secrets into the environment",
            ));
        }
        let (scheme, _) = ObjectStoreScheme::parse(url).map_err(|_| {
            bad_url("is no place for blobs: use s3://BUCKET/PREFIX, gs://…, az://… or file:///…")
        })?;
        for name in options.keys() {
            if !is_option(&scheme, name) {
                return Err(unknown_option(name, url.scheme()));
            }
        }
        let (name, value) = REQUEST_TIMEOUT;
        options
            .entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
        let (objects, prefix) = object_store::parse_url_opts(url, options)
            .map_err(|error| bad_url(&format!("cannot be used: {error}")))?;
        Ok(Self {
            objects: objects.into(),
            prefix,
            folder: None,
            gauge: None,
        })
    }

    /// Where the objects are.
    pub(super) fn objects(&self) -> &dyn ObjectStore {
        &*self.objects
    }

    /// The name of a blob's object: its hash below two folders, so that none has too many members.
    pub(super) fn of_blob(&self, hash: BlobHash) -> Path {
        let name = hash.to_string();
        let prefix = self.prefix.clone();
        prefix.join(&name[..2]).join(&name[2..4]).join(name)
    }

    /// The name of a temporary object.
    pub(super) fn of_temporary(&self, name: &str) -> Path {
        self.temporary().join(name)
    }

    /// The folder of the temporary objects.
    pub(super) fn temporary(&self) -> Path {
        self.prefix.clone().join(TEMPORARY)
    }

    /// The same as a folder of this machine, when it is one.
    pub(super) fn temporary_folder(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(TEMPORARY))
    }

    /// Bytes that are written at once.
    pub(super) const fn part_bytes(&self) -> usize {
        if self.folder.is_some() {
            FOLDER_PART_BYTES
        } else {
            CLOUD_PART_BYTES
        }
    }

    /// Whether what fits one part is put at its name at once, with nothing left behind by a crash in between. A folder
    /// leaves a file beside it, where no sweep looks.
    pub(super) const fn puts_whole(&self) -> bool {
        self.folder.is_none()
    }

    /// Refuses an upload when the disk has too little room.
    ///
    /// # Errors
    /// 507 `storage_full`.
    pub(super) async fn check_room(&self) -> Result<(), Problem> {
        match &self.gauge {
            Some(gauge) => gauge.check().await,
            None => Ok(()),
        }
    }

    /// Removes an object; one that is not there is gone.
    ///
    /// # Errors
    /// The object store's.
    pub(super) async fn remove(&self, name: &Path) -> object_store::Result<()> {
        match self.objects.delete(name).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            answer => answer,
        }
    }
}

fn is_option(scheme: &ObjectStoreScheme, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match scheme {
        ObjectStoreScheme::AmazonS3 => name.parse::<AmazonS3ConfigKey>().is_ok(),
        ObjectStoreScheme::GoogleCloudStorage => name.parse::<GoogleConfigKey>().is_ok(),
        ObjectStoreScheme::MicrosoftAzure => name.parse::<AzureConfigKey>().is_ok(),
        _ => false,
    }
}

fn bad_url(detail: &str) -> Problem {
    Problem::invalid("invalid_url", "blobs.url", detail)
}

fn unknown_option(name: &str, of: &str) -> Problem {
    Problem::invalid(
        "unknown_option",
        format!("blobs.options.{name}"),
        format!("is no option of {of}"),
    )
}
