//! TLS of the listener: reads certificate and key, and reads them again when a file changes, so that a renewed
//! certificate needs no restart. Connections that are open keep the one they began with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::options::TlsFiles;

/// Why the listener has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no PEM, or holds something else.
    #[error("{path} holds no usable PEM: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Certificate and key do not fit together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// What tells one state of a file from the next.
type Stamp = (Option<SystemTime>, u64);

/// The certificate in force.
pub(crate) struct Tls {
    files: TlsFiles,
    stamps: [Stamp; 2],
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    pub(crate) async fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        // The stamps come first: a change between them and the reading is then seen as one, and read once more.
        let stamps = stamps(files).await?;
        let certificate = read(&files.certificate).await?;
        let key = read(&files.key).await?;
        let config = configure(files, &certificate, &key)?;
        Ok(Self {
            files: files.clone(),
            stamps,
            config,
        })
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// Reads the files again if one has changed. Files that cannot be used leave the old certificate in force: they
    /// may be half written.
    pub(crate) async fn refresh(&mut self) {
        match stamps(&self.files).await {
            Ok(stamps) if stamps == self.stamps => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the old certificate stays in force");
                return;
            }
        }
        match Self::load(&self.files).await {
            Ok(new) => {
                *self = new;
                tracing::info!("new certificate in force");
            }
            Err(error) => tracing::warn!(%error, "the old certificate stays in force"),
        }
    }
}

async fn stamps(files: &TlsFiles) -> Result<[Stamp; 2], TlsError> {
    Ok([stamp(&files.certificate).await?, stamp(&files.key).await?])
}

async fn stamp(path: &Path) -> Result<Stamp, TlsError> {
    let metadata = tokio::fs::metadata(path)
        .await
        .map_err(|source| unreadable(path, source))?;
    Ok((metadata.modified().ok(), metadata.len()))
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path)
        .await
        .map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> TlsError {
    TlsError::Read {
        path: path.to_owned(),
        source,
    }
}

fn configure(
    files: &TlsFiles,
    certificate: &[u8],
    key: &[u8],
) -> Result<Arc<ServerConfig>, TlsError> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(wrong(&files.certificate))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(wrong(&files.key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

    fn copy(name: &str, folder: &Path) -> TlsFiles {
        let files = TlsFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        };
        // Of another length each time: the file system's clock may not tell two writes apart.
        let padding = "\n".repeat(name.len());
        for (kind, to) in [("crt", &files.certificate), ("key", &files.key)] {
            let pem = std::fs::read_to_string(format!("{FIXTURES}/{name}.{kind}")).unwrap();
            std::fs::write(to, pem + &padding).unwrap();
        }
        files
    }

    #[tokio::test]
    async fn a_new_certificate_comes_into_force_and_a_broken_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = copy("first", folder.path());
        let mut tls = Tls::load(&files).await.unwrap();
        let first = Arc::clone(&tls.config);
        tls.refresh().await;
        assert!(Arc::ptr_eq(&first, &tls.config), "nothing has changed");

        copy("second", folder.path());
        tls.refresh().await;
        let second = Arc::clone(&tls.config);
        assert!(!Arc::ptr_eq(&first, &second));

        std::fs::write(&files.key, "half a k").unwrap();
        tls.refresh().await;
        assert!(Arc::ptr_eq(&second, &tls.config));
        std::fs::remove_file(&files.key).unwrap();
        tls.refresh().await;
        assert!(Arc::ptr_eq(&second, &tls.config));
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_told_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let files = copy("first", folder.path());
        let mismatched = TlsFiles {
            key: format!("{FIXTURES}/second.key").into(),
            ..files.clone()
        };
        assert!(matches!(
            Tls::load(&mismatched).await.err(),
            Some(TlsError::Unusable(_))
        ));
        std::fs::write(&files.certificate, "").unwrap();
        assert!(Tls::load(&files).await.is_err());
        std::fs::remove_file(&files.certificate).unwrap();
        assert!(matches!(
            Tls::load(&files).await.err(),
            Some(TlsError::Read { .. })
        ));
    }
}
