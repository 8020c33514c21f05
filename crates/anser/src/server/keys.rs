//! Keys at rest: the master key that encrypts channel secrets, and the first admin key. From the environment, else from
//! a file in the data folder that only its owner may read. Must not log or print either.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anser_core::random::Random;
use anser_gateway::Gateway;
use anser_gateway::auth::AdminKey;
use anser_gateway::secrets::{MASTER_KEY_BYTES, parse_master_key};
use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The file of the master key, in the data folder.
const MASTER_KEY_FILE: &str = "master.key";
/// The file of the first admin key, in the data folder.
const ADMIN_KEY_FILE: &str = "admin.key";
/// A key file is read no further.
const KEY_FILE_BYTES_MAX: u64 = 4096;
/// For the owner alone.
const MODE_PRIVATE: u32 = 0o600;

/// The master key: `ANSER_MASTER_KEY`, else the file, which is made when it is missing.
pub(crate) fn master_key(
    data: &Path,
    random: &dyn Random,
) -> anyhow::Result<[u8; MASTER_KEY_BYTES]> {
    if let Some(text) = environment("ANSER_MASTER_KEY")? {
        return parse_master_key(&text)
            .map_err(|problem| anyhow!("ANSER_MASTER_KEY: {}", problem.detail));
    }
    let path = data.join(MASTER_KEY_FILE);
    if let Some(text) = read_private(&path)? {
        return parse_master_key(&text)
            .map_err(|problem| anyhow!("{}: {}", path.display(), problem.detail));
    }
    let mut key = [0; MASTER_KEY_BYTES];
    random.fill(&mut key);
    write_private(&path, &STANDARD.encode(key))?;
    tracing::info!(path = %path.display(), "master key made; keep a copy of it with your backups");
    Ok(key)
}

/// Sees to it that somebody may configure the gateway: `ANSER_ADMIN_KEY`, else the file, else a new key in that file.
pub(crate) async fn admin_key(gateway: &Gateway, data: &Path) -> anyhow::Result<()> {
    let path = data.join(ADMIN_KEY_FILE);
    let given = environment("ANSER_ADMIN_KEY")?;
    let from_file = given.is_none();
    let known = match given {
        Some(text) => Some(text),
        None => read_private(&path)?,
    };
    let outcome = gateway
        .ensure_admin_key(known)
        .await
        .map_err(|problem| anyhow!("cannot set up the first admin key: {problem}"))?;
    match outcome {
        AdminKey::Present | AdminKey::FromEnvironment => {}
        AdminKey::Generated(text) => {
            write_private(&path, &text).context(
                "the first admin key is lost; make another with `anser key create NAME --scopes admin --data DIR`",
            )?;
            tracing::info!(path = %path.display(), "first admin key made");
        }
        // A file that is left of other data is nobody's wish.
        AdminKey::EnvironmentUnused if from_file => {}
        AdminKey::EnvironmentUnused => {
            tracing::warn!("ANSER_ADMIN_KEY is not used: there is another admin key already");
        }
    }
    Ok(())
}

/// A key in a file of the data folder, when it is there.
fn read_private(path: &Path) -> anyhow::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    let mode = file
        .metadata()
        .with_context(|| format!("cannot read {}", path.display()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} can be read by others (mode {:o}): run chmod 600 on it",
            path.display(),
            mode & 0o777
        );
    }
    let mut text = String::new();
    file.take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(text.trim().to_owned()))
}

/// Writes a key into a new file that only its owner may read. On the disk before it is used: a key that was lost in a
/// crash would make what it encrypted unreadable.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE_PRIVATE)
            .open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A variable that holds a key; empty counts as absent.
fn environment(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => bail!("{name} is no text"),
    }
}

#[cfg(test)]
mod tests {
    use anser_core::random::SeededRandom;

    use super::*;

    #[test]
    fn a_master_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MASTER_KEY_FILE);
        let random = SeededRandom::new(1);
        let make = || master_key(folder.path(), &random);
        let first = make().unwrap();
        assert_eq!(make().unwrap(), first);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE_PRIVATE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(format!("{:#}", make().unwrap_err()).contains("chmod 600"));
    }

    #[test]
    fn a_damaged_master_key_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MASTER_KEY_FILE);
        write_private(&path, "short").unwrap();
        let error = master_key(folder.path(), &SeededRandom::new(1)).unwrap_err();
        assert!(format!("{error:#}").contains(MASTER_KEY_FILE), "{error:#}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short\n");
    }
}
