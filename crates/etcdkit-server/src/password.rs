//! Hashing passwords, and comparing them with hashes.
//!
//! Both are slow on purpose, so they are done on threads that may block.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bcrypt::Version;
use etcdkit_proto::Code;

use crate::grpc::Status;

/// etcd's `--bcrypt-cost` when it is not given.
pub(crate) const DEFAULT_COST: u32 = 10;

/// The costs that bcrypt knows.
pub(crate) const COSTS: std::ops::RangeInclusive<u32> = 4..=31;

/// What bcrypt looks at; etcd refuses to hash more.
const MAX_BYTES: usize = 72;

/// The hash of a password, as etcd stores it, in base64.
pub(crate) async fn hash(password: String, cost: u32) -> Result<String, Status> {
    Ok(BASE64.encode(hash_text(password, cost).await?))
}

/// The hash of a password as text, which is how etcd stores it for users of the v2 API.
pub(crate) async fn hash_text(password: String, cost: u32) -> Result<String, Status> {
    if password.len() > MAX_BYTES {
        // Go's text, which etcd passes on.
        let text = "bcrypt: password length exceeds 72 bytes";
        return Err(Status::new(Code::Unknown, text));
    }
    let hash = blocking(move || bcrypt::hash_with_result(password, cost)).await?;
    let hash = hash.map_err(|error| failed(&error.to_string()))?;
    Ok(hash.format_for_version(Version::TwoA))
}

/// Whether a password has the hash. Nothing has a hash that bcrypt does not understand.
pub(crate) async fn matches(password: String, hash: Vec<u8>) -> Result<bool, Status> {
    blocking(move || {
        let hash = String::from_utf8_lossy(&hash);
        bcrypt::verify(password, &hash).unwrap_or(false)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| failed(&error.to_string()))
}

fn failed(reason: &str) -> Status {
    Status::new(
        Code::Internal,
        format!("the embedded server could not hash a password: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_are_etcds_and_match_their_password_only() {
        let hash = hash("pw".into(), 4).await.unwrap();
        let hash = BASE64.decode(hash).unwrap();
        assert!(hash.starts_with(b"$2a$04$"));
        assert!(matches("pw".into(), hash.clone()).await.unwrap());
        assert!(!matches("PW".into(), hash).await.unwrap());
        assert!(!matches("pw".into(), Vec::new()).await.unwrap());
    }

    #[tokio::test]
    async fn long_passwords_are_refused() {
        let status = hash("p".repeat(73), 4).await.unwrap_err();
        assert_eq!(status.code(), Code::Unknown);
        assert_eq!(status.message(), "bcrypt: password length exceeds 72 bytes");
    }
}
