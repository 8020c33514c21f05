//! AES-256-CBC with PKCS#7 padding, in which some platforms wrap what they send. It hides and proves nothing: what is
//! decrypted must be verified by other means. Must not be used where we may choose.

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

/// Bytes of a block of AES, and of the vector that a message begins with.
pub(crate) const BLOCK_BYTES: usize = 16;
/// A key.
pub(crate) type Key = [u8; 32];

/// Decrypts in place what is padded to blocks of `pad_bytes`; `None` when it is no such thing.
pub(crate) fn decrypt<'a>(
    key: &Key,
    iv: &[u8; BLOCK_BYTES],
    pad_bytes: usize,
    bytes: &'a mut [u8],
) -> Option<&'a [u8]> {
    let key = DecryptingKey::cbc(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let iv = DecryptionContext::Iv128(FixedLength::from(iv));
    let plain: &[u8] = key.decrypt(bytes, iv).ok()?;
    let (&last, _) = plain.split_last()?;
    let pad = usize::from(last);
    let length = plain.len().checked_sub(pad)?;
    let (text, padding) = plain.split_at(length);
    ((1..=pad_bytes).contains(&pad) && padding.iter().all(|byte| *byte == last)).then_some(text)
}

/// Pads to blocks of `pad_bytes`, a multiple of [`BLOCK_BYTES`] below 256, and encrypts.
///
/// # Panics
/// Never for such a `pad_bytes`.
pub(crate) fn encrypt(
    key: &Key,
    iv: &[u8; BLOCK_BYTES],
    pad_bytes: usize,
    mut bytes: Vec<u8>,
) -> Vec<u8> {
    let pad = pad_bytes - bytes.len() % pad_bytes;
    let filled = bytes.len() + pad;
    bytes.resize(filled, u8::try_from(pad).expect("a padding is below 256"));
    let key = UnboundCipherKey::new(&AES_256, key).expect("the key has the length of AES-256");
    let key = EncryptingKey::cbc(key).expect("AES-256 has the mode CBC");
    let iv = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(&mut bytes, iv)
        .expect("the length is a multiple of the block's");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = [7; 32];
    const IV: [u8; BLOCK_BYTES] = [9; BLOCK_BYTES];

    #[test]
    fn what_was_encrypted_is_decrypted_at_every_length() {
        for pad_bytes in [16, 32] {
            for length in 0..100 {
                let plain = vec![b'x'; length];
                let mut bytes = encrypt(&KEY, &IV, pad_bytes, plain.clone());
                assert_eq!(bytes.len() % pad_bytes, 0);
                assert_eq!(
                    decrypt(&KEY, &IV, pad_bytes, &mut bytes),
                    Some(plain.as_slice())
                );
            }
        }
    }

    #[test]
    fn what_is_no_whole_number_of_blocks_or_padded_otherwise_is_refused() {
        for length in [0, 1, 15, 17] {
            assert_eq!(decrypt(&KEY, &IV, 16, &mut vec![0; length]), None);
        }
        // Padded to 32, of which 17 and more are too many for 16.
        let mut bytes = encrypt(&KEY, &IV, 32, vec![b'x'; 3]);
        assert_eq!(decrypt(&KEY, &IV, 16, &mut bytes), None);
        for bad in [0_u8, 17, 3] {
            let mut plain = vec![b'x'; 31];
            plain.push(bad);
            // The last block is what we say; the padding that is added after it is cut off again.
            let mut bytes = encrypt(&KEY, &IV, 16, plain);
            bytes.truncate(32);
            assert_eq!(decrypt(&KEY, &IV, 16, &mut bytes), None, "{bad}");
        }
    }
}
