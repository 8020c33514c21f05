//! Text of users in Discord's markup.

use proptest::prelude::*;

use super::dialect;
use crate::kit::dialect::tests::{hostile, text_means_itself};

proptest! {
    #[test]
    fn text_is_never_markup(text in hostile()) {
        text_means_itself(&dialect::MARKDOWN, &text)?;
        text_means_itself(&dialect::TEXT, &text)?;
    }
}
