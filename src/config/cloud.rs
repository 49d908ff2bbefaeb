//! Elastic Cloud's ids of deployments: `name:base64 of host$elasticsearch$kibana`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::text::HttpUrl;

/// Where the deployment's Elasticsearch is.
///
/// # Errors
/// A sentence saying what is wrong with the id.
pub(super) fn url(id: &str) -> Result<HttpUrl, &'static str> {
    let encoded = id.rsplit(':').next().unwrap_or_default();
    let parts = STANDARD.decode(encoded).or_else(|_| URL_SAFE.decode(encoded)).ok();
    let parts = parts.and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = parts.ok_or("cloud_id is not `name:base64`; copy it again from the cloud's console")?;
    let none = "cloud_id names no Elasticsearch; copy it again from the cloud's console";
    let mut parts = parts.split('$');
    let (Some(host), Some(id)) = (parts.next(), parts.next().filter(|id| !id.is_empty())) else {
        return Err(none);
    };
    // Either of the two may bring its port: `host:9243$id` and `host$id:9243` were both given out.
    let ((host, host_port), (id, id_port)) = (split_port(host), split_port(id));
    let port = id_port.or(host_port).unwrap_or("443");
    format!("https://{id}.{host}:{port}").parse().map_err(|_| none)
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_deployments() {
        for (parts, expected) in [
            ("eu.cloud.example$abc$def", Some("https://abc.eu.cloud.example/")),
            ("eu.cloud.example:9243$abc$def", Some("https://abc.eu.cloud.example:9243/")),
            ("eu.cloud.example$abc:9244$def", Some("https://abc.eu.cloud.example:9244/")),
            ("eu.cloud.example$$def", None),
            ("eu.cloud.example", None),
        ] {
            let url = url(&format!("logs:{}", STANDARD.encode(parts))).ok();
            assert_eq!(url.as_ref().map(|url| url.url().as_str()), expected, "{parts}");
        }
        assert!(url("logs:???").is_err());
    }
}
