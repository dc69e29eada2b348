use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address may not be dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}, which is {range}")]
pub struct AddressError {
    /// The address.
    pub address: IpAddr,
    /// What range it is in.
    pub range: &'static str,
}

/// IPv4 that is not public unicast (IANA's special-purpose registry): address, prefix length, name.
const V4: &[(u32, u32, &str)] = &[
    (0x0000_0000, 8, "this network"),
    (0x0a00_0000, 8, "private"),
    (0x6440_0000, 10, "behind a carrier's NAT"),
    (0x7f00_0000, 8, "loopback"),
    (0xa9fe_0000, 16, "link-local"),
    (0xac10_0000, 12, "private"),
    (0xc000_0000, 24, "reserved for protocols"),
    (0xc000_0200, 24, "documentation"),
    (0xc058_6300, 24, "reserved for relays of 6to4"),
    (0xc0a8_0000, 16, "private"),
    (0xc612_0000, 15, "for benchmarks"),
    (0xc633_6400, 24, "documentation"),
    (0xcb00_7100, 24, "documentation"),
    (0xe000_0000, 4, "multicast"),
    (0xf000_0000, 4, "reserved or broadcast"),
];

/// IPv6 inside 2000::/3 that is not public unicast, and has no IPv4 address in it.
const V6: &[(u128, u32, &str)] = &[
    (0x2001_0db8 << 96, 32, "documentation"),
    (0x2001 << 112, 23, "reserved for protocols"),
    (0x3fff << 112, 20, "documentation"),
];

/// Whether an address is public unicast, and so is every IPv4 address that it holds.
///
/// # Errors
/// With the range that it is in.
pub fn public_unicast(address: IpAddr) -> Result<(), AddressError> {
    let range = match address {
        IpAddr::V4(address) => range_v4(address),
        IpAddr::V6(address) => range_v6(address),
    };
    range.map_or(Ok(()), |range| Err(AddressError { address, range }))
}

fn range_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    V4.iter().find(|(net, len, _)| (bits ^ net) >> (32 - len) == 0).map(|(_, _, name)| *name)
}

fn range_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = u128::from(address);
    let within = |net: u128, len: u32| (bits ^ net) >> (128 - len) == 0;
    // The IPv4 address whose last bit stands at `shift`.
    let v4 = |shift: u32| Ipv4Addr::from(u32::try_from(bits >> shift & 0xffff_ffff).expect("32 bits"));
    if within(0, 128) {
        return Some("unspecified");
    }
    if within(1, 128) {
        return Some("loopback");
    }
    if within(0xffff << 32, 96) {
        return range_v4(v4(0));
    }
    if within(0x64_ff9b << 96, 96) {
        return range_v4(v4(0));
    }
    if within(0x2002 << 112, 16) {
        return range_v4(v4(80));
    }
    if within(0x2001 << 112, 32) {
        // Teredo: the server's address, then the client's with every bit turned.
        let client = Ipv4Addr::from(!u32::from(v4(0)));
        return range_v4(v4(64)).or_else(|| range_v4(client));
    }
    if within(0xfc00 << 112, 7) {
        return Some("private");
    }
    if within(0xfe80 << 112, 10) {
        return Some("link-local");
    }
    if within(0xff00 << 112, 8) {
        return Some("multicast");
    }
    if !within(0x2000 << 112, 3) {
        return Some("outside of public unicast");
    }
    V6.iter().find(|(net, len, _)| within(*net, *len)).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Option<&'static str> {
        public_unicast(text.parse().unwrap()).err().map(|error| error.range)
    }

    #[test]
    fn ranges_begin_and_end_where_the_registry_says() {
        for (last_before, first, last, first_after) in [
            ("255.255.255.255", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("223.255.255.255", "224.0.0.0", "255.255.255.255", "1.1.1.1"),
        ] {
            assert!(range(first).is_some() && range(last).is_some(), "{first} {last}");
            assert!(range(first_after).is_none(), "{first_after}");
            assert!(range(last_before).is_none() || first == "0.0.0.0", "{last_before}");
            for address in [first, last, first_after] {
                let mapped = range(&format!("::ffff:{address}"));
                assert_eq!(mapped, range(address), "mapped {address}");
                assert_eq!(range(&format!("64:ff9b::{address}")), range(address), "NAT64 {address}");
            }
        }
    }

    #[test]
    fn addresses_of_version_6_are_public_in_one_range_only() {
        assert_eq!(range("::"), Some("unspecified"));
        assert_eq!(range("::1"), Some("loopback"));
        assert_eq!(range("::2"), Some("outside of public unicast"));
        assert_eq!(range("::8.8.8.8"), Some("outside of public unicast"));
        assert_eq!(range("fc00::1"), Some("private"));
        assert_eq!(range("fdff:ffff::1"), Some("private"));
        assert_eq!(range("fe80::1"), Some("link-local"));
        assert_eq!(range("febf::1"), Some("link-local"));
        assert_eq!(range("fec0::1"), Some("outside of public unicast"));
        assert_eq!(range("ff02::1"), Some("multicast"));
        assert_eq!(range("64:ff9b:1::8.8.8.8"), Some("outside of public unicast"));
        assert_eq!(range("100::1"), Some("outside of public unicast"));
        assert_eq!(range("2001:db8::1"), Some("documentation"));
        assert_eq!(range("3fff:0fff::1"), Some("documentation"));
        assert_eq!(range("3fff:1000::1"), None);
        assert_eq!(range("2001:2::1"), Some("reserved for protocols"));
        assert_eq!(range("2001:1ff::1"), Some("reserved for protocols"));
        assert_eq!(range("2001:200::1"), None);
        assert_eq!(range("2606:4700:4700::1111"), None);
        assert_eq!(range("4000::1"), Some("outside of public unicast"));
    }

    #[test]
    fn addresses_inside_addresses_are_looked_at() {
        assert_eq!(range("2002:0a00:0001::1"), Some("private"));
        assert_eq!(range("2002:7f00:0001::1"), Some("loopback"));
        assert_eq!(range("2002:0808:0808::1"), None);
        // Teredo with the server 8.8.8.8: the client is 10.0.0.1, then 8.8.4.4; then the server is 127.0.0.1.
        assert_eq!(range("2001:0:808:808:0:0:f5ff:fffe"), Some("private"));
        assert_eq!(range("2001:0:808:808:0:0:f7f7:fbfb"), None);
        assert_eq!(range("2001:0:7f00:1:0:0:f7f7:fbfb"), Some("loopback"));
    }
}
