//! The settings of a gateway: defaults, file, environment, flags, in this order, each overruling the one before. Read
//! strictly: a name that is not known is an error. `anser.default.toml` is the manual and the only place of defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anser_core::limits::{BLOB_LINK_LIFETIME_MAX, Limits};
use anser_edge::{CMQ_HOSTS_MAX, LiveOrigins};
use anser_gateway::sender::ProgramOptions;
use anyhow::{Context as _, bail};
use clap::Args;
use figment::Figment;
use figment::error::{Error, Kind};
use figment::providers::{Env, Format as _, Serialized, Toml};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

/// Every setting with its default and its meaning.
pub(crate) const DEFAULTS: &str = include_str!("../../anser.default.toml");

/// The largest `cmq.clock_skew`, in seconds: a request can be repeated for so long.
const CMQ_CLOCK_SKEW_MAX: u64 = 24 * 3600;

/// The largest `exec.concurrency`.
const EXEC_CONCURRENCY_MAX: usize = 1_024;

/// Variables with our prefix that are no settings: secrets, the client's, and the tests'.
const NO_SETTINGS: &[&str] = &[
    "admin_key",
    "ca",
    "config",
    "external_python",
    "key",
    "master_key",
    "output",
    "server",
    "update",
];

/// What the flags of `serve` say.
#[derive(Debug, Default, Args, Serialize)]
pub(crate) struct Flags {
    /// No keys, loopback only, webhooks to loopback allowed: for trying things out.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dev: bool,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    /// The folder that holds everything.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<PathBuf>,
    /// A file with settings; `anser serve --help` ends with all of them.
    #[arg(long, value_name = "FILE", env = "ANSER_CONFIG")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
}

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) dev: bool,
    #[serde(default)]
    pub(crate) public_url: Option<Url>,
    #[serde(default)]
    pub(crate) proxy: Option<Url>,
    pub(crate) extra_ca: Vec<PathBuf>,
    pub(crate) log: Log,
    pub(crate) tls: Tls,
    pub(crate) guard: Guard,
    pub(crate) limits: Limits,
    pub(crate) blobs: Blobs,
    pub(crate) retention: Retention,
    pub(crate) disk: Disk,
    pub(crate) dispatch: Dispatch,
    pub(crate) auto_disable: AutoDisable,
    pub(crate) shutdown: Shutdown,
    pub(crate) metrics: Metrics,
    pub(crate) live: Live,
    pub(crate) cmq: Cmq,
    pub(crate) exec: Exec,
    pub(crate) runtime: Runtime,
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// `[tls]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    #[serde(default)]
    pub(crate) certificate: Option<PathBuf>,
    #[serde(default)]
    pub(crate) key: Option<PathBuf>,
}

/// `[guard]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guard {
    pub(crate) allow: Vec<Allowed>,
}

/// An exception from the address guard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Allowed {
    /// A network.
    Network(IpNet),
    /// An address or a host name.
    Host(String),
}

/// `[blobs]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blobs {
    #[serde(default)]
    pub(crate) url: Option<Url>,
    pub(crate) link_seconds: u64,
    pub(crate) options: BTreeMap<String, Scalar>,
}

/// A value that is handed on as text; the environment makes numbers of what looks like some.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// Anything else.
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// `[retention]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    pub(crate) dead_letters_seconds: u64,
    pub(crate) attempts_seconds: u64,
}

/// `[disk]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    #[serde(default)]
    pub(crate) reserve_bytes: Option<u64>,
}

/// `[dispatch]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dispatch {
    pub(crate) in_flight_max: usize,
    pub(crate) endpoint_in_flight_max: usize,
    pub(crate) window_max: usize,
    pub(crate) subscription_window_max: usize,
}

/// `[auto_disable]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AutoDisable {
    pub(crate) after_seconds: u64,
    pub(crate) failures_min: u64,
}

/// `[shutdown]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    pub(crate) limit_seconds: u64,
}

/// `[metrics]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    pub(crate) public: bool,
}

/// `[live]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Live {
    #[serde(default)]
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) tcp_tls: bool,
    pub(crate) origins: LiveOrigins,
}

/// `[cmq]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cmq {
    pub(crate) enabled: bool,
    pub(crate) publish_unrouted: Unrouted,
    pub(crate) clock_skew: u64,
    pub(crate) hosts: Vec<String>,
    pub(crate) topics_max: usize,
    pub(crate) queues_max: usize,
    pub(crate) subscriptions_max: usize,
}

/// What a CMQ client is told when nothing takes what it publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unrouted {
    /// An error.
    Error,
    /// That it was published.
    Accept,
}

/// `[exec]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exec {
    pub(crate) dir: PathBuf,
    pub(crate) concurrency: usize,
    pub(crate) env: Vec<String>,
}

impl Exec {
    /// What it lets the gateway run; `None`: nothing.
    pub(crate) fn programs(&self) -> Option<ProgramOptions> {
        (!self.dir.as_os_str().is_empty()).then(|| ProgramOptions {
            folder: self.dir.clone(),
            running_max: self.concurrency,
            variables: self.env.clone(),
        })
    }
}

/// `[runtime]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runtime {
    pub(crate) workers: usize,
}

impl Settings {
    /// Reads the settings for `serve`.
    pub(crate) fn load(flags: &Flags) -> anyhow::Result<Self> {
        let environment = Env::prefixed("ANSER_").filter(|name| is_setting(name.as_str()));
        Self::read(flags, environment.split("__"))
    }

    /// The defaults alone.
    pub(crate) fn defaults() -> anyhow::Result<Self> {
        let settings = Figment::new().merge(Toml::string(DEFAULTS)).extract();
        settings.map_err(|error| explain(&error, None))
    }

    fn read(flags: &Flags, environment: Env) -> anyhow::Result<Self> {
        let mut sources = Figment::new().merge(Toml::string(DEFAULTS));
        if let Some(path) = &flags.config {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the settings in {}", path.display()))?;
            // Read here first: this error names line and column.
            toml::from_str::<toml::Table>(&text)
                .with_context(|| format!("{} is no TOML", path.display()))?;
            sources = sources.merge(Toml::string(&text));
        }
        let settings: Self = sources
            .merge(environment)
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| explain(&error, flags.config.as_deref()))?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.dev && !self.listen.ip().is_loopback() {
            bail!(
                "--dev asks for no key and therefore listens on loopback addresses only, not on {}: leave --dev out, \
                 or listen on 127.0.0.1",
                self.listen
            );
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            bail!("tls.certificate and tls.key belong together: set both or neither");
        }
        if self.live.tcp_tls && self.tls.certificate.is_none() {
            bail!("live.tcp_tls needs tls.certificate and tls.key");
        }
        if let Some(address) = self.live.tcp
            && self.dev
            && !address.ip().is_loopback()
        {
            bail!("--dev listens on loopback addresses only, and live.tcp is {address}");
        }
        let most = Limits::default();
        if self.limits != self.limits.clamped() {
            bail!(
                "a value of [limits] is higher than the message format allows; at most: {most:?}"
            );
        }
        if !(1..=BLOB_LINK_LIFETIME_MAX.as_secs()).contains(&self.blobs.link_seconds) {
            bail!(
                "blobs.link_seconds must be 1 to {}, 366 days",
                BLOB_LINK_LIFETIME_MAX.as_secs()
            );
        }
        if self.cmq.clock_skew > CMQ_CLOCK_SKEW_MAX {
            bail!("cmq.clock_skew must be at most {CMQ_CLOCK_SKEW_MAX}, a day");
        }
        if self.cmq.hosts.len() > CMQ_HOSTS_MAX {
            bail!("cmq.hosts has at most {CMQ_HOSTS_MAX} members");
        }
        if self.exec.concurrency > EXEC_CONCURRENCY_MAX {
            bail!("exec.concurrency must be at most {EXEC_CONCURRENCY_MAX}");
        }
        let bounds = [
            ("exec.concurrency", self.exec.concurrency),
            ("cmq.topics_max", self.cmq.topics_max),
            ("cmq.queues_max", self.cmq.queues_max),
            ("cmq.subscriptions_max", self.cmq.subscriptions_max),
            ("dispatch.in_flight_max", self.dispatch.in_flight_max),
            (
                "dispatch.endpoint_in_flight_max",
                self.dispatch.endpoint_in_flight_max,
            ),
            ("dispatch.window_max", self.dispatch.window_max),
            (
                "dispatch.subscription_window_max",
                self.dispatch.subscription_window_max,
            ),
            ("limits.message_bytes_max", self.limits.message_bytes_max),
            ("limits.batch_messages_max", self.limits.batch_messages_max),
            ("limits.batch_bytes_max", self.limits.batch_bytes_max),
        ];
        for (name, value) in bounds {
            if value == 0 {
                bail!("{name} must be at least 1");
            }
        }
        Ok(())
    }
}

/// Kubernetes puts `ANSER_PORT…` and `ANSER_SERVICE_…` into every pod beside a service called `anser`.
fn is_setting(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let of_the_platform =
        name == "port" || name.starts_with("port_") || name.starts_with("service_");
    !of_the_platform && !NO_SETTINGS.contains(&name.as_str())
}

/// One line that names the setting, where it stands and what would do.
fn explain(error: &Error, file: Option<&Path>) -> anyhow::Error {
    let place = match &error.metadata {
        Some(metadata) if metadata.name.contains("environment") => "in the environment".to_owned(),
        Some(metadata) if metadata.name.contains("Toml") || metadata.name.contains("TOML") => file
            .map_or_else(
                || "in the defaults".to_owned(),
                |file| format!("in {}", file.display()),
            ),
        _ => "on the command line".to_owned(),
    };
    let path = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let parents = path.strip_suffix(name.as_str()).unwrap_or(&path);
            let parents = parents.trim_end_matches('.');
            let full = if parents.is_empty() {
                name.clone()
            } else {
                format!("{parents}.{name}")
            };
            anyhow::anyhow!(
                "there is no setting {full} ({place}); known here: {}",
                known.join(", ")
            )
        }
        kind => anyhow::anyhow!("the setting {path} ({place}) cannot be used: {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> anyhow::Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anser.toml");
        std::fs::write(&path, file).unwrap();
        let flags = Flags {
            config: Some(path),
            ..Flags::default()
        };
        Settings::read(&flags, Env::prefixed("ANSER_NO_SUCH_PREFIX_"))
    }

    #[test]
    fn the_manual_holds_the_defaults_of_the_code() {
        let settings = read("").unwrap();
        assert_eq!(settings.limits, Limits::default());
        assert_eq!(
            settings.blobs.link_seconds,
            anser_core::limits::BLOB_LINK_LIFETIME_DEFAULT.as_secs()
        );
        let plan = anser_gateway::dispatch::PlanOptions::default();
        assert_eq!(settings.dispatch.in_flight_max, plan.in_flight_max);
        assert_eq!(
            settings.dispatch.endpoint_in_flight_max,
            plan.endpoint_slots_max
        );
        assert_eq!(settings.dispatch.window_max, plan.window_max);
        assert_eq!(
            settings.dispatch.subscription_window_max,
            plan.group_window_max
        );
        assert_eq!(
            settings.auto_disable.after_seconds,
            plan.disable_after.as_secs()
        );
        assert_eq!(settings.auto_disable.failures_min, plan.disable_failures);
        let gateway = anser_gateway::GatewayOptions::default();
        assert_eq!(
            settings.retention.dead_letters_seconds,
            gateway.dead_retention.as_secs()
        );
        assert_eq!(
            settings.retention.attempts_seconds,
            gateway.attempt_retention.as_secs()
        );
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8620");
        assert!(settings.exec.programs().is_none());
        let programs = anser_gateway::sender::PROGRAMS_MAX_DEFAULT;
        assert_eq!(settings.exec.concurrency, programs);
        let variables = anser_gateway::sender::VARIABLES_DEFAULT;
        assert_eq!(settings.exec.env, [variables]);
        let cmq = anser_edge::CmqOptions::default();
        assert_eq!(settings.cmq.enabled, cmq.enabled);
        assert_eq!(settings.cmq.publish_unrouted, Unrouted::Error);
        assert_eq!(settings.cmq.clock_skew, cmq.clock_skew.as_secs());
        assert_eq!(settings.cmq.hosts, cmq.hosts);
        assert_eq!(
            (
                settings.cmq.topics_max,
                settings.cmq.queues_max,
                settings.cmq.subscriptions_max
            ),
            (cmq.topics_max, cmq.queues_max, cmq.subscriptions_max)
        );
    }

    #[test]
    fn a_file_overrules_the_defaults_and_flags_overrule_the_file() {
        let settings =
            read("listen = \"127.0.0.1:1\"\n[guard]\nallow = [\"10.0.0.0/8\", \"hooks.internal\"]")
                .unwrap();
        assert_eq!(settings.listen.port(), 1);
        assert_eq!(
            settings.guard.allow,
            [
                Allowed::Network("10.0.0.0/8".parse().unwrap()),
                Allowed::Host("hooks.internal".to_owned())
            ]
        );
        let flags = Flags {
            listen: Some("127.0.0.1:2".parse().unwrap()),
            dev: true,
            ..Flags::default()
        };
        let settings = Settings::read(&flags, Env::prefixed("ANSER_NO_SUCH_PREFIX_")).unwrap();
        assert_eq!((settings.listen.port(), settings.dev), (2, true));
    }

    #[test]
    fn mistakes_are_named() {
        for (file, told) in [
            ("lisen = \"127.0.0.1:1\"", "no setting lisen"),
            ("[tls]\ncert = \"x\"", "no setting tls.cert ("),
            ("listen = \"everywhere\"", "the setting listen"),
            ("[log]\nformat = \"xml\"", "the setting log.format"),
            ("[tls]\nkey = \"x\"", "belong together"),
            ("[live]\ntcp_tls = true", "needs tls.certificate"),
            (
                "[live]\norigins = [\"a.example\"]",
                "the setting live.origins",
            ),
            (
                "dev = true\n[live]\ntcp = \"0.0.0.0:1\"",
                "live.tcp is 0.0.0.0:1",
            ),
            (
                "dev = true\nlisten = \"0.0.0.0:1\"",
                "loopback addresses only",
            ),
            (
                "[limits]\nsegments_max = 201",
                "higher than the message format allows",
            ),
            ("[dispatch]\nin_flight_max = 0", "at least 1"),
            ("listen = ", "is no TOML"),
            ("[blobs]\nurl = \"s3\"", "the setting blobs.url"),
            ("[blobs]\nlink_seconds = 0", "blobs.link_seconds must be 1"),
            ("[limits]\nblob_bytes_max = 536870913", "higher than"),
        ] {
            let error = format!("{:#}", read(file).unwrap_err());
            assert!(error.contains(told), "{file}: {error}");
            assert!(!error.contains("default.default"), "{error}");
        }
    }

    #[test]
    fn what_others_put_into_the_environment_is_no_setting() {
        for (name, setting) in [
            ("LISTEN", true),
            ("LOG__LEVEL", true),
            ("LISEN", true),
            ("PORT", false),
            ("PORT_8620_TCP", false),
            ("SERVICE_HOST", false),
            ("MASTER_KEY", false),
        ] {
            assert_eq!(is_setting(name), setting, "{name}");
        }
    }
}
