//! Load that goes where there is room, and what would be left if a region were lost.

use std::sync::Arc;

use aya_gslb::catalog::{Catalog, EndpointId, ProbeId};
use aya_gslb::config::{self, SourceFile};
use aya_gslb::control::{Controller, EndpointName, Event, LoadReport};
use aya_gslb::geo::Geo;
use aya_gslb::health::Health;
use aya_gslb::units::{Moment, Permille};

use crate::small::{START, passed, refused};

/// Three regions, one near each country; Germans are half of the clients, Americans and Japanese a quarter each. Endpoints stand in the order of their
/// names: frankfurt, ireland, virginia.
fn catalog(peak: &str) -> Arc<Catalog> {
    let endpoint = |name: &str, region: &str, last: u8| {
        format!(
            "[service.api.endpoint.{name}]\nregion = \"{region}\"\na = [\"192.0.2.{last}\"]\ncapacity = \"1000 rps\"\nprobe-at = \"127.0.0.{last}\"\n[service.api.endpoint.{name}.probe.tcp]\nport = 80\n"
        )
    };
    let text = format!(
        "zone = \"example.com\"\n[ns]\nns1 = [\"192.0.2.53\"]\nns2 = [\"198.51.100.53\"]\n\
         [network.germans]\nprefixes = [\"20.0.0.0/9\"]\ncountry = \"DE\"\n[network.americans]\nprefixes = [\"20.128.0.0/10\"]\ncountry = \"US\"\n\
         [network.japanese]\nprefixes = [\"20.192.0.0/10\"]\ncountry = \"JP\"\n[latency]\n\
         DE = {{ aws-eu-west-1 = \"20 ms\", gcp-europe-west3 = \"10 ms\", aws-us-east-1 = \"90 ms\" }}\n\
         US = {{ aws-eu-west-1 = \"80 ms\", gcp-europe-west3 = \"95 ms\", aws-us-east-1 = \"15 ms\" }}\n\
         JP = {{ aws-eu-west-1 = \"210 ms\", gcp-europe-west3 = \"220 ms\", aws-us-east-1 = \"150 ms\" }}\n\
         [service.api]\n{peak}\n{}{}{}",
        endpoint("frankfurt", "gcp-europe-west3", 2),
        endpoint("ireland", "aws-eu-west-1", 1),
        endpoint("virginia", "aws-us-east-1", 3)
    );
    let loaded = config::compile(vec![SourceFile { name: "zone.toml".into(), text: text.into() }], &|_, _| Err("none".into()));
    Arc::new(loaded.unwrap_or_else(|failure| panic!("{failure:?}")).catalog)
}

/// A controller whose probes all passed once.
fn settled(peak: &str) -> Controller {
    let catalog = catalog(peak);
    let geo = Arc::new(Geo::without_databases(&catalog));
    let mut controller = Controller::new(catalog, geo, START);
    let epoch = controller.plan().epoch;
    for probe in 0..3 {
        controller.handle(Event::Observed { epoch, probe: ProbeId(probe), observation: passed(START) }, START);
    }
    tick(&mut controller, START, 4);
    controller
}

/// Lets the controller look at its clock so many times.
fn tick(controller: &mut Controller, now: Moment, times: u32) {
    for _ in 0..times {
        controller.handle(Event::Tick, now);
    }
}

/// What each endpoint keeps of its clients.
fn rooms(controller: &Controller) -> Vec<u16> {
    controller.world().statuses.of.iter().map(|status| status.room.0).collect()
}

/// Has an endpoint report its load.
fn report(controller: &mut Controller, endpoint: &str, rps: u64, now: Moment) {
    let endpoint = EndpointName { zone: "example.com".into(), service: "api.example.com".into(), endpoint: endpoint.into() };
    controller.handle(Event::LoadReported(LoadReport { endpoint, rps }), now);
}

/// Lets the probe of an endpoint fail until it is down.
fn kill(controller: &mut Controller, endpoint: u32, now: Moment) {
    let probe = controller.world().catalog.endpoint(EndpointId(endpoint)).probes[0];
    let epoch = controller.plan().epoch;
    for _ in 0..3 {
        controller.handle(Event::Observed { epoch, probe, observation: refused(now) }, now);
    }
    assert_eq!(controller.world().status(EndpointId(endpoint)).health, Health::Down);
}

#[test]
fn without_a_demand_or_where_it_fits_every_endpoint_keeps_its_clients() {
    for peak in ["", "peak = \"1600 rps\""] {
        assert_eq!(rooms(&settled(peak)), [1000; 3], "{peak}");
    }
}

#[test]
fn a_declared_demand_beyond_an_endpoint_goes_to_the_next_with_a_margin_for_being_wrong() {
    // Each of the first and the last would have 1,000 of its 1,000 requests per second; 840 are filled.
    let controller = settled("peak = \"2000 rps\"");
    let rooms = rooms(&controller);
    assert!(rooms[0].abs_diff(840) <= 10 && rooms[1] == 1000 && rooms[2].abs_diff(840) <= 10, "{rooms:?}");
}

#[test]
fn the_removal_of_an_endpoint_is_published_before_its_load_is_fitted() {
    let mut controller = settled("peak = \"2000 rps\"");
    let before = rooms(&controller);
    kill(&mut controller, 1, START.plus_millis(1_000));
    assert_eq!(rooms(&controller), before, "the very event that told of it removes it, and does nothing else");
    tick(&mut controller, START.plus_millis(1_250), 1);
    // Two are left for all: each takes half, a fifth beyond the margin and not beyond its capacity.
    let after = rooms(&controller);
    assert_eq!((after[0], after[2]), (1000, 1000), "{after:?}");
}

#[test]
fn reported_loads_count_instead_of_what_was_declared_until_they_are_old() {
    let mut controller = settled("peak = \"100 rps\"");
    report(&mut controller, "frankfurt", 1_100, START);
    report(&mut controller, "virginia", 1_100, START);
    tick(&mut controller, START, 1);
    let full = rooms(&controller);
    assert!(full[0].abs_diff(881) <= 10 && full[1] == 1000 && full[2].abs_diff(881) <= 10, "{full:?}");
    assert_eq!(controller.world().status(EndpointId(0)).load, Permille(1_100));
    tick(&mut controller, START.plus_millis(60_001), 2);
    assert_eq!(rooms(&controller), [1000; 3]);
    assert_eq!(controller.world().status(EndpointId(0)).load, Permille(0), "nobody says that it is loaded");
}

#[test]
fn where_nobody_tells_the_demand_any_more_every_endpoint_keeps_its_clients_again() {
    let mut controller = settled("");
    for endpoint in ["frankfurt", "ireland", "virginia"] {
        report(&mut controller, endpoint, 1_100, START);
    }
    tick(&mut controller, START, 1);
    assert!(rooms(&controller)[0] < 1000);
    assert_eq!(controller.world().outlook.overload.len(), 1);
    tick(&mut controller, START.plus_millis(60_001), 2);
    assert_eq!(rooms(&controller), [1000; 3]);
    assert!(controller.world().outlook.overload.is_empty(), "what nobody tells is not known to be too much");
}

#[test]
fn a_load_within_the_dead_band_is_no_news() {
    let mut controller = settled("");
    report(&mut controller, "frankfurt", 300, START);
    tick(&mut controller, START, 6);
    for (rps, told) in [(340, 300), (349, 300), (350, 350), (301, 350)] {
        report(&mut controller, "frankfurt", rps, START);
        tick(&mut controller, START, 2);
        assert_eq!(controller.world().status(EndpointId(0)).load, Permille(told), "{rps}");
    }
}

#[test]
fn the_report_of_an_endpoint_that_is_not_there_changes_nothing() {
    let mut controller = settled("");
    let generation = controller.world().generation;
    report(&mut controller, "nowhere", 5_000, START);
    tick(&mut controller, START, 2);
    assert_eq!(controller.world().generation, generation);
}

#[test]
fn what_a_lost_region_would_leave_is_told_ahead() {
    let headroom = |controller: &Controller| -> Vec<(String, Option<i32>)> {
        let world = controller.world();
        world.catalog.regions.iter().map(|region| region.name.to_string()).zip(world.outlook.headroom.iter().copied()).collect()
    };
    // 1,200 requests per second: whichever goes, two are left with 600 each, or the near one has a half of it all and the other the rest.
    let controller = settled("peak = \"1200 rps\"");
    for (region, left) in headroom(&controller) {
        let left = left.unwrap_or_else(|| panic!("nothing is told of {region}"));
        assert!((150..=400).contains(&left), "{region}: {left}");
    }
    // 2,400: two can take 2,000.
    let controller = settled("peak = \"2400 rps\"");
    for (region, left) in headroom(&controller) {
        assert!(left.is_some_and(|left| (-230..=-180).contains(&left)), "{region}: {left:?}");
    }
}

#[test]
fn a_service_that_does_not_fit_is_told_with_how_much_it_is_over() {
    let mut controller = settled("peak = \"2500 rps\"");
    assert!(controller.world().outlook.overload.is_empty());
    kill(&mut controller, 2, START.plus_millis(1_000));
    tick(&mut controller, START.plus_millis(1_250), 1);
    let [(_, factor)] = &*controller.world().outlook.overload else { panic!("{:?}", controller.world().outlook) };
    // Beyond the 840 of a thousand that are filled where the demand is only declared.
    assert!(factor.abs_diff(1_488) <= 60, "{factor}");
}
