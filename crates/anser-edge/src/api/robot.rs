//! Robots: what is posted to their URLs is published. The URLs themselves are the matter of another door.

use anser_core::Problem;
use anser_core::resource::{RobotSpec, Scope};
use anser_gateway::Gateway;
use anser_gateway::admin::{ListQuery, Put, RobotView};
use anser_gateway::auth::Principal;
use anser_gateway::look::Page;
use http::Method;
use serde_json::Value;

use super::kind::{self, Calls, Kind};
use super::resource::{self, Revised};
use crate::call::Call;
use crate::operation::Operation;
use crate::robot;
use crate::route::{Handled, Route, keyed};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = kind::routes::<Robots>();
    routes.push(keyed(
        &[Scope::Admin],
        Operation::new(
            Method::POST,
            "/v1/robots/{robot}/token/rotate",
            "rotateRobotToken",
            "Give a robot another token",
        )
        .describe(
            "The token and the URLs with it are shown this once. Those before them are refused from now on.",
        )
        .answer::<RobotView>(200, "The robot with its new token.")
        .with_revision(),
        rotate,
    ));
    routes
}

async fn rotate(call: Call, principal: Principal) -> Handled {
    let name = call.param(Robots::NAME)?;
    let gateway = &call.edge.gateway;
    let mut view = gateway.rotate_robot_token(&principal, &name).await?;
    Robots::complete(&mut view, &call.base());
    Ok(resource::shown(&view))
}

impl Revised for RobotView {
    fn revision(&self) -> u64 {
        self.resource.revision
    }
}

/// Which dialects there are is the door's to know, so their names are checked here.
fn check(spec: &RobotSpec) -> Result<(), Problem> {
    let dialects = spec.dialects.iter().flatten();
    dialects
        .enumerate()
        .try_for_each(|(i, name)| robot::check_dialect(&format!("dialects[{i}]"), name))
}

/// The same in a change.
fn check_change(patch: &Value) -> Result<(), Problem> {
    let dialects = patch.get("dialects").and_then(Value::as_array);
    let names = dialects
        .into_iter()
        .flatten()
        .map(Value::as_str)
        .enumerate();
    for (i, name) in names {
        if let Some(name) = name {
            robot::check_dialect(&format!("dialects[{i}]"), name)?;
        }
    }
    Ok(())
}

/// Robots, to the six calls that every kind has.
struct Robots;

impl Kind for Robots {
    type Spec = RobotSpec;
    type View = RobotView;

    const ALL: &'static str = "/v1/robots";
    const ONE: &'static str = "/v1/robots/{robot}";
    const NAME: &'static str = "robot";
    const CALLS: Calls = Calls {
        list: ("listRobots", "List robots"),
        create: ("createRobot", "Create a robot"),
        show: ("getRobot", "Show a robot without its token"),
        replace: ("putRobot", "Create or replace a robot"),
        change: ("patchRobot", "Change a robot"),
        delete: ("deleteRobot", "Delete a robot"),
    };
    const CASCADES: bool = false;

    fn list(
        gateway: &Gateway,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<RobotView>, Problem> {
        gateway.list_robots(principal, query)
    }

    fn show(gateway: &Gateway, principal: &Principal, name: &str) -> Result<RobotView, Problem> {
        gateway.get_robot(principal, name)
    }

    async fn create(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: RobotSpec,
    ) -> Result<Put<RobotView>, Problem> {
        check(&spec)?;
        gateway.create_robot(principal, name, spec).await
    }

    async fn replace(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: RobotSpec,
        expected: Option<u64>,
    ) -> Result<Put<RobotView>, Problem> {
        check(&spec)?;
        gateway.put_robot(principal, name, spec, expected).await
    }

    async fn change(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<RobotView, Problem> {
        check_change(&patch)?;
        gateway.patch_robot(principal, name, patch, expected).await
    }

    async fn delete(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        _cascade: bool,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        gateway.delete_robot(principal, name, expected).await
    }

    fn name(view: &RobotView) -> &str {
        &view.resource.name
    }

    fn complete(view: &mut RobotView, base: &str) {
        let spec = &view.resource.spec;
        let urls = |token: &String| robot::urls(base, token, |dialect| spec.takes(dialect));
        view.urls = view.token.as_ref().map(urls);
    }
}
