//! Glue.

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc9471_3_1_a_name_server_that_is_called_like_its_zone_has_glue() {
    let world = world();
    for asked in ["own.example.com", "host.own.example.com"] {
        let reply = query(asked, A).ask(&world);
        assert_eq!((reply.is_authoritative(), reply.answers().len()), (false, 0));
        assert_eq!(reply.authorities(), ["own.example.com. 86400 NS own.example.com."]);
        assert_eq!(reply.additionals(), ["own.example.com. 86400 A 192.0.2.154"]);
    }
}

#[test]
fn rfc9471_3_1_tc_is_set_when_glue_inside_the_delegation_does_not_fit() {
    let world = world();
    let reply = query("host.big.example.com", A).edns().ask(&world);
    assert!(reply.is_truncated() && reply.octets.len() <= 1232);
    assert_eq!(reply.authorities().len(), 13, "what fits stays");
    for host in 0..13 {
        let owner = format!("ns{host}.big.example.com. ");
        assert!([0, 7].contains(&reply.additionals().iter().filter(|record| record.starts_with(&owner)).count()), "half an RRset of {owner}");
    }
    let reply = query("host.big.example.com", A).tcp().ask(&world);
    assert_eq!((reply.is_truncated(), reply.additionals().len()), (false, 13 * 7));
}
