//! Signed tokens, good and bad.

use std::{fs, path::PathBuf};

use etcdkit_testkit::etcd::Version;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    raw::{Raw, said},
    site::Settings,
    transcript::{Transcript, answer, asked_by, compare},
};

/// A pair of keys as PEM files.
struct Keys {
    pair: KeyPair,
    public_pem: String,
    private: PathBuf,
    public: PathBuf,
}

impl Keys {
    fn new(kind: &'static rcgen::SignatureAlgorithm, folder: &TempDir, name: &str) -> Self {
        use base64::{Engine as _, engine::general_purpose::STANDARD};

        let pair = KeyPair::generate_for(kind).expect("a key");
        let base64 = STANDARD.encode(pair.subject_public_key_info());
        let lines: Vec<_> = base64
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        let public_pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        );
        let private = folder.path().join(format!("{name}.key"));
        let public = folder.path().join(format!("{name}.pub"));
        fs::write(&private, pair.serialize_pem()).expect("a file");
        fs::write(&public, &public_pem).expect("a file");
        Self {
            pair,
            public_pem,
            private,
            public,
        }
    }

    fn signing(&self) -> EncodingKey {
        EncodingKey::from_rsa_pem(self.pair.serialize_pem().as_bytes()).expect("an RSA key")
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn claims_of(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token)
        .expect("a JWT")
        .claims
}

#[tokio::test]
async fn tokens_say_whom_they_stand_for_and_since_when() {
    let folder = folder();
    let keys = Keys::new(&rcgen::PKCS_RSA_SHA256, &folder, "rsa");
    let settings = Settings::default().jwt(
        "RS256",
        Some(keys.private.clone()),
        Some(keys.public.clone()),
    );
    compare(async |kind| {
        let site = settings.start(kind).await;
        let nobody = Raw::plain(&site.endpoint()).await;
        let mut transcript = Transcript::new();
        let off = nobody.token("nonsense");
        transcript.push(("off, nonsense: put".into(), said(&off.put("a", 0).await)));
        transcript.push(("off: log in".into(), said(&nobody.log_in("root").await)));
        nobody.set_up().await;

        let before = now();
        let tokens = [nobody.log_in("root").await, nobody.log_in("ann").await];
        let [root_token, ann_token] = tokens.map(|token| token.expect("a token"));
        let header = jsonwebtoken::decode_header(&ann_token).expect("a header");
        transcript.push((
            "header".into(),
            format!("{:?} {:?}", header.typ, header.alg),
        ));
        let claims = claims_of(&ann_token);
        let lives = claims["exp"].as_u64().expect("an expiry") - before;
        assert!((298..=310).contains(&lives), "{claims}");
        let mut names: Vec<_> = claims.as_object().expect("claims").keys().collect();
        names.sort();
        transcript.push(("claims".into(), format!("{names:?}")));
        transcript.push(("revision".into(), claims["revision"].to_string()));

        let (root, ann) = (nobody.token(&root_token), nobody.token(&ann_token));
        let lease = 77;
        root.grant(lease).await.expect("a lease");
        root.put("aa", lease).await.expect("a put");
        root.grant(lease + 1).await.expect("a lease");
        root.put("aaa", lease + 1).await.expect("a put");
        root.put("z", 0).await.expect("a put");
        for (who, raw) in [("nobody", &nobody), ("root", &root), ("ann", &ann)] {
            transcript.extend(asked_by(who, raw.everything(lease).await));
        }
        let bearer = nobody.with("authorization", &format!("Bearer {ann_token}"));
        transcript.push(("bearer: put".into(), said(&bearer.put("a", 0).await)));

        root.add_role("another").await.expect("a change");
        for (who, raw) in [("old root", &root), ("old ann", &ann)] {
            transcript.extend(asked_by(who, raw.everything(lease).await));
        }
        for (who, raw) in [("old ann", &ann), ("old root", &root)] {
            let revoked = said(&raw.revoke(lease + 1).await);
            transcript.push((format!("{who}: revoke"), revoked));
        }
        let again = nobody.log_in("ann").await.expect("a token");
        let revision = claims_of(&again)["revision"].to_string();
        transcript.push(("revision after a change".into(), revision));
        let again = nobody.token(&again);
        transcript.push(("new ann: put".into(), said(&again.put("a", 0).await)));
        transcript
    })
    .await;
}

#[tokio::test]
async fn forged_and_stale_tokens_are_worth_nothing() {
    let folder = folder();
    let keys = Keys::new(&rcgen::PKCS_RSA_SHA256, &folder, "rsa");
    let other = Keys::new(&rcgen::PKCS_RSA_SHA256, &folder, "other");
    let settings = Settings::default().jwt("RS256", None, Some(keys.public.clone()));
    let embedded = compare(async |kind| {
        let site = settings.start(kind).await;
        let nobody = Raw::plain(&site.endpoint()).await;
        nobody.set_up().await;
        let mut transcript = Transcript::new();
        // The server has only the public key.
        transcript.push(("log in".into(), said(&nobody.log_in("ann").await)));
        transcript.push((
            "unknown user: log in".into(),
            said(&nobody.log_in("eve").await),
        ));

        let rs256 = |claims: Value| {
            encode(&Header::new(Algorithm::RS256), &claims, &keys.signing()).expect("a token")
        };
        let exp = now() + 600;
        let root =
            |revision: u64| rs256(json!({"username": "root", "revision": revision, "exp": exp}));
        // Seven changes lead to revision 8.
        let ann = json!({"username": "ann", "revision": 8, "exp": exp});
        let with = |name: &str, value: Value| {
            let mut claims = ann.clone();
            claims[name] = value;
            rs256(claims)
        };
        let without = |name: &str| {
            let mut claims = ann.clone();
            claims.as_object_mut().expect("claims").remove(name);
            rs256(claims)
        };
        let good = rs256(ann.clone());
        let (text, signature) = good.rsplit_once('.').expect("a signature");
        let confused = EncodingKey::from_secret(keys.public_pem.as_bytes());
        let confused = encode(&Header::new(Algorithm::HS256), &ann, &confused);
        let unsigned = {
            use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
            let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
            let claims = text.split_once('.').expect("claims").1;
            format!("{header}.{claims}.")
        };
        let foreign = encode(&Header::new(Algorithm::RS256), &ann, &other.signing());
        let weaker = encode(&Header::new(Algorithm::PS256), &ann, &keys.signing());
        let tokens = [
            ("good", good.clone()),
            ("no signature", text.to_owned()),
            ("empty signature", format!("{text}.")),
            ("half a signature", good[..good.len() - 20].to_owned()),
            (
                "signature of another text",
                format!(
                    "{}.{signature}",
                    with("username", "root".into())
                        .rsplit_once('.')
                        .expect("a signature")
                        .0
                ),
            ),
            ("foreign key", foreign.expect("a token")),
            ("public key as secret", confused.expect("a token")),
            ("unsigned", unsigned),
            ("other method", weaker.expect("a token")),
            ("expired", with("exp", (now() - 10).into())),
            ("expired long ago", with("exp", 1.into())),
            ("negative expiry", with("exp", (-5).into())),
            ("expiry zero", with("exp", 0.into())),
            ("no expiry", without("exp")),
            ("expiry null", with("exp", Value::Null)),
            ("expiry a text", with("exp", "soon".into())),
            (
                "expiry with a fraction",
                with("exp", (exp as f64 + 0.5).into()),
            ),
            ("not yet good", with("nbf", (now() + 600).into())),
            ("good since now", with("nbf", (now() - 10).into())),
            ("issued in the future", with("iat", (now() + 600).into())),
            ("for an audience", with("aud", "others".into())),
            ("of an issuer", with("iss", "others".into())),
            ("user empty", with("username", "".into())),
            ("unknown user", with("username", "eve".into())),
            ("revision zero", with("revision", 0.into())),
            ("revision old", with("revision", 7.into())),
            ("revision with a fraction", with("revision", 8.9.into())),
            ("revision to come", with("revision", 9.into())),
            ("root", root(8)),
            ("root, old", root(7)),
            ("root, to come", root(9)),
            ("empty", String::new()),
            ("nonsense", "nonsense".to_owned()),
            ("simple token", "abcdefghijklmnop.7".to_owned()),
            // Last, since etcd 3.4 crashes at them.
            ("other types: no user", without("username")),
            ("other types: user a number", with("username", 5.into())),
            ("other types: no revision", without("revision")),
            ("other types: revision a text", with("revision", "8".into())),
        ];
        for (what, token) in &tokens {
            let raw = nobody.token(token);
            transcript.extend(asked_by(what, raw.everything(0).await));
        }
        transcript
    })
    .await;
    assert_eq!(answer(&embedded, "good: put"), "ok");
    assert_eq!(
        answer(&embedded, "revision old: put"),
        "InvalidArgument: etcdserver: revision of auth store is old"
    );
    for forged in ["public key as secret", "unsigned", "foreign key", "expired"] {
        assert_eq!(
            answer(&embedded, &format!("{forged}: put")),
            "Unauthenticated: etcdserver: invalid auth token"
        );
    }
}

#[tokio::test]
async fn every_kind_of_key_signs() {
    let folder = folder();
    let rsa = Keys::new(&rcgen::PKCS_RSA_SHA256, &folder, "rsa");
    let p256 = Keys::new(&rcgen::PKCS_ECDSA_P256_SHA256, &folder, "p256");
    let p384 = Keys::new(&rcgen::PKCS_ECDSA_P384_SHA384, &folder, "p384");
    let ed25519 = Keys::new(&rcgen::PKCS_ED25519, &folder, "ed25519");
    let secret = folder.path().join("secret");
    fs::write(&secret, "a secret\n").expect("a file");
    for (method, private) in [
        ("RS384", &rsa.private),
        ("RS512", &rsa.private),
        ("PS256", &rsa.private),
        ("PS384", &rsa.private),
        ("PS512", &rsa.private),
        ("ES256", &p256.private),
        ("ES384", &p384.private),
        ("EdDSA", &ed25519.private),
        ("HS256", &secret),
        ("HS384", &secret),
        ("HS512", &secret),
    ] {
        // One server's token is good at the other, so long as both have the key.
        let settings = Settings::default().jwt(method, Some(private.clone()), None);
        let kinds = crate::site::Kind::all();
        let etcd = kinds.last().expect("an etcd");
        let other = match etcd.version() {
            // Before, etcd does not start with such a key.
            Some(version) if method == "EdDSA" && version < Version::new(3, 6, 0) => &kinds[0],
            _ => etcd,
        };
        let sites = [settings.start(&kinds[0]).await, settings.start(other).await];
        let mut raws = Vec::new();
        for site in &sites {
            let raw = Raw::plain(&site.endpoint()).await;
            raw.set_up().await;
            raws.push(raw);
        }
        for (from, to) in [(0, 1), (1, 0), (0, 0)] {
            let token = raws[from].log_in("ann").await.expect("a token");
            let put = raws[to].token(&token).put("a", 0).await;
            assert_eq!(said(&put), "ok", "{method} from {from} to {to}");
        }
    }
}
