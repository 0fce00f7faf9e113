//! RFC 8484, as a client sees it.

use axum::http::header::{ALLOW, CONTENT_LENGTH};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;
use hyper::{Method, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::encrypted;
use crate::http::{DNS_MESSAGE, Got, Http, Sent, base64url, connect, get, post, raw};
use crate::support::ask::{Query, query};
use crate::support::{A, AAAA, HTTPS, NS, SOA, TXT};
use crate::{metric, run, soon};

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A query as clients of HTTPS send it: ID 0 (RFC 8484 §4.1).
fn zero(name: &str, qtype: u16) -> Query {
    Query { id: 0, ..query(name, qtype) }
}

fn message(got: &Got) -> Message {
    assert!(got.is_dns(), "{got:?}");
    Message::from_vec(&got.body).unwrap()
}

#[test]
fn rfc8484_4_1_get_and_post_are_answered_alike_in_both_versions() {
    let fixture = encrypted::start("alike");
    run(async {
        for version in VERSIONS {
            let mut client = Http::connect(&fixture, version).await;
            for (name, qtype) in
                [("api.example.com", A), ("api.example.com", HTTPS), ("huge.example.com", TXT), ("nothing.example.com", A), ("example.org", NS)]
            {
                let octets = zero(name, qtype).edns().octets();
                let (got, posted) = (client.send(&get(&octets)).await, client.send(&post(&octets)).await);
                assert_eq!(message(&got), message(&posted), "{version:?} {name}");
                assert_eq!(got.cache(), posted.cache());
                assert_eq!(message(&got).metadata.id, 0);
                assert_eq!(got.header(CONTENT_LENGTH), got.body.len().to_string());
            }
        }
    });
}

#[test]
fn the_id_of_a_query_is_that_of_its_reply_also_where_it_is_not_0() {
    let fixture = encrypted::start("id");
    run(async {
        let mut client = Http::connect(&fixture, Version::HTTP_2).await;
        let got = client.send(&get(&query("api.example.com", A).octets())).await;
        assert_eq!(message(&got).metadata.id, 0x1a2b);
    });
}

#[test]
fn rfc9110_9_3_2_head_gets_what_get_gets_without_the_body() {
    let fixture = encrypted::start("head");
    run(async {
        for version in VERSIONS {
            let mut client = Http::connect(&fixture, version).await;
            for sent in [get(&zero("api.example.com", A).octets()), Sent { target: "/dns-query".into(), ..get(b"") }] {
                let got = client.send(&sent).await;
                let head = client.send(&Sent { method: Method::HEAD, ..sent }).await;
                assert_eq!((head.status, head.cache(), head.body.len()), (got.status, got.cache(), 0), "{version:?}");
                assert_eq!(head.header(CONTENT_LENGTH), got.body.len().to_string(), "{version:?}");
            }
        }
    });
}

#[test]
fn rfc8484_5_2_a_client_that_offers_no_version_speaks_the_first() {
    let fixture = encrypted::start("unnamed");
    run(async {
        let mut stream = soon(connect(fixture.node.https_addresses()[0], &fixture.certificate, &[])).await.unwrap();
        let target = get(&zero("api.example.com", A).octets()).target;
        stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut response = Vec::new();
        let _ = soon(stream.read_to_end(&mut response)).await;
        assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n"));
        let offered = soon(connect(fixture.node.https_addresses()[0], &fixture.certificate, &[b"dot"])).await;
        assert!(offered.is_err(), "who wants to speak something else is not spoken to");
    });
}

#[test]
fn rfc8484_4_2_1_whatever_is_no_query_has_a_status_and_a_problem_document() {
    let fixture = encrypted::start("statuses");
    let octets = zero("api.example.com", A).octets();
    let with = |headers: &[(&'static str, &str)]| Sent { headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), ..post(&octets) };
    let at = |target: String| Sent { target, ..get(&octets) };
    let text = base64url(&octets);
    let mut response = octets.clone();
    response[2] |= 0x80;
    let cases = [
        (StatusCode::BAD_REQUEST, at("/dns-query".into())),
        (StatusCode::BAD_REQUEST, at("/dns-query?".into())),
        (StatusCode::BAD_REQUEST, at("/dns-query?dns".into())),
        (StatusCode::BAD_REQUEST, at("/dns-query?DNS=AAAA".into())),
        (StatusCode::BAD_REQUEST, at("/dns-query?dns=".into())),
        (StatusCode::BAD_REQUEST, at(format!("/dns-query?dns={text}&dns={text}"))),
        (StatusCode::BAD_REQUEST, at(format!("/dns-query?dns={text}="))),
        (StatusCode::BAD_REQUEST, at(format!("/dns-query?dns={text}!"))),
        (StatusCode::BAD_REQUEST, at("/dns-query?dns=A".into())),
        (StatusCode::BAD_REQUEST, get(&octets[..11])),
        (StatusCode::BAD_REQUEST, get(&response)),
        (StatusCode::BAD_REQUEST, post(b"")),
        (StatusCode::BAD_REQUEST, post(&octets[..11])),
        (StatusCode::BAD_REQUEST, post(&response)),
        (StatusCode::NOT_FOUND, at(format!("/?dns={text}"))),
        (StatusCode::NOT_FOUND, at(format!("/dns-query/?dns={text}"))),
        (StatusCode::NOT_FOUND, at(format!("/DNS-QUERY?dns={text}"))),
        (StatusCode::NOT_FOUND, at(format!("/dns%2dquery?dns={text}"))),
        (StatusCode::NOT_FOUND, Sent { target: "/metrics".into(), ..post(&octets) }),
        (StatusCode::METHOD_NOT_ALLOWED, Sent { method: Method::PUT, ..post(&octets) }),
        (StatusCode::METHOD_NOT_ALLOWED, Sent { method: Method::DELETE, ..get(&octets) }),
        (StatusCode::METHOD_NOT_ALLOWED, Sent { method: Method::OPTIONS, ..get(&octets) }),
        (StatusCode::METHOD_NOT_ALLOWED, Sent { method: Method::TRACE, ..get(&octets) }),
        (StatusCode::METHOD_NOT_ALLOWED, Sent { method: Method::from_bytes(b"BREW").unwrap(), ..get(&octets) }),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, with(&[])),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, with(&[("content-type", "application/dns-json")])),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, with(&[("content-type", "application/dns-messages")])),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, with(&[("content-type", "application/dns-message, text/plain")])),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, with(&[("content-type", DNS_MESSAGE), ("content-type", DNS_MESSAGE)])),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, with(&[("content-type", DNS_MESSAGE), ("content-encoding", "gzip")])),
        (StatusCode::PAYLOAD_TOO_LARGE, post(&vec![0; 65_536])),
        (StatusCode::PAYLOAD_TOO_LARGE, post(&vec![0; 200_000])),
    ];
    run(async {
        for version in VERSIONS {
            for (status, sent) in &cases {
                let mut client = Http::connect(&fixture, version).await;
                let got = client.send(sent).await;
                let Sent { method, target, headers, body } = sent;
                assert_eq!(got.status, *status, "{version:?} {method} {target} {headers:?}, {} octets", body.len());
                assert!(got.is_problem(), "{got:?}");
                assert_eq!(got.headers.contains_key(ALLOW), *status == StatusCode::METHOD_NOT_ALLOWED);
            }
        }
    });
}

#[test]
fn what_is_unusual_about_a_request_and_means_nothing_is_passed_over() {
    let fixture = encrypted::start("unusual");
    let octets = zero("api.example.com", A).octets();
    let text = base64url(&octets);
    let with = |value: &str| Sent { headers: vec![("content-type", value.into())], ..post(&octets) };
    let cases = [
        Sent { target: format!("/dns-query?ct&dns={text}&x=y"), ..get(&octets) },
        Sent { headers: vec![("accept", "text/html".into())], ..get(&octets) },
        Sent { headers: vec![("cookie", "a=b".into()), ("if-none-match", "*".into()), ("range", "bytes=0-3".into())], ..get(&octets) },
        Sent { body: b"a body of GET means nothing".to_vec(), ..get(&octets) },
        Sent { target: "/dns-query?dns=AAAA".into(), ..post(&octets) },
        with("Application/DNS-Message"),
        with("application/dns-message; charset=utf-8"),
        with(" application/dns-message ;q=1"),
        post(&[&octets[..], b"octets behind the question"].concat()),
        post(&[&octets[..], &vec![0; 65_535 - octets.len()]].concat()),
    ];
    run(async {
        for version in VERSIONS {
            let mut client = Http::connect(&fixture, version).await;
            for sent in &cases {
                assert_eq!(message(&client.send(sent).await).answers.len(), 1, "{version:?} {sent:?}");
            }
        }
    });
}

#[test]
fn rfc8484_5_1_max_age_is_the_smallest_ttl_of_the_answer() {
    let fixture = encrypted::start("max-age");
    let unsteered = [
        ("web.example.com", A, "max-age=300"),
        ("www.example.com", A, "max-age=300"),
        ("example.com", NS, "max-age=3600"),
        ("example.com", SOA, "max-age=3600"),
        // NXDOMAIN and NODATA: MINIMUM of the SOA.
        ("nothing.example.com", A, "max-age=60"),
        ("web.example.com", AAAA, "max-age=60"),
        // A referral: its name servers and DS.
        ("x.child.example.com", A, "max-age=86400"),
        ("example.org", A, "no-store"),
    ];
    run(async {
        let mut client = Http::connect(&fixture, Version::HTTP_2).await;
        for (name, qtype, cache) in unsteered {
            let got = client.send(&get(&zero(name, qtype).octets())).await;
            assert_eq!(got.cache(), cache, "{name} {qtype}: {:?}", message(&got));
        }
        let broken = [zero("web.example.com", A).option(8, &[0, 3]).octets(), zero("web.example.com", A).flags(0x2000).octets()];
        for octets in broken.into_iter().chain([zero("web.example.com", A).edns_flags(1 << 16).octets()]) {
            assert_eq!(client.send(&get(&octets)).await.cache(), "no-store");
        }
        for name in ["api.example.com", "both.example.com", "cdn.example.com", "lawful.example.com"] {
            for subnet in ["198.51.100.0/24", "203.0.113.0/24", "0.0.0.0/0"] {
                let got = client.send(&get(&zero(name, A).subnet(subnet).octets())).await;
                let smallest = message(&got).answers.iter().map(|record| record.ttl).min().unwrap();
                assert_eq!(got.cache(), format!("private, max-age={smallest}"), "{name}");
            }
        }
    });
}

#[test]
fn rfc8484_5_1_a_nodata_that_only_this_client_gets_is_kept_by_nobody_else_and_not_for_long() {
    let fixture = encrypted::start("nodata");
    run(async {
        // Nothing of this service is lawful for Germans once the Irish endpoint is gone.
        let mut client = Http::connect(&fixture, Version::HTTP_2).await;
        for name in ["apart.example.com", "silent.example.com", "foreign.example.com"] {
            let got = client.send(&get(&zero(name, AAAA).subnet("198.51.100.0/24").octets())).await;
            let reply = message(&got);
            let soa = reply.authorities.iter().find_map(|record| match &record.data {
                RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
                _ => None,
            });
            let expected = reply.answers.iter().map(|record| record.ttl).min().or(soa).unwrap();
            assert_eq!(got.cache(), format!("private, max-age={expected}"), "{name}: {reply:?}");
        }
    });
}

#[test]
fn rfc8484_4_2_1_an_error_of_dns_is_a_success_of_http() {
    let fixture = encrypted::start("errors");
    run(async {
        let mut client = Http::connect(&fixture, Version::HTTP_2).await;
        for (octets, rcode) in [
            (zero("example.org", A).octets(), ResponseCode::Refused),
            (zero("nothing.example.com", A).octets(), ResponseCode::NXDomain),
            (zero("api.example.com", A).flags(0x2800).octets(), ResponseCode::NotImp),
            (zero("api.example.com", A).octets()[..20].to_vec(), ResponseCode::FormErr),
        ] {
            assert_eq!(message(&client.send(&post(&octets)).await).metadata.response_code, rcode);
        }
    });
}

#[test]
fn queries_may_be_asked_at_another_path() {
    let fixture = encrypted::start_with("path", |options| options.https_path = "/resolve/here".into());
    let octets = zero("api.example.com", A).octets();
    run(async {
        let mut client = Http::connect(&fixture, Version::HTTP_2).await;
        assert!(client.send(&Sent { target: "/resolve/here".into(), ..post(&octets) }).await.is_dns());
        assert_eq!(client.send(&post(&octets)).await.status, StatusCode::NOT_FOUND);
    });
}

#[test]
fn the_client_is_the_other_end_of_the_connection() {
    // No header says who asks: anybody could write one.
    let fixture = encrypted::start("source");
    let octets = zero("api.example.com", A).octets();
    run(async {
        let mut client = Http::connect(&fixture, Version::HTTP_2).await;
        let plain = client.send(&post(&octets)).await;
        let mut sent = post(&octets);
        sent.headers.extend([("x-forwarded-for", "203.0.113.9".to_owned()), ("forwarded", "for=203.0.113.9".to_owned())]);
        assert_eq!(client.send(&sent).await.body, plain.body);
    });
}

#[test]
fn metrics_tell_what_was_answered_and_what_was_no_query() {
    let fixture = encrypted::start_with("metrics", |options| options.metrics = Some("127.0.0.1:0".parse().unwrap()));
    run(async {
        let mut client = Http::connect(&fixture, Version::HTTP_2).await;
        for _ in 0..3 {
            client.send(&get(&zero("api.example.com", A).octets())).await;
        }
        client.send(&get(&zero("nothing.example.com", A).octets())).await;
        client.send(&get(b"too short")).await;
        assert_eq!(metric(&fixture, r#"aya_responses_total{rcode="noerror",transport="https"}"#).await, 3);
        assert_eq!(metric(&fixture, r#"aya_responses_total{rcode="nxdomain",transport="https"}"#).await, 1);
        assert_eq!(metric(&fixture, r#"aya_requests_rejected_total{transport="https"}"#).await, 1);
        assert_eq!(metric(&fixture, r#"aya_connections{transport="https"}"#).await, 1);
    });
}

#[test]
fn a_node_that_stops_answers_what_is_under_way_and_tells_its_clients() {
    let fixture = encrypted::start("drain");
    let address = fixture.node.https_addresses()[0];
    let octets = zero("api.example.com", A).octets();
    run(async {
        let mut idle = Http::connect(&fixture, Version::HTTP_2).await;
        assert!(idle.send(&post(&octets)).await.is_dns());
        // The head was read, and so may the first half of the body: the node says so (RFC 9110 §10.1.1).
        let mut half = raw(&fixture, b"http/1.1").await;
        let head =
            format!("POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: {DNS_MESSAGE}\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n", octets.len());
        half.write_all(head.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        soon(half.read_exact(&mut interim)).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        half.write_all(&octets[..10]).await.unwrap();
        let certificate = fixture.certificate.clone();
        let stopping = tokio::task::spawn_blocking(move || fixture.node.stop());
        half.write_all(&octets[10..]).await.unwrap();
        let mut response = Vec::new();
        let _ = soon(half.read_to_end(&mut response)).await;
        assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&response));
        soon(stopping).await.unwrap();
        assert!(idle.try_send(&post(&octets)).await.is_err());
        assert!(Http::try_connect(address, &certificate, Version::HTTP_2).await.is_err());
    });
}
