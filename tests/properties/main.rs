//! Properties of deciding, over random worlds and clients: the law holds, decisions are functions, worse never ranks better.
//!
//! Worlds are written as TOML and read by the real compiler. The law is judged by a second, naive predicate over the model that the TOML
//! was written from (`model::Model::is_lawful`), never by the catalog. `AYA_SEED=…` replays one world.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod model;
mod octets;
#[path = "../support/mod.rs"]
mod support;

use aya_gslb::catalog::{AddressType, AddressTypes, EndpointId, ServiceId};
use aya_gslb::health::{Health, Intent, Status};
use aya_gslb::steer::{self, Ask, Chosen, Client, Decision, Family, Recorder, Silent, Verdict};
use aya_gslb::units::{Micros, Permille};
use aya_gslb::world::World;
use model::{ClientModel, Dice, Model};

/// Worlds of one property, each with its seed; or the one that `AYA_SEED` names.
fn seeds(count: u64) -> Box<dyn Iterator<Item = u64>> {
    match std::env::var("AYA_SEED") {
        Ok(seed) => Box::new(std::iter::once(seed.parse().unwrap())),
        Err(_) => Box::new(0..count),
    }
}

/// A random world with random statuses, and what it was written from.
fn random_world(seed: u64) -> Option<(Model, World, Dice)> {
    let mut dice = Dice::new(seed);
    let model = Model::random(&mut dice);
    let mut world = model.compile()?;
    for status in &mut world.statuses.of {
        *status = random_status(&mut dice);
    }
    Some((model, world, dice))
}

/// Any status.
fn random_status(dice: &mut Dice) -> Status {
    Status {
        health: [Health::Unknown, Health::Up, Health::Up, Health::Up, Health::Degraded, Health::Down][dice.below(6)],
        intent: [Intent::None, Intent::None, Intent::None, Intent::In, Intent::Drain, Intent::Out][dice.below(6)],
        moving: dice.below(5) == 0,
        damped: dice.below(6) == 0,
        blocked: dice.below(8) == 0,
        latched: dice.below(5) == 0,
        ramp: Permille([1000, 1000, 500, 50][dice.below(4)]),
        room: Permille([1000, 1000, 1000, 300, 0][dice.below(5)]),
        share: Permille([1000, 1000, 1000, 1000, 400, 0][dice.below(6)]),
        load: Permille([0, 0, 600, 900, 1200][dice.below(5)]),
        penalty: Micros([0, 0, 5_000][dice.below(3)]),
        lacks: AddressTypes { a: dice.below(12) == 0, aaaa: dice.below(12) == 0 },
        fails: AddressTypes { a: dice.below(60) == 0, aaaa: dice.below(60) == 0 },
    }
}

/// Asks for one service.
fn ask(service: usize, client: &ClientModel, family: Family, world: &World) -> Ask {
    let service = ServiceId(u32::try_from(service).unwrap());
    Ask { service, client: Client::at(client.address, client.source_len, &world.geo), family }
}

/// Decides and chooses, silently as for an answer and watched as for an explanation: the same.
fn decide(ask: &Ask, world: &World) -> (Decision, Chosen) {
    let chosen = steer::decide(ask, world, &mut Silent).choose(&ask.client, world);
    let watched = steer::decide(ask, world, &mut Recorder::default());
    assert_eq!(watched.choose(&ask.client, world), chosen, "to be watched changed the answer");
    (watched, chosen)
}

/// The region's name of an endpoint.
fn region_of(endpoint: EndpointId, world: &World) -> &str {
    &world.catalog.region(world.catalog.endpoint(endpoint).region).name
}

/// Holds every rule that no circumstances relax against one choice.
fn hold_the_law(model: &Model, world: &World, service: usize, client: &ClientModel, chosen: &Chosen, seed: u64) {
    let written = &model.services[service];
    for id in chosen.endpoints() {
        let endpoint = world.catalog.endpoint(*id);
        let region = region_of(*id, world);
        assert!(model.is_lawful(written, client, region), "seed {seed}: {} got {region} of {} for {client:?}", client.address, written.name);
        assert_ne!(world.status(*id).intent, Intent::Out, "seed {seed}: {} was taken out", endpoint.name);
        assert!(world.status(*id).lacks.is_empty(), "seed {seed}: {} has no address", endpoint.name);
        assert!(written.meets_require(&endpoint.name), "seed {seed}: {} lacks what {} requires", endpoint.name, written.name);
    }
    assert_eq!(chosen.verdict == Verdict::Serve, chosen.count > 0, "seed {seed}: {} answers with nothing, or does not say so", written.name);
    let available = written.endpoints.iter().any(|endpoint| {
        let id = world.catalog.endpoints_of(&world.catalog.services[service]).find(|(_, other)| *other.name == *endpoint.name).unwrap().0;
        model.is_lawful(written, client, &endpoint.region)
            && written.meets_require(&endpoint.name)
            && written.last_resort.as_ref() != Some(&endpoint.name)
            && world.status(id).intent != Intent::Out
            && world.status(id).lacks.is_empty()
    });
    if available && written.serves_when_all_down() {
        assert_eq!(chosen.verdict, Verdict::Serve, "seed {seed}: {} is empty because of health", written.name);
    }
}

#[test]
fn no_decision_leaves_its_residency_set() {
    let mut judged = 0_u64;
    let mut bound = 0_u64;
    for seed in seeds(2_500) {
        let Some((model, world, mut dice)) = random_world(seed) else { continue };
        for service in 0..model.services.len() {
            for _ in 0..24 {
                let client = model.random_client(&mut dice);
                let (_, chosen) = decide(&ask(service, &client, Family::Any, &world), &world);
                hold_the_law(&model, &world, service, &client, &chosen, seed);
                judged += 1;
                bound += u64::from(model.regions.iter().any(|region| !model.is_lawful(&model.services[service], &client, &region.name)));
            }
        }
    }
    if std::env::var("AYA_SEED").is_err() {
        assert!(judged >= 100_000, "only {judged} decisions were judged");
        assert!(bound >= judged / 10, "the law bound only {bound} of {judged} clients: the worlds are too tame");
    }
}

#[test]
fn the_law_holds_with_every_subset_of_regions_down() {
    for seed in seeds(60) {
        let Some((model, mut world, mut dice)) = random_world(seed) else { continue };
        let clients: Vec<ClientModel> = (0..6).map(|_| model.random_client(&mut dice)).collect();
        for status in &mut world.statuses.of {
            status.intent = Intent::None;
        }
        for down in 0..1_u32 << model.regions.len() {
            for (endpoint, status) in world.catalog.endpoints.iter().zip(&mut world.statuses.of) {
                status.health = if down >> endpoint.region.0 & 1 == 1 { Health::Down } else { Health::Up };
            }
            for service in 0..model.services.len() {
                for client in &clients {
                    let (_, chosen) = decide(&ask(service, client, Family::Any, &world), &world);
                    hold_the_law(&model, &world, service, client, &chosen, seed);
                }
            }
        }
    }
}

#[test]
fn the_same_world_and_client_give_the_same_answer_from_a_cell_as_decided() {
    let mut cells = steer::Cells::with_capacity(256);
    for (seed, generation) in seeds(600).zip(1..) {
        let Some((model, mut world, mut dice)) = random_world(seed) else { continue };
        world.generation = generation;
        world.statuses.versions.fill(generation);
        for _ in 0..60 {
            let service = dice.below(model.services.len());
            let client = model.random_client(&mut dice);
            for family in [Family::Any, Family::V4, Family::V6] {
                let ask = ask(service, &client, family, &world);
                let (_, chosen) = decide(&ask, &world);
                assert_eq!(cells.choose(&ask, &world), chosen, "seed {seed}: a cold cell");
                assert_eq!(cells.choose(&ask, &world), chosen, "seed {seed}: a warm cell");
            }
        }
    }
}

/// Rank of an endpoint: 0 among those that share the first place, then its place; beyond all when it is not in the running.
fn rank(decision: &Decision, endpoint: EndpointId) -> usize {
    let sharing = usize::from(decision.sharing);
    let place = decision.candidates[..usize::from(decision.count)].iter().position(|candidate| candidate.endpoint == endpoint);
    match place {
        None => usize::MAX,
        Some(place) if place < sharing => 0,
        Some(place) => place,
    }
}

/// The same status, worse in one respect.
fn worsen(status: Status, dice: &mut Dice) -> Status {
    match dice.below(10) {
        9 => Status { latched: true, ..status },
        8 => Status { fails: AddressTypes { a: true, ..status.fails }, ..status },
        7 => Status { damped: true, ..status },
        6 => Status { blocked: true, ..status },
        5 => Status { lacks: AddressTypes { a: true, aaaa: true }, ..status },
        0 => Status { load: Permille(status.load.0 + 200), ..status },
        1 => Status { penalty: Micros(status.penalty.0 + 7_000), ..status },
        2 => Status { intent: if status.intent == Intent::None { Intent::Drain } else { status.intent }, ..status },
        _ => Status {
            health: match status.health {
                Health::Up => [Health::Degraded, Health::Unknown, Health::Down][dice.below(3)],
                // A degraded endpoint was measured, an unknown one was not: which is worse is not said.
                Health::Degraded | Health::Unknown | Health::Down => Health::Down,
            },
            ..status
        },
    }
}

#[test]
fn making_an_endpoint_worse_never_improves_its_rank() {
    let mut fell = 0;
    for seed in seeds(1_500) {
        let Some((model, world, mut dice)) = random_world(seed) else { continue };
        for _ in 0..30 {
            let service = dice.below(model.services.len());
            let client = model.random_client(&mut dice);
            let ask = ask(service, &client, Family::Any, &world);
            let range = world.catalog.services[service].endpoints.clone();
            let endpoint = EndpointId(range.start + u32::try_from(dice.below(range.len())).unwrap());
            let mut worse = world.clone();
            let status = &mut worse.statuses.of[endpoint.index()];
            *status = worsen(*status, &mut dice);
            let (before, after) = (decide(&ask, &world).0, decide(&ask, &worse).0);
            if before.verdict != Verdict::Serve || all_are_down(&worse, &range) {
                continue;
            }
            let (before, after) = (rank(&before, endpoint), rank(&after, endpoint));
            let name = &world.catalog.endpoint(endpoint).name;
            assert!(
                after >= before,
                "seed {seed}: {name} of {} rose from {before} to {after} for {}/{} by going from {:?} to {:?}",
                model.services[service].name,
                client.address,
                client.source_len,
                world.status(endpoint),
                worse.status(endpoint)
            );
            fell += usize::from(after > before);
        }
    }
    assert!(fell > 1_000 || std::env::var("AYA_SEED").is_ok(), "only {fell} falls: the worlds are too tame");
}

/// Whether nothing of these endpoints is alive and has addresses, so that ranks are as if all were up.
fn all_are_down(world: &World, range: &std::ops::Range<u32>) -> bool {
    range.clone().all(|id| {
        let status = world.status(EndpointId(id));
        status.is_down() || AddressType::ALL.into_iter().any(|of| status.is_down_for(of)) || !status.lacks.is_empty()
    })
}

#[test]
fn an_endpoint_that_keeps_fewer_clients_moves_no_others() {
    let mut moved = 0;
    for seed in seeds(1_800) {
        let Some((model, world, mut dice)) = random_world(seed) else { continue };
        for _ in 0..60 {
            let service = dice.below(model.services.len());
            if world.catalog.services[service].answers > 1 {
                continue;
            }
            let client = model.random_client(&mut dice);
            let ask = ask(service, &client, Family::Any, &world);
            let range = world.catalog.services[service].endpoints.clone();
            let any = EndpointId(range.start + u32::try_from(dice.below(range.len())).unwrap());
            // Whoever has the client has it to lose; whoever has not must not matter.
            let endpoint = decide(&ask, &world).1.endpoints().first().copied().filter(|_| dice.one_in(2)).unwrap_or(any);
            let mut fuller = world.clone();
            let status = &mut fuller.statuses.of[endpoint.index()];
            status.room = Permille(u16::try_from(dice.below(usize::from(status.room.0) + 1)).unwrap());
            let (before, after) = (decide(&ask, &world).1, decide(&ask, &fuller).1);
            assert_eq!(before.verdict, after.verdict, "seed {seed}");
            if before.endpoints() != after.endpoints() {
                assert_eq!(before.endpoints(), [endpoint], "seed {seed}: {} moved without need", client.address);
                moved += 1;
            }
        }
    }
    assert!(moved > 100 || std::env::var("AYA_SEED").is_ok(), "only {moved} moves: the worlds are too tame");
}

#[test]
fn clients_within_the_scope_of_an_answer_get_that_answer() {
    for seed in seeds(800) {
        let Some((model, world, mut dice)) = random_world(seed) else { continue };
        for _ in 0..60 {
            let service = dice.below(model.services.len());
            let client = model.random_client(&mut dice);
            let client = ClientModel { source_len: model::full_length(client.address), ..client };
            let (_, chosen) = decide(&ask(service, &client, Family::Any, &world), &world);
            let neighbour = ClientModel { address: model::same_prefix(client.address, chosen.scope, &mut dice), ..client.clone() };
            let (_, other) = decide(&ask(service, &neighbour, Family::Any, &world), &world);
            assert_eq!(chosen, other, "seed {seed}: {} and {} are within /{}", client.address, neighbour.address, chosen.scope);
        }
    }
}

#[test]
fn the_order_of_files_and_of_what_is_in_them_never_matters() {
    for seed in seeds(300) {
        let mut dice = Dice::new(seed);
        let model = Model::random(&mut dice);
        let (Some(one), Some(other)) = (model.compile(), model.shuffled(&mut dice).compile()) else { continue };
        assert_eq!(one.catalog.digest, other.catalog.digest, "seed {seed}");
        for service in 0..model.services.len() {
            let client = model.random_client(&mut dice);
            let ask = ask(service, &client, Family::Any, &one);
            assert_eq!(decide(&ask, &one).1, decide(&ask, &other).1, "seed {seed}");
        }
    }
}
