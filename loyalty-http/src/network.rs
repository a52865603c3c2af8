//! The addresses that the server may call, and the address under which it is called.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hyper::Uri;
use ipnet::IpNet;

/// The text is no address and no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an address or a network such as 10.0.0.0/8")]
pub struct NetworkError;

/// Parses a network, or an address as the network of that address alone.
///
/// # Example: a private network
/// ```
/// use loyalty_http::network::parse_network;
/// let network = parse_network("10.0.0.0/8").unwrap();
/// assert!(network.contains(&"10.1.2.3".parse::<std::net::IpAddr>().unwrap()));
/// assert!(parse_network("10.0.0.0/33").is_err());
/// ```
pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| NetworkError)
}

/// The reason why the server does not call a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("must not contain a user name or a password")]
    Credentials,
    #[error("must begin with https://")]
    NotHttps,
    #[error("must not name an address of a private network")]
    PrivateAddress,
}

/// Checks a URL that the server will call: `https`, without credentials, and no literal
/// address of a private network or of this machine, unless its network is `allowed`. Names
/// are resolved and checked when they are called.
pub(crate) fn check_endpoint(url: &str, allowed: &[IpNet]) -> Result<(), EndpointError> {
    let uri: Uri = url.parse().map_err(|_| EndpointError::NotHttps)?;
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(EndpointError::Credentials);
    }

    let host = uri.host().unwrap_or_default();
    let address = literal_address(host);
    let is_allowed =
        address.is_some_and(|address| allowed.iter().any(|network| network.contains(&address)));
    if is_allowed {
        return Ok(());
    }
    if uri.scheme_str() != Some("https") {
        return Err(EndpointError::NotHttps);
    }

    let is_private = match address {
        Some(address) => !is_public(address),
        None => is_numeric(host),
    };
    if is_private { Err(EndpointError::PrivateAddress) } else { Ok(()) }
}

/// The address that a host is, if it is one. `localhost` always is this machine.
fn literal_address(host: &str) -> Option<IpAddr> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    literal.unwrap_or(&host).parse().ok()
}

/// Returns true if a resolver may read the host as an address, as it does `127.1` and
/// `0x7f000001`.
fn is_numeric(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    is_decimal
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns true if an address may be called: a public one, or one of an `allowed` network.
pub(crate) fn may_be_called(address: IpAddr, allowed: &[IpNet]) -> bool {
    is_public(address) || allowed.iter().any(|network| network.contains(&address))
}

/// Returns true for an address of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        // "This network", shared space of providers, protocol assignments, benchmarks,
        // multicast, and reserved ones.
        || first == 0
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second))
        || first >= 224;
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, fourth, fifth, sixth, high, low] = address.segments();
    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
    let embedded = Ipv4Addr::new(a, b, c, d);

    match (first, second, third, fourth, fifth, sixth) {
        // An IPv4 address, mapped or translated.
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => is_public_v4(embedded),
        // 6to4 and documentation.
        (0x2002 | 0x3fff, ..) | (0x2001, 0x0db8, ..) => false,
        // Global unicast. All else is local, multicast or reserved.
        _ => (0x2000..0x4000).contains(&first),
    }
}

/// The URL under which clients reach the server, such as `https://loyalty.example.com`.
///
/// # Example: a server behind a path of a proxy
/// ```
/// use loyalty_http::network::PublicUrl;
/// let url: PublicUrl = "https://example.com/loyalty/".parse().unwrap();
/// assert_eq!(url.to_string(), "https://example.com/loyalty");
/// assert!("example.com".parse::<PublicUrl>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// The text is no URL of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a URL such as https://loyalty.example.com, without credentials and query")]
pub struct PublicUrlError;

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let uri: Uri = text.parse().map_err(|_| PublicUrlError)?;
        let authority = uri.authority().ok_or(PublicUrlError)?.as_str();
        let is_plain = matches!(uri.scheme_str(), Some("http" | "https"))
            && is_plain_authority(authority)
            && uri.query().is_none()
            && !uri.path().contains([',', '<', '>', ';']);
        if !is_plain {
            return Err(PublicUrlError);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl PublicUrl {
    /// The URL without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns true for a host with an optional port, and nothing that could end a `Link`.
pub(crate) fn is_plain_authority(authority: &str) -> bool {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
    };
    !authority.is_empty() && authority.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn endpoints_are_public_and_https() {
        use EndpointError::{Credentials, NotHttps, PrivateAddress};
        for (url, want) in [
            ("https://shop.example/wp-json/", Ok(())),
            ("HTTPS://shop.example", Ok(())),
            ("https://93.184.216.34/", Ok(())),
            ("https://[2606:2800:220:1::1]/", Ok(())),
            ("http://shop.example/", Err(NotHttps)),
            ("https://user:pw@shop.example/", Err(Credentials)),
            ("https://user@shop.example/", Err(Credentials)),
            ("http://169.254.169.254/latest/", Err(NotHttps)),
            ("https://169.254.169.254/latest/", Err(PrivateAddress)),
            ("https://127.0.0.1:22/", Err(PrivateAddress)),
            ("https://localhost/", Err(PrivateAddress)),
            ("https://LOCALHOST./", Err(PrivateAddress)),
            ("https://shop.localhost/", Err(PrivateAddress)),
            ("https://10.0.0.1/", Err(PrivateAddress)),
            ("https://172.31.0.1/", Err(PrivateAddress)),
            ("https://192.168.1.1/", Err(PrivateAddress)),
            ("https://100.64.0.1/", Err(PrivateAddress)),
            ("https://0.0.0.0/", Err(PrivateAddress)),
            ("https://255.255.255.255/", Err(PrivateAddress)),
            ("https://127.1/", Err(PrivateAddress)),
            ("https://2130706433/", Err(PrivateAddress)),
            ("https://0x7f000001/", Err(PrivateAddress)),
            ("https://0177.0.0.1/", Err(PrivateAddress)),
            ("https://[::1]/", Err(PrivateAddress)),
            ("https://[::ffff:127.0.0.1]/", Err(PrivateAddress)),
            ("https://[64:ff9b::10.0.0.1]/", Err(PrivateAddress)),
            ("https://[fe80::1]/", Err(PrivateAddress)),
            ("https://[fd00::1]/", Err(PrivateAddress)),
            ("https://[ff02::1]/", Err(PrivateAddress)),
        ] {
            assert_eq!(check_endpoint(url, &[]), want, "{url}");
        }

        // The operator can allow networks, also without TLS.
        let allowed = ["10.0.0.0/8", "127.0.0.1"].map(|text| parse_network(text).unwrap());
        for (url, want) in [
            ("http://10.1.2.3/", Ok(())),
            ("https://10.1.2.3/", Ok(())),
            ("http://localhost:8080/", Ok(())),
            ("https://127.0.0.2/", Err(PrivateAddress)),
            ("http://u:p@10.1.2.3/", Err(Credentials)),
            ("https://shop.example/", Ok(())),
        ] {
            assert_eq!(check_endpoint(url, &allowed), want, "{url}");
        }
    }

    #[test]
    fn networks_have_a_prefix() {
        for (network, address, contains) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fe80::1", true),
            ("::1/128", "::1", true),
        ] {
            let network = parse_network(network).unwrap();
            assert_eq!(
                network.contains(&address.parse::<IpAddr>().unwrap()),
                contains,
                "{network:?} {address}"
            );
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "a"] {
            assert_eq!(parse_network(text), Err(NetworkError), "{text}");
        }
    }

    #[test]
    fn public_urls_are_plain() {
        for (text, want) in [
            ("https://a.example", Some("https://a.example")),
            ("https://a.example/", Some("https://a.example")),
            ("http://a.example:8080/x/", Some("http://a.example:8080/x")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("https://u:p@a.example", None),
            ("https://a.example/?x", None),
            ("https://a.example/a,b", None),
            ("ftp://a.example", None),
            ("a.example", None),
            ("/x", None),
            ("", None),
        ] {
            let url = text.parse::<PublicUrl>().ok();
            assert_eq!(url.as_ref().map(PublicUrl::as_str), want, "{text}");
        }
    }
}
