//! Names that are no plain file's, what exit codes mean, and what programs may write.

use anser_core::channel::{
    ANSWERS_MAX, EXIT_CODE, PROGRAM_STDOUT_BYTES_MAX, RUN_FAILED, RUN_SUCCEEDED, SendError,
    SendErrorKind,
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::json;

use super::settings::Replies;
use super::*;

fn open(settings: Value) -> Result<Checked, Problem> {
    settings::open(&settings)
}

fn program() -> Checked {
    open(json!({"program": "bot"})).unwrap()
}

/// The answer to a run that ended by itself.
fn ended(code: i32, said: impl Into<Bytes>) -> Exchange {
    let mut headers = HeaderMap::new();
    headers.insert(EXIT_CODE, code.into());
    let status = if code == 0 { RUN_SUCCEEDED } else { RUN_FAILED };
    Ok(HttpResponse {
        status,
        headers,
        body: said.into(),
    })
}

fn message(id: u8) -> Message {
    let document = json!({"v": 1, "header": {"id": id_of(id), "time": "2026-11-23T01:00:00.000Z", "topic": "t", "type": "m",
        "from": {"kind": "service", "id": "s"}}, "body": {"data": id}});
    Message::from_json(document.to_string().as_bytes()).unwrap()
}

fn id_of(id: u8) -> String {
    format!("019aacf0-7c00-7a31-9a4e-4b1f0c2d9e{id:02x}")
}

#[test]
fn a_program_is_a_plain_file_name() {
    for good in ["bot", "bot.py", "0", "_a-b.c", &"a".repeat(128)] {
        assert!(open(json!({"program": good})).is_ok(), "{good}");
    }
    for bad in [
        "",
        ".",
        "..",
        "../bot",
        "a/../../bot",
        "/bin/sh",
        "sub/bot",
        "a\\b",
        "bot\0",
        ".hidden",
        "-c",
        "bot ",
        "bot\n",
        "bot;id",
        "$(id)",
        "*",
        "böt",
        &"a".repeat(129),
    ] {
        let problem = open(json!({"program": bad})).err().unwrap();
        let named = (problem.code, problem.field.as_deref());
        assert_eq!(
            named,
            ("invalid_program", Some("settings.program")),
            "{bad:?}"
        );
        assert!(problem.accepted.is_some());
    }
}

#[test]
fn what_it_is_given_is_bounded_and_no_variable_is_the_gateways() {
    for (more, field) in [
        (json!({"timeout": 0}), "settings.timeout"),
        (json!({"timeout": 601}), "settings.timeout"),
        (json!({"concurrency": 0}), "settings.concurrency"),
        (json!({"concurrency": 65}), "settings.concurrency"),
        (json!({"args": ["a\0b"]}), "settings.args[0]"),
        (
            json!({"args": ["a", "x".repeat(4_097)]}),
            "settings.args[1]",
        ),
        (json!({"args": vec!["a"; 65]}), "settings.args"),
        (json!({"env": {"EXEC_A": "\0"}}), "settings.env.EXEC_A"),
        (
            json!({"env": {"ANSER_TOPIC": "x"}}),
            "settings.env.ANSER_TOPIC",
        ),
        (json!({"env": {"1A": "x"}}), "settings.env.1A"),
        (json!({"env": {"A=B": "x"}}), "settings.env.A=B"),
        (json!({"env": {"": "x"}}), "settings.env."),
    ] {
        let mut settings = json!({"program": "bot"});
        for (name, value) in more.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let problem = open(settings).err().unwrap();
        assert_eq!(problem.field.as_deref(), Some(field), "{problem}");
    }
}

#[test]
fn values_of_variables_are_shown_to_nobody() {
    let checked = open(json!({"program": "bot", "env": {"EXEC_TOKEN": "s3cret"}})).unwrap();
    let shown = format!("{:?}", checked.program);
    assert!(shown.contains("EXEC_TOKEN") && !shown.contains("s3cret"));
    let schema = settings::schema();
    let values = &schema["properties"]["env"]["additionalProperties"];
    assert_eq!(values["writeOnly"], true);
}

#[test]
fn exit_codes_say_what_became_of_it() {
    let outcome = |code| answer::outcome(&ended(code, "first\nwhy it failed\n"));
    assert_eq!(outcome(0), Outcome::Delivered { platform_id: None });
    for code in [1, 2, 64, 69, 70, 75, 77, 126, 127, 255] {
        let reason = format!("exit code {code}: why it failed");
        assert_eq!(outcome(code), Outcome::Retry { reason });
    }
    for code in [65, 67, 68] {
        let rejected = Outcome::Rejected {
            code: format!("exit_{code}"),
            text: format!("exit code {code}: why it failed"),
        };
        assert_eq!(outcome(code), rejected);
    }
    let silent = answer::outcome(&ended(3, ""));
    assert!(matches!(silent, Outcome::Retry { reason } if reason == "exit code 3"));
}

#[test]
fn what_did_not_end_by_itself_may_have_done_its_work() {
    let error = |kind, sent| {
        let detail = "why".to_owned();
        answer::outcome(&Err(SendError { kind, sent, detail }))
    };
    for kind in [SendErrorKind::Program, SendErrorKind::TimedOut] {
        assert!(matches!(error(kind, true), Outcome::Unknown { .. }));
        assert!(matches!(error(kind, false), Outcome::Retry { .. }));
    }
}

#[test]
fn a_program_writes_no_message_one_or_several() {
    let one = json!({"body": {"segments": [{"type": "text", "text": "a"}]}});
    let lines = format!("{one}\n{one}\n");
    let pretty = format!("\n{one:#}\n");
    let array = json!([one, one, one]).to_string();
    let count = |said: &str, replies| {
        let response = ended(0, said.to_owned()).unwrap();
        answer::read(&response, replies).map(|answers| answers.items.len())
    };
    for (said, items) in [
        ("", 0),
        (" \n", 0),
        ("[]", 0),
        (&*pretty, 1),
        (&*lines, 2),
        (&*array, 3),
    ] {
        assert_eq!(count(said, Replies::Conversation).unwrap(), items, "{said}");
        assert_eq!(count(said, Replies::None).unwrap(), 0);
    }
    let many = one.to_string().repeat(ANSWERS_MAX + 1);
    let long = "x".repeat(PROGRAM_STDOUT_BYTES_MAX);
    for (said, code) in [
        ("done", "malformed_json"),
        ("{\"body\":", "malformed_json"),
        ("[1,", "malformed_json"),
        (&many, "too_many"),
        (&long, "answer_too_large"),
    ] {
        let problem = count(said, Replies::Conversation).unwrap_err();
        assert_eq!(problem.code, code);
        assert_eq!(count(said, Replies::None).unwrap(), 0);
    }
    let failed = ended(1, one.to_string()).unwrap();
    assert!(
        answer::read(&failed, Replies::Anywhere)
            .unwrap()
            .items
            .is_empty()
    );
}

#[test]
fn a_batch_is_one_array() {
    let (a, b) = (message(1), message(2));
    let request = batch::request(&program(), "jobs", &[&a, &b]);
    let input: Vec<Value> = serde_json::from_slice(&request.input).unwrap();
    assert_eq!(input[1]["header"]["id"], id_of(2));
    assert!(request.input.ends_with(b"]\n"));
    let facts = [
        ("ANSER_QUEUE", "jobs".to_owned()),
        ("ANSER_BATCH", "2".to_owned()),
    ];
    assert_eq!(request.facts, facts);
}

#[test]
fn a_batch_is_done_but_for_what_the_program_names() {
    let (a, b, again) = (message(1), message(2), message(2));
    let batch = [&a, &b, &again];
    let read = |said: String| batch::read(&program(), &batch, &ended(0, said));
    assert!(read(String::new()).unwrap().failed.is_empty());
    assert!(read("{}".to_owned()).unwrap().failed.is_empty());
    let failed = read(json!({"failed": [id_of(2)]}).to_string()).unwrap();
    assert_eq!(failed.failed, [1, 2]);
    for unclear in [
        "done".to_owned(),
        "[]".to_owned(),
        json!([[id_of(2)]]).to_string(),
        json!({"fialed": []}).to_string(),
        json!({"failed": [id_of(9)]}).to_string(),
        "x".repeat(PROGRAM_STDOUT_BYTES_MAX),
    ] {
        assert!(read(unclear).is_err(), "nothing is taken for done");
    }
    let failed = batch::read(&program(), &batch, &ended(65, "no"));
    assert_eq!(failed.unwrap_err(), "exit code 65: no");
}

#[test]
fn a_reply_names_the_message_of_the_batch_that_it_answers() {
    let (a, b) = (message(1), message(2));
    let reply = |to: Option<&str>| json!({"header": {"reply_to": to}, "body": {"data": 1}});
    let said = json!({"replies": [reply(Some(&id_of(2))), reply(None), reply(Some("om_1"))]});
    let answer = batch::read(&program(), &[&a, &b], &ended(0, said.to_string())).unwrap();
    let places: Vec<usize> = answer.answers.iter().map(|(place, _)| *place).collect();
    assert_eq!((places, answer.refused.len()), (vec![1], 2));
    let alone = json!({"replies": [{"body": {"data": 1}}]}).to_string();
    let answer = batch::read(&program(), &[&a], &ended(0, alone)).unwrap();
    assert_eq!(answer.answers.len(), 1);
}
