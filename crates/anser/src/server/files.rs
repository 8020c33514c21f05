//! Where uploaded files are kept, and the links to them, from the settings. Must not open anything but that place.

use std::sync::Arc;
use std::time::Duration;

use anser_core::clock::Clock;
use anser_gateway::blobs::{BlobHandles, BlobOptions, BlobPlace, Blobs, PublicUrl, SignedLinks};
use anser_gateway::secrets::MASTER_KEY_BYTES;
use anyhow::anyhow;

use super::settings::Settings;

/// The folder of the blobs, in the data folder.
const BLOBS_FOLDER: &str = "blobs";

/// Opens the place of the blobs.
pub(crate) fn blobs(settings: &Settings, handles: BlobHandles) -> anyhow::Result<Arc<Blobs>> {
    let place = match &settings.blobs.url {
        None => BlobPlace::Folder(settings.data.join(BLOBS_FOLDER)),
        Some(url) => {
            let options = settings.blobs.options.iter();
            let variables = std::env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            });
            let mut all = BlobPlace::options_of(url, variables);
            all.extend(options.map(|(name, value)| (name.to_ascii_lowercase(), value.to_string())));
            BlobPlace::Url {
                url: url.clone(),
                options: all,
            }
        }
    };
    let mut options = BlobOptions::new(place);
    options.bytes_max = settings.limits.blob_bytes_max;
    options.reserve_bytes = settings.disk.reserve_bytes;
    let blobs = Blobs::new(options, handles).map_err(|problem| anyhow!("{problem}"))?;
    Ok(Arc::new(blobs))
}

/// What makes links to blobs, when the settings say where platforms reach the gateway.
pub(crate) fn links(
    settings: &Settings,
    master_key: &[u8; MASTER_KEY_BYTES],
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<Arc<SignedLinks>>> {
    let Some(url) = &settings.public_url else {
        return Ok(None);
    };
    let public = PublicUrl::new(url.clone()).map_err(|problem| anyhow!("{problem}"))?;
    let lifetime = Duration::from_secs(settings.blobs.link_seconds);
    let links = SignedLinks::new(&public, master_key, lifetime, Arc::clone(clock));
    Ok(Some(Arc::new(links)))
}
