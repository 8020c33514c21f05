//! Issuers: applications whose signed tokens open live sessions of their users, and tokens minted for trying.

use anser_core::resource::{IssuerSpec, Scope};
use anser_gateway::admin::IssuerView;
use anser_gateway::auth::Principal;
use anser_gateway::sessions::{MintedToken, TokenDraft};
use http::{Method, StatusCode};

use super::kind::{self, Calls, Kind};
use super::resource::Revised;
use crate::answer::{self, JSON};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = kind::routes::<Issuers>();
    routes.push(keyed(
        &[Scope::Admin],
        Operation::new(
            Method::POST,
            "/v1/issuers/{issuer}/tokens",
            "mintToken",
            "Sign a token as the issuer's application would",
        )
        .describe(
            "For trying: an application signs its tokens itself, with any JWT library. Claims: iss (the issuer's name), sub \
             (the user), exp, and if wanted nbf, iat, aud, name and rights (lists of patterns: publish, read, rooms, send, \
             see). Only for HS256; of EdDSA the gateway has no private key.",
        )
        .body::<TokenDraft>(&[JSON])
        .answer::<MintedToken>(200, "The token.")
        .problems(&[404, 409]),
        mint,
    ));
    routes
}

async fn mint(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let issuer = call.param(Issuers::NAME)?.into_owned();
    let draft: TokenDraft = call.json().await?;
    let minted = edge.gateway.mint_token(&principal, &issuer, draft)?;
    Ok(answer::json(StatusCode::OK, &minted))
}

impl Revised for IssuerView {
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Issuers, to the six calls that every kind has.
struct Issuers;

impl Kind for Issuers {
    type Spec = IssuerSpec;
    type View = IssuerView;

    const ALL: &'static str = "/v1/issuers";
    const ONE: &'static str = "/v1/issuers/{issuer}";
    const NAME: &'static str = "issuer";
    const CALLS: Calls = Calls {
        list: ("listIssuers", "List issuers"),
        create: ("createIssuer", "Create an issuer"),
        show: ("getIssuer", "Show an issuer without its secret"),
        replace: ("putIssuer", "Create or replace an issuer"),
        change: ("patchIssuer", "Change an issuer"),
        delete: ("deleteIssuer", "Delete an issuer and end its sessions"),
    };

    kind::served_by!(
        list_issuers,
        get_issuer,
        create_issuer,
        put_issuer,
        patch_issuer,
        delete_issuer
    );

    fn name(view: &IssuerView) -> &str {
        &view.name
    }
}
