//! Programs on the gateway's machine: a message is their standard input, their exit code says what became of it, and what
//! they write goes back to where it came from. Must not find, start or end a program: the gateway does.

mod answer;
mod batch;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Answers, BatchAnswer, Batches, Channel, ChannelKind, Context, Exchange, ExecRequest,
    HttpResponse, Manifest, Plan, Program, Request, Step,
};
use anser_core::message::{MEDIA_TYPE, segment::KNOWN_TYPES};
use anser_core::outcome::Outcome;
use anser_core::resource::Ordering;
use anser_core::{Message, Problem, Timestamp};
use serde_json::Value;
use url::Url;

use settings::Checked;

/// The kind's name.
const KIND: &str = "exec";
/// The one format: the message as JSON.
const FORMAT: &str = "anser";
/// Version of the rendering, kept with a stored plan.
const PLAN_VERSION: u16 = 1;
const SETUP: &str = "Programs are run from one folder only, which is named in the gateway's configuration file and nowhere else: \
`[exec] dir = \"/etc/anser/programs\"`. Put an executable file there, writable by nobody but its owner, and make the channel with \
`program: \"bot.py\"`. It is started without a shell, in that folder, for each message: the message as JSON is its standard input, \
its environment is PATH, LANG and TZ, what `env` sets, and ANSER_DELIVERY_ID, ANSER_ATTEMPT, ANSER_MESSAGE_ID, ANSER_TOPIC, \
ANSER_SUBSCRIPTION, ANSER_TARGET and ANSER_POSSIBLE_DUPLICATE where they apply. Exit code 0: delivered. 65, 67 and 68 (EX_DATAERR, \
EX_NOUSER, EX_NOHOST of sysexits.h): never to be tried again. Any other, such as 75 (EX_TEMPFAIL): tried again. What ends by a signal \
or at the time limit may have done its work: it is tried again as a possible duplicate. Messages that it writes to standard output, \
one, several or a JSON array, are sent back to the conversation of the message; logs belong on standard error, whose end is kept with \
a failed attempt. What it started and leaves behind is ended with it. A queue with `trigger: {\"channel\": NAME}` gives it batches \
instead: a JSON array of messages as standard input; exit code 0 acknowledges all of them but those whose ids it writes as \
`{\"failed\": [\"ID\"]}`, where `\"replies\"` may stand beside; docs/guide/programs.md.";

/// The kind.
pub(crate) struct Exec;

impl ChannelKind for Exec {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Program",
            summary: "Runs a program on the gateway's machine for each message, or for batches of a queue.",
            links: vec![
                "https://man.freebsd.org/cgi/man.cgi?query=sysexits&sektion=3",
                "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: [KNOWN_TYPES.as_slice(), &["edit", "recall"]].concat(),
            generic: true,
            ordering: Ordering::Key,
            rate: None,
            target_rate: None,
            schemes: Vec::new(),
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            checked: settings::open(settings)?,
        }))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "rotating a secret of a program, which knows its own";
        Err(Problem::not_available("kind", what))
    }
}

/// A program that is ready to be run.
struct Opened {
    checked: Checked,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        None
    }

    fn program(&self) -> Option<&Arc<Program>> {
        Some(&self.checked.program)
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        if context.format.is_some_and(|format| format != FORMAT) {
            let detail = "a program has no such format";
            return Err(Problem::invalid("invalid_format", "format", detail).accepted(FORMAT));
        }
        let mut document = message.to_json();
        document.push(b'\n');
        Ok(Plan {
            version: PLAN_VERSION,
            steps: vec![Step::send(document.into(), MEDIA_TYPE)],
            degraded: Vec::new(),
        })
    }

    /// The program is told: it gets the edit itself, which names the message that it is about.
    fn edit(&self, edit: &Message, _: &[String], context: &Context<'_>) -> Result<Plan, Problem> {
        self.render(edit, context)
    }

    fn recall(
        &self,
        recall: &Message,
        _: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        self.render(recall, context)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        Ok(Request::Exec(ExecRequest {
            program: self.checked.program.clone(),
            facts: facts(message, context),
            input: step.body.clone(),
        }))
    }

    fn classify(&self, _: &Step, exchange: &Exchange, _: &Context<'_>) -> Outcome {
        answer::outcome(exchange)
    }

    fn answers(&self, response: &HttpResponse, _: &Context<'_>) -> Result<Answers, Problem> {
        answer::read(response, self.checked.replies)
    }
}

impl Batches for Opened {
    fn request(&self, queue: &str, batch: &[&Message]) -> ExecRequest {
        batch::request(&self.checked, queue, batch)
    }

    fn read(&self, batch: &[&Message], exchange: &Exchange) -> Result<BatchAnswer, String> {
        batch::read(&self.checked, batch, exchange)
    }
}

/// What a run is about, as variables of its environment.
fn facts(message: &Message, context: &Context<'_>) -> Vec<(&'static str, String)> {
    let header = &message.header;
    let mut facts = vec![
        ("ANSER_DELIVERY_ID", context.delivery.to_string()),
        ("ANSER_ATTEMPT", context.attempt.to_string()),
        ("ANSER_MESSAGE_ID", header.id.to_string()),
        ("ANSER_TOPIC", header.topic.clone()),
    ];
    let duplicate = context.possible_duplicate.map(|why| why.as_str());
    for (name, value) in [
        ("ANSER_SUBSCRIPTION", context.subscription),
        ("ANSER_TARGET", context.target),
        ("ANSER_POSSIBLE_DUPLICATE", duplicate),
    ] {
        facts.extend(value.map(|value| (name, value.to_owned())));
    }
    facts
}

#[cfg(test)]
mod tests;
