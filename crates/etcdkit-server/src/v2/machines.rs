//! `/v2/machines`: where clients find the members.

use http::{Method, Response};

use super::{Call, answer};
use crate::body::Body;

pub(super) fn serve(call: &Call<'_>) -> Response<Body> {
    if !matches!(*call.method(), Method::GET | Method::HEAD) {
        return answer::method_not_allowed("GET,HEAD");
    }
    let mut urls = call.node().identity.client_urls.clone();
    urls.sort();
    answer::plain(urls.join(", "))
}
