//! Bots of Slack, Telegram and Discord without a public address: the same, by Socket Mode, by polling, and by a session that is
//! resumed.

use anser_sim::{Fault, FaultKind};

use super::*;

/// Two messages, the second of which answers the first answer.
async fn talks_west(platform: Platform, duplicates: bool) -> (Stage, Vec<Received>) {
    let stage = Stage::set(platform, duplicates).await;
    echo(&stage.bot);
    stage.say("hello 你好", None);
    let first = stage.answers(1).await.remove(0);
    assert_eq!(first.conversation, stage.sim.messages()[0].conversation);
    stage.say("again", first.id);
    let answers = stage.answers(2).await;
    assert_eq!(
        [&*answers[0].text, &*answers[1].text],
        ["you said hello 你好", "you said again"]
    );
    assert_eq!(on_topic(&stage.server.api()).await, ["again", "hello 你好"]);
    assert_eq!(stage.bot.received("/bot").len(), 2);
    (stage, answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_a_public_address_answers_on_slack_in_the_thread() {
    let (stage, answers) = talks_west(Platform::Slack, true).await;
    stage.taken(4).await;
    let root = stage.sim.messages()[0].id.clone();
    for answer in answers {
        assert_eq!(answer.body["thread_ts"], json!(root), "{:#}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_polls_answers_on_telegram_as_a_reply() {
    let (stage, answers) = talks_west(Platform::Telegram, false).await;
    stage.taken(2).await;
    let asked = stage.sim.messages()[0].id.clone().unwrap();
    let reply = &answers[0].body["reply_parameters"]["message_id"];
    assert_eq!(reply.to_string(), asked, "{:#}", answers[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_a_public_address_answers_on_discord_as_a_reply_and_hears_not_itself() {
    let (stage, answers) = talks_west(Platform::Discord, false).await;
    let asked = stage.sim.messages()[0].id.clone();
    let reference = &answers[0].body["message_reference"]["message_id"];
    assert_eq!(*reference, json!(asked), "{:#}", answers[0].body);
    // A command is answered over HTTP, at once and then with what the bot says.
    stage.bot.rule("/bot", |_| {
        let answer = json!({"body": {"segments": [{"type": "text", "text": "done"}]}});
        let headers = vec![("content-type", MESSAGE.to_owned())];
        Some(Answer::Full(200, headers, answer.to_string().into_bytes()))
    });
    stage.say("/say all", None);
    let answers = stage.answers(3).await;
    assert_eq!(answers[2].text, "done");
    let commands = stage.bot.received("/bot");
    assert_eq!(commands.len(), 3, "what it said itself is not told");
    let header = &commands[2].json()["header"];
    assert_eq!(header["type"], "chat.command", "{header:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_slacks_socket_mode_is_on_its_topic_once_also_when_the_server_is_killed() {
    survives(Platform::Slack, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_update_that_is_polled_is_on_its_topic_once_also_when_the_server_is_killed() {
    survives(Platform::Telegram, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_discord_is_resumed_without_a_gap_and_without_a_repeat() {
    let stage = Stage::set(Platform::Discord, false).await;
    let session = stage.state("live").await["session"].clone();
    let is_resumed = |entry: &Value| entry["gap"]["recovery"] == "resumed";
    for (round, order) in [Order::Cut(None), Order::Refresh, Order::Cut(Some(4000))]
        .into_iter()
        .enumerate()
    {
        stage.say(&format!("{round} before"), None);
        stage.sim.order(order);
        stage.say(&format!("{round} in the gap"), None);
        let resumed = stage
            .journal_of("it is resumed", |entries| {
                entries.iter().filter(|entry| is_resumed(entry)).count() == round + 1
            })
            .await;
        let live = resumed.iter().filter(|entry| entry["event"] == "live");
        for entry in live {
            assert_eq!(entry["session"], session, "{resumed:#?}");
        }
    }
    let expected: Vec<String> = (0..3)
        .flat_map(|round| [format!("{round} before"), format!("{round} in the gap")])
        .collect();
    let found = eventually("all are on the topic", || async {
        let found = on_topic(&stage.server.api()).await;
        (found.len() >= expected.len()).then_some(found)
    })
    .await;
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_on_discord_while_the_server_is_killed_is_missing_and_the_journal_says_so() {
    let mut stage = Stage::set(Platform::Discord, false).await;
    stage.say("before", None);
    eventually("it is on the topic", || async {
        (on_topic(&stage.server.api()).await == ["before"]).then_some(())
    })
    .await;
    let options = stage.server.kill().await;
    let said = Said {
        chat: stage.chat.clone(),
        text: "in the gap".to_owned(),
        ..Said::default()
    };
    stage.sim.say(&said).unwrap();
    stage.server = options.start();
    stage.state("live").await;
    stage.say("behind", None);
    let is_missed = |entry: &Value| entry["gap"]["recovery"] == "missed";
    stage.journal("the gap is told", is_missed).await;
    eventually("it goes on", || async {
        (on_topic(&stage.server.api()).await == ["before", "behind"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_asks_for_another_connection_and_gets_it_at_once() {
    let stage = Stage::set(Platform::Slack, false).await;
    stage.sim.order(Order::Refresh);
    stage.say("hello", None);
    let entries = stage.journal("it is back", is_back).await;
    assert!(entries.iter().any(is_lost("asked")), "{entries:#?}");
    stage.taken(1).await;
    stage.sim.order(Order::Cut(None));
    stage.journal("the loss is told", is_lost("network")).await;
    stage.say("again", None);
    stage.taken(2).await;
    assert_eq!(on_topic(&stage.server.api()).await, ["again", "hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_poll_that_is_lost_is_asked_for_again() {
    let stage = Stage::set(Platform::Telegram, false).await;
    for kind in [FaultKind::DropAfterAccept, FaultKind::TruncateJson] {
        let fault = Fault::next(1, kind).on("/getUpdates");
        stage.sim.fail(fault).unwrap();
    }
    stage.say("one", None);
    stage.say("two", None);
    stage.taken(2).await;
    assert_eq!(on_topic(&stage.server.api()).await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_place_of_a_poll_is_told_of() {
    let stage = Stage::set(Platform::Telegram, false).await;
    let api = Api::new(stage.sim.base(), None);
    let path = format!("/bot{}/getUpdates", stage.sim.robots()[0].token);
    api.get(&path).await;
    let replaced = stage
        .journal("another took its place", is_lost("replaced"))
        .await;
    let detail = replaced.iter().find(|entry| is_lost("replaced")(entry));
    let detail = detail.unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("the same token"), "{detail}");
    stage.say("hello", None);
    stage.taken(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_connection_needs_is_named_and_what_is_refused_is_shown() {
    let server = ServerOptions::default().start();
    let api = server.api();
    api.make("/v1/topics", &json!({"name": "talk"})).await;
    let slack = Sim::start(SimOptions::new(Platform::Slack)).await.unwrap();
    let mut lacking = channel(Platform::Slack, &slack);
    lacking["settings"]
        .as_object_mut()
        .unwrap()
        .remove("app_token");
    let (status, problem) = api.post("/v1/channels", &lacking).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem.to_string().contains("app_token"), "{problem}");
    let discord = Sim::start(SimOptions::new(Platform::Discord))
        .await
        .unwrap();
    for (sim, platform, name, wrong, says) in [
        (
            &slack,
            Platform::Slack,
            "app_token",
            "xapp-1-wrong",
            "settings.app_token",
        ),
        (
            &discord,
            Platform::Discord,
            "token",
            "MTIz.wrong.token",
            "the token",
        ),
    ] {
        let mut channel = channel(platform, sim);
        channel["name"] = platform.name().into();
        channel["settings"][name] = wrong.into();
        api.make("/v1/channels", &channel).await;
        let path = format!("/v1/channels/{}/connection", platform.name());
        let view = eventually("it is refused", || async {
            let (_, view) = api.get(&path).await;
            (view["state"] == "refused").then_some(view)
        })
        .await;
        let detail = view["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
        assert!(!view.to_string().contains(wrong), "{view:#}");
    }
}
