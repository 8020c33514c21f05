//! The table of codes of the API of apps, and its refusals. Must not know when which is given.

use std::time::Duration;

use serde_json::json;

use super::super::{Answer, Breach, Refusal, whole_seconds};

/// The answer to a request that is refused with that code; `None` for one that is none of this API.
pub(in super::super) fn refusal(code: &str, wait: Duration) -> Option<Answer> {
    let number: i64 = code.parse().ok()?;
    let answer = json!({"code": number, "msg": message(code)?});
    Some(match number {
        // The endpoints of tokens say no with a 200.
        10_003 | 10_014 => Answer::json(200, &answer),
        99_991_400 => Answer::json(429, &answer).with("x-ogw-ratelimit-reset", whole_seconds(wait)),
        _ => Answer::json(400, &answer),
    })
}

fn message(code: &str) -> Option<&'static str> {
    Some(match code {
        "10003" => "invalid param",
        "10014" => "app secret invalid",
        "41050" => "no user authority error",
        "99991400" => "request trigger frequency limit",
        "99991661" => "Missing access token for authorization",
        "99991663" | "99991664" | "99991668" | "99991677" => {
            "Invalid access token for authorization"
        }
        "99991672" => "Access denied. One of the following scopes is required: [im:message]",
        "230001" => "Your request contains an invalid request parameter.",
        "230002" => "The bot can not be outside the group.",
        "230006" => "Bot ability is not activated.",
        "230009" => "Message can only be recalled within one days.",
        "230011" => "The message is recalled.",
        "230013" => "Bot has NO availability to this user.",
        "230017" => "Bot is NOT the owner of the resource.",
        "230018" => "These operations are NOT allowed at current group settings.",
        "230020" => "This operation triggers the frequency limit, ext=chat rate limit",
        "230022" => "The content of the message contains sensitive information.",
        "230025" => "The length of the message content reaches its limit.",
        "230026" => "No permission to recall this message.",
        "230027" => "Lack of necessary permissions.",
        "230028" => "The messages do NOT pass the audit.",
        "230031" => "Message can only be modified within 14 days after sending.",
        "230035" => "Send Message Permission deny.",
        "230049" => "The message is being sent.",
        "230050" => "The message is invisible to the operator.",
        "230054" => "This operation is not supported for this message type.",
        "230055" => "The type of file upload does not match the type of message being sent.",
        "230071" => "The operator is not the sender of the message.",
        "230072" => "The message has reached the number of times it can be edited.",
        "230075" => "The message has exceeded the time that can be edited.",
        "230099" => {
            "Failed to create card content, ext=ErrCode: 200570; ErrMsg: card contains invalid image keys;"
        }
        "230110" => "Action unavailable as the message has been deleted.",
        "234001" => "Invalid request param.",
        "234003" => "File not in message.",
        "234006" => "The file size exceed the max value.",
        "234007" => "App does not enable bot feature.",
        "234008" => "The app is not the resource sender.",
        "234010" => "File's size can't be 0.",
        "234011" => "Can't regonnize the image format.",
        "234037" => "Downloaded file size exceeds limit.",
        _ => return None,
    })
}

pub(super) fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    refuse_for(code, breach, Duration::ZERO)
}

pub(super) fn refuse_for(code: &str, breach: Breach, wait: Duration) -> Box<Refusal> {
    let answer = refusal(code, wait).expect("it is one of the codes above");
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer,
    })
}

pub(super) fn not_found() -> Box<Refusal> {
    Box::new(Refusal {
        code: "404".to_owned(),
        breach: Breach::Content,
        answer: Answer::text(404, "404 page not found"),
    })
}

/// A message that is not whole, or a parameter that is wrong.
pub(super) fn invalid() -> Box<Refusal> {
    refuse("230001", Breach::Content)
}
