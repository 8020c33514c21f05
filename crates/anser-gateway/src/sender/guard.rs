//! The address guard: which addresses an outgoing connection may go to, so that nobody can make the gateway call
//! services that only it can reach (SSRF). Judges; never looks a name up and never connects.

mod ranges;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anser_core::{Problem, ProblemKind};
use ipnet::IpNet;
use url::{Host, Url};

use ranges::{GLOBAL_UNICAST_V6, LOOPBACK, REFUSED_V4, REFUSED_V6};

/// The setting that allows more, as error texts name it.
pub const GUARD_SETTING: &str = "guard.allow";

/// What is allowed beyond public addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardOptions {
    /// Address ranges. An IPv4 range also allows its addresses in their IPv6-mapped form.
    pub allow_cidrs: Vec<IpNet>,
    /// Names, whatever they resolve to, and addresses. A name allows itself alone, not the names below it.
    pub allow_hosts: Vec<String>,
    /// Loopback addresses and `localhost`: for `--dev` and `demo`.
    pub allow_loopback: bool,
}

/// Judges addresses. The default allows public ones alone.
#[derive(Debug, Clone, Default)]
pub struct AddressGuard {
    cidrs: Vec<IpNet>,
    names: Vec<String>,
    allow_loopback: bool,
}

impl AddressGuard {
    /// A guard with these exceptions.
    #[must_use]
    pub fn new(options: GuardOptions) -> Self {
        let mut guard = Self {
            cidrs: options.allow_cidrs,
            names: Vec::new(),
            allow_loopback: options.allow_loopback,
        };
        for host in options.allow_hosts {
            // The same parser as the URL's, so that both mean the same by one spelling.
            match Host::parse(&host) {
                Ok(Host::Ipv4(address)) => guard.cidrs.push(IpNet::from(IpAddr::V4(address))),
                Ok(Host::Ipv6(address)) => guard.cidrs.push(IpNet::from(IpAddr::V6(address))),
                Ok(Host::Domain(name)) => guard.names.push(plain_name(&name).to_owned()),
                Err(_) => guard.names.push(host.to_lowercase()),
            }
        }
        guard
    }

    /// Judges an address: the one that a connection is about to be made to.
    ///
    /// # Errors
    /// `address_not_allowed`, naming the address, its class and the setting.
    pub fn judge(&self, address: IpAddr) -> Result<(), Problem> {
        let judged = embedded_v4(address);
        let Some(class) = class_of(judged) else {
            return Ok(());
        };
        let is_loopback = class == LOOPBACK;
        let allowed = (is_loopback && self.allow_loopback)
            || self
                .cidrs
                .iter()
                .any(|cidr| cidr.contains(&judged) || cidr.contains(&address));
        if allowed {
            return Ok(());
        }
        Err(refused(&address.to_string(), class))
    }

    /// Judges what a URL says by itself: a literal address in any of the forms that browsers take, `localhost` and the
    /// names below it. Other names are judged by what they resolve to, when a connection is made.
    ///
    /// # Errors
    /// As [`AddressGuard::judge`]; also when the URL has no host.
    pub fn judge_url(&self, url: &Url) -> Result<(), Problem> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.judge(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.judge(IpAddr::V6(address)),
            Some(Host::Domain(name)) => self.judge_name(name),
            None => Err(Problem::new(
                ProblemKind::Invalid,
                "address_not_allowed",
                "the URL has no host; give one such as https://example.com/hook",
            )),
        }
    }

    /// Whether the configuration allows this name whatever it resolves to.
    #[must_use]
    pub fn allows_host(&self, name: &str) -> bool {
        let name = plain_name(name);
        self.names.iter().any(|allowed| allowed == name)
    }

    fn judge_name(&self, name: &str) -> Result<(), Problem> {
        let plain = plain_name(name);
        // RFC 6761 §6.3: always loopback, whatever a resolver says.
        let is_localhost = plain == "localhost" || plain.ends_with(".localhost");
        if is_localhost && !self.allow_loopback && !self.allows_host(plain) {
            return Err(refused(name, LOOPBACK));
        }
        Ok(())
    }
}

/// Without the root's dot; the URL parser has lowered the case.
fn plain_name(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn refused(what: &str, class: &str) -> Problem {
    Problem::new(
        ProblemKind::Invalid,
        "address_not_allowed",
        format!(
            "{what} is not a public address ({class}); if it is meant to be reached, add it to `{GUARD_SETTING}` in \
             the configuration file"
        ),
    )
}

/// The IPv4 address that an IPv6 address stands for, if it does: mapped `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2),
/// compatible `::a.b.c.d` (§2.5.5.1), translated `::ffff:0:a.b.c.d` (RFC 2765 §2.1). Else the address itself.
fn embedded_v4(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let is_special = v6 == Ipv6Addr::UNSPECIFIED || v6 == Ipv6Addr::LOCALHOST;
    let embeds =
        [a, b, c, d] == [0; 4] && !is_special && matches!((e, f), (0, 0 | 0xffff) | (0xffff, 0));
    if !embeds {
        return address;
    }
    IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

/// The class for which an address is refused; `None` for a public one.
fn class_of(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            REFUSED_V4
                .iter()
                .find(|range| range.holds(u128::from(bits) << 96))
                .map(|range| range.class)
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            match REFUSED_V6.iter().find(|range| range.holds(bits)) {
                Some(range) => Some(range.class),
                None if GLOBAL_UNICAST_V6.holds(bits) => None,
                None => Some("reserved"),
            }
        }
    }
}
