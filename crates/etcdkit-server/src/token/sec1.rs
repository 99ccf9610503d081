//! Elliptic curve keys as OpenSSL writes them unless told otherwise: in the form of SEC 1, which etcd reads and the
//! library for tokens does not. The form that it reads, PKCS #8, is the same in an envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jsonwebtoken::Algorithm;

const BEGIN: &str = "-----BEGIN EC PRIVATE KEY-----";
const END: &str = "-----END EC PRIVATE KEY-----";

/// The envelope's version, and what kind of key is in it.
const P256: &[u8] = b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] =
    b"\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;

/// The PKCS #8 form, in DER, of the key in a PEM text that holds one in the form of SEC 1.
pub(super) fn to_pkcs8(pem: &[u8], algorithm: Algorithm) -> Option<Vec<u8>> {
    let kind = match algorithm {
        Algorithm::ES256 => P256,
        Algorithm::ES384 => P384,
        _ => return None,
    };
    let (_, section) = std::str::from_utf8(pem).ok()?.split_once(BEGIN)?;
    let (base64, _) = section.split_once(END)?;
    let base64: String = base64.split_ascii_whitespace().collect();
    let key = BASE64.decode(base64).ok()?;
    let mut content = kind.to_vec();
    content.extend(tagged(OCTET_STRING, &key)?);
    tagged(SEQUENCE, &content)
}

/// A value of DER. No key is longer than two bytes can say.
fn tagged(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?;
    let [high, low] = length.to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, 0..=0x7f) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    Some([head, content].concat())
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;

    #[test]
    fn the_envelope_is_the_usual_one() {
        for (algorithm, kind, inside, heads) in [
            (
                Algorithm::ES256,
                &rcgen::PKCS_ECDSA_P256_SHA256,
                P256,
                3 + 2,
            ),
            (
                Algorithm::ES384,
                &rcgen::PKCS_ECDSA_P384_SHA384,
                P384,
                3 + 3,
            ),
        ] {
            let pkcs8 = KeyPair::generate_for(kind).unwrap().serialize_der();
            let sec1 = BASE64.encode(&pkcs8[inside.len() + heads..]);
            let (first, rest) = sec1.split_at(64);
            let pem = format!(
                "-----BEGIN EC PARAMETERS-----\nBg==\n-----END EC PARAMETERS-----\n{BEGIN}\n{first}\r\n{rest}\n{END}\n"
            );
            assert_eq!(to_pkcs8(pem.as_bytes(), algorithm), Some(pkcs8));
            assert_eq!(to_pkcs8(pem.as_bytes(), Algorithm::RS256), None);
        }
        for broken in ["", BEGIN, &format!("{BEGIN}%{END}")] {
            assert_eq!(to_pkcs8(broken.as_bytes(), Algorithm::ES256), None);
        }
        assert_eq!(tagged(4, &[0; 300]).unwrap()[..4], [4, 0x82, 1, 44]);
        assert_eq!(tagged(4, &[0; 70_000]), None);
    }
}
