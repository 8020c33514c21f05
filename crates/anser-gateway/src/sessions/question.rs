//! Questions and answers of clients: to whom a question goes, and what the server answers itself.

use anser_core::live::{Answer, Event, IqEvent, IqType, Question};
use anser_core::name::{Address, UserId};
use anser_core::{Problem, ProblemKind};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::{ANSWER_WITHIN, QUESTIONS_MAX, Session};
use crate::live::forbidden;
use crate::live::plan::{NoAnswer, NotAsked, outcome};

/// What the server answers, also for a user.
const KNOWN: [&str; 4] = ["ping", "time", "version", "features"];
/// What clients can ask of the server, by word.
const FEATURES: [&str; 5] = ["mailbox", "topics", "presence", "iq", "transient"];

/// Who is asked.
enum Whom {
    Server,
    User(UserId, Option<String>),
}

impl Session {
    pub(super) fn iq(&self, question: Question) -> Result<Answer, Problem> {
        if question.r#type.asks() {
            self.ask(question)?;
        } else {
            self.answer(question)?;
        }
        Ok(Answer::Done {})
    }

    fn ask(&self, question: Question) -> Result<(), Problem> {
        let number = self.facts.id.number;
        let sessions = &self.gateway.sessions;
        let whom = self.whom(question.to.as_deref())?;
        let asked = sessions.change(|state, _| state.plan.check_question(number, &question.id));
        asked.map_err(not_asked)?;
        let query = query(question.payload.as_deref());
        let known = query.as_deref().filter(|query| KNOWN.contains(query));
        let to_server = matches!(whom, Whom::Server | Whom::User(_, None));
        if let Some(query) = known.filter(|_| to_server && question.r#type == IqType::Get) {
            let event = self.server_answers(question.id, query);
            sessions.change(|state, now| state.plan.answered(number, event, now));
            return Ok(());
        }
        if let Whom::User(user, _) = &whom {
            self.check_sight(user)?;
        }
        let from = self.address();
        let (id, r#type, payload) = (question.id, question.r#type, question.payload);
        sessions.change(|state, now| {
            let Whom::User(user, resource) = &whom else {
                state.plan.no_answer(number, id, NoAnswer::Unknown, now);
                return;
            };
            match state.plan.answerer(user.as_str(), resource.as_deref()) {
                None => state.plan.no_answer(number, id, NoAnswer::Gone, now),
                Some(asked) => {
                    let event = |key| outcome(key, r#type, from, payload);
                    state.plan.put_question((number, id), asked, event, now);
                }
            }
        });
        Ok(())
    }

    fn whom(&self, to: Option<&str>) -> Result<Whom, Problem> {
        let Some(to) = to.filter(|to| *to != "server") else {
            return Ok(Whom::Server);
        };
        match Address::parse("to", to)? {
            Address::User { id, resource } => {
                if self.identity.user.as_ref() != Some(&id) {
                    let principal = &self.identity.principal;
                    principal.require_target("to", &id.address())?;
                }
                Ok(Whom::User(id, resource))
            }
            Address::Channel { .. } | Address::Queue(_) | Address::Room(_) => {
                Err(Problem::invalid(
                    "invalid_address",
                    "to",
                    "a question goes to a user, to one session of a user, or to the server",
                )
                .accepted("user:ID, user:ID/RESOURCE or server"))
            }
        }
    }

    /// An outcome tells whether somebody is there: only those are asked whom the session may see.
    fn check_sight(&self, user: &UserId) -> Result<(), Problem> {
        if self.may_see(user) {
            return Ok(());
        }
        let detail = format!(
            "{user} has not let this session see them, and an outcome would tell whether they are there; ask with presence.subscribe, or send a message"
        );
        Err(forbidden("presence_not_allowed", detail).field("to"))
    }

    fn answer(&self, question: Question) -> Result<(), Problem> {
        let number = self.facts.id.number;
        let (r#type, payload, from) = (question.r#type, question.payload, self.address());
        let open = self.gateway.sessions.change(|state, now| {
            let event = |id| outcome(id, r#type, from, payload);
            state.plan.answer(number, &question.id, event, now)
        });
        if open {
            return Ok(());
        }
        let detail = format!(
            "there is no open question {:?} to this session: it was answered, nobody waits for it any more, or it took longer than {} seconds",
            question.id,
            ANSWER_WITHIN.as_secs()
        );
        Err(Problem::new(ProblemKind::NotFound, "unknown_question", detail).field("id"))
    }

    fn server_answers(&self, id: String, query: &str) -> Event {
        let payload = match query {
            "time" => json!({"time": self.gateway.clock.now()}),
            "version" => json!({"name": "anser", "version": env!("CARGO_PKG_VERSION")}),
            "features" => json!({"queries": KNOWN, "features": FEATURES}),
            _ => json!({}),
        };
        Event::Iq(IqEvent {
            id,
            r#type: IqType::Result,
            from: "server".to_owned(),
            payload: to_raw_value(&payload).ok(),
        })
    }

    /// Who asks and answers, as others see it.
    fn address(&self) -> String {
        let facts = &self.facts;
        match &self.identity.user {
            Some(user) => format!("{}/{}", user.address(), facts.resource),
            None => format!(
                "key:{}/{}",
                self.identity.principal.sender.id, facts.resource
            ),
        }
    }
}

/// What a question to the server asks for.
fn query(payload: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Asked {
        query: String,
    }
    let asked: Asked = serde_json::from_str(payload?.get()).ok()?;
    Some(asked.query)
}

fn not_asked(reason: NotAsked) -> Problem {
    match reason {
        NotAsked::Doubled => Problem::new(
            ProblemKind::Conflict,
            "question_open",
            "this session has an open question of this id; choose another",
        )
        .field("id"),
        NotAsked::TooMany => Problem::new(
            ProblemKind::TooMany,
            "too_many_questions",
            format!("{QUESTIONS_MAX} questions of this session are open; wait for their outcomes"),
        ),
    }
}
