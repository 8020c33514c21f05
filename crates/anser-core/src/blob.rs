//! Blobs: bytes that are too large to ride in a message, kept once under the SHA-256 of their content. Must not know
//! where they are kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a SHA-256.
pub const BLOB_HASH_BYTES: usize = 32;

/// A blob's name: the SHA-256 of its bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; BLOB_HASH_BYTES]);

/// The blobs that a publish may refer to, each with its size in bytes.
pub type BlobSizes = HashMap<BlobHash, u64>;

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits, the SHA-256 of the bytes")]
pub struct InvalidBlobHash;

impl BlobHash {
    /// The bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; BLOB_HASH_BYTES] {
        &self.0
    }
}

impl FromStr for BlobHash {
    type Err = InvalidBlobHash;

    /// Takes both cases, as SHA-256 tools write either.
    fn from_str(text: &str) -> Result<Self, InvalidBlobHash> {
        let digits = text.as_bytes();
        if digits.len() != 2 * BLOB_HASH_BYTES {
            return Err(InvalidBlobHash);
        }
        let mut hash = [0; BLOB_HASH_BYTES];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(hash))
    }
}

fn digit(digit: u8) -> Result<u8, InvalidBlobHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(InvalidBlobHash),
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

impl Serialize for BlobHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for BlobHash {
    fn schema_name() -> Cow<'static, str> {
        "BlobHash".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "SHA-256 of the bytes, lower-case hex",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_in_both_cases_and_written_in_one() {
        let lower = "00ff10e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7f";
        let hash: BlobHash = lower.parse().unwrap();
        assert_eq!(hash.0[..3], [0, 0xff, 0x10]);
        assert_eq!(lower.to_ascii_uppercase().parse(), Ok(hash));
        assert_eq!(hash.to_string(), lower);
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(json, format!("\"{lower}\""));
        assert_eq!(serde_json::from_str::<BlobHash>(&json).unwrap(), hash);
    }

    #[test]
    fn what_is_not_64_digits_is_no_hash() {
        let good = "a".repeat(64);
        for text in [
            "",
            &good[1..],
            &format!("{good}a"),
            &good.replacen('a', "g", 1),
        ] {
            assert_eq!(text.parse::<BlobHash>(), Err(InvalidBlobHash), "{text}");
        }
        // 64 bytes, but fewer characters.
        assert_eq!("é".repeat(32).parse::<BlobHash>(), Err(InvalidBlobHash));
    }
}
