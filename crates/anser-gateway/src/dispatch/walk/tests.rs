//! Attempts through several steps, against a real listener: what goes out, what the next attempt takes over, and when a
//! message loses its attachments.

use anser_core::attempt::PossibleDuplicate;
use anser_core::channel::Instead;
use anser_core::outcome::OutcomeClass;
use serde_json::json;

use super::super::stand::{CLOSE, SILENCE, Way, part, upload};
use super::*;

/// The next attempt, after the store kept what this one left.
fn next(walk: Walk) -> Walk {
    Walk {
        checkpoint: Checkpoint::read(&walk.checkpoint.write()).unwrap(),
        paced: walk.paced,
        ..Walk::default()
    }
}

async fn attempt(way: &Way, walk: &mut Walk) -> OutcomeClass {
    way.go(walk).await.0.class()
}

/// Two uploads and a part with both; without attachments one part.
fn pictures(rung: u8, media: bool) -> Vec<Step> {
    match (rung, media) {
        (0, true) => vec![upload("up1", "a"), upload("up2", "b"), part("rich")],
        (0, false) => vec![part("linked")],
        _ => vec![part("plain")],
    }
}

/// A part, then an upload and a part with it.
fn text_first(_: u8, media: bool) -> Vec<Step> {
    if media {
        vec![part("text"), upload("up", "a"), part("rich")]
    } else {
        vec![part("text"), part("linked")]
    }
}

fn two() -> serde_json::Value {
    json!([{"id": "a", "source": {"inline": "b25l"}}, {"id": "b", "source": {"url": "URL/two"}}])
}

#[tokio::test]
async fn what_was_uploaded_is_not_uploaded_again() {
    let way = Way::new(pictures, &two()).await;
    way.stand.answer("rich", 503, "");
    let mut walk = Walk::default();
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Retry);
    assert_eq!(
        way.stand.requests(),
        ["up1 <one>", "two ", "up2 <two>", "rich up1+up2"]
    );
    assert!(walk.platform_ids.is_empty(), "nobody has seen anything yet");
    let mut walk = next(walk);
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Delivered);
    assert_eq!(way.stand.requests(), ["rich up1+up2"]);
    assert_eq!(
        (walk.platform_ids, walk.more),
        (vec!["rich".to_owned()], false)
    );
}

#[tokio::test]
async fn an_upload_that_fails_is_done_again_and_leaves_no_doubt() {
    let way = Way::new(pictures, &two()).await;
    way.stand.answer_with("up2", CLOSE);
    let mut walk = Walk::default();
    let (outcome, report) = way.go(&mut walk).await;
    assert!(report.unwrap().exchange.unwrap_err().sent);
    assert_eq!(outcome.class(), OutcomeClass::Retry, "{outcome:?}");
    assert_eq!(way.stand.requests(), ["up1 <one>", "two ", "up2 <two>"]);
    assert_eq!(
        attempt(&way, &mut next(walk)).await,
        OutcomeClass::Delivered
    );
    assert_eq!(way.stand.requests(), ["two ", "up2 <two>", "rich up1+up2"]);
}

#[tokio::test]
async fn a_refused_upload_leads_to_links_and_a_refused_form_to_a_lower_one() {
    let way = Way::new(pictures, &two()).await;
    way.stand.answer("up2", 413, "");
    let mut walk = Walk::default();
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Degrade);
    assert_eq!(
        walk.checkpoint,
        Checkpoint {
            media_refused: true,
            ..Checkpoint::default()
        }
    );
    way.stand.answer("linked", 415, "");
    let mut walk = next(walk);
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Degrade);
    assert_eq!(
        (walk.checkpoint.rung, walk.checkpoint.media_refused),
        (1, true)
    );
    assert_eq!(
        attempt(&way, &mut next(walk)).await,
        OutcomeClass::Delivered
    );

    // The part that shows what was uploaded is no attachment: its form goes down, and nobody has seen the uploads.
    way.stand.requests();
    way.stand.answer("rich", 415, "");
    let mut walk = Walk::default();
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Degrade);
    assert_eq!(
        walk.checkpoint,
        Checkpoint {
            rung: 1,
            ..Checkpoint::default()
        }
    );
}

#[tokio::test]
async fn after_a_part_was_seen_the_form_stays() {
    let way = Way::new(text_first, &two()).await;
    let mut walk = Walk::default();
    // What was seen is on record before the upload begins.
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Delivered);
    assert!(walk.more);
    assert_eq!(way.stand.requests(), ["text "]);
    way.stand.answer("up", 413, "");
    let (outcome, _) = way.go(&mut next(walk)).await;
    assert!(
        matches!(&outcome, Outcome::Rejected { code, .. } if code == "form_refused"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn after_a_part_was_seen_a_refused_step_has_its_own_lower_form() {
    fn parts(_: u8, _: bool) -> Vec<Step> {
        let link = Instead {
            steps: vec![part("link")],
            degraded: vec!["file->link".to_owned()],
        };
        let file = Step {
            attachment: Some("a".to_owned()),
            instead: Some(Box::new(link)),
            ..part("file")
        };
        vec![part("text"), file, part("last")]
    }
    let way = Way::new(parts, &two()).await;
    way.stand.answer("file", 413, "");
    let mut walk = Walk::default();
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Degrade);
    assert_eq!(way.stand.requests(), ["text ", "file <one>"]);
    let mut walk = next(walk);
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Delivered);
    assert_eq!(way.stand.requests(), ["link text", "last text+link"]);
    assert_eq!(walk.degraded, ["file->link"]);
}

#[tokio::test]
async fn a_part_that_may_have_been_seen_keeps_the_form() {
    let mut way = Way::new(pictures, &two()).await;
    way.stand.answer_with("rich", CLOSE);
    let mut walk = Walk::default();
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Unknown);
    way.doubt = Some(PossibleDuplicate::Unknown);
    way.stand.answer("rich", 415, "");
    assert_eq!(attempt(&way, &mut next(walk)).await, OutcomeClass::Rejected);
}

#[tokio::test]
async fn with_a_rate_an_upload_shares_the_turn_of_its_part() {
    fn parts(_: u8, _: bool) -> Vec<Step> {
        vec![upload("up", "a"), part("one"), part("two")]
    }
    let way = Way::new(parts, &two()).await;
    let mut walk = Walk {
        paced: true,
        ..Walk::default()
    };
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Delivered);
    assert!(walk.more);
    assert_eq!(way.stand.requests(), ["up <one>", "one up"]);
    let mut walk = next(walk);
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Delivered);
    assert_eq!(
        (way.stand.requests(), walk.more),
        (vec!["two up+one".to_owned()], false)
    );
    assert_eq!(walk.platform_ids, ["one", "two"]);
}

#[tokio::test]
async fn an_attachment_that_is_not_to_be_had_goes_as_a_link_and_a_wrong_one_nowhere() {
    let wrong = "0".repeat(64);
    for (attachment, answer, outcome, text) in [
        (
            json!({}),
            404,
            OutcomeClass::Degrade,
            "attachment a cannot be fetched: its server answers 404",
        ),
        (
            json!({"sha256": wrong}),
            200,
            OutcomeClass::Rejected,
            "SHA-256",
        ),
        (
            json!({"size": 4}),
            200,
            OutcomeClass::Rejected,
            "has 3 bytes and not the 4",
        ),
    ] {
        let mut given = json!({"id": "a", "source": {"url": "URL/file"}});
        for (field, value) in attachment.as_object().unwrap() {
            given[field] = value.clone();
        }
        fn one(_: u8, _: bool) -> Vec<Step> {
            vec![upload("up", "a"), part("rich")]
        }
        let way = Way::new(one, &json!([given])).await;
        way.stand.answer("file", answer, "abc");
        let mut walk = Walk::default();
        let (ended, _) = way.go(&mut walk).await;
        assert_eq!(ended.class(), outcome, "{ended:?}");
        assert!(format!("{ended:?}").contains(text), "{ended:?}");
        assert_eq!(
            way.stand.requests(),
            ["file "],
            "the upload never became whole"
        );
        assert_eq!(
            walk.checkpoint.media_refused,
            outcome == OutcomeClass::Degrade
        );
    }
}

#[tokio::test]
async fn a_step_may_have_its_attachment_whole() {
    fn whole(_: u8, _: bool) -> Vec<Step> {
        let loaded = true;
        vec![Step {
            attachment: Some("b".to_owned()),
            loaded,
            ..part("rich")
        }]
    }
    let way = Way::new(whole, &two()).await;
    assert_eq!(
        attempt(&way, &mut Walk::default()).await,
        OutcomeClass::Delivered
    );
    assert_eq!(way.stand.requests(), ["two ", "rich two"]);
    let large = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        ATTACHMENT_LOADED_BYTES_MAX + 1
    );
    way.stand.answer_with("two", &large);
    let mut walk = Walk::default();
    assert_eq!(attempt(&way, &mut walk).await, OutcomeClass::Degrade);
    assert!(walk.checkpoint.media_refused);
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_body_sent_again_from_its_beginning() {
    fn one(_: u8, _: bool) -> Vec<Step> {
        vec![upload("up", "b")]
    }
    let way = Way::new(one, &two()).await.with_token(one);
    way.stand.answer("token", 200, "t1");
    way.stand.answer("up", 401, "");
    way.stand.answer("token", 200, "t2");
    assert_eq!(
        attempt(&way, &mut Walk::default()).await,
        OutcomeClass::Delivered
    );
    assert_eq!(
        way.stand.requests(),
        [
            "token ",
            "two ",
            "up t1<two>",
            "token ",
            "two ",
            "up t2<two>"
        ]
    );
}

#[tokio::test]
async fn a_stop_breaks_an_upload_off_and_keeps_what_was_done() {
    let way = Way::new(pictures, &two()).await;
    way.stand.answer_with("up2", SILENCE);
    let mut walk = Walk::default();
    let stop = async {
        for _ in ["up1", "two", "up2"] {
            way.stand.came().await;
        }
        way.stopping.send_replace(true);
    };
    let ((outcome, _), ()) = tokio::join!(way.go(&mut walk), stop);
    assert_eq!(
        outcome,
        Outcome::TargetLimited {
            wait: Duration::ZERO
        }
    );
    assert!(walk.why.unwrap().contains("gateway stops"));
    assert_eq!(walk.checkpoint.delivered, [Some("up1".to_owned())]);
}
