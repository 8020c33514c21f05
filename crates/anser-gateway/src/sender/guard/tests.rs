//! Which addresses and URLs the guard refuses, case by case. Sources: the registries named in `ranges.rs`.

use std::net::IpAddr;

use url::Url;

use super::{AddressGuard, GUARD_SETTING, GuardOptions};

fn class_of(address: &str) -> Option<String> {
    let address: IpAddr = address.parse().unwrap();
    let problem = AddressGuard::default().judge(address).err()?;
    assert_eq!(problem.code, "address_not_allowed");
    assert!(problem.detail.contains(GUARD_SETTING), "{problem}");
    let (_, rest) = problem.detail.split_once('(').unwrap();
    Some(rest.split_once(')').unwrap().0.to_owned())
}

/// Addresses at both ends of each range, by class.
const REFUSED: &[(&str, &[&str])] = &[
    ("unspecified", &["0.0.0.0", "0.255.255.255", "::"]),
    (
        "loopback",
        &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"],
    ),
    (
        "private",
        &[
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
        ],
    ),
    ("carrier-grade NAT", &["100.64.0.0", "100.127.255.255"]),
    (
        "link-local",
        &["169.254.0.0", "169.254.255.255", "fe80::", "febf:ffff::1"],
    ),
    (
        "cloud metadata",
        &[
            "169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
        ],
    ),
    (
        "protocol assignments",
        &["192.0.0.0", "192.0.0.255", "2001:1::1", "2001:1ff:ffff::"],
    ),
    (
        "documentation",
        &[
            "192.0.2.0",
            "192.0.2.255",
            "198.51.100.0",
            "198.51.100.255",
            "203.0.113.0",
            "203.0.113.255",
            "2001:db8::",
            "2001:db8:ffff:ffff::",
            "3fff::",
            "3fff:fff:ffff::",
        ],
    ),
    (
        "benchmark",
        &[
            "198.18.0.0",
            "198.19.255.255",
            "2001:2::",
            "2001:2:0:ffff::",
        ],
    ),
    (
        "multicast",
        &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"],
    ),
    (
        "reserved",
        &[
            "240.0.0.0",
            "255.255.255.254",
            "4000::1",
            "200::1",
            "e000::1",
            "fe00::1",
            "::1:0:0:0",
        ],
    ),
    ("broadcast", &["255.255.255.255"]),
    (
        "6to4",
        &[
            "192.88.99.1",
            "2002::",
            "2002:808:808::1",
            "2002:ffff:ffff::",
        ],
    ),
    (
        "NAT64",
        &[
            "64:ff9b::808:808",
            "64:ff9b::ffff:ffff",
            "64:ff9b:1::",
            "64:ff9b:1:ffff::1",
        ],
    ),
    ("discard-only", &["100::", "100::ffff:ffff:ffff:ffff"]),
    ("Teredo", &["2001::", "2001:0:ffff::"]),
    ("ORCHID", &["2001:10::", "2001:2f:ffff::"]),
    ("segment routing", &["5f00::1"]),
    ("unique local", &["fc00::", "fdff:ffff::1", "fd20:ce::254"]),
    ("site-local", &["fec0::", "feff:ffff::1"]),
];

#[test]
fn refuses_every_special_range_at_both_ends() {
    for (class, addresses) in REFUSED {
        for address in *addresses {
            assert_eq!(class_of(address).as_deref(), Some(*class), "{address}");
        }
    }
}

#[test]
fn judges_embedded_ipv4_as_ipv4() {
    for (address, class) in [
        ("::ffff:127.0.0.1", Some("loopback")),
        ("::ffff:10.1.2.3", Some("private")),
        ("::ffff:169.254.169.254", Some("cloud metadata")),
        ("::127.0.0.1", Some("loopback")),
        ("::192.168.1.1", Some("private")),
        ("::ffff:0:127.0.0.1", Some("loopback")),
        ("::2", Some("unspecified")),
        ("::ffff:8.8.8.8", None),
        ("::8.8.8.8", None),
    ] {
        assert_eq!(class_of(address).as_deref(), class, "{address}");
    }
}

#[test]
fn allows_public_addresses_up_to_the_edges() {
    for address in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "8.8.8.8",
        "168.63.129.17",
        "2000::1",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700::1111",
        "3ffe:ffff::",
        "3fff:1000::",
    ] {
        assert_eq!(class_of(address), None, "{address}");
    }
}

#[test]
fn judges_what_a_url_says_in_every_spelling() {
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://127.0.0.1./",
        "http://①②⑦.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://user@127.0.0.1:8080/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:ffff:127.0.0.1]/",
        "http://0/",
        "http://0.0.0.0/",
        "http://localhost/",
        "http://LOCALHOST:80/",
        "http://localhost./",
        "http://a.localhost/",
        "http://a.b.localhost./",
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
    ] {
        let parsed = Url::parse(url).unwrap();
        let problem = AddressGuard::default().judge_url(&parsed).unwrap_err();
        assert_eq!(problem.code, "address_not_allowed", "{url}");
    }
    for url in [
        "https://example.com/",
        "https://localhost.example.com/",
        "https://notlocalhost/",
        "http://8.8.8.8:8080/",
        "http://[2606:4700::1111]/",
        "https://xn--fsq.example/",
    ] {
        let parsed = Url::parse(url).unwrap();
        assert_eq!(AddressGuard::default().judge_url(&parsed), Ok(()), "{url}");
    }
    let without_host = Url::parse("data:text/plain,x").unwrap();
    assert!(AddressGuard::default().judge_url(&without_host).is_err());
}

#[test]
fn the_configuration_allows_by_range_host_and_loopback() {
    let guard = AddressGuard::new(GuardOptions {
        allow_cidrs: vec![
            "10.1.0.0/16".parse().unwrap(),
            "fd00:1::/32".parse().unwrap(),
        ],
        allow_hosts: vec![
            "Hooks.Internal.".to_owned(),
            "192.168.0.7".to_owned(),
            "[::1]".to_owned(),
        ],
        allow_loopback: false,
    });
    for (address, allowed) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("10.2.0.1", false),
        ("fd00:1::5", true),
        ("fd00:2::5", false),
        ("192.168.0.7", true),
        ("192.168.0.8", false),
        ("::1", true),
        ("127.0.0.1", false),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(guard.judge(address).is_ok(), allowed, "{address}");
    }
    assert!(guard.allows_host("hooks.internal"));
    assert!(guard.allows_host("hooks.internal."));
    assert!(!guard.allows_host("a.hooks.internal"));

    let dev = AddressGuard::new(GuardOptions {
        allow_loopback: true,
        ..GuardOptions::default()
    });
    for url in [
        "http://localhost:1/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
    ] {
        assert_eq!(dev.judge_url(&Url::parse(url).unwrap()), Ok(()), "{url}");
    }
    assert!(
        dev.judge_url(&Url::parse("http://10.0.0.1/").unwrap())
            .is_err()
    );
}
