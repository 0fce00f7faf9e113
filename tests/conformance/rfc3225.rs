//! The DO bit.

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc3225_3_do_is_copied_and_changes_nothing_else() {
    let world = world();
    for asked in ["web.example.com", "api.example.com", "missing.example.com", "host.child.example.com", "example.org"] {
        let plain = query(asked, A).edns().ask(&world);
        let dnssec = query(asked, A).edns_flags(0x8000).ask(&world);
        assert!(dnssec.message().edns.unwrap().flags().dnssec_ok && !plain.message().edns.unwrap().flags().dnssec_ok);
        assert_eq!((plain.answers(), plain.authorities()), (dnssec.answers(), dnssec.authorities()));
    }
}
