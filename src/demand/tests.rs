//! Scenes of load: three regions, clients of three countries.

use std::sync::Arc;

use super::*;
use crate::catalog::{EndpointId, ServiceId};
use crate::config::{SourceFile, compile};
use crate::geo::{Code, Geo};
use crate::health::{Health, Status};
use crate::steer::{ALL_CLIENTS, Ask, Client, Family, Silent, decide};
use crate::units::Permille;
use crate::world::World;

const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]

[network.germans]
prefixes = ["20.0.0.0/9"]
country = "DE"
[network.americans]
prefixes = ["20.128.0.0/10"]
country = "US"
[network.japanese]
prefixes = ["20.192.0.0/10"]
country = "JP"

[latency]
DE = { aws-eu-west-1 = "20 ms", gcp-europe-west3 = "10 ms", aws-us-east-1 = "90 ms" }
US = { aws-eu-west-1 = "80 ms", gcp-europe-west3 = "95 ms", aws-us-east-1 = "15 ms" }
JP = { aws-eu-west-1 = "210 ms", gcp-europe-west3 = "220 ms", aws-us-east-1 = "150 ms" }

[residency.eu]
clients = ["EU"]
regions = ["EU"]
unknown = "exempt"

[service.near.endpoint.ireland]
region = "aws-eu-west-1"
a = ["192.0.2.1"]
capacity = "1000 rps"
[service.near.endpoint.frankfurt]
region = "gcp-europe-west3"
a = ["192.0.2.2"]
capacity = "1000 rps"
[service.near.endpoint.virginia]
region = "aws-us-east-1"
a = ["192.0.2.3"]
capacity = "1000 rps"

[service.lawful]
residency = ["eu"]
[service.lawful.endpoint.ireland]
region = "aws-eu-west-1"
a = ["192.0.2.1"]
[service.lawful.endpoint.frankfurt]
region = "gcp-europe-west3"
a = ["192.0.2.2"]
[service.lawful.endpoint.virginia]
region = "aws-us-east-1"
a = ["192.0.2.3"]

[service.shared]
steering = { by = "weight" }
[service.shared.endpoint.ireland]
region = "aws-eu-west-1"
a = ["192.0.2.1"]
[service.shared.endpoint.frankfurt]
region = "gcp-europe-west3"
a = ["192.0.2.2"]
[service.shared.endpoint.virginia]
region = "aws-us-east-1"
a = ["192.0.2.3"]
"#;

/// The world, everything up; endpoints stand in the order of their names: frankfurt, ireland, virginia.
fn world() -> World {
    let source = SourceFile { name: "zone".into(), text: ZONE.into() };
    let loaded = compile(vec![source], &|_, _| Err("no master files here".into())).expect("it reads");
    let geo = Geo::without_databases(&loaded.catalog);
    let mut world = World::unmeasured(1, Arc::new(loaded.catalog), Arc::new(geo));
    world.statuses.of.fill(Status::UP);
    world
}

/// The service of this label.
fn service(world: &World, label: &str) -> ServiceId {
    let place = world.catalog.services.iter().position(|service| *service.label == *label).expect("it is there");
    ServiceId(u32::try_from(place).expect("few"))
}

/// Fits a load to the limits of frankfurt, ireland and virginia.
fn fitted(world: &World, label: &str, demand: u64, limits: [u64; 3]) -> Fit {
    let orders = Orders::of(&Orders::opened(world), service(world, label), &Mix::of_addresses(&world.geo));
    fit(&orders, demand, &limits.map(Some), &[Permille::WHOLE; 3])
}

/// Loads in whole requests per second.
fn loads(fit: &Fit) -> Vec<u64> {
    fit.loads.iter().map(|load| load / 1000).collect()
}

#[test]
fn clients_land_as_they_are_steered() {
    let world = world();
    let orders = Orders::of(&Orders::opened(&world), service(&world, "near"), &Mix::of_addresses(&world.geo));
    let landing = orders.landing(&[Permille::WHOLE; 3]);
    // Germans are half, Americans and Japanese a quarter each.
    assert_eq!(landing.shares.iter().map(|share| share * 100 / ALL_CLIENTS).collect::<Vec<_>>(), [50, 0, 50]);
    assert_eq!(landing.nobody, 0);
}

#[test]
fn a_mix_of_countries_counts_countries_and_not_addresses() {
    let world = world();
    let code = |text: &str| Code::parse(text).expect("a code");
    let mix = Mix::of_countries(&world.geo, &[(code("DE"), 1), (code("JP"), 3), (code("FR"), 5)]);
    let shares: Vec<_> = mix.groups().iter().map(|group| (group.country, group.share * 100 / ALL_CLIENTS)).collect();
    assert_eq!(shares, [(Some(code("DE")), 25), (Some(code("JP")), 75)]);
}

#[test]
fn load_that_fits_turns_nobody_away() {
    let fit = fitted(&world(), "near", 2_000, [1_000; 3]);
    assert_eq!((&*fit.rooms, fit.fits()), (&[Permille::WHOLE; 3][..], true));
    assert_eq!(loads(&fit), [1_000, 0, 1_000]);
}

#[test]
fn what_is_too_much_for_one_goes_to_the_next_and_no_more_than_that() {
    let fit = fitted(&world(), "near", 2_400, [1_000; 3]);
    assert!(fit.fits());
    assert_eq!(fit.rooms.to_vec(), [833, 1000, 833].map(Permille));
    for (load, wanted) in loads(&fit).into_iter().zip([1_000, 400, 1_000]) {
        assert!(load.abs_diff(wanted) <= 5, "{:?}", loads(&fit));
    }
}

#[test]
fn the_death_of_a_region_loads_no_survivor_beyond_its_limit_while_there_is_room() {
    let mut world = world();
    world.statuses.of[1].health = Health::Down;
    for (demand, limits) in [(2_000, [1_000, 0, 1_300]), (2_000, [1_000, 0, 1_000]), (1_500, [300, 0, 1_300])] {
        let fit = fitted(&world, "near", demand, limits);
        assert!(fit.fits(), "{demand} {limits:?}: {fit:?}");
        for (load, limit) in loads(&fit).into_iter().zip(limits) {
            assert!(load <= limit + limit / 100, "{demand} {limits:?}: {:?}", loads(&fit));
        }
    }
}

#[test]
fn without_room_everybody_is_over_by_the_same_part() {
    for label in ["near", "shared"] {
        let fit = fitted(&world(), label, 4_000, [500, 1_000, 1_500]);
        assert!(!fit.fits());
        for (load, limit) in loads(&fit).into_iter().zip([500, 1_000, 1_500]) {
            let over = load * 1000 / limit;
            assert!(over.abs_diff(1_333) <= 66, "{label}: {over} of {:?}", loads(&fit));
        }
    }
}

#[test]
fn the_law_is_kept_whatever_the_load() {
    let world = world();
    // Half of the clients may only be given the first two, which can take a quarter.
    let fit = fitted(&world, "lawful", 4_000, [500, 500, 100_000]);
    assert!(!fit.fits());
    let loads = loads(&fit);
    assert!(loads[0] + loads[1] >= 1_990, "{loads:?}");
    assert!(loads[0].abs_diff(loads[1]) <= 50, "{loads:?}");
}

#[test]
fn what_was_fitted_is_what_clients_then_get() {
    let mut world = world();
    for (label, limits) in [("near", [700, 600, 1_100]), ("shared", [300, 1_000, 1_100])] {
        let fit = fitted(&world, label, 2_400, limits);
        let id = service(&world, label);
        let range = world.catalog.service(id).endpoints.clone();
        for (endpoint, room) in range.clone().zip(&fit.rooms) {
            world.statuses.of[endpoint as usize].room = *room;
        }
        let mut counts = [0_u64; 3];
        for client in 0..65_536_u32 {
            let address = std::net::Ipv4Addr::from_bits((20 << 24) + (client << 8));
            let client = Client::at(address.into(), 32, &world.geo);
            let chosen = decide(&Ask { service: id, client, family: Family::Any }, &world, &mut Silent).choose(&client, &world);
            counts[(chosen.endpoints()[0].0 - range.start) as usize] += 1;
        }
        for (count, load) in counts.into_iter().zip(loads(&fit)) {
            let drawn = count * 2_400 / 65_536;
            assert!(drawn.abs_diff(load) <= 30, "{label}: {counts:?} for {:?}", loads(&fit));
        }
    }
}

#[test]
fn a_lost_region_tells_who_moves_where_and_what_it_costs_them() {
    let before = world();
    let mut after = before.clone();
    after.statuses.of[0].health = Health::Down;
    let mix = Mix::of_addresses(&before.geo);
    let id = service(&before, "near");
    let shift = shift(&Side::of(&before, id, &mix), &Side::of(&after, id, &mix), &mix);
    // The half that are Germans go from frankfurt, at 10 ms, to ireland, at 20 ms; Americans at 15 ms and Japanese at 150 ms stay.
    assert_eq!(shift.moved * 100 / ALL_CLIENTS, 50);
    let [flow] = &*shift.flows else { panic!("{:?}", shift.flows) };
    assert_eq!((flow.from.as_deref(), flow.to.as_deref()), (Some("gcp-europe-west3"), Some("aws-eu-west-1")));
    assert_eq!(shift.rtt.map(|rtt| rtt.0 / 1000), [46, 51]);
    assert_eq!(shift.factors, [1000; 2]);
    // Addresses are counted, not places: three of those are known here.
    let moves = moves(id, &before, &after, &mix);
    let first = before.catalog.service(id).endpoints.start;
    let [(way, share)] = &*moves.into_iter().collect::<Vec<_>>() else { panic!("there is one way") };
    assert_eq!((*way, *share * 100 / ALL_CLIENTS), ((Some(EndpointId(first)), Some(EndpointId(first + 1))), 50));
}

#[test]
fn the_same_world_twice_moves_nobody() {
    let world = world();
    let mix = Mix::of_addresses(&world.geo);
    for id in (0..3).map(ServiceId) {
        let side = Side::of(&world, id, &mix);
        assert_eq!(shift(&side, &side, &mix).moved, 0);
    }
}

#[test]
fn what_a_node_has_fitted_already_is_fitted_to_the_same() {
    let mut catalog = (*world().catalog).clone();
    let id = service(&world(), "near");
    catalog.services[id.index()].peak = Some(2_700);
    let fresh = World { catalog: std::sync::Arc::new(catalog), ..world() };
    let mut fitted = fresh.clone();
    let mix = Mix::of_addresses(&fresh.geo);
    for (index, room) in [300, 700, 1_000].into_iter().enumerate() {
        fitted.statuses.of[fresh.catalog.service(id).endpoints.start as usize + index].room = Permille(room);
    }
    let [fresh, fitted] = [fresh, fitted].map(|world| Side::of(&world, id, &mix));
    let shift = shift(&fresh, &fitted, &mix);
    assert_eq!((shift.moved, fresh.factor()), (0, fitted.factor()));
    assert!(shift.loads.iter().all(|(_, before, after)| before == after), "{:?}", shift.loads);
    assert!(shift.loads.iter().any(|(_, load, _)| load.is_some_and(|load| load > Permille(500))), "{:?}", shift.loads);
}

#[test]
fn whoever_loses_the_last_lawful_answer_moves_to_none() {
    let before = world();
    let mut after = before.clone();
    let id = service(&before, "lawful");
    let first = before.catalog.service(id).endpoints.start as usize;
    for status in &mut after.statuses.of[first..first + 2] {
        status.intent = crate::health::Intent::Out;
    }
    let mix = Mix::of_addresses(&before.geo);
    let shift = shift(&Side::of(&before, id, &mix), &Side::of(&after, id, &mix), &mix);
    let [flow] = &*shift.flows else { panic!("{:?}", shift.flows) };
    assert_eq!((flow.from.as_deref(), flow.to.as_deref(), flow.share * 100 / ALL_CLIENTS), (Some("gcp-europe-west3"), None, 50));
}

/// A recording of these prefixes and weights.
fn recorded(entries: &[(&str, u64)]) -> Vec<Recorded> {
    entries.iter().map(|(prefix, weight)| Recorded { prefix: prefix.parse().expect("a prefix"), weight: *weight }).collect()
}

#[test]
fn a_recording_counts_what_was_recorded_the_largest_first_and_places_each_prefix() {
    let world = world();
    let code = |text: &str| Code::parse(text).expect("a code");
    let entries = [("20.192.0.0/24", 10), ("20.0.0.0/16", 30), ("20.192.0.0/24", 40), ("2001:db8::/48", 5), ("2001:db8:0:100::/56", 5), ("20.128.0.1/32", 10)];
    let mix = Mix::of_prefixes(&world.geo, &recorded(&entries));
    let told: Vec<_> = mix.groups().iter().map(|group| (group.country, (group.share * 100).div_ceil(ALL_CLIENTS), group.is_one)).collect();
    assert_eq!(
        told,
        [
            (Some(code("JP")), 50, true),
            (Some(code("DE")), 30, false),
            (Some(code("US")), 10, true),
            // Whom no geography knows asks all the same.
            (None, 5, false),
            (None, 5, true),
        ]
    );
}

#[test]
fn a_recording_of_huge_counts_is_not_too_much() {
    let entries = [("20.0.0.0/24", u64::MAX), ("20.128.0.0/24", u64::MAX), ("20.192.0.0/24", 1)];
    let mix = Mix::of_prefixes(&world().geo, &recorded(&entries));
    // What is less than a client of all has no share.
    assert_eq!(mix.groups().iter().map(|group| group.share).collect::<Vec<_>>(), [ALL_CLIENTS / 2 - 1, ALL_CLIENTS / 2 - 1]);
}

#[test]
fn whoever_draws_one_lot_is_given_the_endpoint_that_answers_give_it_and_all_of_it_moves() {
    let before = world();
    let id = service(&before, "shared");
    let first = before.catalog.service(id).endpoints.start;
    let mix = Mix::of_prefixes(&before.geo, &recorded(&[("20.0.1.0/24", 1), ("20.0.2.7/32", 1), ("20.0.3.0/24", 1), ("20.0.4.0/24", 1)]));
    for lost in 0..3 {
        let mut after = before.clone();
        after.statuses.of[(first + lost) as usize].health = Health::Down;
        let mut to_move = 0;
        for group in mix.groups() {
            let [answered, instead] = [&before, &after].map(|world| {
                let decision = decide(&Ask { service: id, client: group.client, family: Family::Any }, world, &mut Silent);
                let answered = decision.choose(&group.client, world).endpoints()[0];
                assert_eq!(group.given(&decision, &group.client, world), [(answered, ALL_CLIENTS)]);
                answered
            });
            to_move += if answered == instead { 0 } else { group.share };
        }
        assert_eq!(moves(id, &before, &after, &mix).values().sum::<u64>(), to_move);
        let shift = shift(&Side::of(&before, id, &mix), &Side::of(&after, id, &mix), &mix);
        assert_eq!((shift.moved, to_move % (ALL_CLIENTS / 4)), (to_move, 0), "only whole resolvers move");
    }
}

#[test]
fn a_short_prefix_is_spread_over_those_that_draw_lots_in_it() {
    let world = world();
    let mix = Mix::of_prefixes(&world.geo, &recorded(&[("20.0.0.0/16", 1)]));
    let group = mix.groups()[0];
    let decision = decide(&Ask { service: service(&world, "shared"), client: group.client, family: Family::Any }, &world, &mut Silent);
    let shares: Vec<u64> = group.given(&decision, &group.client, &world).into_iter().map(|(_, share)| share * 100 / ALL_CLIENTS).collect();
    assert_eq!(shares, [33; 3]);
}

#[test]
fn load_lands_where_resolvers_do() {
    let source = SourceFile {
        name: "zone".into(),
        text: ZONE.replace("[service.near.endpoint.ireland]", "[service.near]\npeak = \"1500 rps\"\n[service.near.endpoint.ireland]").into(),
    };
    let loaded = compile(vec![source], &|_, _| Err("no master files here".into())).expect("it reads");
    let geo = Geo::without_databases(&loaded.catalog);
    let mut world = World::unmeasured(1, Arc::new(loaded.catalog), Arc::new(geo));
    world.statuses.of.fill(Status::UP);
    let id = service(&world, "near");
    let loads = |entries: &[(&str, u64)]| {
        let mix = Mix::of_prefixes(&world.geo, &recorded(entries));
        let side = Side::of(&world, id, &mix);
        let loads = shift(&side, &side, &mix).loads;
        loads.into_iter().map(|(key, before, _)| (key.endpoint, before.map(|load| load.0.div_ceil(10)))).collect::<Vec<_>>()
    };
    // Spread, a tenth more than fits goes to the next; in one piece, none of it or all of it does.
    let spread = loads(&[("20.0.0.0/16", 2), ("20.128.0.0/16", 1)]);
    let at = |loads: &[(Box<str>, Option<u16>)], name: &str| loads.iter().find(|(endpoint, _)| **endpoint == *name).and_then(|(_, load)| *load).unwrap_or(0);
    assert_eq!((at(&spread, "frankfurt"), at(&spread, "ireland"), at(&spread, "virginia")), (84, 16, 50), "{spread:?}");
    let lumps = loads(&[("20.0.0.0/24", 2), ("20.128.0.0/24", 1)]);
    let german = [at(&lumps, "frankfurt"), at(&lumps, "ireland")];
    assert!(matches!(german, [100, 0] | [0, 100]), "{lumps:?}");
    assert_eq!(at(&lumps, "virginia"), 50, "{lumps:?}");
}

#[test]
fn clients_are_placed_by_the_geography_of_the_world_that_a_load_is_fitted_in() {
    let before = world();
    // Nobody is known there, so places of the other geography mean nothing.
    let text = ZONE.split("[network.germans]").next().expect("a head").to_owned()
        + "[service.near]\npeak = \"1500 rps\"\n[service.near.endpoint.ireland]\nregion = \"aws-eu-west-1\"\na = [\"192.0.2.1\"]\ncapacity = \"1000 rps\"\n";
    let loaded = compile(vec![SourceFile { name: "zone".into(), text: text.into() }], &|_, _| Err("no master files here".into())).expect("it reads");
    let geo = Geo::without_databases(&loaded.catalog);
    let mut after = World::unmeasured(1, Arc::new(loaded.catalog), Arc::new(geo));
    after.statuses.of.fill(Status::UP);
    let mix = Mix::of_addresses(&before.geo);
    let sides = [Side::of(&before, service(&before, "near"), &mix), Side::of(&after, service(&after, "near"), &mix)];
    assert_eq!(shift(&sides[0], &sides[1], &mix).flows.iter().map(|flow| flow.to.as_deref()).collect::<Vec<_>>(), [Some("aws-eu-west-1"); 2]);
}
