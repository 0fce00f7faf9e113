//! Who is let in: how often, with which token, to do what. Before any handler, so that a path that is added later is guarded, too.
//!
//! | path | needs |
//! |---|---|
//! | `/healthz`, `/readyz` | nothing: whoever restarts or drains nodes has no token |
//! | `GET` of anything else | a viewer's token |
//! | `POST /v1/load`, `POST /v1/health` | a reporter's token |
//! | whatever else changes anything | an operator's token |
//!
//! Without a file of tokens the listener is on loopback, and whoever is on this machine is an operator. A browser on it is not: a page of
//! somebody else's may send it there under a name of its own, so that only `localhost` and addresses are taken for the host.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::Access;
use super::problem::Problem;
use super::tokens::Role;
use crate::clock::Clock;
use crate::limits::{ADMIN_BUCKETS, ADMIN_REQUESTS_BURST, ADMIN_REQUESTS_PER_S};
use crate::telemetry::{NotLetIn, Telemetry};
use crate::units::Moment;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub IpAddr);

/// Who makes a request.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    /// The name of the token; `None` where none are asked for.
    pub name: Option<Box<str>>,
}

/// What every request passes.
#[derive(Debug)]
pub(super) struct Gate {
    /// Who may do what.
    access: Arc<Access>,
    /// Tells the time.
    clock: Clock,
    /// Counts who is not let in.
    telemetry: Arc<Telemetry>,
    /// How often who came.
    limiter: Mutex<Limiter>,
    /// Whether `/metrics` is as open as `/healthz`: on the listener that is for it.
    open_metrics: bool,
}

impl Gate {
    /// Of a listener.
    pub(super) fn new(access: Arc<Access>, clock: Clock, telemetry: Arc<Telemetry>, open_metrics: bool) -> Self {
        Self { access, clock, telemetry, limiter: Mutex::new(Limiter::new()), open_metrics }
    }

    /// Lets a request in, or says why not.
    fn admit(&self, peer: IpAddr, method: &Method, path: &str, headers: &HeaderMap) -> Result<Actor, Problem> {
        let (is_open, guards) = (self.open_metrics || matches!(path, "/healthz" | "/readyz"), self.access.tokens());
        let holder = guards.as_ref().filter(|_| !is_open).and_then(|tokens| tokens.holder(presented(headers)?));
        // Whoever is on this machine and needs no token could do worse to the node than to ask it often.
        if !peer.is_loopback() || guards.is_some() && !self.open_metrics {
            // Who is known is counted by name, so that nobody who is not takes away from it.
            let who = holder.map_or(Who::Address(peer), |holder| Who::Token(&holder.name));
            self.count(&who)?;
        }
        if is_open {
            return Ok(Actor { name: None });
        }
        if guards.is_none() {
            return self.admit_neighbour(headers);
        }
        let Some(holder) = holder else {
            self.telemetry.count_not_let_in(NotLetIn::Unknown);
            return Err(unauthorized(headers));
        };
        let needed = needed(method, path);
        if !holder.role.may(needed) {
            self.telemetry.count_not_let_in(NotLetIn::Role);
            let detail = format!("this needs the role {needed}, and the token of {} has the role {}", holder.name, holder.role);
            let challenge = format!("Bearer realm=\"aya\", error=\"insufficient_scope\", scope=\"{needed}\"");
            return Err(challenged(StatusCode::FORBIDDEN, detail, &challenge));
        }
        Ok(Actor { name: Some(holder.name.clone()) })
    }

    /// Counts a request, unless it is one too many.
    fn count(&self, who: &Who<'_>) -> Result<(), Problem> {
        let counted = self.limiter.lock().unwrap_or_else(PoisonError::into_inner).admit(who, self.clock.now());
        counted.map_err(|wait_ms| {
            self.telemetry.count_not_let_in(NotLetIn::TooOften);
            let detail = format!("more than {ADMIN_REQUESTS_PER_S} requests a second");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(wait_ms.div_ceil(1_000))
        })
    }

    /// Lets in whoever is on this machine and means it.
    fn admit_neighbour(&self, headers: &HeaderMap) -> Result<Actor, Problem> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if is_this_machine(host) {
            return Ok(Actor { name: None });
        }
        self.telemetry.count_not_let_in(NotLetIn::Host);
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "without tokens the API is asked for by an address or as localhost, and by no other name"))
    }
}

/// Lets requests in; the handlers behind find the [`Actor`].
pub(super) async fn pass(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "nobody knows where this request comes from").into_response();
    };
    match gate.admit(peer, request.method(), request.uri().path(), request.headers()) {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// What somebody must be to do this.
fn needed(method: &Method, path: &str) -> Role {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => Role::Viewer,
        Method::POST if matches!(path, "/v1/load" | "/v1/health") => Role::Reporter,
        _ => Role::Operator,
    }
}

/// What is presented as a token (RFC 6750 §2.1). Two are none.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// That nobody is known by what was presented (RFC 6750 §3.1: nothing is said of an error to who presented nothing).
fn unauthorized(headers: &HeaderMap) -> Problem {
    if headers.contains_key(header::AUTHORIZATION) {
        challenged(StatusCode::UNAUTHORIZED, "nobody has this token".to_owned(), "Bearer realm=\"aya\", error=\"invalid_token\"")
    } else {
        challenged(StatusCode::UNAUTHORIZED, "this needs a token: `Authorization: Bearer …`".to_owned(), "Bearer realm=\"aya\"")
    }
}

/// A problem with a challenge.
fn challenged(status: StatusCode, detail: String, challenge: &str) -> Problem {
    let challenge = HeaderValue::from_str(challenge).expect("names of roles are visible ASCII");
    Problem::new(status, detail).with(header::WWW_AUTHENTICATE, challenge)
}

/// Whether a host is what this machine calls itself to itself: an address, or `localhost`.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Whose requests are counted.
enum Who<'a> {
    /// A token's.
    Token(&'a str),
    /// An address's.
    Address(IpAddr),
}

/// How often who came: a table of fixed size, whoever comes.
#[derive(Debug)]
struct Limiter {
    /// Keyed at random, so that nobody chooses with whom to share a bucket.
    hashes: RandomState,
    /// For each bucket the time at which it will be empty again, in microseconds (the generic cell rate algorithm: one number is a whole bucket).
    empty_at: Box<[u64]>,
}

/// Microseconds that one request takes.
const STEP_US: u64 = 1_000_000 / ADMIN_REQUESTS_PER_S;

impl Limiter {
    /// Nobody came yet.
    fn new() -> Self {
        Self { hashes: RandomState::new(), empty_at: vec![0; 2 * ADMIN_BUCKETS].into() }
    }

    /// Takes in a request, or says after how many milliseconds one would be.
    fn admit(&mut self, who: &Who<'_>, now: Moment) -> Result<(), u64> {
        // Tokens and addresses have halves of their own: strangers cannot fill what is a token's.
        let (key, half) = match who {
            Who::Token(name) => (self.hashes.hash_one(name), ADMIN_BUCKETS),
            Who::Address(address) => (self.hashes.hash_one(address), 0),
        };
        let index = half + usize::try_from(key % ADMIN_BUCKETS as u64).unwrap_or(0);
        let now = now.0.saturating_mul(1_000);
        let Some(empty_at) = self.empty_at.get_mut(index) else { return Ok(()) };
        let next = (*empty_at).max(now) + STEP_US;
        let most = now + ADMIN_REQUESTS_BURST * STEP_US;
        if next > most {
            return Err((next - most).div_ceil(1_000));
        }
        *empty_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment after the start.
    fn at(millis: u64) -> Moment {
        Moment(1_700_000_000_000 + millis)
    }

    #[test]
    fn a_burst_is_taken_then_a_request_for_each_step_and_others_are_not_concerned() {
        let mut limiter = Limiter::new();
        let (one, token) = (Who::Address("192.0.2.1".parse().unwrap()), Who::Token("anna"));
        for _ in 0..ADMIN_REQUESTS_BURST {
            assert_eq!(limiter.admit(&one, at(0)), Ok(()));
        }
        assert_eq!(limiter.admit(&one, at(0)), Err(10));
        assert_eq!(limiter.admit(&one, at(9)), Err(1), "who is refused is not made to wait longer");
        assert_eq!(limiter.admit(&token, at(9)), Ok(()), "a token has a bucket of its own, wherever it comes from");
        assert_eq!(limiter.admit(&one, at(10)), Ok(()));
        assert_eq!(limiter.admit(&one, at(10)), Err(10));
        for _ in 0..ADMIN_REQUESTS_BURST {
            assert_eq!(limiter.admit(&one, at(60_000)), Ok(()), "who stayed away has a whole burst again, and no more");
        }
        assert_eq!(limiter.admit(&one, at(60_000)), Err(10));
    }

    #[test]
    fn whoever_comes_the_table_stays_as_large_as_it_is() {
        let mut limiter = Limiter::new();
        for number in 0..100_000_u32 {
            let _ = limiter.admit(&Who::Address(IpAddr::V4(number.into())), at(0));
        }
        assert_eq!(limiter.empty_at.len(), 2 * ADMIN_BUCKETS);
    }

    #[test]
    fn a_token_is_read_from_one_authorization_header_and_from_nothing_else() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            presented(&headers).map(str::to_owned)
        };
        assert_eq!(with(&["Bearer aya_1"]).as_deref(), Some("aya_1"));
        assert_eq!(with(&["bearer  aya_1"]).as_deref(), Some("aya_1"));
        for none in [&[][..], &["aya_1"], &["Basic YTpi"], &["Bearer aya_1", "Bearer aya_1"]] {
            assert_eq!(with(none), None, "{none:?}");
        }
    }

    #[test]
    fn reading_needs_a_viewer_reporting_a_reporter_and_everything_else_an_operator() {
        assert_eq!(needed(&Method::GET, "/v1/load"), Role::Viewer);
        assert_eq!(needed(&Method::POST, "/v1/load"), Role::Reporter);
        for (method, path) in [(Method::POST, "/v1/overrides"), (Method::DELETE, "/v1/load"), (Method::PUT, "/v1/status"), (Method::POST, "/v1/load/x")] {
            assert_eq!(needed(&method, path), Role::Operator);
        }
    }

    #[test]
    fn a_page_of_somebody_elses_does_not_come_in_by_a_name_of_its_own() {
        for mine in ["localhost", "localhost:8053", "127.0.0.1:8053", "[::1]:8053", "[::1]", "127.0.0.1"] {
            assert!(is_this_machine(mine), "{mine}");
        }
        for other in ["", "evil.example", "evil.example:8053", "127.0.0.1.evil.example:80", "[evil]:1"] {
            assert!(!is_this_machine(other), "{other}");
        }
    }
}
