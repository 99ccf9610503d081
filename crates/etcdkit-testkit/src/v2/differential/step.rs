//! What is sent.

use std::fmt;

use crate::v2::http::Request;

/// One step of a case.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Sends a request and compares the answer.
    Send(Request),
    /// Sends a request that may stay unanswered for long, on a connection of its own. What comes of it
    /// is compared when either server has sent more.
    Open {
        /// Which of the open ones it is; it takes the place of an earlier one.
        slot: usize,
        /// The request.
        request: Request,
    },
    /// Closes the connection of an open request.
    HangUp {
        /// Which.
        slot: usize,
    },
    /// Sends requests that give keys a second or less to live, and waits until these are gone.
    Lapse(Vec<Request>),
    /// Sets one key so many times, as fast as it goes.
    Fill(usize),
    /// Waits until what the servers count is the same.
    Count,
}

impl Step {
    /// The requests of the step.
    pub(super) fn requests(&self) -> &[Request] {
        match self {
            Self::Send(request) | Self::Open { request, .. } => std::slice::from_ref(request),
            Self::Lapse(requests) => requests,
            Self::HangUp { .. } | Self::Fill(_) | Self::Count => &[],
        }
    }

    /// The same with other requests.
    pub(super) fn map(&self, mut change: impl FnMut(&Request) -> Request) -> Self {
        match self {
            Self::Send(request) => Self::Send(change(request)),
            Self::Open { slot, request } => Self::Open {
                slot: *slot,
                request: change(request),
            },
            Self::Lapse(requests) => Self::Lapse(requests.iter().map(change).collect()),
            Self::HangUp { .. } | Self::Fill(_) | Self::Count => self.clone(),
        }
    }

    /// The same step with one parameter, header or request less, in every way there is.
    pub(super) fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        if let Self::Lapse(requests) = self {
            for index in 0..requests.len() {
                let mut less = requests.clone();
                less.remove(index);
                smaller.push(Self::Lapse(less));
            }
        }
        let most = self
            .requests()
            .iter()
            .map(|request| variants(request).len());
        for index in 0..most.max().unwrap_or(0) {
            smaller.push(self.map(|request| match variants(request).get(index) {
                Some(variant) => variant.clone(),
                None => request.clone(),
            }));
        }
        smaller.retain(|step| step != self);
        smaller
    }
}

/// The request with one part less.
fn variants(request: &Request) -> Vec<Request> {
    let mut variants = Vec::new();
    if let Some((path, query)) = request.target.split_once('?') {
        variants.extend(without_one(query).map(|query| Request {
            target: match query.is_empty() {
                true => path.to_owned(),
                false => format!("{path}?{query}"),
            },
            ..request.clone()
        }));
    }
    for index in 0..request.headers.len() {
        let mut less = request.clone();
        less.headers.remove(index);
        variants.push(less);
    }
    if let Some(form) = request
        .body
        .as_deref()
        .and_then(|body| str::from_utf8(body).ok())
    {
        variants.extend(without_one(form).map(|form| Request {
            body: Some(form.into()),
            ..request.clone()
        }));
        variants.push(Request {
            body: None,
            chunks_of: None,
            ..request.clone()
        });
    }
    variants
}

/// The parameters with one less.
fn without_one(parameters: &str) -> impl Iterator<Item = String> {
    let all: Vec<&str> = parameters.split('&').collect();
    (0..all.len()).map(move |left_out| {
        let rest = all
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out);
        let rest: Vec<&str> = rest.map(|(_, parameter)| *parameter).collect();
        rest.join("&")
    })
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(request) => request.fmt(f),
            Self::Open { slot, request } => write!(f, "open {slot}: {request:?}"),
            Self::HangUp { slot } => write!(f, "hang up {slot}"),
            Self::Lapse(requests) => write!(f, "let lapse: {requests:?}"),
            Self::Fill(times) => write!(f, "set a key {times} times"),
            Self::Count => f.write_str("compare /v2/stats/store"),
        }
    }
}
