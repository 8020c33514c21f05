//! Text of users in Slack's forms.

use proptest::prelude::*;

use super::{blocks, forms};
use crate::kit::content::{Block, Look, markdown_blocks, text_runs};
use crate::kit::dialect::tests::hostile;

proptest! {
    #[test]
    fn text_is_never_markup(text in hostile()) {
        let mut blocks = vec![Block::paragraph(text_runs(&text, Look::PLAIN))];
        let written = forms::TEXT.write(&blocks);
        prop_assert!(!written.contains(['<', '>']), "{written}");
        blocks.extend(markdown_blocks(&text));
        for block in blocks::rich_text(&blocks) {
            let block = block.to_string();
            for mark in ["\"user\"", "\"broadcast\"", "\"usergroup\"", "\"channel\"", "mrkdwn"] {
                prop_assert!(!block.contains(mark), "{block}");
            }
        }
    }
}
