//! What a message costs on each kind of channel, without any I/O: `cargo run --release -p anser-channels --example bench`
//! prints one JSON object a kind: CPU to render a message with text, a mention, a picture, a card and a file, to make all
//! requests of the plan, and to classify their answers.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anser_core::channel::{
    Channel, ChannelKind, Context, Exchange, HttpResponse, Plan, Request, Step, StepKind, Token,
};
use anser_core::clock::{Clock, SystemClock};
use anser_core::id::{DeliveryId, Num};
use anser_core::outcome::Outcome;
use anser_core::{Message, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;

/// With text, mention, image, card and file.
const MESSAGE: &str = include_str!("../fixtures/chat.json");
/// Runs of a stage, of which the fastest counts: whatever else the machine did made the others slower.
const RUNS: u32 = 7;
/// A run takes about so long.
const RUN_TIME: Duration = Duration::from_millis(20);
/// Calls before a run's length is chosen.
const WARM_UP: u32 = 200;
/// Answers of platforms that have taken a message; each kind takes the first that it calls delivered.
const ANSWERS: [(u16, &str); 4] = [
    (
        200,
        r#"{"code":0,"errcode":0,"errmsg":"ok","msg":"success","ok":true,"ts":"1503435956.000247","channel":"C1","id":"1","message_id":"1","processQueryKey":"1","msgid":"1","result":{"message_id":1,"chat":{"id":1}},"data":{"message_id":"om_1","image_key":"img_1","file_key":"file_1"},"messages":[{"id":"wamid.1"}],"files":[{"id":"F1"}],"file_id":"F1","upload_url":"https://upload.example/1","media_id":"m1"}"#,
    ),
    (200, "ok"),
    (204, ""),
    (250, "2.0.0 Ok: queued as 1"),
];

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let clock = SystemClock::new();
    let message = Message::from_json(MESSAGE.as_bytes())?;
    for kind in anser_channels::registry() {
        let name = kind.manifest().kind;
        let measured = measure(&*kind, &message, &clock);
        let measured = measured.map_err(|error| format!("{name}: {error}"))?;
        println!("{measured}");
    }
    Ok(())
}

fn measure(
    kind: &dyn ChannelKind,
    message: &Message,
    clock: &dyn Clock,
) -> Result<String, Failure> {
    let manifest = kind.manifest();
    let settings = &manifest.settings["examples"][0];
    let channel = kind.open(settings)?;
    let token = Token::new("t-bench".to_owned(), Duration::from_secs(60));
    let context = context(token.as_ref());
    let plan = channel.render(message, &context)?;
    let outputs = outputs(&plan);
    let answers = answers(&*channel, &plan, &context, &outputs)?;
    let bytes = Bytes::from_static(b"the bytes of a file");
    let render = fastest(clock, || {
        black_box(channel.render(message, &context)).is_ok()
    });
    let request = fastest(clock, || {
        let mut steps = plan.steps.iter().enumerate();
        steps.all(|(place, step)| {
            let context = at(&context, place, &outputs, step, &bytes);
            black_box(make(&channel, step, message, &context)).is_some()
        })
    });
    let classify = fastest(clock, || {
        let mut steps = plan.steps.iter().zip(&answers).enumerate();
        steps.all(|(place, (step, answer))| {
            let context = at(&context, place, &outputs, step, &bytes);
            matches!(
                black_box(channel.classify(step, answer, &context)),
                Outcome::Delivered { .. }
            )
        })
    });
    let micros = |time: Option<Duration>| time.map(|time| time.as_nanos() as f64 / 1e3);
    let measured = json!({"kind": manifest.kind, "requests": plan.steps.len(), "render_us": micros(render),
        "request_us": micros(request), "classify_us": micros(classify)});
    Ok(measured.to_string())
}

fn make(
    channel: &Arc<dyn Channel>,
    step: &Step,
    message: &Message,
    context: &Context<'_>,
) -> Option<Request> {
    channel.request(step, message, context).ok()
}

/// The fastest run's time for one call; `None` when a call failed.
fn fastest(clock: &dyn Clock, mut call: impl FnMut() -> bool) -> Option<Duration> {
    let mut run = |calls: u32| {
        let begun = clock.monotonic();
        let good = (0..calls).all(|_| call());
        good.then(|| (clock.monotonic() - begun) / calls)
    };
    let first = run(WARM_UP)?;
    let calls = RUN_TIME.as_nanos() / first.as_nanos().max(1);
    let calls = u32::try_from(calls).unwrap_or(u32::MAX).max(WARM_UP);
    let mut fastest = None;
    for _ in 0..RUNS {
        let time = run(calls)?;
        fastest = Some(fastest.map_or(time, |fastest: Duration| fastest.min(time)));
    }
    fastest
}

/// An answer for each step that makes it done.
fn answers(
    channel: &dyn Channel,
    plan: &Plan,
    context: &Context<'_>,
    outputs: &[Option<String>],
) -> Result<Vec<Exchange>, Failure> {
    let bytes = Bytes::new();
    let mut answers = Vec::new();
    for (place, step) in plan.steps.iter().enumerate() {
        let context = at(context, place, outputs, step, &bytes);
        let mut known = ANSWERS.iter().filter_map(|(status, body)| {
            let answer: Exchange = Ok(HttpResponse {
                status: StatusCode::from_u16(*status).ok()?,
                headers: HeaderMap::new(),
                body: Bytes::from_static(body.as_bytes()),
            });
            let outcome = channel.classify(step, &answer, &context);
            matches!(outcome, Outcome::Delivered { .. }).then_some(answer)
        });
        answers.push(known.next().ok_or("calls no known answer delivered")?);
    }
    Ok(answers)
}

/// What the steps would have given.
fn outputs(plan: &Plan) -> Vec<Option<String>> {
    let output = |step: &Step| match step.kind {
        StepKind::Call => "key https://upload.example/key".to_owned(),
        _ => "key".to_owned(),
    };
    plan.steps.iter().map(output).map(Some).collect()
}

fn context(token: Option<&Token>) -> Context<'_> {
    Context {
        now: Timestamp::from_millis(1_795_395_607_000),
        delivery: DeliveryId::new(Num(7), 1),
        num: Num(7),
        attempt: 1,
        possible_duplicate: None,
        subscription: Some("all"),
        format: None,
        target: None,
        installation: 1,
        rung: 0,
        media_refused: false,
        links: None,
        step: 0,
        outputs: &[],
        media: None,
        token,
        fail_fast_4xx: false,
        cmq_policy: false,
    }
}

fn at<'a>(
    context: &Context<'a>,
    place: usize,
    outputs: &'a [Option<String>],
    step: &Step,
    bytes: &'a Bytes,
) -> Context<'a> {
    Context {
        step: place,
        outputs: &outputs[..place],
        media: step.loaded.then_some(bytes),
        ..context.clone()
    }
}
