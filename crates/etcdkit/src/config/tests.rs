//! Settings are the same wherever they come from, and wrong ones are named.

use std::{ffi::OsString, time::Duration};

use super::{ClientBuilder, Discovery, EndpointMode, RetryPolicy, environment, url};
use crate::{Client, Error, ErrorKind};

fn builder() -> ClientBuilder {
    Client::builder()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn environment(variables: &[(&str, &str)]) -> Result<super::Settings, Error> {
    environment::settings(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

/// One configuration, as each source says it; a source that cannot say it is left out.
struct Case {
    what: &'static str,
    builder: ClientBuilder,
    environment: Option<&'static [(&'static str, &'static str)]>,
    url: Option<&'static str>,
    yaml: Option<&'static str>,
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            what: "endpoints",
            builder: builder().endpoints("http://a:1,http://b:2"),
            environment: Some(&[("ETCDCTL_ENDPOINTS", "http://a:1, http://b:2")]),
            url: Some("http://a:1,b:2"),
            yaml: Some("endpoints: [http://a:1, http://b:2]\ninsecure-transport: true"),
        },
        Case {
            what: "a bare endpoint",
            builder: builder().endpoint("a:1"),
            environment: Some(&[("ETCDCTL_ENDPOINTS", "a:1")]),
            url: Some("etcd://a:1"),
            yaml: Some("endpoints: a:1\ninsecure-transport: true"),
        },
        Case {
            what: "nothing",
            builder: builder().endpoint("127.0.0.1:2379"),
            environment: Some(&[("ETCDCTL_API", "3"), ("ETCDCTL_USER", "")]),
            url: None,
            yaml: None,
        },
        Case {
            what: "a socket",
            builder: builder()
                .endpoint("unix:/run/e.sock")
                .request_timeout(seconds(7)),
            environment: Some(&[
                ("ETCDCTL_ENDPOINTS", "unix:/run/e.sock"),
                ("ETCDCTL_COMMAND_TIMEOUT", "7s"),
            ]),
            url: Some("unix:/run/e.sock?timeout=7s"),
            yaml: Some(
                "endpoints: [unix:/run/e.sock]\ninsecure-transport: true\nrequest-timeout: 7s",
            ),
        },
        Case {
            what: "timeouts and limits",
            builder: builder()
                .endpoint("http://a:1")
                .connect_timeout(seconds(3))
                .request_timeout(Duration::from_millis(1500))
                .keep_alive(seconds(20), seconds(4))
                .max_send_bytes(1000)
                .max_receive_bytes(2000),
            environment: Some(&[
                ("ETCDCTL_ENDPOINTS", "http://a:1"),
                ("ETCDCTL_DIAL_TIMEOUT", "3s"),
                ("ETCDCTL_COMMAND_TIMEOUT", "1.5s"),
                ("ETCDCTL_KEEPALIVE_TIME", "20s"),
                ("ETCDCTL_KEEPALIVE_TIMEOUT", "4s"),
                ("ETCDCTL_MAX_REQUEST_BYTES", "1000"),
                ("ETCDCTL_MAX_RECV_BYTES", "2000"),
            ]),
            url: Some(
                "http://a:1?dial-timeout=3s&timeout=1.5s&keepalive_time=20s&keepalive-timeout=4s\
                 &max-request-bytes=1000&max-recv-bytes=2000",
            ),
            yaml: Some(
                "endpoints: [http://a:1]\ninsecure-transport: true\ndial-timeout: 3000000000\n\
                 command-timeout: 1.5s\ndial-keep-alive-time: 20s\ndial-keep-alive-timeout: 4s\n\
                 MaxCallSendMsgSize: 1000\nmax-recv-bytes: 2000",
            ),
        },
        Case {
            what: "a keep-alive that etcd would punish, and zeros",
            builder: builder()
                .endpoint("http://a:1")
                .keep_alive(seconds(6), seconds(6)),
            environment: Some(&[
                ("ETCDCTL_ENDPOINTS", "http://a:1"),
                ("ETCDCTL_KEEPALIVE_TIME", "2s"),
                ("ETCDCTL_KEEPALIVE_TIMEOUT", "6s"),
                ("ETCDCTL_DIAL_TIMEOUT", "0"),
                ("ETCDCTL_MAX_RECV_BYTES", "0"),
            ]),
            url: Some("http://a:1?keepalive-time=2s&keepalive-timeout=6s"),
            yaml: Some(
                "endpoints: [http://a:1]\ninsecure-transport: true\ndial-keep-alive-time: 2s\n\
                 dial-keep-alive-timeout: 6s\nauto-sync-interval: 0\nmax-unary-retries: 0\n\
                 permit-without-stream: true\nbackoff-jitter-fraction: 0.1\ndial-timeout:",
            ),
        },
        Case {
            what: "a user",
            builder: builder().endpoint("http://a:1").user("root", "p:w@/?"),
            environment: Some(&[
                ("ETCDCTL_ENDPOINTS", "http://a:1"),
                ("ETCDCTL_USER", "root:p:w@/?"),
            ]),
            url: Some("http://root:p%3Aw%40%2F%3F@a:1"),
            yaml: Some(
                "endpoints: [http://a:1]\ninsecure-transport: true\nusername: root\npassword: 'p:w@/?'",
            ),
        },
        Case {
            what: "a password that looks like a number",
            builder: builder().endpoint("http://a:1").user("a:b", "007"),
            environment: Some(&[
                ("ETCDCTL_ENDPOINTS", "http://a:1"),
                ("ETCDCTL_USER", "a:b"),
                ("ETCDCTL_PASSWORD", "007"),
            ]),
            url: Some("http://a%3Ab:007@a:1"),
            yaml: Some(
                "endpoints: [http://a:1]\ninsecure-transport: true\nusername: a:b\npassword: 007",
            ),
        },
        Case {
            what: "a token",
            builder: builder().endpoint("http://a:1").token("eyJ"),
            environment: Some(&[
                ("ETCDCTL_ENDPOINTS", "http://a:1"),
                ("ETCDCTL_AUTH_JWT_TOKEN", "eyJ"),
            ]),
            url: Some("http://a:1?token=eyJ"),
            yaml: Some("endpoints: [http://a:1]\ninsecure-transport: true\ntoken: eyJ"),
        },
        Case {
            what: "discovery",
            builder: builder().discover(
                Discovery::new("example.com")
                    .service_name("blue")
                    .secure_only(),
            ),
            environment: Some(&[
                ("ETCDCTL_DISCOVERY_SRV", "example.com"),
                ("ETCDCTL_DISCOVERY_SRV_NAME", "blue"),
                ("ETCDCTL_INSECURE_DISCOVERY", "false"),
            ]),
            url: Some("etcd+srv://example.com?discovery-srv-name=blue&insecure-discovery=false"),
            yaml: Some(
                "discovery-srv: example.com\ndiscovery-srv-name: blue\ninsecure-discovery: false\n\
                 insecure-transport: true",
            ),
        },
        Case {
            what: "what etcdctl has no flag for",
            builder: builder()
                .endpoint("http://a:1")
                .namespace("app/1/")
                .endpoint_mode(EndpointMode::Pinned)
                .auto_sync(seconds(60))
                .require_server(3, 4)
                .serializable_by_default()
                .connections_per_endpoint(2)
                .retry(
                    RetryPolicy::default()
                        .max_attempts(7)
                        .pauses(Duration::from_millis(50), seconds(1)),
                ),
            environment: Some(&[(
                "ETCD_URL",
                "http://a:1/app/1/?endpoint-mode=pinned&auto-sync-interval=1m&reject-old-cluster\
                 &serializable&connections-per-endpoint=2&max-attempts=7&backoff-wait-between=50ms",
            )]),
            url: Some(
                "http://a:1/app%2F1/?endpoint-mode=pinned&auto-sync-interval=1m\
                 &reject-old-cluster=true&serializable=true&connections-per-endpoint=2\
                 &max-unary-retries=7&backoff-wait-between=50ms",
            ),
            yaml: Some(
                "endpoints:\n- http://a:1\ninsecure-transport: true\nnamespace: app/1/\n\
                 endpoint-mode: pinned\nauto-sync-interval: 60000000000\nreject-old-cluster: true\n\
                 serializable: true\nconnections-per-endpoint: 2\nmax-unary-retries: 7\n\
                 backoff-wait-between: 50ms",
            ),
        },
    ]
}

#[cfg(feature = "tls")]
fn tls_cases() -> Vec<Case> {
    use crate::Tls;

    let mutual = || {
        Tls::new()
            .ca_file("ca.pem")
            .identity_files("c.pem", "k.pem")
    };
    vec![
        Case {
            what: "mutual TLS",
            builder: builder().endpoint("https://a:1").tls(mutual()),
            environment: Some(&[
                ("ETCDCTL_ENDPOINTS", "https://a:1"),
                ("ETCDCTL_CACERT", "ca.pem"),
                ("ETCDCTL_CERT", "c.pem"),
                ("ETCDCTL_KEY", "k.pem"),
            ]),
            url: Some("etcds://a:1?cacert=ca.pem&cert=c.pem&key=k.pem"),
            yaml: Some(
                "endpoints: [https://a:1]\ntrusted-ca-file: ca.pem\ncert-file: c.pem\n\
                 key-file: k.pem",
            ),
        },
        Case {
            what: "bare endpoints with TLS",
            builder: builder().endpoint("a:1").tls(Tls::new()),
            environment: Some(&[
                ("ETCDCTL_ENDPOINTS", "a:1"),
                ("ETCDCTL_INSECURE_TRANSPORT", "false"),
            ]),
            url: Some("etcd://a:1?insecure-transport=false"),
            yaml: Some("endpoints: [a:1]"),
        },
        Case {
            what: "no verification",
            builder: builder().endpoint("a:1").tls(
                Tls::new()
                    .danger_accept_invalid_certificates()
                    .server_name("b"),
            ),
            environment: Some(&[(
                "ETCD_URL",
                "etcd://a:1?insecure-skip-tls-verify=1&server-name=b",
            )]),
            url: Some("etcd://a:1?insecure-skip-tls-verify&server-name=b"),
            yaml: Some("endpoints: [a:1]\ninsecure-skip-tls-verify: true\nserver-name: b"),
        },
    ]
}

#[cfg(not(feature = "tls"))]
fn tls_cases() -> Vec<Case> {
    Vec::new()
}

#[test]
fn settings_are_the_same_from_everywhere() {
    for case in cases().into_iter().chain(tls_cases()) {
        let what = case.what;
        let wanted = &case.builder.settings;
        if let Some(variables) = case.environment {
            assert_eq!(&environment(variables).expect(what), wanted, "{what}");
        }
        if let Some(text) = case.url {
            assert_eq!(&url::settings(text).expect(what), wanted, "{what}: {text}");
            assert_eq!(
                &environment(&[("ETCD_URL", text)]).expect(what),
                wanted,
                "{what}"
            );
        }
        #[cfg(feature = "yaml")]
        if let Some(text) = case.yaml {
            assert_eq!(
                &super::yaml::settings(text).expect(what),
                wanted,
                "{what}: {text}"
            );
        }
        // Without the feature the texts are only there to be compiled.
        let _ = case.yaml;
    }
}

#[test]
fn variables_win_over_the_url() {
    let settings = environment(&[
        ("ETCD_URL", "http://a:1?timeout=1s&dial-timeout=1s"),
        ("ETCDCTL_ENDPOINTS", "http://b:2"),
        ("ETCDCTL_COMMAND_TIMEOUT", "9s"),
    ]);
    let wanted = builder()
        .endpoint("http://b:2")
        .request_timeout(seconds(9))
        .connect_timeout(seconds(1));
    assert_eq!(settings.expect("settings"), wanted.settings);
}

fn says(error: Error, parts: &[&str]) {
    let text = format!("{error} {error:?}");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
    for part in parts {
        assert!(text.contains(part), "{text} does not say {part}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn wrong_variables_are_named() {
    for (variables, parts) in [
        (
            &[("ETCDCTL_DIAL_TIMEOUT", "5")][..],
            &["ETCDCTL_DIAL_TIMEOUT", "\\\"5\\\"", "5s"][..],
        ),
        (
            &[("ETCDCTL_COMMAND_TIMEOUT", "-1s")],
            &["ETCDCTL_COMMAND_TIMEOUT"],
        ),
        (
            &[("ETCDCTL_INSECURE_TRANSPORT", "maybe")],
            &["ETCDCTL_INSECURE_TRANSPORT", "true or false"],
        ),
        (
            &[("ETCDCTL_MAX_RECV_BYTES", "-1")],
            &["ETCDCTL_MAX_RECV_BYTES", "bytes"],
        ),
        (&[("ETCDCTL_USER", "root")], &["without a password"]),
        (&[("ETCDCTL_PASSWORD", "hunter2")], &["without a user"]),
        (&[("ETCDCTL_USER", ":hunter2")], &["name is empty"]),
        (
            &[
                ("ETCDCTL_USER", "root:hunter2"),
                ("ETCDCTL_AUTH_JWT_TOKEN", "hunter2"),
            ],
            &["both a user and a token"],
        ),
        (
            &[("ETCDCTL_DISCOVERY_SRV_NAME", "blue")],
            &["discovery-srv-name"],
        ),
        (
            &[("ETCD_URL", "ftp://root:hunter2@a:1")],
            &["ETCD_URL", "scheme"],
        ),
    ] {
        says(environment(variables).expect_err("refused"), parts);
    }
    #[cfg(feature = "tls")]
    says(
        environment(&[("ETCDCTL_CERT", "c.pem")]).expect_err("refused"),
        &["key"],
    );
    #[cfg(not(feature = "tls"))]
    says(
        environment(&[("ETCDCTL_CACERT", "c.pem")]).expect_err("refused"),
        &["tls-ring"],
    );
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_text_are_named() {
    use std::os::unix::ffi::OsStringExt;

    let error = environment::settings(|name| {
        (name == "ETCDCTL_USER").then(|| OsString::from_vec(vec![b'a', 0xff]))
    });
    says(error.expect_err("refused"), &["ETCDCTL_USER", "UTF-8"]);
}

#[test]
fn wrong_urls_are_explained_without_their_secrets() {
    for (url, parts) in [
        ("", &["no scheme"][..]),
        ("a:1", &["//"]),
        ("etcd:a:1", &["//"]),
        ("etcd://", &["no host"]),
        ("etcd://root:hunter2@", &["no host"]),
        ("etcd://hunter2@a:1", &["without a password"]),
        ("etcd://root:hunter2@a:1?timeout=x", &["timeout"]),
        (
            "etcd://root:hunter2@a:1?colour=blue",
            &["colour", "not known"],
        ),
        ("etcd://root:hunter2@a:1#x", &["fragment"]),
        ("etcd://root:hunter2%FF@a:1", &["password", "UTF-8"]),
        ("etcd://a:1/%FF", &["namespace", "UTF-8"]),
        (
            "etcd://a:1?endpoint-mode=best",
            &["endpoint-mode", "pinned"],
        ),
        ("etcd://a:1?backoff-jitter-fraction=2", &["jitter"]),
    ] {
        says(url::settings(url).expect_err(url), parts);
    }
}

#[cfg(feature = "yaml")]
#[test]
fn wrong_yaml_is_explained_without_its_secrets() {
    for (text, parts) in [
        ("", &["list of keys"][..]),
        ("hunter2", &["list of keys"]),
        ("- hunter2", &["list of keys"]),
        ("colour: hunter2", &["colour", "not known"]),
        ("dial-timeout: soon", &["dial-timeout", "duration"]),
        ("dial-timeout: 5", &["dial-timeout", "nanoseconds"]),
        (
            "dial-timeout: {hunter2: 1}",
            &["dial-timeout", "wrong kind"],
        ),
        ("endpoints: [[hunter2]]", &["endpoints", "wrong kind"]),
        ("[hunter2]: 1", &["not text"]),
        ("password: [hunter2, hunter2]", &["password", "list"]),
        (
            "password: hunter2\npassword: hunter2",
            &["password", "already"],
        ),
        ("cert: c.pem\ncert-file: c.pem", &["cert-file", "already"]),
        ("password: \"hunter2", &["line"]),
        ("password: hunter2", &["without a user"]),
        (
            "endpoints: a:1\n---\nendpoints: b:1",
            &["more than one document"],
        ),
    ] {
        says(super::yaml::settings(text).expect_err(text), parts);
    }
    let error = ClientBuilder::from_yaml_file("/nonexistent/etcd.yaml").expect_err("no file");
    says(error, &["/nonexistent/etcd.yaml"]);
}

#[test]
fn secrets_are_never_shown() {
    let builders = [
        builder().user("root", "hunter2"),
        builder().token("hunter2"),
        builder().endpoint("http://root:hunter2@a:1"),
        ClientBuilder::from_url("etcd://root:hunter2@a:1").expect("a builder"),
    ];
    for builder in builders {
        let shown = format!("{builder:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// Whatever the texts are, there is an answer.
#[test]
fn nonsense_is_refused_without_a_panic() {
    const PARTS: [&str; 24] = [
        "etcd",
        "://",
        "@",
        ":",
        "/",
        "?",
        "&",
        "=",
        "%",
        "%2F",
        "%FF",
        ",",
        "#",
        "[",
        "]",
        "-",
        "\n",
        " ",
        "timeout",
        "endpoints",
        "5s",
        "é",
        "{",
        "\"",
    ];
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..20_000 {
        let length = random.usize(0..12);
        let text: String = (0..length).filter_map(|_| random.choice(PARTS)).collect();
        let _ = url::settings(&text);
        let _ = url::settings(&format!("etcd://a?timeout={text}"));
        #[cfg(feature = "yaml")]
        let _ = super::yaml::settings(&text);
        let _ = environment(&[("ETCD_URL", &text), ("ETCDCTL_USER", &text)]);
    }
}

#[cfg(feature = "tls")]
#[test]
fn discovery_of_secure_servers_only_expects_the_domain_in_their_certificates() {
    use crate::Tls;

    let secure = || Discovery::new("example.com").secure_only();
    let tls = |builder: ClientBuilder| builder.settings.tls();
    let domain = Tls::new().server_name("example.com");
    assert_eq!(tls(builder().discover(secure())), domain);
    let other = Tls::new().server_name("other.example");
    assert_eq!(tls(builder().tls(other.clone()).discover(secure())), other);
    assert_eq!(tls(builder().discover("example.com")), Tls::new());
}
