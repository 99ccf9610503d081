//! Endpoints from DNS SRV records.

#[cfg(feature = "discovery")]
pub(crate) use self::lookup::resolve;

/// The endpoints that the records name.
#[cfg(not(feature = "discovery"))]
pub(crate) async fn resolve(_: &crate::Discovery) -> crate::Result<Vec<String>> {
    Err(crate::Error::invalid_config(
        "discovery by DNS, which etcdkit was built without; enable its feature discovery",
    ))
}

#[cfg(feature = "discovery")]
mod lookup {
    use hickory_resolver::{
        TokioResolver,
        config::{ConnectionConfig, NameServerConfig, ResolverConfig},
        net::{NetError, runtime::TokioRuntimeProvider},
        proto::rr::{RData, rdata::SRV},
    };

    use crate::{Discovery, Error, ErrorKind, Result};

    /// The endpoints that the records name, best first. Servers that speak TLS are preferred: the
    /// two kinds are never mixed, so that no request travels in the clear by chance.
    pub(crate) async fn resolve(discovery: &Discovery) -> Result<Vec<String>> {
        let resolver = resolver(discovery).map_err(|error| {
            Error::invalid_config(format!("no DNS resolver: {error}")).with_source(error)
        })?;
        let (secure, plain) = tokio::join!(
            lookup(&resolver, discovery.record(true)),
            lookup(&resolver, discovery.record(false)),
        );
        let failed = |record: String, error: &NetError| format!("{record}: {error}");
        let (scheme, records) = match (secure, plain) {
            (Ok(secure), _) if !secure.is_empty() => ("https", secure),
            (secure, Ok(plain)) if !plain.is_empty() && !discovery.secure_only => {
                if let Err(error) = secure {
                    tracing::debug!("{}", failed(discovery.record(true), &error));
                }
                ("http", plain)
            }
            (secure, plain) => {
                let mut causes = Vec::new();
                for (of_tls, found) in [(true, secure), (false, plain)] {
                    causes.push(match found {
                        Err(error) => failed(discovery.record(of_tls), &error),
                        Ok(found) if found.is_empty() => {
                            format!("{}: no records", discovery.record(of_tls))
                        }
                        Ok(_) => format!("{}: speaks no TLS", discovery.record(of_tls)),
                    });
                }
                let what = format!("no endpoints found by DNS ({})", causes.join("; "));
                return Err(Error::new(ErrorKind::Connect, what));
            }
        };
        let endpoints = in_order(records, fastrand::f64).into_iter().map(|srv| {
            let host = srv.target.to_utf8();
            format!("{scheme}://{}:{}", host.trim_end_matches('.'), srv.port)
        });
        Ok(endpoints.collect())
    }

    fn resolver(discovery: &Discovery) -> std::result::Result<TokioResolver, NetError> {
        let mut builder = match discovery.name_servers.is_empty() {
            true => TokioResolver::builder_tokio()?,
            false => {
                let servers = discovery.name_servers.iter().map(|server| {
                    let on_port = |mut connection: ConnectionConfig| {
                        connection.port = server.port();
                        connection
                    };
                    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                    let connections = connections.into_iter().map(on_port).collect();
                    NameServerConfig::new(server.ip(), true, connections)
                });
                let config = ResolverConfig::from_name_servers(servers.collect());
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        // Asked once for each resolution, which wants to know what holds now.
        builder.options_mut().cache_size = 0;
        builder.build()
    }

    async fn lookup(
        resolver: &TokioResolver,
        record: String,
    ) -> std::result::Result<Vec<SRV>, NetError> {
        let found = resolver.srv_lookup(record).await?;
        let servers = found
            .answers()
            .iter()
            .filter_map(|answer| match &answer.data {
                RData::SRV(srv) => Some(srv.clone()),
                _ => None,
            });
        Ok(servers.collect())
    }

    /// By priority, and at random by weight within one (RFC 2782); `random` is in 0.0..1.0.
    fn in_order(mut records: Vec<SRV>, mut random: impl FnMut() -> f64) -> Vec<SRV> {
        // The largest of random^(1/weight) comes first in a share of cases that is its share of all
        // weights. Those of weight 0 come behind all others.
        let mut keyed: Vec<(f64, SRV)> = records
            .drain(..)
            .map(|srv| (random().powf(1.0 / f64::from(srv.weight)), srv))
            .collect();
        keyed.sort_by(|(a_key, a), (b_key, b)| {
            let by_weight = b_key.total_cmp(a_key);
            a.priority.cmp(&b.priority).then(by_weight)
        });
        keyed.into_iter().map(|(_, srv)| srv).collect()
    }

    #[cfg(test)]
    mod tests {
        use std::{
            net::{Ipv4Addr, SocketAddr},
            time::Duration,
        };

        use hickory_resolver::proto::{
            op::{Message, OpCode, ResponseCode},
            rr::{Name, Record},
        };
        use tokio::{net::UdpSocket, time::timeout};

        use super::*;
        use crate::Client;

        fn srv(priority: u16, weight: u16, port: u16, target: &str) -> SRV {
            SRV::new(
                priority,
                weight,
                port,
                Name::from_ascii(target).expect("a name"),
            )
        }

        /// A name server on loopback that knows some SRV records and nothing else.
        async fn name_server(zone: Vec<(&'static str, SRV)>) -> SocketAddr {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("a port");
            let address = socket.local_addr().expect("an address");
            tokio::spawn(async move {
                let mut buffer = [0; 1500];
                while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                    let asked = Message::from_vec(&buffer[..length]).expect("a question");
                    let query = asked.queries[0].clone();
                    let name = query.name().to_ascii().to_ascii_lowercase();
                    let of_name = zone.iter().filter(|(known, _)| *known == name);
                    let answers: Vec<_> = of_name
                        .map(|(_, srv)| {
                            Record::from_rdata(query.name().clone(), 60, RData::SRV(srv.clone()))
                        })
                        .collect();
                    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
                    if answers.is_empty() {
                        answer.metadata.response_code = ResponseCode::NXDomain;
                    }
                    answer.add_query(query);
                    answer.add_answers(answers);
                    let bytes = answer.to_vec().expect("an answer");
                    socket.send_to(&bytes, from).await.expect("sent");
                }
            });
            address
        }

        const TLS: &str = "_etcd-client-ssl._tcp.example.com.";
        const PLAIN: &str = "_etcd-client._tcp.example.com.";
        const BLUE: &str = "_etcd-client-blue._tcp.example.com.";

        #[tokio::test]
        async fn records_become_endpoints_in_their_order() {
            let server = name_server(vec![
                (PLAIN, srv(10, 0, 2379, "spare.example.com.")),
                (PLAIN, srv(1, 1, 2479, "first.example.com.")),
                (BLUE, srv(0, 0, 1, "blue.example.com.")),
            ])
            .await;
            let discovery = Discovery::new("example.com").name_server(server);
            assert_eq!(
                resolve(&discovery).await.expect("endpoints"),
                [
                    "http://first.example.com:2479",
                    "http://spare.example.com:2379"
                ]
            );
            let blue = discovery.clone().service_name("blue");
            assert_eq!(
                resolve(&blue).await.expect("endpoints"),
                ["http://blue.example.com:1"]
            );

            let error = resolve(&discovery.secure_only()).await.expect_err("none");
            assert_eq!(error.kind(), ErrorKind::Connect);
            let text = error.to_string();
            assert!(
                text.contains(TLS) && text.contains("speaks no TLS"),
                "{text}"
            );
        }

        #[tokio::test]
        async fn servers_with_tls_come_before_those_without() {
            let server = name_server(vec![
                (PLAIN, srv(0, 0, 1, "plain.example.com.")),
                (TLS, srv(0, 0, 2, "tls.example.com.")),
            ])
            .await;
            let discovery = Discovery::new("example.com.").name_server(server);
            assert_eq!(
                resolve(&discovery).await.expect("endpoints"),
                ["https://tls.example.com:2"]
            );
        }

        #[tokio::test]
        async fn what_was_looked_for_in_vain_is_named() {
            let server = name_server(vec![]).await;
            let discovery = Discovery::new("example.com").name_server(server);
            let error = resolve(&discovery).await.expect_err("none");
            assert_eq!(error.kind(), ErrorKind::Connect);
            let text = error.to_string();
            assert!(text.contains(TLS) && text.contains(PLAIN), "{text}");
        }

        #[tokio::test]
        async fn clients_connect_to_what_dns_knows() {
            let etcd = etcdkit_server::Server::builder()
                .start()
                .await
                .expect("a server");
            let port = etcd
                .endpoint()
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok());
            let server = name_server(vec![(
                PLAIN,
                srv(0, 0, port.expect("a port"), "localhost."),
            )])
            .await;
            let builder =
                || Client::builder().discover(Discovery::new("example.com").name_server(server));
            let client = builder().connect().await.expect("a client");
            client.put("k", "v").await.expect("a put");
            let lazy = builder().connect_lazy().expect("a client");
            assert_eq!(lazy.endpoints().len(), 0);
            lazy.get("k").await.expect("a get").expect("the key");
            assert!(lazy.endpoints().eq(client.endpoints()));
        }

        #[tokio::test]
        async fn a_lazy_client_tells_what_dns_does_not_know() {
            let server = name_server(vec![]).await;
            let client = Client::builder()
                .discover(Discovery::new("example.com").name_server(server))
                .request_timeout(Duration::from_secs(1))
                .connect_lazy()
                .expect("a client");
            let refused = async {
                loop {
                    let error = client.get("k").await.expect_err("no endpoint");
                    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 0));
                    // Until DNS has answered, no endpoint is known yet.
                    if error.to_string().contains(TLS) {
                        return;
                    }
                }
            };
            let patience = Duration::from_secs(60);
            timeout(patience, refused).await.expect("it tells");
        }

        #[test]
        fn weights_decide_how_often_a_server_comes_first() {
            let seed = fastrand::u64(..);
            println!("seed {seed}");
            let mut random = fastrand::Rng::with_seed(seed);
            let records = vec![
                srv(1, 30, 1, "a."),
                srv(1, 10, 2, "b."),
                srv(1, 0, 3, "c."),
                srv(0, 1, 4, "d."),
            ];
            let mut first = [0; 5];
            for _ in 0..2000 {
                let ports: Vec<u16> = in_order(records.clone(), || random.f64())
                    .iter()
                    .map(|srv| srv.port)
                    .collect();
                assert_eq!((ports[0], ports[3]), (4, 3));
                first[usize::from(ports[1])] += 1;
            }
            // Three in four, give or take five standard deviations.
            assert!((1400..1600).contains(&first[1]), "{first:?}");
        }
    }
}
