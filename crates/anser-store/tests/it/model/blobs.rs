//! Blobs among the random operations.

use anser_core::blob::BlobHash;
use anser_core::store::{BlobDoom, BlobIndex as _};
use proptest::prelude::*;

use super::Pair;

/// So few that messages share them.
const BLOBS: u8 = 4;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Announce {
        blob: u8,
    },
    Put {
        blob: u8,
    },
    Doom {
        age: u64,
        after: Option<u8>,
        limit: usize,
    },
    Remove {
        blob: u8,
    },
}

pub(super) fn hash(blob: u8) -> BlobHash {
    BlobHash([blob; 32])
}

/// What a message refers to: mostly nothing.
pub(super) fn referred() -> impl Strategy<Value = Vec<u8>> {
    let some = prop::sample::subsequence((0..BLOBS).collect::<Vec<_>>(), 1..3);
    prop_oneof![3 => Just(Vec::new()), 1 => some]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..BLOBS).prop_map(|blob| Step::Announce { blob }),
        4 => (0..BLOBS).prop_map(|blob| Step::Put { blob }),
        2 => (0..20_u64, proptest::option::of(0..BLOBS), 0..5_usize)
            .prop_map(|(age, after, limit)| Step::Doom { age, after, limit }),
        1 => (0..BLOBS).prop_map(|blob| Step::Remove { blob }),
    ]
}

impl Pair {
    pub(super) async fn blob_step(&mut self, step: Step) {
        let (ours, model) = (self.sqlite(), &self.model);
        match step {
            Step::Announce { blob } => {
                let hash = hash(blob);
                ours.blob_announce(hash, u64::from(blob)).await.unwrap();
                model.blob_announce(hash, u64::from(blob)).await.unwrap();
            }
            Step::Put { blob } => {
                let (hash, size) = (hash(blob), u64::from(blob));
                ours.blob_put(hash, size, self.now).await.unwrap();
                model.blob_put(hash, size, self.now).await.unwrap();
            }
            Step::Doom { age, after, limit } => {
                let doom = BlobDoom {
                    untouched_since: self.earlier(age),
                    after: after.map(hash),
                    limit,
                };
                assert_eq!(ours.blob_doom(doom).await, model.blob_doom(doom).await);
            }
            Step::Remove { blob } => {
                let hash = hash(blob);
                assert_eq!(ours.blob_remove(hash).await, model.blob_remove(hash).await);
            }
        }
    }

    pub(super) async fn compare_blobs(&self) {
        let (ours, model) = (self.sqlite(), &self.model);
        let all: Vec<BlobHash> = (0..BLOBS).map(hash).collect();
        assert_eq!(ours.blobs(all.clone()).await, model.blobs(all).await);
        assert_eq!(ours.blob_totals().await, model.blob_totals().await);
    }
}
