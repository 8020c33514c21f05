//! `anser issuer`: applications whose signed tokens open live sessions of their users; and `anser token`, one signed for
//! trying.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::resource::{Usual, put};
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("ALGORITHM", "algorithm"),
    ("USERS", "users"),
    ("LIFETIME", "lifetime_max"),
    ("DESCRIPTION", "description"),
];

/// What to do with issuers.
#[derive(Debug, Subcommand)]
pub(crate) enum IssuerCommand {
    #[command(flatten)]
    Usual(Usual),
    /// Create an issuer; a secret that is made is shown this once.
    Create(Box<Create>),
}

/// An issuer to create.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name, the claim `iss` of its tokens.
    name: String,
    /// The Ed25519 public key, PEM or base64url: tokens are signed with EdDSA. Otherwise with HS256 and a secret.
    #[arg(long, value_name = "KEY")]
    public_key: Option<String>,
    /// Only these users; `*` stands for any characters.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    users: Option<Vec<String>>,
    /// What `aud` of its tokens must name.
    #[arg(long, value_name = "TEXT")]
    audience: Option<String>,
    /// How long a token may be good, in seconds; 3600 unless given.
    #[arg(long, value_name = "SECONDS")]
    lifetime_max: Option<u64>,
    #[command(flatten)]
    rights: Rights,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// What users may do.
#[derive(Debug, Args)]
pub(crate) struct Rights {
    /// Topics to publish to; `*` stands for any characters.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    publish: Option<Vec<String>>,
    /// Topics to read.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    read: Option<Vec<String>>,
    /// Rooms to read and publish to, member or not.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    rooms: Option<Vec<String>>,
    /// Direct addresses to send to; an issuer's is `user:*` unless given.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    send: Option<Vec<String>>,
    /// Users to see without their approval.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    see: Option<Vec<String>>,
}

impl Rights {
    fn into_json(self) -> Option<Value> {
        let lists = [
            ("publish", self.publish),
            ("read", self.read),
            ("rooms", self.rooms),
            ("send", self.send),
            ("see", self.see),
        ];
        let mut rights = Map::new();
        for (name, list) in lists {
            rights.extend(list.map(|list| (name.to_owned(), json!(list))));
        }
        (!rights.is_empty()).then_some(Value::Object(rights))
    }
}

impl IssuerCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Usual(usual) => usual.run(api, output, "issuers", COLUMNS).await,
            Self::Create(create) => create.run(api, output).await,
        }
    }
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let mut issuer = Map::new();
        issuer.insert("name".to_owned(), self.name.into());
        put(
            &mut issuer,
            "algorithm",
            self.public_key.as_ref().map(|_| "EdDSA"),
        );
        put(&mut issuer, "public_key", self.public_key);
        put(&mut issuer, "users", self.users);
        put(&mut issuer, "audience", self.audience);
        put(&mut issuer, "lifetime_max", self.lifetime_max);
        put(&mut issuer, "rights", self.rights.into_json());
        put(&mut issuer, "description", self.description);
        let answer = api.post(&["v1", "issuers"], &Value::Object(issuer)).await?;
        let created = answer.status == 201;
        output.result(&answer.text, |value| {
            let told = match (created, value["algorithm"] == "HS256") {
                (true, true) => "This is the only time the secret is shown.",
                (true, false) => "created",
                (false, _) => "unchanged: it is there, just so; its secret is not shown again",
            };
            format!("{}\n{told}", output.fields(value))
        });
        Ok(())
    }
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Sign a token as the application of an HS256 issuer would, for trying.
    Mint(Mint),
}

/// A token to sign.
#[derive(Debug, Args)]
pub(crate) struct Mint {
    /// The issuer's name.
    #[arg(long)]
    issuer: String,
    /// Whom it speaks for.
    #[arg(long)]
    user: String,
    /// How that user is called, for people.
    #[arg(long)]
    name: Option<String>,
    /// How long it is good, in seconds; 600 unless given.
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<u64>,
    #[command(flatten)]
    rights: Rights,
}

impl TokenCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let Self::Mint(mint) = self;
        let mut draft = Map::new();
        draft.insert("user".to_owned(), mint.user.into());
        put(&mut draft, "name", mint.name);
        put(&mut draft, "lifetime", mint.lifetime);
        put(&mut draft, "rights", mint.rights.into_json());
        let path = ["v1", "issuers", &mint.issuer, "tokens"];
        let answer = api.post(&path, &Value::Object(draft)).await?;
        // The token alone, so that a shell can take it as it is.
        output.result(&answer.text, |value| {
            value["token"].as_str().unwrap_or_default().to_owned()
        });
        Ok(())
    }
}
