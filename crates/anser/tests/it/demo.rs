//! The demo plays to its verdict, with numbers that make sense.

use crate::harness::anser;

#[test]
fn the_demo_keeps_its_promises() {
    let verdict = anser(&["demo", "--seconds", "6", "--output", "json"]).json();
    assert_eq!(verdict["kept"], true, "{verdict:#}");
    assert_eq!(verdict["gateway"]["dead"], 0);
    let receivers = &verdict["receivers"];
    for (receiver, trouble) in [("billing", false), ("warehouse", true)] {
        let turned_away = receivers[receiver]["turned_away"].as_u64();
        assert_eq!(turned_away > Some(0), trouble, "{verdict:#}");
    }
    assert!(
        verdict["gateway"]["retried"].as_u64() > receivers["warehouse"]["turned_away"].as_u64(),
        "{verdict:#}"
    );
}

#[test]
fn the_demo_tells_its_story_in_lines_where_there_is_no_terminal() {
    let story = anser(&["demo", "--seconds", "5"]).ok();
    for told in [
        "anser demo: a gateway on http://127.0.0.1:",
        "accepted",
        "nothing lost",
        "in order",
        "signed",
        "counted",
    ] {
        assert!(story.contains(told), "{told}: {story}");
    }
    assert!(!story.contains('\u{1b}'), "no escape codes: {story}");
}
