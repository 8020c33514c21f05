//! Every refusal of the CMQ door: Tencent's codes and texts, byte for byte, as programs compare them, and the one mapping
//! from the gateway's problems to them. Must not invent a code: what Tencent documents no code for is an internal error.

use anser_core::{Problem, ProblemKind};
use serde_json::{Map, Value};

/// A row of Tencent's error table. `%s` in the text stands for a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    code: u16,
    module: u16,
    text: &'static str,
}

const fn row(code: u16, module: u16, text: &'static str) -> Row {
    Row { code, module, text }
}

pub(super) const REQUEST: Row = row(4000, 10110, "request parameters error");
pub(super) const LIST_KEY: Row = row(4000, 10310, "error: parameter %s key format error");
pub(super) const REPEATED: Row = row(4000, 10330, "parameter %s is NOT a repeatable parameter");
pub(super) const OUT_OF_RANGE: Row =
    row(4000, 10350, "parameter %s value or length is out of range");
pub(super) const ERROR_TYPE: Row = row(4000, 10360, "parameter %s error type");
pub(super) const BATCH_SIZE: Row = row(4000, 10370, "%s parameter batch size is out of range");
pub(super) const NOT_CONSEQUENT: Row = row(4000, 10380, "%s parameter is not consequent");
pub(super) const MISSING: Row = row(4000, 10390, "lacked of required parameter %s");
pub(super) const METHOD: Row = row(
    4000,
    10410,
    "unexpected http %s only GET or POST is supported",
);
pub(super) const UNREADABLE: Row = row(
    4000,
    10420,
    "cannot parse %s, or request size is more than 1MB",
);
pub(super) const NO_SUCH_ACTION: Row = row(4000, 10430, "action name %s is not existed");
pub(super) const QUEUE_NAME: Row = row(4000, 10020, "queue name format error");
pub(super) const EMPTY_BODY: Row = row(4000, 10120, "message body can't be empty");
pub(super) const RECEIPT_FORMAT: Row = row(4000, 10470, "receiptHandle error");
pub(super) const TAGS_OF_FILTER: Row = row(4000, 10490, "number of filterTag exceed limit");
pub(super) const ENDPOINT_FORMAT: Row = row(4000, 10500, "endpoint format error");
pub(super) const PROTOCOL: Row = row(4000, 10510, "undefined protocol");
pub(super) const STRATEGY: Row = row(4000, 10520, "undefined notify retry stragety");
pub(super) const CONTENT_FORMAT: Row = row(4000, 10530, "undefined notify content format");
pub(super) const TOPIC_IN_USE: Row = row(
    4000,
    10540,
    "there exists subscriptions under this topic, please unsubscribe all of them before DeleteTopic",
);
pub(super) const SUBSCRIPTION_NAME: Row = row(4000, 10580, "subscription name format error");
pub(super) const TOPIC_NAME: Row = row(4000, 10590, "topic name format error");
pub(super) const ILLEGAL_ENDPOINT: Row = row(4000, 10630, "illegal endpoint");
pub(super) const QUEUE_IS_SIMPLIFIED: Row = row(
    4000,
    10640,
    "notifyContentFormat of protocol queue must be SIMPLIFIED",
);
pub(super) const BINDING_KEYS: Row = row(4000, 10680, "too many bindingKey");
pub(super) const REWIND_TIME: Row = row(
    4000,
    10680,
    "invalid rewind time, you can get the vaild range of that via GetQueueAttributes",
);
pub(super) const DELIMITERS: Row = row(4000, 10691, "too many delimeters");
pub(super) const DELAY: Row = row(4000, 10692, "delay seconds is out of range");
pub(super) const NO_ROUTING_KEY: Row = row(4000, 10700, "parameters lack of routingKey");
pub(super) const REWIND_SECONDS: Row = row(
    4000,
    10700,
    "rewindSeconds cannot be greater than msgRetentionSeconds",
);
pub(super) const NO_BINDING_KEY: Row = row(4000, 10710, "parameters lack of bindingKey");
pub(super) const POLICY_JSON: Row = row(4000, 10710, "deadLetterPolicy must be a json string");
pub(super) const TAGS_OF_MESSAGE: Row = row(4000, 10720, "too many msgTag");
pub(super) const POLICY_PARAMETERS: Row =
    row(4000, 10720, "deadLetterPolicy params error,please check it");
pub(super) const DEAD_LETTER_ABSENT: Row = row(4000, 10730, "deadLetter queue not exist");
const DEAD_LETTER_NESTED: Row = row(4000, 10740, "deadLetter queue is not allowed to nest");
pub(super) const IS_DEAD_LETTER: Row = row(
    4000,
    10750,
    "it is not allowed to be deleted when the queue is dead letter queue",
);
pub(super) const POLICY_QUEUE: Row = row(
    4000,
    10760,
    "the deadLetterPolicy must has deadLetterQueue member, only be a string",
);
pub(super) const POLICY_KIND: Row = row(
    4000,
    10770,
    "the deadLetterPolicy must has policy member , only set 0 or 1",
);
const DEAD_LETTER_SOURCES: Row = row(4000, 10780, "the deadLetter Queue bind too many times");
pub(super) const AUTHENTICATION: Row = row(4100, 10030, "authentication failed");
pub(super) const NO_SUCH_SECRET_ID: Row = row(4100, 10270, "secret id is not existed");
pub(super) const BODY_TOO_LONG: Row = row(4400, 10230, "exceed maximum message size");
const QUEUE_FULL: Row = row(4410, 10240, "reach maximum retention number of message");
const THROTTLED: Row = row(4420, 10250, "qps throttling");
pub(super) const RECEIPT: Row = row(4430, 10260, "receipt handle is invalid");
pub(super) const NO_QUEUE: Row = row(4440, 10100, "queue is not existed, or deleted");
pub(super) const NO_TOPIC: Row = row(4440, 10600, "topic is not existed, or deleted");
/// Tencent documents no code for it; the code of a missing topic, with a text of its own.
pub(super) const NO_SUBSCRIPTION: Row = row(4440, 10600, "subscription is not existed");
pub(super) const QUEUES_MAX: Row = row(4450, 10220, "number of queues has reached the limit");
pub(super) const TOPICS_MAX: Row = row(4450, 10610, "number of topics has reached the limit");
pub(super) const QUEUE_EXISTS: Row = row(4460, 4460, "queue is already existed,case insensitive");
pub(super) const TOPIC_EXISTS: Row = row(4460, 10550, "topic is already existed");
pub(super) const BATCH_TOO_LONG: Row = row(4470, 10300, "total message size exceed 1MB");
pub(super) const SUBSCRIPTION_EXISTS: Row = row(4490, 10470, "subscribtion is already existed");
pub(super) const SUBSCRIPTIONS_MAX: Row =
    row(4500, 10480, "number of subscription has reached the limit");
pub(super) const ENDPOINT_BLANKS: Row = row(4510, 10570, "url connot contain any blank characters");
pub(super) const INTERNAL: Row = row(6000, 10050, "server internal error");
pub(super) const DELETED_IN_PART: Row = row(6010, 10150, "delete message partially failed");
pub(super) const DELETED_NONE: Row = row(6020, 10290, "batch delete message failed");
pub(super) const TOPIC_UNSUBSCRIBED: Row = row(
    6030,
    10650,
    "topic has no subscription, please create a subscription before publishing message",
);
pub(super) const UNMATCHED: Row = row(
    6030,
    10730,
    "no bindingKey or filterTag matches the routingKey or msgTag",
);
const NOT_REWINDABLE: Row = row(6050, 10670, "your queue cannot be rewinded");
pub(super) const FILTER_TOO_LONG: Row = row(6050, 10740, "too many filterTag or bindingKey");
const TOO_MANY_HELD: Row = row(
    6070,
    10690,
    "too many unacked(inactive) messages or delayed messages",
);
pub(super) const NO_MESSAGE: Row = row(7000, 10200, "no message");

/// A refusal.
#[derive(Debug)]
pub(super) struct Fault {
    row: &'static Row,
    subject: Option<String>,
    /// What our own problem says: the rule and the remedy. An extra member that Tencent's clients do not read.
    detail: Option<String>,
    /// Answered beside the refusal.
    fields: Option<Box<Map<String, Value>>>,
}

impl From<&'static Row> for Fault {
    fn from(row: &'static Row) -> Self {
        Self {
            row,
            subject: None,
            detail: None,
            fields: None,
        }
    }
}

impl Fault {
    /// The row about something with a name.
    pub(super) fn about(row: &'static Row, subject: impl Into<String>) -> Self {
        Self {
            subject: Some(subject.into()),
            ..Self::from(row)
        }
    }

    /// Says more than the table does.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Answers members beside the refusal.
    pub(super) fn with(mut self, fields: Map<String, Value>) -> Self {
        self.fields = Some(Box::new(fields));
        self
    }

    /// Whether it is of this row.
    pub(super) fn is(&self, row: &'static Row) -> bool {
        self.row == row
    }

    /// Whether the gateway is at fault.
    pub(super) fn is_internal(&self) -> bool {
        self.is(&INTERNAL)
    }

    /// The answer's `code`.
    pub(super) const fn code(&self) -> u16 {
        self.row.code
    }

    /// The answer's `message`: `(MODULE)TEXT`.
    pub(super) fn message(&self) -> String {
        let text = format!("({}){}", self.row.module, self.row.text);
        match &self.subject {
            Some(subject) => text.replace("%s", subject),
            None => text,
        }
    }

    /// What is answered beside `code` and `message`.
    pub(super) fn into_fields(self) -> Map<String, Value> {
        let mut fields = self.fields.map_or_else(Map::new, |fields| *fields);
        if let Some(detail) = self.detail {
            fields.insert("detail".to_owned(), detail.into());
        }
        fields
    }
}

/// By the problem's code where Tencent has a row for it, else by its kind. Callers that know more than the problem says
/// (what `in_use` means for a topic) map it before.
impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let field = without_place(problem.field.as_deref().unwrap_or(""));
        let row = match problem.code {
            "queue_not_found" => &NO_QUEUE,
            "topic_not_found" => &NO_TOPIC,
            "subscription_not_found" => &NO_SUBSCRIPTION,
            "unknown_queue" if field.starts_with("dead_letter") => &DEAD_LETTER_ABSENT,
            "unknown_queue" if field.starts_with("header.to") => &NO_QUEUE,
            "unknown_queue" => &ILLEGAL_ENDPOINT,
            "nested_dead_letter" => &DEAD_LETTER_NESTED,
            "too_many_sources" => &DEAD_LETTER_SOURCES,
            "queue_full" | "topic_full" => &QUEUE_FULL,
            "too_many_leased" | "too_many_delayed" => &TOO_MANY_HELD,
            "rewind_off" => &NOT_REWINDABLE,
            "invalid_rewind_time" => &REWIND_TIME,
            "too_large" => &BODY_TOO_LONG,
            "out_of_range" if field == "rewind" => &REWIND_SECONDS,
            "out_of_range" if field.starts_with("dead_letter") => &POLICY_PARAMETERS,
            _ if field == "settings.url" && problem.code == "invalid_url" => &ENDPOINT_FORMAT,
            _ if field == "settings.url" => &ILLEGAL_ENDPOINT,
            _ => return Self::by_kind(&problem),
        };
        Self::from(row).detail(problem.to_string())
    }
}

/// A field without the place in its batch that may begin it.
fn without_place(field: &str) -> &str {
    let rest = field
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    rest.map_or(field, |(_, rest)| rest.trim_start_matches('.'))
}

impl Fault {
    fn by_kind(problem: &Problem) -> Self {
        let field = problem.field.as_deref().unwrap_or("");
        let fault = match problem.kind {
            // A right that is missing: Tencent answers both with 鉴权失败, authentication failed.
            ProblemKind::Unauthenticated | ProblemKind::Forbidden => Self::from(&AUTHENTICATION),
            ProblemKind::TooMany => Self::from(&THROTTLED),
            ProblemKind::Invalid if problem.code == "out_of_range" => {
                Self::about(&OUT_OF_RANGE, field)
            }
            ProblemKind::Invalid | ProblemKind::Malformed | ProblemKind::TooLarge => {
                Self::from(&REQUEST)
            }
            ProblemKind::NotFound
            | ProblemKind::MethodNotAllowed
            | ProblemKind::Timeout
            | ProblemKind::Conflict
            | ProblemKind::Precondition
            | ProblemKind::MediaType
            | ProblemKind::Internal
            | ProblemKind::Unavailable
            | ProblemKind::StorageFull => Self::from(&INTERNAL),
        };
        fault.detail(problem.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts that programs compare, as the real service writes them.
    #[test]
    fn messages_are_byte_exact() {
        for (fault, code, message) in [
            (Fault::from(&NO_MESSAGE), 7000, "(10200)no message"),
            (
                Fault::from(&QUEUE_EXISTS),
                4460,
                "(4460)queue is already existed,case insensitive",
            ),
            (
                Fault::about(&MISSING, "queueName"),
                4000,
                "(10390)lacked of required parameter queueName",
            ),
            (
                Fault::from(&RECEIPT),
                4430,
                "(10260)receipt handle is invalid",
            ),
            (
                Fault::about(&METHOD, "PUT"),
                4000,
                "(10410)unexpected http PUT only GET or POST is supported",
            ),
        ] {
            assert_eq!((fault.code(), fault.message().as_str()), (code, message));
        }
    }

    #[test]
    fn every_problem_has_a_documented_code() {
        use ProblemKind::{
            Conflict, Forbidden, Internal, Invalid, Malformed, NotFound, StorageFull, TooLarge,
            TooMany, Unavailable,
        };
        for (kind, code, field, expected) in [
            (NotFound, "queue_not_found", "", (4440, 10100)),
            (NotFound, "topic_not_found", "", (4440, 10600)),
            (NotFound, "channel_not_found", "", (6000, 10050)),
            (Forbidden, "missing_scope", "", (4100, 10030)),
            (Forbidden, "address_not_allowed", "queue", (4100, 10030)),
            (Invalid, "unknown_queue", "header.to[0]", (4440, 10100)),
            (Invalid, "unknown_queue", "[3].header.to[0]", (4440, 10100)),
            (Invalid, "unknown_queue", "dead_letter.queue", (4000, 10730)),
            (Invalid, "unknown_queue", "queue", (4000, 10630)),
            (
                Invalid,
                "address_not_allowed",
                "settings.url",
                (4000, 10630),
            ),
            (Invalid, "out_of_range", "rewind", (4000, 10700)),
            (Invalid, "out_of_range", "lease", (4000, 10350)),
            (Invalid, "schema_violation", "body.data", (4000, 10110)),
            (Malformed, "invalid_header", "", (4000, 10110)),
            (TooLarge, "too_large", "", (4400, 10230)),
            (TooMany, "queue_full", "", (4410, 10240)),
            (TooMany, "too_many_leased", "", (6070, 10690)),
            (TooMany, "overloaded", "", (4420, 10250)),
            (Conflict, "stale", "", (6000, 10050)),
            (StorageFull, "storage_full", "", (6000, 10050)),
            (Unavailable, "stopping", "", (6000, 10050)),
            (Internal, "internal", "", (6000, 10050)),
        ] {
            let fault = Fault::from(Problem::new(kind, code, "why").field(field));
            assert_eq!((fault.row.code, fault.row.module), expected, "{code}");
            assert!(fault.into_fields().contains_key("detail"));
        }
    }
}
