//! Answering allocates nothing: not for a static name, not for a steered one, with warm cells or cold, not for what is no query at all.
#![allow(missing_docs, clippy::missing_docs_in_private_items, clippy::unwrap_used)] // test names are sentences
#![allow(unsafe_code)] // a global allocator is unsafe by its trait; this one only counts

#[path = "support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use aya_gslb::answer::{Ask, CookieSecrets, Policy, Scratch, Transport, answer, answer_limited};
use aya_gslb::units::Moment;
use support::ask::query;
use support::*;

/// The system's allocator, counting the calls of each thread.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    CALLS.with(|calls| calls.set(calls.get() + 1));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count();
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_allocator_counts() {
    let before = CALLS.get();
    drop(vec![1_u8; 100]);
    assert_eq!(CALLS.get() - before, 2);
}

#[test]
fn answering_allocates_nothing() {
    let mut world = world();
    let mut scratch = Scratch::default();
    let mut reply = vec![0; 65_535];
    let names = [
        ("api.example.com", A),
        ("api.example.com", AAAA),
        ("api.example.com", HTTPS),
        ("both.example.com", A),
        ("apart.example.com", AAAA),
        ("cdn.example.com", A),
        ("x.tenant.example.com", A),
        ("foreign.example.com", A),
        ("foreign-servfail.example.com", A),
        ("web.example.com", A),
        ("www.example.com", A),
        ("huge.example.com", TXT),
        ("many.example.com", MX),
        ("host.big.example.com", A),
        ("child.example.com", DS),
        ("inner.example.com", DS),
        ("missing.example.com", A),
        ("any.wild.example.com", TXT),
        ("example.org", A),
        ("example.com", ANY),
        ("example.com", 252),
    ];
    let cookies = Some(CookieSecrets::new([7; 16], Some([8; 16])));
    let policy = Policy { nsid: b"fra-2".as_slice().into(), cookies, ..Policy::default() };
    let mut queries: Vec<_> = names
        .iter()
        .flat_map(|&(name, qtype)| {
            let query = query(name, qtype);
            [
                query.clone(),
                query.clone().tcp().from("2001:db8:200::9"),
                query.clone().edns_flags(0x8000),
                query.clone().subnet("198.51.100.0/24"),
                query.clone().subnet("0.0.0.0/1"),
                query.clone().subnet("10.1.0.0/16"),
                query.clone().subnet("2001:db8:200::/56"),
                query.clone().flags(0x2800),
                query.clone().option(10, &[1; 8]).option(3, b""),
                query.clone().option(10, &[1; 24]).option(11, b"").option(12, b"").over(Transport::Tls),
                query.option(8, b"malformed"),
            ]
        })
        .map(|query| (query.octets(), Ask { source: query.source, transport: query.transport, now: Moment(1), policy: &policy }))
        .collect();
    let cut: Vec<_> = queries.iter().step_by(7).flat_map(|(octets, ask)| (0..octets.len()).map(|len| (octets[..len].to_vec(), *ask))).collect();
    queries.extend(cut);
    for round in 0..4 {
        // Then with everything unusual, so that there is much to say.
        world.statuses.stale = round == 2;
        if round == 3 {
            world.statuses.of.fill(DOWN);
        }
        for (octets, ask) in &queries {
            let before = CALLS.get();
            let outcome = answer(octets, ask, &world, &mut scratch, &mut reply);
            assert_eq!(CALLS.get(), before, "round {round}: {octets:02x?} {outcome:?}");
            let outcome = answer_limited(octets, ask, &mut scratch, &mut reply);
            assert_eq!(CALLS.get(), before, "round {round}: {octets:02x?} {outcome:?}");
        }
        // Every cell goes cold.
        world.generation += 1;
        world.statuses.versions.fill(world.generation);
    }
}
