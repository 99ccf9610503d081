//! Signing tokens, and checking signatures.

use std::time::Duration;

use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::errors::Error;
use jsonwebtoken::jwk::{EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Claims, Jwt, SignMethod, sec1};
use crate::builder::StartError;
use crate::source::Source;

/// The keys, and what they are for.
pub(crate) struct Signed {
    header: Header,
    /// `None` where tokens are only checked.
    private_key: Option<EncodingKey>,
    public_key: DecodingKey,
    validation: Validation,
    ttl: Duration,
}

/// The claims of etcd's tokens as they are written.
#[derive(Serialize)]
struct Issued<'a> {
    username: &'a str,
    revision: u64,
    exp: u64,
}

/// The claims of anybody's tokens as they are read: etcd takes any number.
#[derive(Deserialize)]
struct Shown {
    username: String,
    revision: f64,
    #[serde(default, deserialize_with = "a_number")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "a_number")]
    nbf: Option<f64>,
}

/// A claim may be left out, but not be null.
fn a_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

impl Signed {
    /// Reads the keys and tries them out.
    pub(crate) fn new(settings: &Jwt) -> Result<Self, StartError> {
        Self::with_keys(settings).map_err(|reason| StartError::Config {
            setting: "auth_token",
            reason,
        })
    }

    fn with_keys(settings: &Jwt) -> Result<Self, String> {
        // Without a choice the library would panic where another crate has it built with a second
        // one. Whoever has chosen before is let alone.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let algorithm = algorithm(settings.method);
        let read =
            |source: Option<&Source>, what| source.map(|source| source.read(what)).transpose();
        let private = read(settings.private_key.as_ref(), "private key")?;
        let public = match algorithm.family() {
            AlgorithmFamily::Hmac => None,
            _ => read(settings.public_key.as_ref(), "public key")?,
        };
        let private_key = match private.as_deref() {
            Some(bytes) => Some(private_key(algorithm, bytes)?),
            None => None,
        };
        let public_key = match (public.as_deref(), &private_key) {
            (Some(bytes), _) => public_key(algorithm, bytes)?,
            (None, Some(private)) => {
                public_of(algorithm, private).map_err(|_| not_for("private", algorithm))?
            }
            (None, None) if algorithm.family() == AlgorithmFamily::Hmac => {
                return Err("the private key, which is the secret, is missing".to_owned());
            }
            (None, None) => return Err("a private key or a public key is missing".to_owned()),
        };
        let signed = Self {
            header: Header::new(algorithm),
            private_key,
            public_key,
            validation: signature_only(algorithm),
            ttl: settings.ttl,
        };
        if let Some(probe) = signed.sign("", 0, Duration::ZERO) {
            let probe = probe.map_err(|_| not_for("private", algorithm))?;
            if signed.claims(&probe).is_none() {
                return Err("the public key and the private key do not belong together".to_owned());
            }
        }
        Ok(signed)
    }

    /// A token for a user; `None` where tokens are only checked.
    pub(crate) fn sign(
        &self,
        user: &str,
        revision: u64,
        unix_time: Duration,
    ) -> Option<Result<String, String>> {
        let claims = Issued {
            username: user,
            revision,
            exp: unix_time.saturating_add(self.ttl).as_secs(),
        };
        let key = self.private_key.as_ref()?;
        let token = jsonwebtoken::encode(&self.header, &claims, key);
        Some(token.map_err(|error| error.to_string()))
    }

    /// What a token says, if it is signed by our key with our method. Whether it is the time for it remains
    /// to be seen.
    pub(crate) fn claims(&self, token: &str) -> Option<Claims> {
        let token =
            jsonwebtoken::decode::<Shown>(token, &self.public_key, &self.validation).ok()?;
        let Shown {
            username,
            revision,
            exp,
            nbf,
        } = token.claims;
        Some(Claims {
            user: username,
            revision: revision as u64,
            expiry: exp,
            not_before: nbf,
        })
    }
}

/// Time is looked at elsewhere, as tests may move it; etcd looks at nothing else.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn private_key(algorithm: Algorithm, bytes: &[u8]) -> Result<EncodingKey, String> {
    let key = match algorithm.family() {
        AlgorithmFamily::Hmac if bytes.is_empty() => {
            return Err("the private key, which is the secret, is empty".to_owned());
        }
        AlgorithmFamily::Hmac => Ok(EncodingKey::from_secret(bytes)),
        AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(bytes),
        AlgorithmFamily::Ec => match sec1::to_pkcs8(bytes, algorithm) {
            Some(pkcs8) => Ok(EncodingKey::from_ec_der(&pkcs8)),
            None => EncodingKey::from_ec_pem(bytes),
        },
        AlgorithmFamily::Ed => EncodingKey::from_ed_pem(bytes),
    };
    key.map_err(|_| not_for("private", algorithm))
}

fn public_key(algorithm: Algorithm, bytes: &[u8]) -> Result<DecodingKey, String> {
    let key = match algorithm.family() {
        AlgorithmFamily::Hmac => Ok(DecodingKey::from_secret(bytes)),
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(bytes),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(bytes),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(bytes),
    };
    key.map_err(|_| not_for("public", algorithm))
}

/// The public part of a private key.
fn public_of(algorithm: Algorithm, private: &EncodingKey) -> Result<DecodingKey, Error> {
    if private.family() == AlgorithmFamily::Ed {
        // A JWK is made of one of the two forms of these keys only.
        let public = aws_lc::DEFAULT_PROVIDER
            .key_utils
            .ed_pub_components_from_private_key;
        let public = public(private.as_bytes(), &EllipticCurve::Ed25519)?;
        return Ok(DecodingKey::from_ed_der(&public));
    }
    DecodingKey::from_jwk(&Jwk::from_encoding_key(private, algorithm)?)
}

fn not_for(which: &str, algorithm: Algorithm) -> String {
    let wanted = match algorithm.family() {
        AlgorithmFamily::Hmac => "a secret",
        AlgorithmFamily::Rsa => "an RSA key of 2048 bits or more, in PEM",
        AlgorithmFamily::Ec => "a key of its curve, in PEM",
        AlgorithmFamily::Ed => "an Ed25519 key, in PEM as PKCS #8",
    };
    format!("the {which} key is not one for {algorithm:?}: expected {wanted}")
}

fn algorithm(method: SignMethod) -> Algorithm {
    match method {
        SignMethod::Rs256 => Algorithm::RS256,
        SignMethod::Rs384 => Algorithm::RS384,
        SignMethod::Rs512 => Algorithm::RS512,
        SignMethod::Ps256 => Algorithm::PS256,
        SignMethod::Ps384 => Algorithm::PS384,
        SignMethod::Ps512 => Algorithm::PS512,
        SignMethod::Es256 => Algorithm::ES256,
        SignMethod::Es384 => Algorithm::ES384,
        SignMethod::Hs256 => Algorithm::HS256,
        SignMethod::Hs384 => Algorithm::HS384,
        SignMethod::Hs512 => Algorithm::HS512,
        SignMethod::EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData as _};

    use super::*;

    const METHODS: [SignMethod; 5] = [
        SignMethod::Rs256,
        SignMethod::Ps384,
        SignMethod::Es256,
        SignMethod::Es384,
        SignMethod::EdDsa,
    ];

    fn key(method: SignMethod) -> KeyPair {
        let kind = match algorithm(method).family() {
            AlgorithmFamily::Rsa => &rcgen::PKCS_RSA_SHA256,
            AlgorithmFamily::Ed => &rcgen::PKCS_ED25519,
            _ if method == SignMethod::Es384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        };
        KeyPair::generate_for(kind).unwrap()
    }

    fn public_pem(key: &KeyPair) -> String {
        let base64 = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(key.subject_public_key_info())
        };
        format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
    }

    fn signing(method: SignMethod, key: &KeyPair) -> Signed {
        Signed::with_keys(&Jwt::new(method).private_key(key.serialize_pem())).unwrap()
    }

    fn issue(signed: &Signed) -> String {
        let now = Duration::from_millis(1_500);
        signed.sign("ann", 7, now).unwrap().unwrap()
    }

    #[test]
    fn what_one_signs_the_public_key_checks() {
        for method in METHODS {
            let key = key(method);
            let signed = signing(method, &key);
            let checking = Jwt::new(method).public_key(public_pem(&key));
            let checking = Signed::with_keys(&checking).unwrap();
            assert!(checking.sign("ann", 1, Duration::ZERO).is_none());
            let token = issue(&signed);
            let claims = Claims {
                user: "ann".to_owned(),
                revision: 7,
                expiry: Some(301.0),
                not_before: None,
            };
            assert_eq!(signed.claims(&token).as_ref(), Some(&claims), "{method:?}");
            assert_eq!(checking.claims(&token), Some(claims), "{method:?}");
        }
    }

    #[test]
    fn what_another_signs_is_worth_nothing() {
        for method in METHODS {
            let key = key(method);
            let signed = signing(method, &key);
            let token = issue(&signed);
            let other = self::key(method);
            assert_eq!(signed.claims(&issue(&signing(method, &other))), None);
            // What everybody knows is no secret.
            let confused = Jwt::new(SignMethod::Hs256).private_key(public_pem(&key));
            let confused = Signed::with_keys(&confused).unwrap();
            assert_eq!(signed.claims(&issue(&confused)), None);
            // A signature is for its text only.
            let (text, signature) = token.rsplit_once('.').unwrap();
            let changed = text.replacen('e', "f", 1);
            assert_eq!(signed.claims(&format!("{changed}.{signature}")), None);
            for broken in ["", ".", "..", text, &format!("{text}.")] {
                assert_eq!(signed.claims(broken), None, "{broken:?}");
            }
        }
        let rsa = key(SignMethod::Rs256);
        let token = issue(&signing(SignMethod::Rs256, &rsa));
        assert_eq!(signing(SignMethod::Rs512, &rsa).claims(&token), None);
    }

    #[test]
    fn secrets_sign_and_check() {
        let secret = |secret: &str| {
            Signed::with_keys(&Jwt::new(SignMethod::Hs512).private_key(secret)).unwrap()
        };
        let token = issue(&secret("secret"));
        assert!(secret("secret").claims(&token).is_some());
        assert!(secret("secret\n").claims(&token).is_none());
    }

    #[test]
    fn keys_that_cannot_work_are_refused() {
        let (rsa, ec) = (key(SignMethod::Rs256), key(SignMethod::Es256));
        let refused = |settings: Jwt, why: &str| {
            let reason = Signed::with_keys(&settings).err().unwrap();
            assert!(reason.contains(why), "{reason}");
        };
        let jwt = Jwt::new(SignMethod::Rs256);
        refused(jwt.clone(), "missing");
        refused(jwt.clone().private_key(ec.serialize_pem()), "RS256");
        refused(jwt.clone().public_key("no PEM"), "RS256");
        refused(jwt.clone().private_key_file("/nowhere"), "/nowhere");
        let other = public_pem(&key(SignMethod::Rs256));
        let mismatch = jwt.private_key(rsa.serialize_pem()).public_key(other);
        refused(mismatch, "belong together");
        let es384 = Jwt::new(SignMethod::Es384);
        refused(es384.private_key(ec.serialize_pem()), "ES384");
        refused(Jwt::new(SignMethod::Hs256), "missing");
        refused(Jwt::new(SignMethod::Hs256).private_key(""), "empty");
    }
}
