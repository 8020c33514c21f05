//! Where a list goes on, as an opaque text. A cursor belongs to one list of one installation with one set of filters; a
//! checksum tells any other text. It protects nothing: the rights of the caller decide what each page shows.

use anser_core::Problem;
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The form of the cursors that this version writes and reads.
const VERSION: u8 = 1;
/// Version, position and checksum.
const BYTES: usize = 1 + 8 + CHECK_BYTES;
/// Bytes of the checksum: enough that no text is taken for a cursor by chance.
const CHECK_BYTES: usize = 8;

/// One list: what a cursor is for.
pub(crate) struct List {
    context: Context,
}

impl List {
    /// The list `name` of an installation, with the filters that its cursors belong to.
    pub(crate) fn new(installation: u64, name: &str, filters: &[Option<&str>]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(b"anser list cursor");
        context.update(&installation.to_be_bytes());
        for part in std::iter::once(Some(name)).chain(filters.iter().copied()) {
            // Length first, so that no two sets of filters read the same.
            let text = part.unwrap_or_default();
            context.update(&[u8::from(part.is_some())]);
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        Self { context }
    }

    /// The cursor for going on at `position`.
    pub(crate) fn write(&self, position: u64) -> String {
        let mut bytes = [0; BYTES];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&position.to_be_bytes());
        bytes[9..].copy_from_slice(&self.check(position));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position that a cursor stands for; `None` without one.
    ///
    /// # Errors
    /// 422 `invalid_cursor` for a text that this list did not write.
    pub(crate) fn read(&self, cursor: Option<&str>) -> Result<Option<u64>, Problem> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        self.position(cursor).map(Some).ok_or_else(|| {
            Problem::invalid(
                "invalid_cursor",
                "cursor",
                "is not a cursor of this list with these filters; begin without one",
            )
        })
    }

    fn position(&self, cursor: &str) -> Option<u64> {
        let mut bytes = [0; BYTES];
        let read = URL_SAFE_NO_PAD.decode_slice(cursor, &mut bytes).ok()?;
        let position = u64::from_be_bytes(bytes[1..9].try_into().ok()?);
        let written = read == BYTES && bytes[0] == VERSION && bytes[9..] == self.check(position);
        written.then_some(position)
    }

    fn check(&self, position: u64) -> [u8; CHECK_BYTES] {
        let mut context = self.context.clone();
        context.update(&[VERSION]);
        context.update(&position.to_be_bytes());
        let digest = context.finish();
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&digest.as_ref()[..CHECK_BYTES]);
        check
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(topic: Option<&str>) -> List {
        List::new(1_234_567_890, "messages", &[topic, None])
    }

    #[test]
    fn a_cursor_is_read_by_the_list_that_wrote_it_only() {
        let cursor = list(Some("orders")).write(77);
        assert_eq!(list(Some("orders")).read(Some(&cursor)), Ok(Some(77)));
        assert_eq!(list(None).read(None), Ok(None));
        for other in [
            list(None),
            list(Some("order")),
            List::new(1_234_567_890, "deliveries", &[Some("orders"), None]),
            List::new(1_234_567_890, "messages", &[None, Some("orders")]),
            List::new(1_234_567_891, "messages", &[Some("orders"), None]),
        ] {
            assert_eq!(
                other.read(Some(&cursor)).unwrap_err().code,
                "invalid_cursor"
            );
        }
    }

    proptest! {
        #[test]
        fn any_position_survives(position: u64) {
            let list = list(Some("orders"));
            prop_assert_eq!(list.read(Some(&list.write(position))), Ok(Some(position)));
        }

        #[test]
        fn a_forged_cursor_is_refused(text in ".{0,64}") {
            prop_assert_eq!(list(None).read(Some(&text)).unwrap_err().code, "invalid_cursor");
        }

        #[test]
        fn a_changed_cursor_is_refused(position: u64, place in 0_usize..BYTES, flip in 1_u8..) {
            let list = list(Some("orders"));
            let mut bytes = URL_SAFE_NO_PAD.decode(list.write(position)).unwrap();
            bytes[place] ^= flip;
            let forged = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert!(list.read(Some(&forged)).is_err());
        }
    }
}
