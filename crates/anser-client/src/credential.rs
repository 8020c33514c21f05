//! Who the client is: an API key, a signed token, or a source of fresh tokens. Nothing here is shown in `Debug`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::name::UserId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::Error;

/// What a source of tokens fails with; it is asked again later.
pub type TokenError = Box<dyn std::error::Error + Send + Sync>;

type Asked = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send>>;
pub(crate) type Source = Arc<dyn Fn() -> Asked + Send + Sync>;

/// A signed token of a user (JWT, RFC 7519).
#[derive(Clone)]
pub struct Token {
    pub(crate) text: String,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Token {
    /// A token as it was minted. When it ends is read from its claim `exp`, unverified: that is the server's.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let expires_at = expiry(&text);
        Self { text, expires_at }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn user_id(user: &str) -> Result<UserId, Error> {
    UserId::parse("user", user).map_err(|problem| Error::setting("user", problem.to_string()))
}

/// When a token ends, as far as it can be read.
fn expiry(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a time of seconds as a JSON number; what does not fit is far away"
    )]
    let millis = (claims.exp * 1_000.0) as i64;
    Some(Timestamp::from_millis(millis))
}

/// Who the client is.
#[derive(Clone, Default)]
pub enum Credential {
    /// Nobody: a gateway in developer mode asks for no key.
    #[default]
    None,
    /// A user, at a gateway in developer mode.
    User(UserId),
    /// An API key. With a user, a live session acts for that user; without, it is a program's and has no mailbox.
    Key {
        /// The key.
        key: String,
        /// The user it acts for.
        user: Option<UserId>,
    },
    /// One token of a user: the session ends with it.
    Token(Token),
    /// A source of tokens, made by [`Credential::source`].
    Source(TokenSource),
}

/// A callback that gives a fresh token.
#[derive(Clone)]
pub struct TokenSource(pub(crate) Source);

impl Credential {
    /// An API key for itself.
    #[must_use]
    pub fn key(key: impl Into<String>) -> Self {
        Self::Key {
            key: key.into(),
            user: None,
        }
    }

    /// An API key that acts for a user.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is no id of a user.
    pub fn key_for(key: impl Into<String>, user: &str) -> Result<Self, Error> {
        Ok(Self::Key {
            key: key.into(),
            user: Some(user_id(user)?),
        })
    }

    /// A user, at a gateway in developer mode.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is no id of a user.
    pub fn user(user: &str) -> Result<Self, Error> {
        Ok(Self::User(user_id(user)?))
    }

    /// The user that it names beside a key.
    pub(crate) fn named(&self) -> Option<UserId> {
        match self {
            Self::Key { user, .. } => user.clone(),
            Self::User(user) => Some(user.clone()),
            Self::None | Self::Token(_) | Self::Source(_) => None,
        }
    }

    /// One token.
    #[must_use]
    pub fn token(token: impl Into<String>) -> Self {
        Self::Token(Token::new(token))
    }

    /// A callback that gives a fresh token. It is asked at each connect, and again before the token at hand expires, so
    /// that the session goes on without a gap.
    pub fn source<F, A>(ask: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<Token, TokenError>> + Send + 'static,
    {
        let source: Source = Arc::new(move || Box::pin(ask()) as Asked);
        Self::Source(TokenSource(source))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::User(_) => "User",
            Self::Key { .. } => "Key",
            Self::Token(_) => "Token",
            Self::Source(_) => "Source",
        })
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_when_it_ends_and_never_itself() {
        let claims = URL_SAFE_NO_PAD.encode(br#"{"sub":"ann","exp":1795395600}"#);
        let token = Token::new(format!("e30.{claims}.c2ln"));
        let ends = Timestamp::from_millis(1_795_395_600_000);
        assert_eq!(token.expires_at, Some(ends));
        let shown = format!("{token:?} {:?}", Credential::Token(token.clone()));
        assert!(!shown.contains(&claims), "{shown}");
        for opaque in ["", "a.b.c", "ak_secret"] {
            assert_eq!(Token::new(opaque).expires_at, None);
        }
        assert!(Credential::key_for("ak_x", "a b").is_err());
    }
}
