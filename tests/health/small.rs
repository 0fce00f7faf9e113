//! Small catalogs, observations and moments for these tests.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use aya_gslb::catalog::{
    AddressTypes, Alias, AliasId, Aliased, AnswerKind, By, Catalog, Endpoint, Failback, Families, Lineup, Load, Name, NodeId, Price, ProbeId, ProbeKind,
    ProbeSpec, ProbeTarget, Recovery, RegionId, RrSet, Service, ServiceId, Soa, WhenAllDown, WhenNoneLeft, Zone, ZoneId,
};
use aya_gslb::geo::Geo;
use aya_gslb::health::{Observation, ProbeFailure, ProbeOutcome};
use aya_gslb::units::{Micros, Moment, Permille, Ttl};

pub(crate) const START: Moment = Moment(1_700_000_000_000);

/// A geography that knows nothing, made once: its table is large.
pub(crate) fn geo() -> Arc<Geo> {
    static GEO: OnceLock<Arc<Geo>> = OnceLock::new();
    Arc::clone(GEO.get_or_init(Arc::default))
}

/// A TCP probe of 192.0.2.`last` with the default numbers.
pub(crate) fn tcp(last: u8) -> ProbeSpec {
    ProbeSpec {
        target: ProbeTarget { host: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)).into(), port: 443 },
        kind: ProbeKind::Tcp,
        interval_ms: 5_000,
        timeout_ms: 2_000,
        fall: 3,
        rise: 3,
        slow_ms: 0,
        baseline: None,
    }
}

pub(crate) fn passed(at: Moment) -> Observation {
    Observation { at, outcome: ProbeOutcome::Passed, rtt: Micros::from_millis(20), expires: None, drill: false }
}

pub(crate) fn slow(at: Moment) -> Observation {
    Observation { at, outcome: ProbeOutcome::Slow, rtt: Micros::from_millis(900), expires: None, drill: false }
}

pub(crate) fn refused(at: Moment) -> Observation {
    failed(at, ProbeFailure::Refused)
}

pub(crate) fn failed(at: Moment, failure: ProbeFailure) -> Observation {
    Observation { at, outcome: ProbeOutcome::Failed(failure), rtt: Micros::from_millis(1), expires: None, drill: false }
}

/// Makes a catalog of zones with services with endpoints, each in the order of their addition.
#[derive(Default)]
pub(crate) struct Build {
    catalog: Catalog,
    services: Vec<Service>,
    endpoints: Vec<Endpoint>,
    zones: Vec<Zone>,
    probes: Vec<ProbeSpec>,
    aliases: BTreeMap<Name, AddressTypes>,
    hosts: HashMap<usize, Name>,
}

impl Build {
    pub(crate) fn zone(mut self, apex: &str) -> Self {
        let soa = Soa { ttl: 60, minimum: 60, serial: 1, rdata: Box::default() };
        let ns = RrSet { rtype: 2, ttl: 60, rdata: Box::default(), additional: Box::default() };
        self.zones.push(Zone { name: Name::parse(apex, &Name::root()).unwrap(), apex: NodeId(0), soa, ns });
        self
    }

    pub(crate) fn service(mut self, label: &str) -> Self {
        let zone = self.zones.len() - 1;
        let at = u32::try_from(self.endpoints.len()).unwrap();
        self.services.push(Service {
            name: Name::parse(label, &self.zones[zone].name).unwrap(),
            label: label.into(),
            zone: ZoneId(u16::try_from(zone).unwrap()),
            endpoints: at..at,
            kind: AnswerKind::Addresses,
            families: Families::Together,
            ttl_steady: Ttl(30),
            ttl_moving: Ttl(5),
            residency: Box::default(),
            tiers: 1,
            min_live: 1,
            failback: Failback::Auto,
            geo: Box::default(),
            max_rtt: None,
            by: By::Score,
            spread: Micros::ZERO,
            answers: 1,
            when_all_down: WhenAllDown::AsIfUp,
            when_none_left: WhenNoneLeft::Nodata,
            degraded_penalty: Micros::ZERO,
            load: Load { target: Permille(800), at_capacity: Micros::ZERO },
            recovery: Recovery::default(),
            peak: None,
            rto_ms: None,
            https: None,
            latency_per_usd: Micros::ZERO,
            lineup: Lineup::default(),
            require: Box::default(),
            prefer: Box::default(),
        });
        self
    }

    /// How endpoints of the service added last come back.
    pub(crate) fn recovery(mut self, recovery: Recovery) -> Self {
        self.services.last_mut().unwrap().recovery = recovery;
        self
    }

    /// An endpoint at 192.0.2.`last` with these probes; identical ones are one.
    pub(crate) fn endpoint(mut self, name: &str, last: u8, probes: &[ProbeSpec]) -> Self {
        let ids = probes.iter().map(|spec| {
            let known = self.probes.iter().position(|known| known == spec).unwrap_or_else(|| {
                self.probes.push(spec.clone());
                self.probes.len() - 1
            });
            ProbeId(u32::try_from(known).unwrap())
        });
        let probes = ids.collect();
        self.endpoints.push(Endpoint {
            name: name.into(),
            service: ServiceId(u32::try_from(self.services.len() - 1).unwrap()),
            seed: Endpoint::seed_of(&self.services.last().unwrap().name, name),
            region: RegionId(0),
            tier: 0,
            order: 0,
            meets_require: true,
            preferred: true,
            last_resort: false,
            weight: 1,
            bias: Micros::ZERO,
            price: Price::default(),
            capacity: None,
            a: [Ipv4Addr::new(192, 0, 2, last)].into(),
            aaaa: Box::default(),
            cname: None,
            alias: None,
            labels: Box::default(),
            probes,
            depends_on: None,
        });
        self.services.last_mut().unwrap().endpoints.end += 1;
        self
    }

    /// An endpoint whose addresses are looked up by a name.
    pub(crate) fn aliased(mut self, name: &str, host: &str, types: AddressTypes, probes: &[ProbeSpec]) -> Self {
        let alias: Name = host.parse().unwrap();
        let known = self.aliases.entry(alias.clone()).or_default();
        *known = known.or(types);
        self = self.endpoint(name, 0, probes);
        let endpoint = self.endpoints.last_mut().unwrap();
        endpoint.a = Box::default();
        endpoint.alias = Some(Aliased { id: AliasId(0), types, most: 32 });
        self.hosts.insert(self.endpoints.len() - 1, alias);
        self
    }

    pub(crate) fn finish(mut self) -> Arc<Catalog> {
        let aliases: Box<[Alias]> = self.aliases.into_iter().map(|(name, types)| Alias { name, types }).collect();
        for (index, host) in self.hosts {
            let id = aliases.iter().position(|alias| alias.name == host).unwrap();
            self.endpoints[index].alias.as_mut().unwrap().id = AliasId(u32::try_from(id).unwrap());
        }
        for service in &mut self.services {
            service.lineup = Lineup::of(&self.endpoints[service.endpoints.start as usize..service.endpoints.end as usize], &[], &[], &[]);
        }
        let digest = self.probes.len() as u64 * 1_000 + self.endpoints.len() as u64;
        Arc::new(Catalog {
            zones: self.zones.into(),
            services: self.services.into(),
            endpoints: self.endpoints.into(),
            probes: self.probes.into(),
            aliases,
            digest,
            ..self.catalog
        })
    }
}

/// Two services of two endpoints each: `api` at .1 and .2, `shop` at .3 and .4, each with its own probe.
pub(crate) fn two_services() -> Arc<Catalog> {
    Build::default()
        .zone("gslb.example.com")
        .service("api")
        .endpoint("east", 1, &[tcp(1)])
        .endpoint("west", 2, &[tcp(2)])
        .service("shop")
        .endpoint("east", 3, &[tcp(3)])
        .endpoint("west", 4, &[tcp(4)])
        .finish()
}
