//! A server of either kind, told the same.

use std::path::PathBuf;

use etcdkit_server::{AuthToken, Jwt, Server, ServerTls, SignMethod};
use etcdkit_testkit::{
    certificates::Authority,
    etcd::{Binary, Cluster, Version},
};
use tempfile::TempDir;

/// The names that servers are reached by here.
pub(crate) const LOCAL: &[&str] = &["127.0.0.1", "localhost"];

/// What runs.
pub(crate) enum Site {
    Embedded(Server),
    Etcd(Cluster),
}

impl Site {
    pub(crate) fn endpoint(&self) -> String {
        match self {
            Self::Embedded(server) => server.endpoint(),
            Self::Etcd(cluster) => cluster.endpoint().to_owned(),
        }
    }
}

/// Which server to run.
#[derive(Clone)]
pub(crate) enum Kind {
    Embedded,
    Etcd(Binary),
}

impl Kind {
    /// The embedded server first, then every real etcd.
    pub(crate) fn all() -> Vec<Self> {
        let etcds = Binary::all().expect("a real etcd");
        let etcds = etcds.into_iter().map(Self::Etcd);
        std::iter::once(Self::Embedded).chain(etcds).collect()
    }

    /// Of a real etcd.
    pub(crate) fn version(&self) -> Option<Version> {
        match self {
            Self::Embedded => None,
            Self::Etcd(binary) => Some(binary.version()),
        }
    }
}

/// How to run it.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    jwt: Option<JwtFiles>,
    tls: Option<TlsFiles>,
}

#[derive(Clone)]
struct JwtFiles {
    method: &'static str,
    private: Option<PathBuf>,
    public: Option<PathBuf>,
}

#[derive(Clone)]
struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: PathBuf,
    names_users: bool,
    hostname: Option<&'static str>,
}

impl Settings {
    pub(crate) fn jwt(
        mut self,
        method: &'static str,
        private: Option<PathBuf>,
        public: Option<PathBuf>,
    ) -> Self {
        self.jwt = Some(JwtFiles {
            method,
            private,
            public,
        });
        self
    }

    /// Clients must show a certificate of this authority.
    pub(crate) fn mutual_tls(mut self, authority: &Authority, folder: &TempDir) -> Self {
        let (certificate, key) = authority.server(LOCAL).write(folder.path(), "server");
        self.tls = Some(TlsFiles {
            certificate,
            key,
            client_ca: authority.write(folder.path()),
            names_users: true,
            hostname: None,
        });
        self
    }

    /// Certificates are demanded, but name nobody.
    pub(crate) fn nameless(mut self) -> Self {
        self.tls.as_mut().expect("mutual TLS").names_users = false;
        self
    }

    /// Clients' certificates must be for this host.
    pub(crate) fn allowed_hostname(mut self, name: &'static str) -> Self {
        self.tls.as_mut().expect("mutual TLS").hostname = Some(name);
        self
    }

    pub(crate) async fn start(&self, kind: &Kind) -> Site {
        match kind {
            Kind::Embedded => Site::Embedded(self.embedded().await),
            Kind::Etcd(binary) => {
                println!("{binary}");
                Site::Etcd(self.etcd(binary).await)
            }
        }
    }

    async fn embedded(&self) -> Server {
        let mut builder = Server::builder().bcrypt_cost(4);
        if let Some(files) = &self.jwt {
            let mut jwt = Jwt::new(files.method.parse::<SignMethod>().expect("a method"));
            if let Some(file) = &files.private {
                jwt = jwt.private_key_file(file);
            }
            if let Some(file) = &files.public {
                jwt = jwt.public_key_file(file);
            }
            builder = builder.auth_token(AuthToken::Jwt(jwt));
        }
        if let Some(files) = &self.tls {
            let mut tls = ServerTls::new()
                .identity_files(&files.certificate, &files.key)
                .client_ca_file(&files.client_ca)
                .allowed_hostnames(files.hostname);
            if files.names_users {
                tls = tls.client_cert_auth();
            }
            builder = builder.listen("https://127.0.0.1:0").tls(tls);
        }
        builder.start().await.expect("the embedded server")
    }

    async fn etcd(&self, binary: &Binary) -> Cluster {
        let mut builder = Cluster::builder(binary).flag("--bcrypt-cost=4");
        if let Some(files) = &self.jwt {
            let mut flag = format!("--auth-token=jwt,sign-method={}", files.method);
            for (name, file) in [("priv-key", &files.private), ("pub-key", &files.public)] {
                if let Some(file) = file {
                    flag.push_str(&format!(",{name}={}", file.display()));
                }
            }
            builder = builder.flag(flag);
        }
        if let Some(files) = &self.tls {
            builder = builder.tls(&files.certificate, &files.key);
            // The testkit's way to demand certificates has names of users in it.
            if files.names_users {
                builder = builder.client_ca(&files.client_ca);
            } else {
                let flag = format!("--trusted-ca-file={}", files.client_ca.display());
                builder = builder.flag(flag);
            }
            if let Some(name) = files.hostname {
                builder = builder.flag(format!("--client-cert-allowed-hostname={name}"));
            }
        }
        builder.start().await.expect("etcd")
    }
}
