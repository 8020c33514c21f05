//! The kinds of resource that have one name under one collection: their six routes and the handlers behind them, written
//! once. A kind says what it is called and which use cases of the gateway serve it. Must not know the fields of any kind.

use std::future::Future;

use anser_core::Problem;
use anser_core::resource::Scope;
use anser_gateway::Gateway;
use anser_gateway::admin::{ListQuery, Put};
use anser_gateway::auth::Principal;
use anser_gateway::look::Page;
use http::StatusCode;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::resource::{self, CascadeQuery, Grammar, Revised};
use crate::answer;
use crate::call::Call;
use crate::route::{Handled, Route, keyed};

/// What a call is named in the OpenAPI document: its `operationId` and its summary.
pub(super) type Title = (&'static str, &'static str);

/// What the six calls of a kind are named.
pub(super) struct Calls {
    pub(super) list: Title,
    pub(super) create: Title,
    pub(super) show: Title,
    pub(super) replace: Title,
    pub(super) change: Title,
    pub(super) delete: Title,
}

/// A kind of resource.
pub(super) trait Kind: 'static {
    /// What is configured.
    type Spec: Grammar + DeserializeOwned + Send;
    /// What is shown.
    type View: Revised + JsonSchema + Send;

    /// The path of the collection.
    const ALL: &'static str;
    /// The path of one: the collection's, and the name's parameter.
    const ONE: &'static str;
    /// The parameter's name.
    const NAME: &'static str;
    /// What the calls are named.
    const CALLS: Calls;
    /// Whether subscriptions can go with one that is deleted.
    const CASCADES: bool;

    /// A page of the collection.
    fn list(
        gateway: &Gateway,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<Self::View>, Problem>;

    /// One.
    fn show(gateway: &Gateway, principal: &Principal, name: &str) -> Result<Self::View, Problem>;

    /// Creates one.
    fn create(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: Self::Spec,
    ) -> impl Future<Output = Result<Put<Self::View>, Problem>> + Send;

    /// Creates or replaces one.
    fn replace(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: Self::Spec,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<Put<Self::View>, Problem>> + Send;

    /// Changes fields of one.
    fn change(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        patch: serde_json::Value,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<Self::View, Problem>> + Send;

    /// Deletes one.
    fn delete(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        cascade: bool,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<(), Problem>> + Send;

    /// The name of one, in the case it was created with.
    fn name(view: &Self::View) -> &str;

    /// Adds what the gateway cannot know to one that was just made; `base` is where the caller reaches the gateway.
    fn complete(view: &mut Self::View, base: &str) {
        let _ = (view, base);
    }
}

/// All of [`Kind`] that differs between kinds only in the names of the gateway's use cases.
/// `cascade`: subscriptions can go with one that is deleted.
macro_rules! served_by {
    ($list:ident, $show:ident, $create:ident, $replace:ident, $change:ident, $delete:ident) => {
        kind::served_by!(@calls $list, $show, $create, $replace, $change);

        const CASCADES: bool = false;

        async fn delete(
            gateway: &anser_gateway::Gateway,
            principal: &anser_gateway::auth::Principal,
            name: &str,
            _: bool,
            expected: Option<u64>,
        ) -> Result<(), anser_core::Problem> {
            gateway.$delete(principal, name, expected).await
        }
    };
    ($list:ident, $show:ident, $create:ident, $replace:ident, $change:ident, $delete:ident cascade) => {
        kind::served_by!(@calls $list, $show, $create, $replace, $change);

        const CASCADES: bool = true;

        async fn delete(
            gateway: &anser_gateway::Gateway,
            principal: &anser_gateway::auth::Principal,
            name: &str,
            cascade: bool,
            expected: Option<u64>,
        ) -> Result<(), anser_core::Problem> {
            gateway.$delete(principal, name, cascade, expected).await
        }
    };
    (@calls $list:ident, $show:ident, $create:ident, $replace:ident, $change:ident) => {
        fn list(
            gateway: &anser_gateway::Gateway,
            principal: &anser_gateway::auth::Principal,
            query: &anser_gateway::admin::ListQuery,
        ) -> Result<anser_gateway::look::Page<Self::View>, anser_core::Problem> {
            gateway.$list(principal, query)
        }

        fn show(
            gateway: &anser_gateway::Gateway,
            principal: &anser_gateway::auth::Principal,
            name: &str,
        ) -> Result<Self::View, anser_core::Problem> {
            gateway.$show(principal, name)
        }

        async fn create(
            gateway: &anser_gateway::Gateway,
            principal: &anser_gateway::auth::Principal,
            name: &str,
            spec: Self::Spec,
        ) -> Result<anser_gateway::admin::Put<Self::View>, anser_core::Problem> {
            gateway.$create(principal, name, spec).await
        }

        async fn replace(
            gateway: &anser_gateway::Gateway,
            principal: &anser_gateway::auth::Principal,
            name: &str,
            spec: Self::Spec,
            expected: Option<u64>,
        ) -> Result<anser_gateway::admin::Put<Self::View>, anser_core::Problem> {
            gateway.$replace(principal, name, spec, expected).await
        }

        async fn change(
            gateway: &anser_gateway::Gateway,
            principal: &anser_gateway::auth::Principal,
            name: &str,
            patch: serde_json::Value,
            expected: Option<u64>,
        ) -> Result<Self::View, anser_core::Problem> {
            gateway.$change(principal, name, patch, expected).await
        }
    };
}
pub(super) use served_by;

/// The six routes of a kind.
pub(super) fn routes<K: Kind>() -> Vec<Route> {
    let Calls {
        list,
        create,
        show,
        replace,
        change,
        delete,
    } = K::CALLS;
    let mut delete = resource::delete(K::ONE, delete.0, delete.1);
    if K::CASCADES {
        delete = delete.query::<CascadeQuery>();
    }
    vec![
        keyed(
            &[Scope::Read],
            resource::list::<K::View>(K::ALL, list.0, list.1),
            list_all::<K>,
        ),
        keyed(
            &[Scope::Admin],
            resource::create::<K::Spec, K::View>(K::ALL, create.0, create.1),
            create_one::<K>,
        ),
        keyed(
            &[Scope::Read],
            resource::show::<K::View>(K::ONE, show.0, show.1),
            show_one::<K>,
        ),
        keyed(
            &[Scope::Admin],
            resource::replace::<K::Spec, K::View>(K::ONE, replace.0, replace.1),
            replace_one::<K>,
        ),
        keyed(
            &[Scope::Admin],
            resource::change::<K::Spec, K::View>(K::ONE, change.0, change.1),
            change_one::<K>,
        ),
        keyed(&[Scope::Admin], delete, delete_one::<K>),
    ]
}

async fn list_all<K: Kind>(call: Call, principal: Principal) -> Handled {
    let query = resource::list_query(&call)?;
    let page = K::list(&call.edge.gateway, &principal, &query)?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn create_one<K: Kind>(call: Call, principal: Principal) -> Handled {
    let (edge, base) = (call.edge.clone(), call.base());
    let (name, spec) = call.named().await?;
    let mut put = K::create(&edge.gateway, &principal, &name, spec).await?;
    K::complete(&mut put.view, &base);
    Ok(resource::put(&put, &path::<K>(&put.view)))
}

async fn show_one<K: Kind>(call: Call, principal: Principal) -> Handled {
    let view = K::show(&call.edge.gateway, &principal, &call.param(K::NAME)?)?;
    Ok(resource::shown(&view))
}

async fn replace_one<K: Kind>(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let base = call.base();
    let name = call.param(K::NAME)?.into_owned();
    let spec = call.json().await?;
    let mut put = K::replace(&edge.gateway, &principal, &name, spec, expected).await?;
    K::complete(&mut put.view, &base);
    Ok(resource::put(&put, &path::<K>(&put.view)))
}

async fn change_one<K: Kind>(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let name = call.param(K::NAME)?.into_owned();
    let patch = call.json().await?;
    let view = K::change(&edge.gateway, &principal, &name, patch, expected).await?;
    Ok(resource::shown(&view))
}

async fn delete_one<K: Kind>(call: Call, principal: Principal) -> Handled {
    let query: CascadeQuery = call.query()?;
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let name = call.param(K::NAME)?.into_owned();
    K::delete(&edge.gateway, &principal, &name, query.cascade, expected).await?;
    Ok(answer::no_content())
}

fn path<K: Kind>(view: &K::View) -> String {
    format!("{}/{}", K::ALL, K::name(view))
}
