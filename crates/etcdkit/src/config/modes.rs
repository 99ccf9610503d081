//! Which of several endpoints requests go to.

/// How a client spreads its requests over its endpoints.
///
/// Whatever the mode, an endpoint that fails is left for another one, and requests are repeated
/// elsewhere where that is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointMode {
    /// Each request goes to the endpoint with the fewest requests under way, in turn among equals.
    #[default]
    RoundRobin,
    /// All requests go to one endpoint, the first that answers, until it fails or stops answering;
    /// then another one takes its place and keeps it.
    ///
    /// For members at different distances, and for programs that want what they read serializably
    /// never to go back in time while nothing fails.
    Pinned,
}
