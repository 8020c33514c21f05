//! The table of refusals: HTTP status, title and details by code
//! (<https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>). Must not decide what is refused.

use serde_json::{Value, json};

use super::super::{Answer, Breach, Refusal};

/// Status, title and details of a code.
const TABLE: &[(u16, i64, &str, &str)] = &[
    (401, 0, "AuthException", ""),
    (400, 1, "An unknown error occurred", ""),
    (503, 2, "Service temporarily unavailable", ""),
    (400, 4, "Application request limit reached", ""),
    (
        403,
        10,
        "Application does not have permission for this action",
        "",
    ),
    (400, 100, "Invalid parameter", ""),
    (
        401,
        104,
        "An access token is required to request this resource.",
        "",
    ),
    (
        401,
        190,
        "Invalid OAuth access token - Cannot parse access token",
        "",
    ),
    (
        403,
        368,
        "Temporarily blocked for policies violations",
        "The WhatsApp Business Account has been restricted.",
    ),
    (400, 2500, "Unknown path components", ""),
    (
        400,
        80007,
        "Rate limit issues",
        "The WhatsApp Business Account has reached its rate limit.",
    ),
    (
        429,
        130_429,
        "Rate limit hit",
        "Cloud API message throughput has been reached.",
    ),
    (
        500,
        131_000,
        "Something went wrong",
        "Message failed to send due to an unknown error.",
    ),
    (
        403,
        131_005,
        "Access denied",
        "Permission is either not granted or has been removed.",
    ),
    (
        400,
        131_008,
        "Required parameter is missing",
        "The request is missing a required parameter.",
    ),
    (
        400,
        131_009,
        "Parameter value is not valid",
        "One or more parameter values are invalid.",
    ),
    (
        503,
        131_016,
        "Service unavailable",
        "A service is temporarily unavailable.",
    ),
    (
        400,
        131_026,
        "Message undeliverable",
        "Message Undeliverable.",
    ),
    (
        400,
        131_030,
        "Recipient phone number not in allowed list",
        "Add recipient phone number to recipient list and try again.",
    ),
    (
        403,
        131_031,
        "Business Account locked",
        "The account has been restricted or disabled.",
    ),
    (
        400,
        131_042,
        "Business eligibility payment issue",
        "There was an error related to your payment method.",
    ),
    (
        400,
        131_047,
        "Re-engagement message",
        "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
    ),
    (
        400,
        131_048,
        "Spam rate limit hit",
        "Message failed to send because there are restrictions on how many messages can be sent from this phone number.",
    ),
    (
        400,
        131_049,
        "Meta chose not to deliver.",
        "This message was not delivered to maintain healthy ecosystem engagement.",
    ),
    (
        400,
        131_051,
        "Unsupported message type",
        "Message type is not currently supported.",
    ),
    (
        400,
        131_052,
        "Media download error",
        "Unable to download the media sent by the user.",
    ),
    (
        400,
        131_053,
        "Media upload error",
        "Unable to upload the media used in the message.",
    ),
    (
        400,
        131_056,
        "(Business Account, Consumer Account) pair rate limit hit",
        "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time.",
    ),
    (
        400,
        132_000,
        "Number of parameters does not match the expected number of params",
        "The number of variable parameter values included in the request did not match the number defined in the template.",
    ),
    (
        404,
        132_001,
        "Template name does not exist in the translation",
        "The template does not exist in the specified language or has not been approved.",
    ),
    (
        400,
        132_012,
        "Parameter format does not match format in the created template",
        "Variable parameter values formatted incorrectly.",
    ),
    (
        400,
        133_010,
        "Account not registered",
        "The phone number is not registered on the Whatsapp Business Platform.",
    ),
];
/// Codes that stand before their title as they are, without `(#…)`.
const BARE: [i64; 4] = [0, 104, 190, 2500];

/// The answer to a refusal; `details` in the place of the table's.
pub(super) fn told(code: &str, details: Option<&str>) -> Answer {
    let number = code.parse().unwrap_or(1);
    let row = TABLE.iter().find(|(_, known, ..)| *known == number);
    let (status, _, title, usual) = *row.unwrap_or(&(400, number, "error", ""));
    let message = match BARE.contains(&number) {
        true => title.to_owned(),
        false => format!("(#{number}) {title}"),
    };
    let mut error = json!({"message": message, "type": "OAuthException", "code": number,
        "fbtrace_id": "ASimWhatsAppTraceIdNumber01"});
    let details = details.unwrap_or(usual);
    if !details.is_empty() {
        error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
    }
    wrapped(status, &error)
}

fn wrapped(status: u16, error: &Value) -> Answer {
    Answer::json(status, &json!({"error": error}))
}

/// A refusal as the table has it.
pub(super) fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: told(code, None),
    })
}

/// A refusal that says what is wrong.
pub(super) fn refuse_for(code: &str, details: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: told(code, Some(details)),
    })
}

/// A parameter that does not say what it must.
pub(super) fn parameter(name: &str, breach: Breach) -> Box<Refusal> {
    refuse_for(
        "131009",
        &format!("Parameter '{name}' is not valid"),
        breach,
    )
}

/// A parameter that must be there.
pub(super) fn missing(name: &str) -> Box<Refusal> {
    let details = format!("Parameter '{name}' is missing");
    refuse_for("131008", &details, Breach::Content)
}

/// There is no such number, or nothing of that name of it: the API does not tell which.
pub(super) fn without_number(id: &str) -> Box<Refusal> {
    let message = format!(
        "Unsupported request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation"
    );
    let error = json!({"message": message, "type": "GraphMethodException", "code": 100, "error_subcode": 33,
        "fbtrace_id": "ASimWhatsAppTraceIdNumber01"});
    Box::new(Refusal {
        code: "100".to_owned(),
        breach: Breach::Content,
        answer: wrapped(400, &error),
    })
}
