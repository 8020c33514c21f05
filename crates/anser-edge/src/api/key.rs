//! API keys: created, listed, shown without their text, deleted.

use anser_core::resource::{KeySpec, Scope};
use anser_gateway::admin::{KeyCreated, KeyView};
use anser_gateway::auth::Principal;
use http::{Method, StatusCode};

use super::resource::{self, Revised};
use crate::answer::{self, JSON};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

const ALL: &str = "/v1/keys";
const ONE: &str = "/v1/keys/{key}";

pub(super) fn routes() -> Vec<Route> {
    vec![
        keyed(&[Scope::Admin], resource::list::<KeyView>(ALL, "listKeys", "List keys"), list),
        keyed(
            &[Scope::Admin],
            Operation::new(Method::POST, ALL, "createKey", "Create a key")
                .describe("Idempotent by name: the same again answers 200 without the key's text, which is shown once.")
                .body::<KeySpec>(&[JSON])
                .answer::<KeyCreated>(200, "It was there already.")
                .answer::<KeyCreated>(201, "Created: the text of the key, shown this once.")
                .problems(&[404, 409]),
            create,
        ),
        keyed(&[Scope::Admin], resource::show::<KeyView>(ONE, "getKey", "Show a key without its text"), show),
        keyed(
            &[Scope::Admin],
            Operation::new(Method::DELETE, ONE, "deleteKey", "Delete a key")
                .describe("A key never changes, so there is nothing to compare. The last full admin key stays.")
                .answer_empty("Deleted: requests with it are refused from now on.")
                .problems(&[409]),
            delete,
        ),
    ]
}

impl Revised for KeyView {
    fn revision(&self) -> u64 {
        self.revision
    }
}

impl Revised for KeyCreated {
    fn revision(&self) -> u64 {
        self.view.revision
    }
}

async fn list(call: Call, principal: Principal) -> Handled {
    let page = call
        .edge
        .gateway
        .list_keys(&principal, &resource::list_query(&call)?)?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn create(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let spec: KeySpec = call.json().await?;
    let put = edge.gateway.create_key(&principal, spec).await?;
    Ok(resource::put(
        &put,
        &format!("{ALL}/{}", put.view.view.name),
    ))
}

async fn show(call: Call, principal: Principal) -> Handled {
    let view = call.edge.gateway.get_key(&principal, &call.param("key")?)?;
    Ok(resource::shown(&view))
}

async fn delete(call: Call, principal: Principal) -> Handled {
    call.edge
        .gateway
        .delete_key(&principal, &call.param("key")?)
        .await?;
    Ok(answer::no_content())
}
