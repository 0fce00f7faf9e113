//! What a reply tells beside its answer: cookies, NSID, keepalive, padding, and in words what is unusual. All of it rare, and cold.

use std::fmt;

use super::{Ask, Cookie, Outcome, Said, Scratch, Transport, Turn, reply_max};
use crate::catalog::{EndpointId, ServiceId};
use crate::health::Intent;
use crate::steer::Reason;
use crate::units::Moment;
use crate::wire::{Closing, Ede, Edns, Envelope, Extras, Parsed, Rcode, Reply, Text, Wants, parse};

impl Turn<'_> {
    /// Finishes a reply that tells more than its answer.
    #[cold]
    pub(super) fn close_with_extras(self, said: Said) -> Outcome {
        let Some(edns) = &self.envelope.edns else { return Outcome::SILENCE };
        let (mut extras, cookie) = extras(edns, self.ask);
        extras.text = self.text(&said);
        let (truncated, keepalive) = (self.reply.is_truncated(), extras.keepalive.is_some());
        let closing = Closing { rcode: said.rcode, authoritative: said.authoritative, scope: said.scope, ede: said.ede };
        let len = self.reply.finish_with(closing, &extras);
        Outcome { len, rcode: said.rcode.0, truncated, zone: said.zone, steered: said.steered, cookie, keepalive }
    }

    /// What is unusual about a reply, for people (RFC 8914 §2: EXTRA-TEXT). A refusal of what is not ours says its code only: it goes to
    /// anybody, and should be short.
    fn text(&self, said: &Said) -> Text {
        match said.ede {
            Some(Ede::STALE_ANSWER) => self.stale_text(said),
            Some(Ede::OTHER) => said.steered.map_or(Text::EMPTY, |steered| {
                let given_up = self.given_up(steered.reason, said);
                match self.note(steered.reason, steered.service) {
                    Some(note) => Text::of(format_args!("{given_up}; {note}")),
                    None => Text::of(format_args!("{given_up}")),
                }
            }),
            Some(Ede::NOT_READY) => Text::of(format_args!("no zones are loaded yet")),
            Some(Ede::PROHIBITED) => Text::of(format_args!("zones are not transferred")),
            _ => Text::EMPTY,
        }
    }

    /// How long nothing was observed, and what is unusual beside that.
    fn stale_text(&self, said: &Said) -> Text {
        let observed = self.world.statuses.observed;
        let seconds = self.ask.now.millis_since(observed) / 1_000;
        let rest = said.steered.map_or("", |steered| self.given_up(steered.reason, said));
        let semicolon = if rest.is_empty() { "" } else { "; " };
        if self.world.statuses.doubting {
            return Text::of(format_args!("stale: this node doubts its own network and holds what it knew{semicolon}{rest}"));
        }
        if observed == Moment(0) {
            return Text::of(format_args!("stale: nothing was observed yet{semicolon}{rest}"));
        }
        Text::of(format_args!("stale: no fresh observations for {seconds} s{semicolon}{rest}"))
    }

    /// What was given up for an answer, in words.
    fn given_up(&self, reason: Reason, said: &Said) -> &'static str {
        match reason {
            Reason::Best | Reason::Failover => "",
            Reason::Latched => "a better tier is back, and waits for an operator to release it: answered from the next",
            Reason::BeyondMaxRtt => "no endpoint within max-rtt: answered from beyond",
            Reason::NotPreferred => "no endpoint has what the service prefers: answered without",
            Reason::Draining => "only draining endpoints are up: answered from them",
            Reason::AsIfUp => "all endpoints down: answered as if up",
            Reason::LastResort => "all endpoints down: answered with the last resort",
            Reason::AllDown => "all endpoints down: no answer, as the service says",
            Reason::NoneLeft => self.none_left(said),
        }
    }

    /// The drill or the override that an answer is unusual for: the first of the service that is of its kind. Who made it and why is for those only who
    /// may ask for explanations: the text of an error goes to anybody.
    fn note(&self, reason: Reason, service: ServiceId) -> Option<&dyn fmt::Display> {
        let source = self.ask.source.to_canonical();
        if !self.ask.policy.why_networks.iter().any(|network| network.contains(&source)) {
            return None;
        }
        if let Some(drill) = self.world.drill.as_deref().filter(|drill| drill.running && drill.touches_service(service))
            && matches!(reason, Reason::Draining | Reason::AsIfUp | Reason::LastResort | Reason::AllDown)
        {
            return Some(drill);
        }
        let wanted = match reason {
            Reason::Draining => Intent::Drain,
            Reason::NoneLeft => Intent::Out,
            _ => return None,
        };
        let service = self.world.catalog.service(service);
        let mut endpoints = (service.endpoints.start..).map(EndpointId).zip(self.world.statuses_of(service));
        let (id, _) = endpoints.find(|(_, status)| status.intent == wanted)?;
        self.world.notes.about(id).map(|note| note as &dyn fmt::Display)
    }

    /// What may have left nothing for a client, as far as its service knows such rules.
    fn none_left(&self, said: &Said) -> &'static str {
        let Some(steered) = said.steered else { return "" };
        let service = self.world.catalog.service(steered.service);
        let overridden = self.world.statuses_of(service).iter().any(|status| status.intent == Intent::Out);
        match (service.residency.is_empty(), overridden, service.require.is_empty()) {
            (false, false, true) => "residency leaves nothing for this client",
            (false, true, _) => "residency and overrides leave nothing for this client",
            (false, false, false) => "residency and requirements leave nothing for this client",
            (true, true, true) => "every endpoint was taken out by an operator",
            (true, true, false) => "requirements and overrides leave nothing",
            (true, false, _) => "no endpoint has what the service requires",
        }
    }
}

/// What a query's OPT asks to be told, so far as it may be told over this transport; and what its cookie proves.
fn extras<'a>(edns: &Edns<'_>, ask: &'a Ask<'_>) -> (Extras<'a>, Cookie) {
    let mut extras = Extras::default();
    let mut proven = Cookie::None;
    if let (true, Some(secrets)) = (edns.wants.has(Wants::COOKIE), &ask.policy.cookies) {
        let (judged, cookie) = secrets.judge(edns.cookie, ask.source, ask.now);
        (proven, extras.cookie) = (judged, Some(cookie));
    }
    // RFC 7828 §3.2.1: over UDP it means nothing. HTTPS and QUIC have their own ways (RFC 9250 §5.5.2).
    if edns.wants.has(Wants::KEEPALIVE) && matches!(ask.transport, Transport::Tcp | Transport::Tls) {
        extras.keepalive = Some(u16::try_from(ask.policy.keepalive_ms / 100).unwrap_or(u16::MAX));
    }
    if edns.wants.has(Wants::NSID) {
        extras.nsid = &ask.policy.nsid;
    }
    // RFC 7830 §6: over what anybody can read, it would only be bait for amplification.
    extras.padding = edns.wants.has(Wants::PADDING) && ask.transport.is_encrypted();
    (extras, proven)
}

/// Answers a cookie without a question (RFC 7873 §5.4): a client's alone with NOERROR and a server's; with a server's that is not good, BADCOOKIE
/// and one that is.
#[cold]
pub(super) fn answer_cookie(envelope: &Envelope<'_>, ask: &Ask<'_>, reply: &mut [u8]) -> Outcome {
    let Some((edns, reply)) = envelope.edns.as_ref().zip(Reply::start(reply, reply_max(ask, envelope.edns.as_ref()), envelope)) else {
        return Outcome::SILENCE;
    };
    let (extras, cookie) = extras(edns, ask);
    let rcode = match (cookie, edns.cookie.len()) {
        // Without secrets there are no cookies, and a query asks something (RFC 9619 §4).
        (Cookie::None, _) => Rcode::FORMERR,
        (Cookie::Offered, 9..) => Rcode::BADCOOKIE,
        (Cookie::Offered | Cookie::Good, _) => Rcode::NOERROR,
    };
    let keepalive = extras.keepalive.is_some();
    let len = reply.finish_with(Closing { rcode, ..Closing::default() }, &extras);
    Outcome { len, rcode: rcode.0, cookie, keepalive, ..Outcome::SILENCE }
}

/// Answers a query whose source is over its limit, in few octets: BADCOOKIE and a good cookie to who offered one (RFC 7873 §5.2.3), else TC,
/// so that an honest client comes back over TCP. Nothing is looked up. What is no query gets silence.
#[cold]
pub fn answer_limited(query: &[u8], ask: &Ask<'_>, scratch: &mut Scratch, reply: &mut [u8]) -> Outcome {
    let Parsed::Query { envelope, .. } = parse(query, &mut scratch.name) else { return Outcome::SILENCE };
    let Some(mut reply) = Reply::start(reply, reply_max(ask, envelope.edns.as_ref()), &envelope) else { return Outcome::SILENCE };
    let (extras, cookie) = envelope.edns.as_ref().map(|edns| extras(edns, ask)).unwrap_or_default();
    let rcode = if cookie == Cookie::Offered { Rcode::BADCOOKIE } else { Rcode::NOERROR };
    let truncated = cookie != Cookie::Offered;
    if truncated {
        reply.truncate();
    }
    let len = reply.finish_with(Closing { rcode, ..Closing::default() }, &extras);
    Outcome { len, rcode: rcode.0, truncated, cookie, ..Outcome::SILENCE }
}
