//! What `--debug` prints to standard error.

use etcdkit::v2::{Client, Exchange};

use crate::golang::quote;

/// Prints the client's endpoints, after what is the matter with them.
pub(super) fn endpoints(what: &str, client: &Client) {
    let endpoints: Vec<_> = client.endpoints().collect();
    eprintln!("{what} {}", endpoints.join(", "));
}

/// Prints a request as a curl command, values left out.
pub(super) fn request(exchange: &Exchange) {
    eprintln!(
        "{}",
        command(&exchange.method, &exchange.url, exchange.body.as_deref())
    );
}

fn command(method: &str, url: &str, body: Option<&str>) -> String {
    // A shell must not read a query as commands of its own.
    let mut command = format!("cURL Command: curl -X {method} {}", quote(url.as_bytes()));
    if let Some(body) = body {
        command.push_str(" -d ");
        command.push_str(&quote(body.as_bytes()));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_commands_for_a_shell() {
        assert_eq!(
            command(
                "PUT",
                "http://a:1/v2/keys/b?dir=true&x=1",
                Some("ttl=5&value=...")
            ),
            r#"cURL Command: curl -X PUT "http://a:1/v2/keys/b?dir=true&x=1" -d "ttl=5&value=...""#
        );
        assert_eq!(
            command("GET", "http://a:1/v2/keys/b", None),
            r#"cURL Command: curl -X GET "http://a:1/v2/keys/b""#
        );
    }
}
