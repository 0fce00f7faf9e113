//! Builds a catalog by hand, name by name, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use aya_gslb::catalog::{
    AnswerKind, By, Catalog, ClientSet, ClientSetId, Content, Endpoint, Families, Load, Name, Network, Node, NodeId, OwnerNames, Price, Region, RegionSet,
    Residency, RrSet, Selector, Service, ServiceId, Soa, UnknownClient, WhenAllDown, WhenNoneLeft, Zone, ZoneId, hash_name,
};
use aya_gslb::units::{Coordinates, Micros, Permille, Ttl};

/// What will stand at a name.
#[derive(Default)]
struct Plan {
    records: BTreeMap<u16, (u32, Vec<Vec<u8>>)>,
    cut: Option<Option<Vec<u8>>>,
    below: Option<Name>,
    service: Option<usize>,
}

#[derive(Default)]
pub struct Builder {
    names: BTreeMap<Name, Plan>,
    zones: Vec<(Name, u32, u32)>,
    services: Vec<Service>,
    endpoints: Vec<Vec<Endpoint>>,
    regions: Vec<Region>,
    residencies: Vec<Residency>,
    client_sets: Vec<ClientSet>,
    networks: Vec<Network>,
}

impl Builder {
    pub fn region(&mut self, region: &str, cloud: &str, country: &str, latitude: f64, longitude: f64) {
        self.regions.push(Region {
            name: region.into(),
            cloud: cloud.into(),
            country: country.into(),
            at: Coordinates::from_degrees(latitude, longitude).unwrap(),
            tags: Box::new([]),
            jurisdictions: Box::new([country.into()]),
        });
    }

    pub fn network(&mut self, network: &str, prefixes: &[&str], country: &str, latitude: f64, longitude: f64) {
        let mut prefixes: Vec<ipnet::IpNet> = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        prefixes.sort();
        self.networks.push(Network {
            name: network.into(),
            prefixes: prefixes.into(),
            country: Some(country.into()),
            subdivision: None,
            at: Coordinates::from_degrees(latitude, longitude),
        });
    }

    pub fn residency(&mut self, residency: &str, country: &str, regions: &[&str], unknown: UnknownClient) {
        if self.client_sets.is_empty() {
            self.client_sets.push(ClientSet { selectors: Box::new([Selector::Unknown]), countries: Box::new([]) });
        }
        let clients = ClientSetId(u8::try_from(self.client_sets.len()).unwrap());
        self.client_sets.push(ClientSet { selectors: Box::new([Selector::Jurisdiction(country.into())]), countries: Box::new([country.into()]) });
        let regions: RegionSet = regions.iter().map(|region| self.region_id(region)).collect();
        self.residencies.push(Residency { name: residency.into(), clients, regions, unknown });
    }

    pub fn zone(&mut self, apex: &str, ttl: u32, minimum: u32) {
        self.zones.push((parse(apex), ttl, minimum));
    }

    pub fn records(&mut self, owner: &str, rtype: u16, ttl: u32, rdata: impl IntoIterator<Item = Vec<u8>>) {
        let set = self.plan(owner).records.entry(rtype).or_default();
        set.0 = ttl;
        set.1.extend(rdata);
    }

    pub fn cut(&mut self, owner: &str, servers: &[&str], ds: Option<Vec<u8>>) {
        self.records(owner, super::NS, 86_400, servers.iter().map(|server| name(server)));
        self.plan(owner).cut = Some(ds);
    }

    pub fn glue(&mut self, owner: &str, cut: &str, rtype: u16, rdata: impl IntoIterator<Item = Vec<u8>>) {
        self.records(owner, rtype, 86_400, rdata);
        self.plan(owner).below = Some(parse(cut));
    }

    pub fn service(&mut self, owner: &str, change: impl FnOnce(&mut Service)) {
        let mut service = Service {
            name: parse(owner),
            label: owner.split('.').next().unwrap().into(),
            zone: ZoneId(0),
            endpoints: 0..0,
            kind: AnswerKind::Addresses,
            families: Families::Together,
            ttl_steady: Ttl(30),
            ttl_moving: Ttl(5),
            residency: Box::new([]),
            tiers: 1,
            min_live: 1,
            geo: Box::new([]),
            max_rtt: None,
            by: By::Score,
            spread: Micros::ZERO,
            answers: 1,
            when_all_down: WhenAllDown::AsIfUp,
            when_none_left: WhenNoneLeft::Nodata,
            degraded_penalty: Micros::from_millis(50),
            load: Load { target: Permille(800), at_capacity: Micros::from_millis(50) },
            https: None,
            latency_per_usd: Micros::ZERO,
            require: Box::new([]),
            prefer: Box::new([]),
        };
        change(&mut service);
        self.plan(owner).service = Some(self.services.len());
        self.services.push(service);
        self.endpoints.push(Vec::new());
    }

    /// Gives the service that was added last its endpoints: name, region, IPv4 and IPv6 addresses.
    pub fn endpoints(&mut self, endpoints: &[(&str, &str, &[&str], &[&str])]) {
        let service = self.services.last().unwrap().name.clone();
        let made = endpoints.iter().zip(0_u8..).map(|(&(endpoint, region, v4, v6), order)| Endpoint {
            name: endpoint.into(),
            service: ServiceId(0),
            seed: Endpoint::seed_of(&service, endpoint),
            region: self.region_id(region),
            tier: 0,
            order,
            meets_require: true,
            preferred: true,
            last_resort: false,
            weight: 1,
            bias: Micros::ZERO,
            price: Price::default(),
            capacity: None,
            a: v4.iter().map(|address| address.parse::<Ipv4Addr>().unwrap()).collect(),
            aaaa: v6.iter().map(|address| address.parse::<Ipv6Addr>().unwrap()).collect(),
            cname: None,
            labels: Box::new([]),
            probes: Box::new([]),
        });
        let made: Vec<Endpoint> = made.collect();
        *self.endpoints.last_mut().unwrap() = made;
    }

    /// Gives the endpoints of the service that was added last names instead of addresses.
    pub fn canonical_names(&mut self, names: &[&str]) {
        for (endpoint, name) in self.endpoints.last_mut().unwrap().iter_mut().zip(names) {
            (endpoint.a, endpoint.aaaa, endpoint.cname) = (Box::new([]), Box::new([]), Some(parse(name)));
        }
    }

    pub fn finish(mut self) -> Catalog {
        self.zones.sort();
        self.add_empty_non_terminals();
        let ids: BTreeMap<Name, NodeId> = self.names.keys().cloned().zip((0..).map(NodeId)).collect();
        let (services, endpoints) = self.lay_out_services();
        let nodes: Vec<Node> = self.names.iter().map(|(owner, plan)| self.node(owner, plan, &ids)).collect();
        let zones = self.zones.iter().map(|(apex, ttl, minimum)| Zone {
            name: apex.clone(),
            apex: ids[apex],
            soa: Soa { ttl: *ttl, minimum: *minimum, serial: 1, rdata: self.names[apex].records[&super::SOA].1[0].clone().into() },
            ns: set(super::NS, &self.names[apex].records[&super::NS], &ids),
        });
        Catalog {
            zones: zones.collect(),
            owners: OwnerNames::new(nodes),
            services: services.into(),
            endpoints: endpoints.into(),
            regions: self.regions.into(),
            residencies: self.residencies.into(),
            client_sets: self.client_sets.into(),
            networks: self.networks.into(),
            ..Catalog::default()
        }
    }

    fn plan(&mut self, owner: &str) -> &mut Plan {
        self.names.entry(parse(owner)).or_default()
    }

    fn region_id(&self, region: &str) -> aya_gslb::catalog::RegionId {
        aya_gslb::catalog::RegionId(u16::try_from(self.regions.iter().position(|other| other.name.as_ref() == region).unwrap()).unwrap())
    }

    fn zone_of(&self, owner: &Name) -> &Name {
        self.zones.iter().map(|(apex, ..)| apex).filter(|apex| owner.is_within(apex)).max_by_key(|apex| apex.wire().len()).unwrap()
    }

    fn add_empty_non_terminals(&mut self) {
        let owners: BTreeSet<Name> = self.names.keys().cloned().collect();
        for owner in owners {
            let apex = self.zone_of(&owner).clone();
            let mut name = owner;
            while name != apex {
                name = name.parent().unwrap();
                self.names.entry(name.clone()).or_default();
            }
        }
    }

    /// Services in the order of their names, their endpoints one behind the other.
    fn lay_out_services(&mut self) -> (Vec<Service>, Vec<Endpoint>) {
        let mut order: Vec<usize> = (0..self.services.len()).collect();
        order.sort_by_key(|&index| self.services[index].name.clone());
        let (mut services, mut endpoints) = (Vec::new(), Vec::new());
        for (id, &index) in order.iter().enumerate() {
            let mut service = self.services[index].clone();
            let zone = self.zone_of(&service.name).clone();
            service.zone = self.zone_id(&zone);
            let start = u32::try_from(endpoints.len()).unwrap();
            for mut endpoint in std::mem::take(&mut self.endpoints[index]) {
                endpoint.service = ServiceId(u32::try_from(id).unwrap());
                endpoints.push(endpoint);
            }
            service.endpoints = start..u32::try_from(endpoints.len()).unwrap();
            self.names.get_mut(&service.name).unwrap().service = Some(id);
            services.push(service);
        }
        (services, endpoints)
    }

    fn zone_id(&self, apex: &Name) -> ZoneId {
        ZoneId(u16::try_from(self.zones.iter().position(|(other, ..)| other == apex).unwrap()).unwrap())
    }

    fn node(&self, owner: &Name, plan: &Plan, ids: &BTreeMap<Name, NodeId>) -> Node {
        let mut records: Vec<RrSet> = plan.records.iter().map(|(rtype, records)| set(*rtype, records, ids)).collect();
        let content = if let Some(ds) = &plan.cut {
            let ns = records.iter().position(|set| set.rtype == super::NS).unwrap();
            Content::Cut { ns: records.remove(ns), ds: ds.clone().map(|ds| RrSet::new(super::DS, 3600, [ds])), glue: records.into() }
        } else if let Some(cut) = &plan.below {
            Content::BelowCut { cut: ids[cut], glue: records.into() }
        } else if let Some(service) = plan.service {
            Content::Service { service: ServiceId(u32::try_from(service).unwrap()), records: records.into() }
        } else if records.is_empty() {
            Content::Empty
        } else {
            Content::Records(records.into())
        };
        let wildcard = owner.child(b"*").ok().and_then(|wildcard| ids.get(&wildcard).copied());
        Node { name: owner.clone(), hash: hash_name(owner), zone: self.zone_id(self.zone_of(owner)), content, wildcard }
    }
}

/// An RRset with the nodes of the hosts that it names.
fn set(rtype: u16, (ttl, rdata): &(u32, Vec<Vec<u8>>), ids: &BTreeMap<Name, NodeId>) -> RrSet {
    let skip = match rtype {
        super::NS => Some(0),
        super::MX => Some(2),
        super::SRV => Some(6),
        _ => None,
    };
    let mut set = RrSet::new(rtype, *ttl, rdata.iter().cloned());
    if let Some(skip) = skip {
        set.additional = set.rdata.iter().filter_map(|rdata| ids.get(&Name::from_wire(&rdata[skip..]).unwrap()).copied()).collect();
    }
    set
}

pub fn parse(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn name(text: &str) -> Vec<u8> {
    parse(text).wire().to_vec()
}

pub fn a(text: &str) -> Vec<u8> {
    text.parse::<Ipv4Addr>().unwrap().octets().to_vec()
}

pub fn aaaa(text: &str) -> Vec<u8> {
    text.parse::<Ipv6Addr>().unwrap().octets().to_vec()
}

pub fn mx(preference: u16, host: &str) -> Vec<u8> {
    [preference.to_be_bytes().to_vec(), name(host)].concat()
}

pub fn srv(port: u16, host: &str) -> Vec<u8> {
    [vec![0, 1, 0, 1], port.to_be_bytes().to_vec(), name(host)].concat()
}

pub fn txt(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

pub fn soa(primary: &str, minimum: u32) -> Vec<u8> {
    let numbers = [1_u32, 7200, 900, 1_209_600, minimum];
    [name(primary), name("hostmaster.example.com"), numbers.iter().flat_map(|number| number.to_be_bytes()).collect()].concat()
}

/// TYPE code of PTR.
pub fn ptr() -> u16 {
    12
}
