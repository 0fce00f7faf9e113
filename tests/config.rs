//! Zones as operators write them: what loads, and what is told of every mistake.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a test that cannot read its files has failed")]

use aya_gslb::config::load;

#[test]
fn zones_of_the_demo_load_without_a_lint() {
    let loaded = load(&["zones"]).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(loaded.lints, []);
    let catalog = &loaded.catalog;
    assert_eq!((catalog.zones.len(), catalog.services.len(), catalog.regions.len()), (1, 5, 7));
}
