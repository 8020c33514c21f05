//! What the wires that begin as HTTP are, in words and schemas, for the OpenAPI document. Must not serve anything: each stands
//! beside its handler in the table of `live`.

use std::borrow::Cow;

use anser_core::live::Operation as Asked;
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::held::OperateQuery;
use super::poll::PollQuery;
use super::sse::StreamQuery;
use super::ws::Handshake;
use crate::answer::JSON;
use crate::operation::Operation;

/// What every wire may refuse a connection with.
const REFUSALS: [u16; 5] = [400, 401, 403, 404, 429];
/// What the answer to a stream of events is.
const EVENT_STREAM: &str = "text/event-stream";

pub(super) fn web_socket() -> Operation {
    Operation::new(Method::GET, "/ws", "liveWebSocket", "Open a live session on a WebSocket")
        .describe(
            "RFC 6455, version 13: each message is a frame, one JSON object that names itself by `op`. Without a credential \
             in the header or in `token`, the first frame is `auth`. The guide `live.md` has the frames.",
        )
        .query::<Handshake>()
        .live()
        .switches("The session's frames follow.")
        .problems(&REFUSALS)
        .problems(&[405])
}

pub(super) fn events() -> Operation {
    Operation::new(Method::GET, "/sse", "liveEvents", "Open a live session as server-sent events")
        .describe(
            "An event's name is the `op` of its frame, its data the frame, its id the position: given back as \
             `Last-Event-ID`, or as `after`, what follows comes. The first event, `session`, has the name under which requests \
             are posted.",
        )
        .query::<StreamQuery>()
        .header("Last-Event-ID", "^[ -~]+$", "The id of the last event that arrived: the streams go on behind it.")
        .live()
        .answer_text(EVENT_STREAM, "Events, until the session ends.")
        .problems(&REFUSALS)
}

pub(super) fn poll() -> Operation {
    Operation::new(Method::GET, "/poll", "livePoll", "Take the next events of a live session, or wait for them")
        .describe("The first poll, without `after`, opens the session; each one after that says by its `after` what arrived.")
        .query::<PollQuery>()
        .live()
        .answer::<Polled>(200, "Events, none when none came in time.")
        .problems(&REFUSALS)
}

pub(super) fn ask(path: &'static str, id: &'static str) -> Operation {
    Operation::new(Method::POST, path, id, "Ask for something in a live session")
        .describe(
            "The name of the session is a secret of its client. A credential beside it must be of whoever opened it. What \
             is asked and cannot be done is answered 200 too, with `op` `error` in the place of the frame.",
        )
        .query::<OperateQuery>()
        .body::<OneOrMany<Frame>>(&[JSON])
        .live()
        .answer::<OneOrMany<Answered>>(200, "An answer a frame, in the order of the frames.")
        .problems(&REFUSALS)
}

pub(super) fn socket_io(method: Method, id: &'static str) -> Operation {
    Operation::new(method, "/socket.io/", id, "Open or use a live session by Socket.IO")
        .describe(
            "Engine.IO 4, Socket.IO protocol 5: the clients of Socket.IO 3 and 4 know what to send here, by long poll or on a \
             WebSocket. The credential is in the handshake, `auth: {token}`, or in the header. An event's name is the `op`.",
        )
        .query::<EngineQuery>()
        .live()
        .switches("The connection is a WebSocket from now on.")
        .answer_text("text/plain", "Packets of the protocol.")
        .problems(&[400, 403, 413, 429])
}

/// What a client of Engine.IO says in its address.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the library reads it; this is its description")]
pub(super) struct EngineQuery {
    /// The version of Engine.IO.
    #[serde(rename = "EIO")]
    #[schemars(extend("const" = "4"))]
    eio: String,
    /// How: `polling` or `websocket`.
    #[schemars(regex(pattern = "^(polling|websocket)$"))]
    transport: String,
    /// The session of Engine.IO, once it is open.
    sid: Option<String>,
}

/// One of them, or an array of them.
struct OneOrMany<T>(std::marker::PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "maxItems": super::held::FRAMES_MAX, "items": one}]})
    }
}

/// What a client asks.
struct Frame;

impl JsonSchema for Frame {
    fn schema_name() -> Cow<'static, str> {
        "LiveFrame".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Asked::names().collect();
        json_schema!({
            "type": "object",
            "description": "A request; what else it has goes by its `op`",
            "properties": {
                "op": {"enum": names},
                "ref": {"type": "string", "minLength": 1, "description": "The client's own mark, which the answer repeats"},
            },
            "required": ["op"],
        })
    }
}

/// What became of a request.
struct Answered;

impl JsonSchema for Answered {
    fn schema_name() -> Cow<'static, str> {
        "LiveAnswer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "op": {"enum": ["ok", "error"]},
                "ref": {"type": "string"},
                "status": {"type": "integer", "description": "Of an error: the HTTP status that it has elsewhere"},
                "code": {"type": "string", "description": "Of an error: stable, for programs"},
                "detail": {"type": "string", "description": "Of an error: the rule that was broken, and how to mend it"},
                "field": {"type": "string", "description": "Of an error: the path of the field at fault"},
            },
            "required": ["op"],
        })
    }
}

/// What a poll is answered.
struct Polled;

impl JsonSchema for Polled {
    fn schema_name() -> Cow<'static, str> {
        "LiveEvents".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let events: Value = json!({
            "type": "object",
            "properties": {"op": {"enum": ["message", "presence", "iq", "ib", "closed"]}},
            "required": ["op"],
        });
        json_schema!({
            "type": "object",
            "properties": {
                "session": {"type": "string", "description": "The session's name, for requests: a secret"},
                "after": {"type": "string", "description": "For the next poll: what is given here arrived"},
                "events": {"type": "array", "items": events},
            },
            "required": ["session", "after", "events"],
        })
    }
}
