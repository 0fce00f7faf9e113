//! A model of a world, the TOML that it is written as, and the law judged from the model alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use aya_gslb::config::{self, Code, Severity};
use aya_gslb::geo::Geo;
use aya_gslb::world::{Held, Resolved, World};

/// A seeded source of choices (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// Whether a chance of one in `n` comes true.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Some of these, each with a chance of one half, at least one.
    pub(crate) fn some<T: Clone>(&mut self, all: &[T]) -> Vec<T> {
        let chosen: Vec<T> = all.iter().filter(|_| self.one_in(2)).cloned().collect();
        if chosen.is_empty() { vec![all[self.below(all.len())].clone()] } else { chosen }
    }

    /// The same things in any order.
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for index in (1..things.len()).rev() {
            things.swap(index, self.below(index + 1));
        }
    }
}

/// A region that may be in a world: name, country, on-premises and its tag.
#[derive(Clone, Debug)]
pub(crate) struct RegionModel {
    /// Its name.
    pub(crate) name: String,
    /// Its country.
    country: &'static str,
    /// Its cloud.
    cloud: &'static str,
    /// Whether it carries the tag `sovereign`.
    sovereign: bool,
}

/// Names, countries and clouds of regions that are known to everybody.
const REGIONS: [(&str, &str, &str); 8] = [
    ("aws-eu-west-1", "IE", "aws"),
    ("gcp-europe-west3", "DE", "gcp"),
    ("aws-us-east-1", "US", "aws"),
    ("gcp-asia-northeast1", "JP", "gcp"),
    ("aws-sa-east-1", "BR", "aws"),
    ("aws-eu-central-2", "CH", "aws"),
    ("dc-oslo", "NO", "on-prem"),
    ("dc-frankfurt", "DE", "on-prem"),
];

/// Countries that clients of the model come from.
const COUNTRIES: [&str; 8] = ["DE", "FR", "IE", "NO", "CH", "US", "JP", "BR"];
/// Those of them in the European Union, by hand.
const EU: [&str; 3] = ["DE", "FR", "IE"];
/// Those of them in the European Economic Area, by hand.
const EEA: [&str; 4] = ["DE", "FR", "IE", "NO"];

/// A residency rule as written.
#[derive(Clone, Debug)]
struct RuleModel {
    /// Its name.
    name: String,
    /// Whom it binds.
    clients: Vec<&'static str>,
    /// Where they may be sent.
    regions: Vec<String>,
    /// Whether it binds unknown clients.
    unknown_applies: bool,
}

/// An endpoint as written.
#[derive(Clone, Debug)]
pub(crate) struct EndpointModel {
    /// Its name.
    pub(crate) name: String,
    /// Its region.
    pub(crate) region: String,
    /// Value of its label `model`, if it has one.
    label: Option<&'static str>,
    /// Its weight.
    weight: u32,
    /// Its bias in milliseconds.
    bias: i64,
    /// Whether its addresses are looked up by a name.
    aliased: bool,
}

/// A service as written.
#[derive(Clone, Debug)]
pub(crate) struct ServiceModel {
    /// Its name.
    pub(crate) name: String,
    /// Its endpoints.
    pub(crate) endpoints: Vec<EndpointModel>,
    /// Its rules.
    residency: Vec<String>,
    /// Value of the label `model` that it requires.
    require: Option<&'static str>,
    /// Value that it prefers.
    prefer: Option<&'static str>,
    /// Name of its last resort.
    pub(crate) last_resort: Option<String>,
    /// What else is written of it, line by line.
    lines: Vec<String>,
    /// `when-all-down` otherwise.
    when_all_down: &'static str,
}

/// A world as written.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Its regions.
    pub(crate) regions: Vec<RegionModel>,
    /// Its rules.
    rules: Vec<RuleModel>,
    /// Country of each client network 20.i.0.0/16 and 2a00:i::/32.
    networks: Vec<&'static str>,
    /// Its services, in the order of their names.
    pub(crate) services: Vec<ServiceModel>,
    /// Order of the parts in the files.
    order: Vec<usize>,
}

/// A client of the model.
#[derive(Clone, Debug)]
pub(crate) struct ClientModel {
    /// Its address.
    pub(crate) address: IpAddr,
    /// How many bits of it are told.
    pub(crate) source_len: u8,
    /// The countries inside its prefix; `None` for places that nobody knows.
    pub(crate) countries: Vec<Option<&'static str>>,
}

impl ServiceModel {
    /// Whether an endpoint has what the service requires.
    pub(crate) fn meets_require(&self, endpoint: &str) -> bool {
        let endpoint = self.endpoints.iter().find(|other| other.name == endpoint).unwrap();
        self.require.is_none() || endpoint.label == self.require
    }

    /// Whether it answers although everything is down.
    pub(crate) fn serves_when_all_down(&self) -> bool {
        self.when_all_down == "as-if-up" || self.last_resort.is_some()
    }

    /// Any service of this name.
    fn random(index: usize, regions: &[RegionModel], rules: &[RuleModel], dice: &mut Dice) -> Self {
        let endpoints: Vec<EndpointModel> = dice
            .some(regions)
            .into_iter()
            .map(|region| EndpointModel {
                name: region.name.clone(),
                region: region.name,
                label: [None, Some("one"), Some("two")][dice.below(3)],
                weight: [1, 1, 3, 10, 0][dice.below(5)],
                bias: [0, 0, 0, -20, 15][dice.below(5)],
                aliased: dice.one_in(4),
            })
            .collect();
        let mut lines = Vec::new();
        let names: Vec<String> = endpoints.iter().map(|endpoint| format!("\"{}\"", endpoint.name)).collect();
        let by = ["score", "score", "weight", "order"][dice.below(4)];
        if by == "order" || dice.one_in(3) {
            let mut tiers = vec![names.join(", ")];
            if names.len() > 1 {
                let (first, second) = names.split_at(1 + dice.below(names.len() - 1));
                tiers = vec![first.join(", "), second.join(", ")];
                lines.push(format!("min-live = {}", 1 + dice.below(2)));
            }
            lines.push(format!("tiers = [[{}]]", tiers.join("], [")));
        }
        if dice.one_in(3) {
            let clients = dice.some(&["\"EU\"", "\"US\"", "\"JP\"", "\"unknown\""]).join(", ");
            lines.push(format!("geo = [{{ clients = [{clients}], regions = [{}] }}]", names[dice.below(names.len())]));
        }
        if dice.one_in(4) {
            lines.push(format!("max-rtt = \"{} ms\"", [30, 90, 150][dice.below(3)]));
        }
        lines.push(format!("answers = {}", 1 + dice.below(3)));
        let spread = if by == "score" { [0, 0, 40, 200][dice.below(4)] } else { 0 };
        lines.push(format!("steering = {{ by = \"{by}\"{} }}", if spread > 0 { format!(", spread = \"{spread} ms\"") } else { String::new() }));
        let last_resort = (endpoints.len() > 1 && dice.one_in(6)).then(|| endpoints[dice.below(endpoints.len())].name.clone());
        Self {
            name: format!("service{index}"),
            residency: if rules.is_empty() || dice.one_in(4) { Vec::new() } else { dice.some(rules).into_iter().map(|rule| rule.name).collect() },
            require: if dice.one_in(5) { Some("one") } else { None },
            prefer: if dice.one_in(5) { Some("two") } else { None },
            when_all_down: ["as-if-up", "as-if-up", "as-if-up", "nodata", "servfail"][dice.below(5)],
            last_resort,
            lines,
            endpoints,
        }
    }

    /// Its TOML.
    fn write(&self, number: usize) -> String {
        let mut text = format!("[service.{}]\n", self.name);
        if !self.residency.is_empty() {
            text += &format!("residency = {:?}\n", self.residency);
        }
        if let Some(value) = self.require {
            text += &format!("require = {{ model = \"{value}\" }}\n");
        }
        if let Some(value) = self.prefer {
            text += &format!("prefer = {{ model = \"{value}\" }}\n");
        }
        match &self.last_resort {
            Some(name) => text += &format!("when-all-down = {{ last-resort = \"{name}\" }}\n"),
            None => text += &format!("when-all-down = \"{}\"\n", self.when_all_down),
        }
        text += &self.lines.join("\n");
        text += "\n";
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            text += &format!("[service.{}.endpoint.{}]\nregion = \"{}\"\n", self.name, endpoint.name, endpoint.region);
            if endpoint.aliased {
                // Some services share a name.
                text += &format!("alias = \"lb{}-{index}.example.net\"\nalias-types = [\"A\", \"AAAA\"]\n", number % 2);
            } else {
                text += &format!("a = [\"192.0.2.{}\"]\naaaa = [\"2001:db8::{number}:{index}\"]\n", number * 20 + index + 1);
            }
            text += &format!("weight = {}\nbias = \"{} ms\"\n", endpoint.weight, endpoint.bias);
            if let Some(label) = endpoint.label {
                text += &format!("labels = {{ model = \"{label}\" }}\n");
            }
        }
        text
    }
}

impl Model {
    /// Any world.
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let regions: Vec<RegionModel> = dice
            .some(&REGIONS)
            .into_iter()
            .map(|(name, country, cloud)| RegionModel { name: name.to_owned(), country, cloud, sovereign: dice.one_in(3) })
            .collect();
        // The compiler refuses a word that means no region.
        let words: Vec<&str> = ["EU", "EEA", "DE", "US", "tag:sovereign", "cloud:aws", "region:gcp-*"]
            .into_iter()
            .filter(|word| regions.iter().any(|region| region.is_meant_by(word)))
            .collect();
        let rules: Vec<RuleModel> = (0..if words.is_empty() { 0 } else { dice.below(4) })
            .map(|index| RuleModel {
                name: format!("rule{index}"),
                clients: dice.some(&["EU", "EEA", "DE", "US", "CH", "*"]),
                regions: dice.some(&words).into_iter().map(str::to_owned).collect(),
                unknown_applies: dice.one_in(2),
            })
            .collect();
        let networks = (0..6).map(|_| COUNTRIES[dice.below(COUNTRIES.len())]).collect();
        let services = (0..3).map(|index| ServiceModel::random(index, &regions, &rules, dice)).collect::<Vec<_>>();
        Self { order: (0..4).collect(), regions, rules, networks, services }
    }

    /// The same world with its files and their parts in another order.
    pub(crate) fn shuffled(&self, dice: &mut Dice) -> Self {
        let mut model = self.clone();
        dice.shuffle(&mut model.order);
        dice.shuffle(&mut model.regions);
        dice.shuffle(&mut model.rules);
        for service in &mut model.services {
            dice.shuffle(&mut service.residency);
        }
        model
    }

    /// Its files.
    fn files(&self) -> Vec<(String, String)> {
        let mut regions = String::new();
        for region in &self.regions {
            regions += &format!("[region.{}]\ncountry = \"{}\"\n", region.name, region.country);
            if region.cloud == "on-prem" {
                regions += "cloud = \"on-prem\"\nat = [50.0, 9.0]\n";
            }
            if region.sovereign {
                regions += "tags = [\"sovereign\"]\n";
            }
        }
        let mut rules = String::new();
        for rule in &self.rules {
            let unknown = if rule.unknown_applies { "apply" } else { "exempt" };
            rules += &format!("[residency.{}]\nclients = {:?}\nregions = {:?}\nunknown = \"{unknown}\"\n", rule.name, rule.clients, rule.regions);
        }
        let mut networks = String::new();
        for (index, country) in self.networks.iter().enumerate() {
            networks += &format!("[network.net{index}]\nprefixes = [\"20.{index}.0.0/16\", \"2a00:{index}::/32\"]\ncountry = \"{country}\"\n");
        }
        let mut zone = "zone = \"gslb.example.com\"\n[ns]\nns1 = [\"192.0.2.53\"]\nns2 = [\"198.51.100.53\"]\n".to_owned();
        for (number, service) in self.services.iter().enumerate() {
            zone += &service.write(number);
        }
        let texts = [regions, rules, networks, zone];
        self.order.iter().enumerate().map(|(place, index)| (format!("file{place}.toml"), texts[*index].clone())).collect()
    }

    /// The compiled world, all endpoints up; `None` where the compiler rightly refuses it (a law that leaves some client nobody).
    pub(crate) fn compile(&self) -> Option<World> {
        let sources = self.files().into_iter().map(|(name, text)| config::SourceFile { name: name.into(), text: text.into() }).collect();
        let loaded = match config::compile(sources, &|_, _| Err("no master files here".into())) {
            Ok(loaded) => loaded,
            Err(failure) => {
                let foreign = failure.diagnostics.iter().find(|finding| finding.severity() == Severity::Error && finding.code != Code::ResidencyLeavesNobody);
                assert!(foreign.is_none(), "a model that should compile does not: {foreign:?}");
                return None;
            }
        };
        let geo = Geo::without_databases(&loaded.catalog);
        let mut world = World::unmeasured(1, Arc::new(loaded.catalog), Arc::new(geo));
        world.statuses.of.fill(aya_gslb::health::Status::UP);
        world.statuses.resolved = (0..world.catalog.aliases.len()).map(resolved).collect();
        Some(world)
    }

    /// Whether the law, as written, allows a service's client in a region. Naive, from the model alone.
    pub(crate) fn is_lawful(&self, service: &ServiceModel, client: &ClientModel, region: &str) -> bool {
        let region = self.regions.iter().find(|other| other.name == region).unwrap();
        service.residency.iter().all(|name| {
            let rule = self.rules.iter().find(|rule| rule.name == *name).unwrap();
            let binds = client.countries.iter().any(|country| match country {
                Some(country) => rule.clients.iter().any(|selector| *selector == "*" || covers(selector, country)),
                None => rule.unknown_applies || rule.clients.contains(&"*"),
            });
            !binds || rule.regions.iter().any(|selector| region.is_meant_by(selector))
        })
    }

    /// Any client: known or not, of either family, with all or some of its bits told.
    pub(crate) fn random_client(&self, dice: &mut Dice) -> ClientModel {
        let network = dice.below(self.networks.len() + 2);
        let country = self.networks.get(network).copied();
        let low = dice.next();
        let network = u16::try_from(network).unwrap();
        if dice.one_in(2) {
            let address = Ipv4Addr::from_bits(20 << 24 | u32::from(network) << 16 | u32::try_from(low & 0xffff).unwrap());
            let source_len = [32, 24, 20, 16, 14, 8][dice.below(6)];
            // A prefix shorter than the networks holds all of them whose numbers share its bits, and places that nobody knows.
            let countries = match source_len {
                16.. => vec![country],
                14 => self.countries_where(|index| index >> 2 == network >> 2),
                _ => self.countries_where(|_| true),
            };
            let mask = u32::MAX << (32 - u32::from(source_len));
            return ClientModel { address: Ipv4Addr::from_bits(address.to_bits() & mask).into(), source_len, countries };
        }
        let bits = 0x2a00_u128 << 112 | u128::from(network) << 96 | u128::from(low) << 16;
        let source_len = [128, 56, 48, 32, 30][dice.below(5)];
        let countries = if source_len >= 32 { vec![country] } else { self.countries_where(|index| index >> 2 == network >> 2) };
        let address = Ipv6Addr::from_bits(bits & (u128::MAX << (128 - u32::from(source_len))));
        ClientModel { address: address.into(), source_len, countries }
    }

    /// Countries of the networks with such numbers, and the unknown places between and around them.
    fn countries_where(&self, meant: impl Fn(u16) -> bool) -> Vec<Option<&'static str>> {
        let numbers = 0..u16::try_from(self.networks.len()).unwrap();
        let known = numbers.clone().zip(&self.networks).filter(|(index, _)| meant(*index)).map(|(_, country)| Some(*country));
        let mut countries: Vec<_> = known.collect();
        // Numbers run to 255 in IPv4 and to 65535 in IPv6; groups of four that are not full have unknown places.
        let full = (0..4).all(|low| numbers.contains(&low)) && countries.len() == 4;
        if !full {
            countries.push(None);
        }
        countries
    }
}

impl RegionModel {
    /// Whether a word of a rule means this region.
    fn is_meant_by(&self, selector: &str) -> bool {
        match selector.split_once(':') {
            Some(("tag", tag)) => tag == "sovereign" && self.sovereign,
            Some(("cloud", cloud)) => cloud == self.cloud,
            Some(("region", _)) => self.name.starts_with("gcp-"),
            _ => covers(selector, self.country),
        }
    }
}

/// Whether a jurisdiction covers a country.
fn covers(jurisdiction: &str, country: &str) -> bool {
    match jurisdiction {
        "EU" => EU.contains(&country),
        "EEA" => EEA.contains(&country),
        other => other == country,
    }
}

/// All the bits of an address.
pub(crate) fn full_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Any address that has the first `len` bits in common with this one.
pub(crate) fn same_prefix(address: IpAddr, len: u8, dice: &mut Dice) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let keep = if len == 0 { 0 } else { u32::MAX << (32 - u32::from(len)) };
            let noise = u32::try_from(dice.next() >> 32).unwrap();
            Ipv4Addr::from_bits(address.to_bits() & keep | noise & !keep).into()
        }
        IpAddr::V6(address) => {
            let keep = if len == 0 { 0 } else { u128::MAX << (128 - u32::from(len)) };
            let noise = u128::from(dice.next()) << 64 | u128::from(dice.next());
            Ipv6Addr::from_bits(address.to_bits() & keep | noise & !keep).into()
        }
    }
}

/// What an alias is resolved to: one address of each type, or several.
fn resolved(alias: usize) -> Arc<Resolved> {
    let addresses = |last: u8| (0..=u8::try_from(alias % 3).unwrap()).map(move |more| last + more);
    let first = u8::try_from(alias).unwrap() * 4 + 1;
    Arc::new(Resolved {
        a: Held { addresses: addresses(first).map(|last| Ipv4Addr::new(203, 0, 113, last)).collect(), trouble: None },
        aaaa: Held { addresses: addresses(first).map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, last.into())).collect(), trouble: None },
    })
}
