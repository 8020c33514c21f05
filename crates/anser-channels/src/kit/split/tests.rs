//! Cutting loses nothing, keeps to the limit, and cuts no grapheme.

use anser_core::message::segment::MentionKind;
use proptest::prelude::*;

use super::*;
use crate::kit::content::markdown_blocks;
use crate::kit::dialect::tests::hostile;
use crate::kit::dialect::{Dialect, Unit, no_bare, no_heading, no_link, verbatim};

const PLAIN: Dialect = Dialect {
    unit: Unit::Bytes,
    escape: verbatim,
    looks: &[(Look::BOLD, "**", "**"), (Look::CODE, "`", "`")],
    link: |label, url| Some(format!("[{label}]({url})")),
    bare: no_bare,
    image: no_link,
    mention: |kind, id, _| (kind == MentionKind::User).then(|| format!("<@{}>", id.unwrap_or("?"))),
    fence: Some(|lang| (format!("```{lang}\n"), "\n```")),
    code: str::to_owned,
    heading: no_heading,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "\n",
    backticks: true,
};

fn text(text: &str) -> Vec<Block> {
    vec![Block::paragraph(text_runs(text, Look::PLAIN))]
}

fn cut(blocks: Vec<Block>, max: usize) -> Vec<String> {
    let parts = split(blocks, max, &PLAIN).unwrap();
    parts.iter().map(|part| PLAIN.write(part)).collect()
}

#[test]
fn what_fits_is_left_alone() {
    assert_eq!(cut(text("short"), 20), ["short"]);
}

#[test]
fn lines_then_sentences_then_words() {
    let parts = cut(
        text("one line here\nanother line\nthe last of the lines"),
        45,
    );
    assert_eq!(
        parts,
        [
            "(1/2)\n\none line here\nanother line",
            "(2/2)\n\nthe last of the lines"
        ]
    );
    let parts = cut(text(&"A sentence ends. ".repeat(6)), 60);
    assert!(parts.len() > 1);
    for part in &parts {
        assert!(part.trim_end().ends_with("ends."), "{part:?}");
    }
    let parts = cut(text(&"word ".repeat(40)), 50);
    for part in &parts {
        assert!(part.trim_end().ends_with("word"), "{part:?}");
    }
}

#[test]
fn links_and_mentions_stay_whole() {
    let mention = Run::Mention {
        kind: MentionKind::User,
        id: Some("u1234567890".to_owned()),
        name: None,
    };
    let link = Run::Link {
        label: "a label".to_owned(),
        url: "https://a.example/path".to_owned(),
    };
    for filler in 0..70 {
        let mut runs = text_runs(&"x".repeat(filler), Look::PLAIN);
        runs.extend([mention.clone(), link.clone(), mention.clone()]);
        let parts = cut(vec![Block::paragraph(runs)], 64).concat();
        assert_eq!(parts.matches("<@u1234567890>").count(), 2, "{parts}");
        assert_eq!(
            parts.matches("[a label](https://a.example/path)").count(),
            1
        );
    }
}

#[test]
fn fences_are_closed_and_opened_again() {
    let lines: Vec<String> = (0..20)
        .map(|line| format!("let x{line} = {line};"))
        .collect();
    let code = Block::Code {
        lang: "rust".to_owned(),
        text: lines.join("\n"),
    };
    let parts = cut(vec![code], 100);
    assert!(parts.len() > 2);
    let mut found = Vec::new();
    for part in &parts {
        let (_, part) = part.split_once("\n\n").unwrap();
        let inner = part.strip_prefix("```rust\n").unwrap();
        found.extend(
            inner
                .strip_suffix("\n```")
                .unwrap()
                .split('\n')
                .map(str::to_owned),
        );
    }
    assert_eq!(found, lines);
}

#[test]
fn a_flood_is_refused() {
    let problem = split(text(&"x".repeat(1_000_000)), 100, &PLAIN).unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("too_long", Some("body"))
    );
}

/// What is read, without what cutting may add or drop: part numbers, line breaks.
fn read(blocks: &[Block]) -> String {
    let mut text = String::new();
    for block in blocks {
        match block {
            Block::Line { runs, .. } => {
                for run in runs {
                    if let Run::Text { text: part, .. } = run {
                        text.push_str(part);
                    }
                }
            }
            Block::Code { text: code, .. } => text.push_str(code),
            Block::Divider => {}
        }
    }
    text.replace('\n', "")
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let look = prop_oneof![Just(Look::PLAIN), Just(Look::BOLD), Just(Look::CODE)];
    let block = prop_oneof![
        (hostile(), look).prop_map(|(text, look)| vec![Block::paragraph(text_runs(&text, look))]),
        hostile().prop_map(|text| markdown_blocks(&text)),
        hostile().prop_map(|text| vec![Block::Code {
            lang: "c".to_owned(),
            text
        }]),
    ];
    proptest::collection::vec(block, 0..6).prop_map(|blocks| blocks.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_lost_and_limits_hold(blocks in blocks(), max in 90_usize..400) {
        // Text alone: what is no text is tested above.
        let mut blocks = blocks;
        for block in &mut blocks {
            if let Block::Line { runs, .. } = block {
                runs.retain(|run| matches!(run, Run::Text { .. } | Run::Break));
            }
        }
        let parts = split(blocks.clone(), max, &PLAIN).unwrap();
        for part in &parts {
            let written = PLAIN.write(part);
            prop_assert!(written.len() <= max, "{} > {max}: {written}", written.len());
        }
        let numbered = parts.len() > 1;
        let read_parts: String = parts
            .iter()
            .map(|part| read(&part[usize::from(numbered)..]))
            .collect();
        let blank = |text: &str| text.replace(|c: char| c.is_whitespace() || ('\u{200b}'..='\u{200f}').contains(&c) || c == '\u{2060}' || c == '\u{feff}', "");
        prop_assert_eq!(blank(&read_parts), blank(&read(&blocks)));
    }

    #[test]
    fn graphemes_stay_whole(graphemes in proptest::collection::vec(prop_oneof![
        Just("👩‍👩‍👧‍👦"), Just("e\u{301}"), Just("🇨🇳"), Just("नि"), Just("x"), Just("中"), Just(" ")
    ], 1..120)) {
        let whole = graphemes.concat();
        let parts = split(text(&whole), 90, &PLAIN).unwrap();
        let numbered = parts.len() > 1;
        let mut found = String::new();
        for part in &parts {
            let part = read(&part[usize::from(numbered)..]);
            let start = found.len();
            found.push_str(&part);
            let boundary = start == 0 || whole.grapheme_indices(true).any(|(place, _)| place == start);
            prop_assert!(boundary, "cut at {start} of {whole:?}");
        }
        prop_assert_eq!(found.trim_end(), whole.trim_end());
    }
}
