//! Who may upload blobs and read them: by key, or by a signed link. Must not touch their bytes.

use std::ops::Range;
use std::sync::Arc;

use anser_core::blob::BlobHash;
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind};
use bytes::Bytes;
use futures_util::Stream;

use crate::auth::Principal;
use crate::blobs::{BlobBody, BlobLink, BlobView, Blobs, LinkedBlob};
use crate::gateway::Gateway;

impl Gateway {
    /// The blobs, for what reads them on the way of a message.
    #[must_use]
    pub fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    /// Takes a blob. Uploading what is kept already changes nothing but when it was touched last.
    ///
    /// # Errors
    /// 403 without the scope `publish`; as [`Blobs::store`].
    pub async fn put_blob(
        &self,
        principal: &Principal,
        bytes: impl Stream<Item = Result<Bytes, Problem>> + Send,
        expected: Option<BlobHash>,
    ) -> Result<BlobView, Problem> {
        principal.require(Scope::Publish)?;
        self.blobs.store(bytes, expected).await
    }

    /// What there is to tell of a blob.
    ///
    /// # Errors
    /// As [`Gateway::get_blob`].
    pub async fn blob(&self, principal: &Principal, hash: BlobHash) -> Result<BlobView, Problem> {
        may_read(principal)?;
        let size = self.blobs.size(hash).await?;
        let size = size.ok_or_else(|| not_found(hash))?;
        Ok(BlobView { hash, size })
    }

    /// The bytes of a blob, or a part of them. Who knows a blob's name has seen its bytes, or a message that refers to
    /// it: beyond the scope, patterns of topics do not matter.
    ///
    /// # Errors
    /// 403 without one of the scopes `read` and `consume`; 404 `blob_not_found`; as [`Blobs::open`].
    pub async fn get_blob(
        &self,
        principal: &Principal,
        hash: BlobHash,
        range: Option<Range<u64>>,
    ) -> Result<BlobBody, Problem> {
        may_read(principal)?;
        let body = self.blobs.open(hash, range).await?;
        body.ok_or_else(|| not_found(hash))
    }

    /// What a signed link leads to. Its bytes are then asked of [`Gateway::blobs`].
    ///
    /// # Errors
    /// 403 `invalid_link` or `expired_link`; 404 `blob_not_found` when the gateway makes no links.
    pub fn blob_of_link(&self, link: &BlobLink<'_>) -> Result<LinkedBlob, Problem> {
        let Some(links) = &self.links else {
            return Err(Problem::new(
                ProblemKind::NotFound,
                "blob_not_found",
                "this gateway makes no links to blobs: it has no `public_url`",
            ));
        };
        links.verify(link)
    }
}

fn may_read(principal: &Principal) -> Result<(), Problem> {
    principal
        .require(Scope::Read)
        .or_else(|problem| principal.require(Scope::Consume).map_err(|_| problem))
}

fn not_found(hash: BlobHash) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "blob_not_found",
        format!(
            "there is no blob {hash} here: it was never uploaded, or nothing needed it any more"
        ),
    )
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::fixture::{Fixture, key};

    #[tokio::test]
    async fn publishers_upload_and_readers_and_consumers_read() {
        let fixture = Fixture::new();
        let gateway = &fixture.gateway;
        let of = |scope| key(&[scope], None, None);
        let upload = || stream::iter([Ok(Bytes::from_static(b"hello"))]);
        for scope in [Scope::Read, Scope::Consume] {
            let refused = gateway.put_blob(&of(scope), upload(), None).await;
            assert_eq!(refused.unwrap_err().code, "missing_scope");
        }
        let put = gateway.put_blob(&of(Scope::Publish), upload(), None).await;
        let hash = put.unwrap().hash;
        for scope in [Scope::Read, Scope::Consume, Scope::Admin] {
            let body = gateway.get_blob(&of(scope), hash, None).await.unwrap();
            assert_eq!((body.size, body.range), (5, 0..5));
            assert_eq!(gateway.blob(&of(scope), hash).await.unwrap().size, 5);
        }
        let refused = gateway.get_blob(&of(Scope::Publish), hash, None).await;
        assert_eq!(refused.unwrap_err().code, "missing_scope");
        let reader = of(Scope::Read);
        let unknown = gateway.get_blob(&reader, BlobHash([1; 32]), None);
        let problem = unknown.await.unwrap_err();
        assert_eq!(
            (problem.code, problem.kind.status()),
            ("blob_not_found", 404)
        );
        let link = BlobLink {
            hash: &hash.to_string(),
            name: "file",
            media_type: None,
            expires: "0",
            signature: "",
        };
        let problem = gateway.blob_of_link(&link).unwrap_err();
        assert_eq!(problem.code, "blob_not_found", "without a public URL");
    }
}
