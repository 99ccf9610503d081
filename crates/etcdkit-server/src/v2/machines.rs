//! `/v2/machines`: where clients find the members.

use http::Response;

use super::{Call, answer};
use crate::body::Body;

pub(super) fn serve(call: &Call<'_>) -> Response<Body> {
    if let Err(refusal) = call.require_method("GET,HEAD") {
        return *refusal;
    }
    let mut urls = call.node().identity.client_urls.clone();
    urls.sort();
    answer::plain(urls.join(", "))
}
