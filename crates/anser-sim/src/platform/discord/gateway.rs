//! Discord, the Gateway: sessions of bots, in which all that happens is numbered, and which go on for a while when their
//! connection is lost. From the documentation of the Gateway, its opcodes and its codes of closing. Must not know what happens.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Answer, Call, Desk, Moment, Robot};
use super::who::{about, application, channels};
use super::{GUILD_ID, is_bot};
use crate::line::{Heard, Told};

/// Where the Gateway is.
pub(super) const PATH: &str = "/gateway";
/// Who owns the server.
const OWNER: &str = "1000000000000001001";
/// How often a heart shall beat.
const INTERVAL: Duration = Duration::from_millis(41_250);
/// For how long a session can be resumed; Discord says for minutes.
const RESUMABLE: Duration = Duration::from_secs(180);
/// Events of a session that come again when it is resumed.
const KEPT_MAX: usize = 10_000;
/// Sessions at once.
const SESSIONS_MAX: usize = 1_000;
/// Intents: servers, messages in servers, messages to the bot, and what messages say.
const GUILDS: u64 = 1;
const GUILD_MESSAGES: u64 = 1 << 9;
const DIRECT_MESSAGES: u64 = 1 << 12;
const MESSAGE_CONTENT: u64 = 1 << 15;
/// All that there are.
const INTENTS: u64 = (1 << 26) - 1;

/// All sessions and connections.
#[derive(Default)]
pub(super) struct Sessions {
    number: u64,
    sessions: BTreeMap<String, Session>,
    lines: BTreeMap<u64, Line>,
}

/// A connection.
struct Line {
    session: Option<String>,
    /// By when a heartbeat must come.
    heart: Duration,
}

/// A session.
struct Session {
    bot: String,
    /// The bot's own id.
    id: String,
    intents: u64,
    /// The number of the last event.
    last: u64,
    events: VecDeque<(u64, Value)>,
    /// Its connection, with the number of the last event that was sent there; else until when it can be resumed.
    on: Result<(u64, u64), Duration>,
    /// What is to be counted as taken: up to this number.
    taken: u64,
}

/// Where the Gateway is, for whoever asks by the API.
pub(super) fn address(base: &str) -> Value {
    let url = format!("ws{}{PATH}", base.trim_start_matches("http"));
    json!({"url": url, "shards": 1, "session_start_limit":
        {"total": 1000, "remaining": 999, "reset_after": 14_400_000, "max_concurrency": 1}})
}

impl Sessions {
    /// Anybody may connect, and has to say who they are then.
    pub(super) fn admit(&mut self, call: &Call, line: u64) -> Result<(), Answer> {
        if call.path.trim_end_matches('/') != PATH {
            return Err(Answer::text(404, "Not Found"));
        }
        let heart = call.monotonic + 2 * INTERVAL;
        self.lines.insert(
            line,
            Line {
                session: None,
                heart,
            },
        );
        Ok(())
    }

    /// Something happens: `name` and the event, as whoever may know all of it is told.
    pub(super) fn spread(&mut self, name: &str, event: &Value, moment: Moment) {
        for session in self.sessions.values_mut() {
            if session.on.is_err_and(|until| until <= moment.monotonic) {
                continue;
            }
            if let Some(event) = session.seen(name, event) {
                session.dispatch(name, event);
            }
        }
    }

    /// A bot has closed a connection with this code: with those of a usual end the session ends too.
    pub(super) fn closed(&mut self, line: u64, code: u16) {
        let line = self.lines.get_mut(&line);
        if let Some(line) = line.filter(|_| matches!(code, 1000 | 1001))
            && let Some(session) = line.session.take()
        {
            self.sessions.remove(&session);
        }
    }

    /// What is said on a connection.
    pub(super) fn hear(
        &mut self,
        line: u64,
        heard: Heard,
        desk: &Desk<'_>,
        moment: Moment,
    ) -> Vec<Told> {
        match heard {
            Heard::Opened => {
                let millis = u64::try_from(INTERVAL.as_millis()).unwrap_or_default();
                vec![frame(
                    &json!({"t": null, "s": null, "op": 10, "d": {"heartbeat_interval": millis, "_trace": []}}),
                )]
            }
            Heard::Text(text) => match serde_json::from_str(&text) {
                Ok(said) => self.said(line, &said, desk, moment),
                Err(_) => close(4002, "Error while decoding payload."),
            },
            Heard::Binary(_) => close(4002, "Error while decoding payload."),
            Heard::Refresh => vec![frame(&json!({"t": null, "s": null, "op": 7, "d": null}))],
            Heard::Look => self.look(line, moment),
            Heard::Gone => {
                let line = self.lines.remove(&line);
                let session = line.and_then(|line| self.sessions.get_mut(&line.session?));
                if let Some(session) = session {
                    session.on = Err(moment.monotonic + RESUMABLE);
                }
                Vec::new()
            }
        }
    }

    fn said(&mut self, line: u64, said: &Value, desk: &Desk<'_>, moment: Moment) -> Vec<Told> {
        let Some(known) = self.lines.get_mut(&line) else {
            return Vec::new();
        };
        match said["op"].as_u64() {
            Some(1) => {
                known.heart = moment.monotonic + 2 * INTERVAL;
                let session = known
                    .session
                    .as_ref()
                    .and_then(|id| self.sessions.get_mut(id));
                let taken = session.map_or(0, |session| session.confirm(&said["d"]));
                let beat = frame(&json!({"t": null, "s": null, "op": 11, "d": null}));
                std::iter::once(beat)
                    .chain(vec![Told::Taken; taken])
                    .collect()
            }
            Some(2) if known.session.is_some() => close(4005, "Already authenticated."),
            Some(2) => self.identify(line, &said["d"], desk, moment),
            Some(6) => self.resume(line, &said["d"], moment),
            _ if known.session.is_none() => close(4003, "Not authenticated."),
            Some(3 | 4 | 8) => Vec::new(),
            _ => close(4001, "Unknown opcode."),
        }
    }

    /// A session begins.
    fn identify(&mut self, line: u64, who: &Value, desk: &Desk<'_>, moment: Moment) -> Vec<Told> {
        let token = who["token"].as_str().unwrap_or_default();
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        let Some(bot) = desk.robot(token).filter(|robot| is_bot(robot)) else {
            return close(4004, "Authentication failed.");
        };
        let Some(intents) = who["intents"].as_u64().filter(|bits| bits & !INTENTS == 0) else {
            return close(4013, "Invalid intent(s).");
        };
        self.sessions
            .retain(|_, session| !session.on.is_err_and(|until| until <= moment.monotonic));
        if self.sessions.len() >= SESSIONS_MAX {
            return close(4008, "Rate limited.");
        }
        self.number += 1;
        let id = format!("{:016x}{:016x}", moment.now.millis(), self.number);
        let mut session = Session::new(bot, intents, line);
        session.dispatch("READY", ready(bot, &id, desk.base));
        if intents & GUILDS != 0 {
            session.dispatch("GUILD_CREATE", server(desk));
        }
        if let Some(line) = self.lines.get_mut(&line) {
            line.session = Some(id.clone());
        }
        self.sessions.insert(id, session);
        self.look(line, moment)
    }

    /// A session goes on behind a number.
    fn resume(&mut self, line: u64, which: &Value, moment: Moment) -> Vec<Told> {
        let invalid = || vec![frame(&json!({"t": null, "s": null, "op": 9, "d": false}))];
        let id = which["session_id"].as_str().unwrap_or_default();
        let behind = which["seq"].as_u64();
        let (Some(session), Some(behind)) = (self.sessions.get_mut(id), behind) else {
            return invalid();
        };
        let token = which["token"].as_str().unwrap_or_default();
        let is_known = session.bot == token && behind <= session.last;
        let first = session
            .events
            .front()
            .map_or(session.last, |(number, _)| *number);
        let is_over = session.on.is_err_and(|until| until <= moment.monotonic);
        if !is_known || is_over || behind + 1 < first {
            return invalid();
        }
        let taken = session.confirm(&which["seq"]);
        session.on = Ok((line, behind));
        session.dispatch("RESUMED", json!({"_trace": []}));
        if let Some(line) = self.lines.get_mut(&line) {
            line.session = Some(id.to_owned());
        }
        let mut told = self.look(line, moment);
        told.extend(vec![Told::Taken; taken]);
        told
    }

    /// Sends what happened, and ends a connection whose heart is still.
    fn look(&mut self, line: u64, moment: Moment) -> Vec<Told> {
        let Some(known) = self.lines.get(&line) else {
            return Vec::new();
        };
        if known.heart <= moment.monotonic {
            return close(4009, "Session timed out.");
        }
        let session = known
            .session
            .as_ref()
            .and_then(|id| self.sessions.get_mut(id));
        session.map_or_else(Vec::new, |session| session.unsent(line))
    }
}

impl Session {
    fn new(bot: &Robot, intents: u64, line: u64) -> Self {
        Self {
            bot: bot.token.clone(),
            id: about(bot)["id"].as_str().unwrap_or_default().to_owned(),
            intents,
            last: 0,
            events: VecDeque::new(),
            on: Ok((line, 0)),
            taken: 0,
        }
    }

    /// What the bot may see of an event; `None`: nothing.
    fn seen(&self, name: &str, event: &Value) -> Option<Value> {
        let is_direct = event["guild_id"].is_null();
        let needed = if is_direct {
            DIRECT_MESSAGES
        } else {
            GUILD_MESSAGES
        };
        if name == "INTERACTION_CREATE" {
            return Some(event.clone());
        }
        if self.intents & needed == 0 {
            return None;
        }
        let mut event = event.clone();
        let mentions = event["mentions"].as_array().into_iter().flatten();
        let is_meant = mentions.into_iter().any(|user| user["id"] == *self.id);
        let is_own = event["author"]["id"] == *self.id;
        if self.intents & MESSAGE_CONTENT == 0
            && !is_direct
            && !is_meant
            && !is_own
            && !event["content"].is_null()
        {
            event["content"] = "".into();
            for list in ["attachments", "embeds", "components"] {
                event[list] = json!([]);
            }
        }
        Some(event)
    }

    fn dispatch(&mut self, name: &str, event: Value) {
        self.last += 1;
        let event = json!({"t": name, "s": self.last, "op": 0, "d": event});
        self.events.push_back((self.last, event));
        if self.events.len() > KEPT_MAX {
            self.events.pop_front();
        }
    }

    /// The bot tells up to which number it has all; answers how many events of people that is more.
    fn confirm(&mut self, number: &Value) -> usize {
        let number = number.as_u64().unwrap_or_default().min(self.last);
        let before = self.taken;
        self.taken = number.max(before);
        let more = before + 1..=self.taken;
        let is_counted = |event: &Value| is_counted(event["t"].as_str().unwrap_or_default());
        let more = self
            .events
            .iter()
            .filter(|(at, event)| more.contains(at) && is_counted(event));
        more.count()
    }

    /// What was not sent on that connection.
    fn unsent(&mut self, line: u64) -> Vec<Told> {
        let sent = match &mut self.on {
            Ok((on, sent)) if *on == line => sent,
            _ => return Vec::new(),
        };
        let mut told = Vec::new();
        for (number, event) in &self.events {
            if number > sent {
                told.push(frame(event));
                if is_counted(event["t"].as_str().unwrap_or_default()) {
                    told.push(Told::Sent);
                }
            }
        }
        *sent = self.last;
        told
    }
}

/// Whether it is what people did, and not what a session itself is told.
fn is_counted(name: &str) -> bool {
    !matches!(name, "READY" | "RESUMED" | "GUILD_CREATE")
}

fn frame(value: &Value) -> Told {
    Told::Text(value.to_string())
}

fn close(code: u16, reason: &str) -> Vec<Told> {
    vec![Told::Close(code, reason.to_owned())]
}

/// What a session begins with.
fn ready(bot: &Robot, id: &str, base: &str) -> Value {
    json!({"v": 10, "user_settings": {}, "user": about(bot), "session_type": "normal", "session_id": id,
        "resume_gateway_url": address(base)["url"], "relationships": [], "private_channels": [], "presences": [],
        "guilds": [{"unavailable": true, "id": GUILD_ID}], "guild_join_requests": [], "geo_ordered_rtc_regions": [],
        "auth": {}, "application": {"id": application(bot)["id"], "flags": 0}, "_trace": []})
}

/// The server, with its channels.
fn server(desk: &Desk<'_>) -> Value {
    let channels = channels(desk);
    let everyone = json!({"id": GUILD_ID, "name": "@everyone", "color": 0, "hoist": false, "icon": null, "position": 0,
        "permissions": "2248473465835073", "managed": false, "mentionable": false, "flags": 0});
    json!({"id": GUILD_ID, "name": "Anser", "icon": null, "owner_id": OWNER, "afk_timeout": 300, "verification_level": 0,
        "default_message_notifications": 0, "explicit_content_filter": 0, "emojis": [], "stickers": [], "features": [],
        "mfa_level": 0, "system_channel_flags": 0, "premium_tier": 0, "preferred_locale": "en-US", "nsfw_level": 0,
        "joined_at": "2026-01-01T00:00:00.000000+00:00", "large": false, "unavailable": false, "member_count": 2,
        "roles": [everyone], "voice_states": [], "members": [], "channels": channels, "threads": [], "presences": [],
        "stage_instances": [], "guild_scheduled_events": []})
}

#[cfg(test)]
mod tests;
