//! A server under comparison, reached through tonic's own transport and stubs.

use std::collections::HashMap;

use etcdkit_proto::etcdserverpb::{AuthenticateRequest, RangeRequest};
use tokio::time::timeout;
use tonic::metadata::AsciiMetadataValue;

use super::{
    calls::{Answer, Call, Stubs},
    host::{Api, BoxError, Host, Identity, ServerKind, connect},
    operation::{Caller, Operation},
    outcome::Outcome,
    pipe::PATIENCE,
    queueing::Queueing,
    watching::Watching,
};

/// A running server with an empty store, and connections to it. Dropping it ends the server.
#[derive(Debug)]
pub(super) struct Server {
    stubs: Stubs,
    /// Of each user, the tokens of all logins, the last at the end.
    tokens: HashMap<String, Vec<AsciiMetadataValue>>,
    watching: Watching,
    queueing: Queueing,
    host: Host,
}

impl Server {
    /// Starts a server of this kind, as [`Host::start`].
    pub(super) async fn start(
        kind: &ServerKind,
        twin: Option<&Identity>,
    ) -> Result<Self, BoxError> {
        let host = Host::start(kind, Api::V3, twin).await?;
        let channel = connect(&host.endpoint).await?;
        Ok(Self {
            stubs: Stubs::new(&channel),
            tokens: HashMap::new(),
            // Not on the same connection: a stream that is full must not hold up the others.
            watching: Watching::start(&connect(&host.endpoint).await?, kind.version()).await?,
            queueing: Queueing::new(&channel),
            host,
        })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.host.identity
    }

    /// Sends one request and waits for what has to come of it.
    pub(super) async fn apply(&mut self, operation: &Operation) -> Outcome {
        match timeout(PATIENCE * 2, self.try_apply(operation)).await {
            Ok(Ok(outcome)) => outcome.comparable(),
            Ok(Err(late)) => Outcome::Late(late),
            Err(_) => Outcome::Late("there is no answer".to_owned()),
        }
    }

    async fn try_apply(&mut self, operation: &Operation) -> Result<Outcome, String> {
        let token = self.token(operation.caller);
        let outcome = match &operation.call {
            Call::LeaseKeepAlive(request) => self.stubs.keep_alive(*request, token).await,
            Call::Watch(call) => self.watching.apply(call, token).await?,
            Call::Queue(call) => {
                let queueing = &mut self.queueing;
                let outcome = queueing
                    .apply(call, token.clone(), &mut self.watching)
                    .await?;
                // The header of a campaign that has changed its value is older than the change.
                let current = Call::Range(RangeRequest {
                    key: "q".into(),
                    ..Default::default()
                });
                if let Some(read) = self.stubs.unary(current, token).await {
                    self.watching.has_reached(read.revision());
                }
                outcome
            }
            call => {
                if matches!(call, Call::Compact(_)) {
                    self.watching.settle_all(token.clone()).await?;
                }
                let outcome = self.stubs.unary(call.clone(), token).await;
                outcome.ok_or("not a unary call")?
            }
        };
        self.watching.has_reached(outcome.revision());
        if let (Call::Compact(request), Some(_)) = (&operation.call, outcome.answer()) {
            self.watching.has_compacted(request.revision);
        }
        if let (Call::Authenticate(request), Some(Answer::Authenticate(response))) =
            (&operation.call, outcome.answer())
        {
            self.keep_token(request, &response.token);
        }
        if !self.queueing.is_idle() {
            let history = self.watching.history().await?;
            self.queueing.settle(history).await?;
        }
        Ok(outcome)
    }

    fn keep_token(&mut self, request: &AuthenticateRequest, token: &str) {
        if let Ok(token) = AsciiMetadataValue::try_from(token) {
            let tokens = self.tokens.entry(request.name.clone()).or_default();
            tokens.push(token);
        }
    }

    fn token(&self, caller: Caller) -> Option<AsciiMetadataValue> {
        let token = match caller {
            Caller::Nobody => return None,
            Caller::Stranger => None,
            Caller::User { name, logins_ago } => {
                let tokens = self.tokens.get(name);
                tokens.and_then(|tokens| tokens.iter().nth_back(logins_ago))
            }
        };
        Some(
            token
                .cloned()
                .unwrap_or(AsciiMetadataValue::from_static("abcdefghijklmnop.1")),
        )
    }
}
