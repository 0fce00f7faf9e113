//! Whatever saves work on the way to a reply never shows in its octets: cells, situations that services share, the way of the usual query.

use aya_gslb::answer::{Ask, Policy, Scratch, answer};
use aya_gslb::catalog::ServiceId;
use aya_gslb::control::Situations;
use aya_gslb::units::Moment;
use aya_gslb::world::World;

use crate::model::{Dice, Model, ServiceModel};
use crate::support::ask::{Query, query, send};
use crate::support::{A, AAAA, ANY, CNAME, DS, HTTPS, MX, NS, SOA, SRV, TXT};
use crate::{random_status, seeds, support};

/// Makes each service three, so that some are decided alike.
fn with_twins(mut model: Model) -> Model {
    let twins = |service: &ServiceModel| -> Vec<ServiceModel> {
        let twin = |number| {
            let mut twin = service.clone();
            twin.name = format!("{}-{number}", service.name);
            twin
        };
        (0..3).map(twin).collect()
    };
    model.services = model.services.iter().flat_map(twins).collect();
    model
}

/// Gives every service statuses, some of them the same as its twins', and publishes them.
fn publish(world: &mut World, situations: &mut Situations, dice: &mut Dice) {
    world.generation += 1;
    let services = world.catalog.services.len();
    for service in 0..services {
        if dice.one_in(2) {
            continue;
        }
        let range = world.catalog.services[service].endpoints.clone();
        let twin = world.catalog.services[dice.below(services)].endpoints.clone();
        for (own, other) in range.clone().zip(twin.clone()) {
            let status = if twin.len() == range.len() { world.statuses.of[other as usize] } else { random_status(dice) };
            world.statuses.of[own as usize] = if dice.one_in(8) { random_status(dice) } else { status };
        }
        world.statuses.versions[service] = world.generation;
    }
    situations.tell(&world.catalog, world.generation, &mut world.statuses);
}

/// Services are in one situation exactly if they are of one profile and their endpoints have the same statuses.
fn hold_the_meaning_of_situations(world: &World, seed: u64) {
    let services = || (0..).map(ServiceId).zip(&world.catalog.services);
    for ((one, first), (other, second)) in services().flat_map(|one| services().map(move |other| (one, other))) {
        let profiles = (world.catalog.profiles.shared(one), world.catalog.profiles.shared(other));
        let alike = profiles.0.is_some() && profiles.0 == profiles.1 && world.statuses_of(first) == world.statuses_of(second);
        let numbers = (world.situation(one), world.situation(other));
        assert_eq!(numbers.0 > 0 && numbers.0 == numbers.1, alike, "seed {seed}: {} and {}", first.name, second.name);
    }
}

/// Any query that is in order: in any case, with or without OPT and subnet.
fn any_query(name: &str, dice: &mut Dice, subnet: &str) -> Query {
    let types = [A, A, A, AAAA, HTTPS, ANY, TXT, NS, SOA, CNAME, MX, SRV, DS, 65_280];
    let mut asked = query(name, types[dice.below(types.len())]);
    asked.name.iter_mut().filter(|_| dice.one_in(3)).for_each(u8::make_ascii_uppercase);
    asked.id = u16::try_from(dice.below(65_536)).unwrap();
    asked = asked.flags([0, 0x0100, 0x0110, 0x0400][dice.below(4)]);
    if dice.one_in(5) {
        return asked;
    }
    asked = asked.udp_size([0, 512, 600, 1232, 4096][dice.below(5)]).edns_flags(if dice.one_in(2) { 0x8000 } else { 0 });
    if dice.one_in(4) { asked } else { asked.subnet(subnet) }
}

/// The same query, written in a way that few resolvers write: with an option that means nothing, or with a record that does not.
fn written_otherwise(asked: &Query) -> Vec<u8> {
    if asked.opt.is_some() {
        return asked.clone().option(65_001, b"nothing").octets();
    }
    let mut octets = asked.octets();
    octets[11] += 1;
    octets.extend([0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 1, 0]);
    octets
}

/// Asks with a scratch that was used before.
fn send_warm(world: &World, asked: &Query, scratch: &mut Scratch) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let ask = Ask { source: asked.source, transport: asked.transport, now: Moment(1_000_000), policy: &Policy::default() };
    let outcome = answer(&asked.octets(), &ask, world, scratch, &mut buffer);
    buffer.truncate(outcome.len);
    buffer
}

#[test]
fn warm_cells_and_shared_situations_never_show_in_a_reply() {
    let (mut asked, mut shared) = (0_u64, 0_u64);
    for seed in seeds(300) {
        let mut dice = Dice::new(seed);
        let model = with_twins(Model::random(&mut dice));
        let Some(mut world) = model.compile() else { continue };
        let (mut scratch, mut situations) = (Scratch::with_cells(64), Situations::default());
        situations.tell(&world.catalog, 1, &mut world.statuses);
        for _ in 0..4 {
            publish(&mut world, &mut situations, &mut dice);
            hold_the_meaning_of_situations(&world, seed);
            shared += world.statuses.situations.iter().filter(|number| **number > 0).count() as u64;
            let mut apart = world.clone();
            apart.statuses.situations.fill(0);
            for _ in 0..60 {
                let client = model.random_client(&mut dice);
                let service = &model.services[dice.below(model.services.len())].name;
                let subnet = format!("{}/{}", client.address, client.source_len);
                let query = any_query(&format!("{service}.gslb.example.com"), &mut dice, &subnet);
                let cold = send(&apart, &query.octets(), query.source, query.transport).octets;
                assert_eq!(send_warm(&world, &query, &mut scratch), cold, "seed {seed}: {query:?} by {subnet}");
                asked += 1;
            }
        }
    }
    if std::env::var("AYA_SEED").is_err() {
        assert!(asked > 20_000 && shared > 2_000, "{asked} queries, {shared} situations: the worlds are too tame");
    }
}

#[test]
fn the_way_of_the_usual_query_never_shows_in_a_reply() {
    let world = support::world();
    let names: Vec<String> = world.catalog.owners.nodes().iter().map(|node| node.name.to_string()).filter(|name| name != ".").collect();
    let subnets = ["198.51.100.0/24", "203.0.113.0/24", "203.0.113.128/25", "198.51.96.0/20", "0.0.0.0/0", "10.20.7.0/24", "10.1.0.0/16", "8.8.8.0/24"];
    let more = ["2001:db8:100::/56", "2001:db8:200::/48", "::/0", "fd00::/64", "::ffff:198.51.100.0/120"];
    let subnets: Vec<&str> = subnets.into_iter().chain(more).collect();
    for seed in seeds(20_000) {
        let mut dice = Dice::new(seed);
        let name = &names[dice.below(names.len())];
        let name = if dice.one_in(6) { format!("x{}.{name}", dice.below(3)) } else { name.clone() };
        let Ok(_) = name.parse::<aya_gslb::catalog::Name>() else { continue };
        let subnet = subnets[dice.below(subnets.len())];
        let mut query = any_query(&name, &mut dice, subnet);
        if dice.one_in(6) {
            query = query.tcp();
        }
        let reply = send(&world, &query.octets(), query.source, query.transport).octets;
        let other = send(&world, &written_otherwise(&query), query.source, query.transport).octets;
        assert_eq!(reply, other, "seed {seed}: {query:?}");
    }
}
