//! NSID.

use aya_gslb::answer::Policy;

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc5001_2_1_a_node_with_a_name_tells_it_to_who_asks_and_to_nobody_else() {
    let world = world();
    let named = Policy { nsid: b"fra-2".as_slice().into(), ..Policy::default() };
    for (asked, qtype) in [("api.example.com", A), ("web.example.com", A), ("missing.example.com", A), ("example.org", A), ("child.example.com", A)] {
        let query = query(asked, qtype);
        assert_eq!(query.clone().option(3, b"").ask_by(&named, &world).option(3), Some(b"fra-2".to_vec()), "{asked}");
        assert_eq!(query.clone().edns().ask_by(&named, &world).option(3), None, "{asked}");
        assert_eq!(query.option(3, b"").ask(&world).option(3), None, "a node without a name");
    }
}

#[test]
fn rfc5001_2_1_what_the_option_of_a_query_holds_means_nothing() {
    let named = Policy { nsid: b"fra-2".as_slice().into(), ..Policy::default() };
    let reply = query("web.example.com", A).option(3, b"who?").option(3, b"").ask_by(&named, &world());
    assert_eq!((reply.rcode(), reply.option(3)), ("NOERROR", Some(b"fra-2".to_vec())));
}

#[test]
fn rfc5001_2_1_a_name_that_does_not_fit_stays_out_and_takes_no_record_with_it() {
    let world = world();
    let named = Policy { nsid: vec![b'n'; 64].into(), ..Policy::default() };
    let plain = query("wide.example.com", AAAA).udp_size(1232).ask(&world);
    let asked = query("wide.example.com", AAAA).udp_size(u16::try_from(plain.octets.len()).unwrap() + 67).option(3, b"").ask_by(&named, &world);
    assert_eq!((asked.option(3), asked.is_truncated(), asked.answers()), (None, false, plain.answers()));
    let roomy = query("wide.example.com", AAAA).udp_size(u16::try_from(plain.octets.len()).unwrap() + 68).option(3, b"").ask_by(&named, &world);
    assert_eq!(roomy.option(3).unwrap().len(), 64);
}
