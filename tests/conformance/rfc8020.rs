//! NXDOMAIN: there really is nothing underneath.

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc8020_2_nothing_exists_below_a_name_without_children() {
    let world = world();
    for asked in ["a.web.example.com", "a.api.example.com", "a.b.c.web.example.com", "a.www.example.com", "a.mail.example.com"] {
        assert_eq!(query(asked, A).ask(&world).rcode(), "NXDOMAIN", "{asked}");
    }
}

#[test]
fn rfc8020_2_every_ancestor_of_a_name_exists() {
    let world = world();
    for asked in ["deep.below.empty.example.com", "below.empty.example.com", "empty.example.com", "tenant.example.com", "alias.example.com"] {
        assert_eq!(query(asked, A).ask(&world).rcode(), "NOERROR", "{asked}");
    }
}
