//! The address ranges that are not the public internet, as data. Sources: IANA's registries of special-purpose
//! addresses (iana-ipv4-special-registry and iana-ipv6-special-registry, RFC 6890 and RFC 8190), of multicast
//! addresses, and of the IPv6 address space, with the RFC of each range beside it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A range and why it is refused.
#[derive(Debug)]
pub(super) struct Range {
    /// Its first address, the bits at the top.
    first: u128,
    prefix: u32,
    /// Its class, for people.
    pub(super) class: &'static str,
}

impl Range {
    /// Whether the address with these bits, at the top, is in it.
    pub(super) const fn holds(&self, bits: u128) -> bool {
        (bits ^ self.first) >> (u128::BITS - self.prefix) == 0
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u32, class: &'static str) -> Range {
    Range {
        first: (Ipv4Addr::new(a, b, c, d).to_bits() as u128) << 96,
        prefix,
        class,
    }
}

const fn v6(segments: [u16; 8], prefix: u32, class: &'static str) -> Range {
    let [a, b, c, d, e, f, g, h] = segments;
    Range {
        first: Ipv6Addr::new(a, b, c, d, e, f, g, h).to_bits(),
        prefix,
        class,
    }
}

/// The class that `--dev` allows.
pub(super) const LOOPBACK: &str = "loopback";

const PRIVATE: &str = "private";
const METADATA: &str = "cloud metadata";

/// IPv4. Where two hold an address the first names it.
pub(super) const REFUSED_V4: [Range; 20] = [
    v4(169, 254, 169, 254, 32, METADATA), // AWS, GCP, Azure and others: the instance metadata service.
    v4(100, 100, 100, 200, 32, METADATA), // Alibaba Cloud's.
    v4(192, 0, 0, 192, 32, METADATA),     // Oracle Cloud's.
    v4(168, 63, 129, 16, 32, METADATA), // Azure's platform address: public by number, answered by the host.
    v4(0, 0, 0, 0, 8, "unspecified"),   // RFC 791 §3.2: this host on this network.
    v4(10, 0, 0, 0, 8, PRIVATE),        // RFC 1918.
    v4(100, 64, 0, 0, 10, "carrier-grade NAT"), // RFC 6598.
    v4(127, 0, 0, 0, 8, LOOPBACK),      // RFC 1122 §3.2.1.3.
    v4(169, 254, 0, 0, 16, "link-local"), // RFC 3927.
    v4(172, 16, 0, 0, 12, PRIVATE),     // RFC 1918.
    v4(192, 0, 0, 0, 24, "protocol assignments"), // RFC 6890 §2.1.
    v4(192, 0, 2, 0, 24, "documentation"), // RFC 5737, TEST-NET-1.
    v4(192, 88, 99, 0, 24, "6to4"),     // RFC 7526: the relay's anycast address, deprecated.
    v4(192, 168, 0, 0, 16, PRIVATE),    // RFC 1918.
    v4(198, 18, 0, 0, 15, "benchmark"), // RFC 2544.
    v4(198, 51, 100, 0, 24, "documentation"), // RFC 5737, TEST-NET-2.
    v4(203, 0, 113, 0, 24, "documentation"), // RFC 5737, TEST-NET-3.
    v4(224, 0, 0, 0, 4, "multicast"),   // RFC 5771.
    v4(255, 255, 255, 255, 32, "broadcast"), // RFC 919.
    v4(240, 0, 0, 0, 4, "reserved"),    // RFC 1112 §4.
];

/// IPv6. Where two hold an address the first names it. What is in none of them and outside of [`GLOBAL_UNICAST_V6`] is
/// reserved.
pub(super) const REFUSED_V6: [Range; 19] = [
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, METADATA), // AWS over IPv6.
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),         // RFC 4291 §2.5.2.
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, LOOPBACK),              // RFC 4291 §2.5.3.
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "NAT64"),        // RFC 6052.
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "NAT64"),        // RFC 8215.
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard-only"),     // RFC 6666.
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo"),          // RFC 4380.
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmark"),       // RFC 5180.
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, "ORCHID"),       // RFC 4843, deprecated.
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, "ORCHID"),       // RFC 7343.
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "protocol assignments"), // RFC 2928.
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation"), // RFC 3849.
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4"),            // RFC 3056: carries an IPv4 address.
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation"),   // RFC 9637.
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment routing"), // RFC 9602.
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local"),     // RFC 4193.
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),      // RFC 4291 §2.5.6.
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local"),      // RFC 3879, deprecated.
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),        // RFC 4291 §2.7.
];

/// The only part of the IPv6 space that IANA gives to the public internet (RFC 4291 §2.4, ipv6-address-space).
pub(super) const GLOBAL_UNICAST_V6: Range = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, "global unicast");
