//! What every dialect must keep: text of a user means itself, as a CommonMark reader sees it. The readers of the
//! platforms know less than CommonMark or the same.

use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::*;
use crate::kit::content::text_runs;

/// Texts made of what is markup somewhere.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<at user_id=\"all\">all</at>".to_owned()),
        Just("<at id=all></at>".to_owned()),
        Just("<@u1>".to_owned()),
        Just("<@all>".to_owned()),
        Just("<!channel>".to_owned()),
        Just("@everyone".to_owned()),
        Just("**b**".to_owned()),
        Just("__u__ _i_ ~~s~~ ||x||".to_owned()),
        Just("`c`".to_owned()),
        Just("```\ncode\n```".to_owned()),
        Just("[l](https://evil.example)".to_owned()),
        Just("![i](https://evil.example/p.png)".to_owned()),
        Just("<https://evil.example>".to_owned()),
        Just("<a href=\"tg://user?id=1\">x</a>".to_owned()),
        Just("<font color=\"warning\">w</font>".to_owned()),
        Just("# h".to_owned()),
        Just("> q".to_owned()),
        Just("- i".to_owned()),
        Just("+ i".to_owned()),
        Just("1. i".to_owned()),
        Just("---".to_owned()),
        Just("===".to_owned()),
        Just("| a | b |".to_owned()),
        Just("&amp;&#42;&lt;".to_owned()),
        Just("\\*".to_owned()),
        Just("\n".to_owned()),
        Just("\n\n    ".to_owned()),
        Just(" ".to_owned()),
        Just("\u{202e}\u{200d}👩‍👩‍👧‍👦é中文。".to_owned()),
        "[ -~]{0,8}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A plain text, written in the dialect and read by a CommonMark reader, is that text, without any mark.
pub(crate) fn text_means_itself(dialect: &Dialect, text: &str) -> Result<(), TestCaseError> {
    // Lines one by one: what a platform does with blanks before a line is not about markup.
    for line in text.split('\n') {
        let line = line.trim();
        let runs: Vec<Run> = text_runs(line, Look::PLAIN);
        let runs = runs
            .into_iter()
            .filter(|run| matches!(run, Run::Text { .. }))
            .collect();
        let block = Block::paragraph(runs);
        let Block::Line { runs, .. } = &block else {
            continue;
        };
        let wanted: String = runs
            .iter()
            .map(|run| match run {
                Run::Text { text, .. } => text.as_str(),
                _ => "",
            })
            .collect();
        let written = dialect.write(std::slice::from_ref(&block));
        prop_assert_eq!(bare(&read(&written)?), bare(&wanted), "{}", written);
    }
    Ok(())
}

fn bare(text: &str) -> String {
    text.replace(ZERO_WIDTH_SPACE, "").trim().to_owned()
}

/// The text that a CommonMark reader shows; marks of any kind are a failure.
fn read(written: &str) -> Result<String, TestCaseError> {
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES;
    let mut text = String::new();
    for event in Parser::new_ext(written, options) {
        match event {
            Event::Text(part) => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak => text.push('\n'),
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
            other => return Err(TestCaseError::fail(format!("{other:?} in {written:?}"))),
        }
    }
    Ok(text)
}
