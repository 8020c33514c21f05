//! Temporary objects: which of them uploads are writing, and whether others may have been left behind. An upload that
//! ends well, or badly with time to clean up, leaves none; one that is dropped or crashes does.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::random::Random;
use futures_util::StreamExt as _;

use super::place::Place;

/// What is being written.
#[derive(Debug, Clone)]
pub(super) struct Temporaries {
    names: Arc<Mutex<HashSet<String>>>,
    /// Something may have been left behind; at first by an earlier process.
    left: Arc<AtomicBool>,
}

impl Default for Temporaries {
    fn default() -> Self {
        Self {
            names: Arc::default(),
            left: Arc::new(AtomicBool::new(true)),
        }
    }
}

/// The name of a temporary object while an upload writes it.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) name: String,
    of: Temporaries,
    gone: bool,
}

impl Temporaries {
    /// A name that nobody else has.
    pub(super) fn begin(&self, random: &dyn Random) -> Temporary {
        let name = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
        self.names().insert(name.clone());
        Temporary {
            name,
            of: self.clone(),
            gone: false,
        }
    }

    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what was left behind, when there may be something.
    ///
    /// # Errors
    /// The object store's; then the next call tries again.
    pub(super) async fn clean(&self, place: &Place) -> object_store::Result<usize> {
        if !self.left.swap(false, Ordering::AcqRel) {
            return Ok(0);
        }
        let cleaned = match place.temporary_folder() {
            Some(folder) => self.clean_folder(folder).await,
            None => self.clean_objects(place).await,
        };
        if cleaned.is_err() {
            self.left.store(true, Ordering::Release);
        }
        cleaned
    }

    /// A folder's listing leaves out the files that are only half written.
    async fn clean_folder(&self, folder: std::path::PathBuf) -> object_store::Result<usize> {
        let names = self.clone();
        let clean = move || -> std::io::Result<usize> {
            let mut removed = 0;
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                let file = entry.file_name();
                let file = file.to_string_lossy();
                let name = file.split('#').next().unwrap_or_default();
                // Looked up after the file was found: a file is made after its name is taken.
                if !names.names().contains(name) {
                    match std::fs::remove_file(entry.path()) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(error);
                        }
                        _ => removed += 1,
                    }
                }
            }
            Ok(removed)
        };
        let cleaned = tokio::task::spawn_blocking(clean).await;
        cleaned
            .map_err(std::io::Error::other)
            .and_then(|cleaned| cleaned)
            .map_err(|error| object_store::Error::Generic {
                store: "folder",
                source: Box::new(error),
            })
    }

    async fn clean_objects(&self, place: &Place) -> object_store::Result<usize> {
        let mut removed = 0;
        let mut found = place.objects().list(Some(&place.temporary()));
        while let Some(object) = found.next().await {
            let name = object?.location;
            let in_use = name
                .filename()
                .is_some_and(|name| self.names().contains(name));
            if !in_use {
                place.remove(&name).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Temporary {
    /// Nothing is there under this name any more.
    pub(super) fn gone(&mut self) {
        self.gone = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.gone {
            self.of.left.store(true, Ordering::Release);
        }
        self.of.names().remove(&self.name);
    }
}
