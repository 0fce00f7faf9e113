//! Services as written.

use super::depends::{self, DependsSpec};
use super::endpoint::{self, EndpointSpec};
use super::probe::{self, ProbeChoice, ProbeFamilies};
use crate::catalog::{By, Damping, Failback, Families, HttpsTemplate, Load, Name, Recovery, Requirement, WhenNoneLeft};
use crate::config::diagnostic::{Code, Finding};
use crate::config::keys;
use crate::config::leaf::{Latency, Millis, Octets, Rate, Seconds, Share};
use crate::config::source::{At, Place};
use crate::config::walk::Table;
use crate::limits::{ANSWERS_MAX, DAMPING_MS_MAX, DAMPING_PENALTY_MAX, RAMP_MS_MAX, RTO_MS_MAX, RTO_MS_MIN};
use crate::units::{Micros, Permille, Ttl};

use toml::de::DeValue;

/// `[service.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct ServiceSpec {
    /// Its key, in lower case.
    pub(in crate::config) label: Box<str>,
    /// Its owner name.
    pub(in crate::config) name: Name,
    /// Where it is declared.
    pub(in crate::config) place: Place,
    /// Steady TTL, with its place when it was written.
    pub(in crate::config) ttl_steady: (Ttl, Option<Place>),
    /// Moving TTL, likewise.
    pub(in crate::config) ttl_moving: (Ttl, Option<Place>),
    /// Names of residency rules.
    pub(in crate::config) residency: Vec<At<Box<str>>>,
    /// Octets of a response.
    pub(in crate::config) egress: u64,
    /// CPU time of a request.
    pub(in crate::config) cpu: Micros,
    /// Whether `request` is written.
    pub(in crate::config) has_request: bool,
    /// Tiers: names of endpoints, perhaps with `*`.
    pub(in crate::config) tiers: Vec<(Place, Vec<At<Box<str>>>)>,
    /// Endpoints that a tier needs.
    pub(in crate::config) min_live: u8,
    /// How clients return to a tier, with where that is written.
    pub(in crate::config) failback: (Failback, Option<Place>),
    /// Preferences by place.
    pub(in crate::config) geo: Vec<GeoSpec>,
    /// Longest round-trip time.
    pub(in crate::config) max_rtt: Option<Micros>,
    /// Labels that endpoints should have.
    pub(in crate::config) prefer: Box<[Requirement]>,
    /// Labels that endpoints must have.
    pub(in crate::config) require: Box<[Requirement]>,
    /// When all are down.
    pub(in crate::config) when_all_down: AllDownSpec,
    /// When none may be given.
    pub(in crate::config) when_none_left: WhenNoneLeft,
    /// Families together or separate.
    pub(in crate::config) families: Families,
    /// Endpoints in one answer.
    pub(in crate::config) answers: u8,
    /// Demand at the busiest hour.
    pub(in crate::config) peak: Option<u64>,
    /// Milliseconds in which it is to recover.
    pub(in crate::config) rto_ms: Option<u32>,
    /// HTTPS records.
    pub(in crate::config) https: Option<At<HttpsTemplate>>,
    /// How the best are chosen.
    pub(in crate::config) by: By,
    /// Where `by` is written.
    pub(in crate::config) by_place: Option<Place>,
    /// What a dollar per million requests is worth.
    pub(in crate::config) latency_per_usd: (Micros, Option<Place>),
    /// Scores within this of the best share.
    pub(in crate::config) spread: Micros,
    /// What `degraded` adds.
    pub(in crate::config) degraded_penalty: Micros,
    /// The load term.
    pub(in crate::config) load: Load,
    /// What its endpoints depend on.
    pub(in crate::config) depends_on: Option<DependsSpec>,
    /// How its endpoints come back.
    pub(in crate::config) recovery: Recovery,
    /// Its probes.
    pub(in crate::config) probe: Option<ProbeChoice>,
    /// On which families its endpoints are probed.
    pub(in crate::config) probe_families: ProbeFamilies,
    /// Its endpoints, by name.
    pub(in crate::config) endpoints: Vec<EndpointSpec>,
}

/// A preference by place.
#[derive(Debug)]
pub(in crate::config) struct GeoSpec {
    /// Where it is written.
    pub(in crate::config) place: Place,
    /// Selectors of clients.
    pub(in crate::config) clients: Vec<At<Box<str>>>,
    /// Selectors of regions.
    pub(in crate::config) regions: Vec<At<Box<str>>>,
}

/// What is answered when all are down.
#[derive(Clone, Debug)]
pub(in crate::config) enum AllDownSpec {
    /// As if up.
    AsIfUp,
    /// An empty answer.
    Nodata,
    /// SERVFAIL.
    Servfail,
    /// This endpoint.
    LastResort(At<Box<str>>),
}

/// Reads a service of the zone `apex`.
pub(super) fn read(key: &At<Box<str>>, mut whole: Table<'_, '_>, apex: &Name) -> Option<ServiceSpec> {
    let name = owner(key, &whole, apex)?;
    let table = &mut whole;
    let (ttl_steady, ttl_moving) = ttl(table);
    let (egress, cpu, has_request) = request(table);
    let tiers = tiers(table);
    let (https_place, https) = (table.place_of("https"), super::zone::https(table));
    let mut spec = ServiceSpec {
        label: key.value.to_ascii_lowercase().into(),
        name,
        place: key.place,
        ttl_steady,
        ttl_moving,
        residency: table.list("residency"),
        egress,
        cpu,
        has_request,
        tiers,
        min_live: small(table.whole("min-live", 1..=64), 1),
        failback: failback(table),
        geo: geo(table),
        max_rtt: table.take::<Latency>("max-rtt").map(|rtt| rtt.0),
        prefer: requirements(table, "prefer"),
        require: requirements(table, "require"),
        when_all_down: when_all_down(table),
        when_none_left: table
            .choice("when-none-left", &[("nodata", WhenNoneLeft::Nodata), ("servfail", WhenNoneLeft::Servfail)])
            .unwrap_or(WhenNoneLeft::Nodata),
        families: table.choice("families", &[("together", Families::Together), ("separate", Families::Separate)]).unwrap_or(Families::Together),
        answers: small(table.whole("answers", 1..=u32::try_from(ANSWERS_MAX).unwrap_or(1)), 1),
        peak: table.take::<Rate>("peak").map(|rate| rate.0),
        rto_ms: rto(table),
        https: https.zip(https_place).map(|(value, place)| At { value, place }),
        by: By::Score,
        by_place: None,
        latency_per_usd: (Micros::ZERO, None),
        spread: Micros::ZERO,
        degraded_penalty: Micros::from_millis(100),
        load: Load { target: Permille(800), at_capacity: Micros::ZERO },
        depends_on: depends::read(table),
        recovery: recovery(table),
        probe: probe::choice(table),
        probe_families: probe::probe_families(table).map_or_else(ProbeFamilies::default, |at| at.value),
        endpoints: endpoints(table, apex),
    };
    steering(table, &mut spec);
    whole.done();
    Some(spec)
}

/// The owner name of a service, or why it is none.
fn owner(key: &At<Box<str>>, table: &Table<'_, '_>, apex: &Name) -> Option<Name> {
    let wrong = match Name::parse(&key.value, apex) {
        Ok(name) if name.is_within(apex) => return Some(name),
        Ok(name) => format!("{name} is not within {apex}"),
        Err(wrong) => wrong.to_string(),
    };
    let message = format!("service \"{}\" has no owner name of this zone", key.value.escape_default());
    table.report(Finding::at(Code::BadName, key.place, message).label(wrong));
    None
}

/// A number that was read within a range that fits an octet.
fn small(number: Option<u32>, default: u8) -> u8 {
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(default)
}

/// A TTL and where it is written.
type Told = (Ttl, Option<Place>);

/// The two TTLs.
fn ttl(service: &mut Table<'_, '_>) -> (Told, Told) {
    let (steady, moving) = ((Ttl(30), None), (Ttl(5), None));
    let subject = format!("the ttl of {}", service.subject());
    let Some(mut table) = service.table("ttl", &keys::TTL, subject) else { return (steady, moving) };
    let mut told = |key| table.take_at::<Seconds>(key).map(|at| (at.value.0, Some(at.place)));
    let both = (told("steady").unwrap_or(steady), told("moving"));
    // A steady TTL shorter than the default moving one lowers that, too.
    let (steady, moving) = (both.0, both.1.unwrap_or((moving.0.min(both.0.0), None)));
    if let (true, Some(place)) = (moving.0 > steady.0, moving.1) {
        let message = format!("{}: `moving` must not be longer than `steady`", table.subject());
        table.report(Finding::at(Code::Conflict, place, message).label(format!("steady is {}s", steady.0.0)));
    }
    table.done();
    (steady, moving)
}

/// What a request takes.
fn request(service: &mut Table<'_, '_>) -> (u64, Micros, bool) {
    let subject = format!("the request of {}", service.subject());
    let Some(mut table) = service.table("request", &keys::REQUEST, subject) else { return (0, Micros::ZERO, false) };
    let egress = table.take::<Octets>("egress").map_or(0, |octets| octets.0);
    let cpu = table.take::<Latency>("cpu").map_or(Micros::ZERO, |time| time.0);
    table.done();
    (egress, cpu, true)
}

/// The tiers, in order.
fn tiers(service: &mut Table<'_, '_>) -> Vec<(Place, Vec<At<Box<str>>>)> {
    let Some((place, value)) = service.raw("tiers") else { return Vec::new() };
    let DeValue::Array(array) = value.into_inner() else {
        let message = format!("{}: `tiers` must be a list of lists of endpoints", service.subject());
        service.report(Finding::at(Code::WrongValue, place, message).label("this is none"));
        return Vec::new();
    };
    let tier = |element: toml::Spanned<DeValue<'_>>| {
        let place = Place::new(place.file, element.span());
        (place, service.elements("tiers", element))
    };
    array.into_iter().map(tier).collect()
}

/// How clients return to a tier.
fn failback(service: &mut Table<'_, '_>) -> (Failback, Option<Place>) {
    let place = service.place_of("failback");
    (service.choice("failback", &[("auto", Failback::Auto), ("manual", Failback::Manual)]).unwrap_or_default(), place)
}

/// The preferences by place, in order.
fn geo(service: &mut Table<'_, '_>) -> Vec<GeoSpec> {
    let subject = format!("{}: geo rule", service.subject());
    let rules = service.array("geo", &keys::GEO, &subject);
    let rule = |mut table: Table<'_, '_>| {
        let spec = GeoSpec { place: table.place(), clients: table.need_list("clients"), regions: table.need_list("regions") };
        table.done();
        spec
    };
    rules.into_iter().map(rule).collect()
}

/// Labels and the values that are allowed, sorted.
fn requirements(service: &mut Table<'_, '_>, key: &'static str) -> Box<[Requirement]> {
    let named = service.named(key);
    let requirement = |(label, value): (At<Box<str>>, toml::Spanned<DeValue<'_>>)| {
        let mut values: Vec<Box<str>> = service.elements::<Box<str>>(key, value).into_iter().map(|at| at.value).collect();
        values.sort();
        values.dedup();
        Requirement { label: label.value, values: values.into() }
    };
    named.into_iter().map(requirement).collect()
}

/// What is answered when all are down: a word or a table.
fn when_all_down(service: &mut Table<'_, '_>) -> AllDownSpec {
    const WORDS: &[(&str, u8)] = &[("as-if-up", 0), ("nodata", 1), ("servfail", 2)];
    let Some((place, value)) = service.raw("when-all-down") else { return AllDownSpec::AsIfUp };
    if let DeValue::Table(_) = value.get_ref() {
        let subject = format!("when-all-down of {}", service.subject());
        let Some(mut table) = service.open("when-all-down", place, value, &keys::WHEN_ALL_DOWN, subject) else { return AllDownSpec::AsIfUp };
        let endpoint = table.need::<Box<str>>("last-resort");
        table.done();
        return endpoint.map_or(AllDownSpec::AsIfUp, AllDownSpec::LastResort);
    }
    let word = service.leaf::<Box<str>>("when-all-down", &value);
    match word.and_then(|at| service.choose("when-all-down", &at, WORDS)) {
        Some(1) => AllDownSpec::Nodata,
        Some(2) => AllDownSpec::Servfail,
        _ => AllDownSpec::AsIfUp,
    }
}

/// How the best are chosen.
fn steering(service: &mut Table<'_, '_>, spec: &mut ServiceSpec) {
    let subject = format!("the steering of {}", service.subject());
    let Some(mut table) = service.table("steering", &keys::STEERING, subject) else { return };
    spec.by_place = table.place_of("by");
    if let Some(by) = table.choice("by", &[("score", By::Score), ("weight", By::Weight), ("order", By::Order)]) {
        spec.by = by;
    }
    if let Some(at) = table.take_at::<Latency>("latency-per-usd") {
        spec.latency_per_usd = (at.value.0, Some(at.place));
    }
    let mut latency = |key, default: Micros| table.take::<Latency>(key).map_or(default, |latency| latency.0);
    spec.spread = latency("spread", spec.spread);
    spec.degraded_penalty = latency("degraded-penalty", spec.degraded_penalty);
    spec.load.at_capacity = latency("load-at-capacity", spec.load.at_capacity);
    if let Some(share) = table.take::<Share>("load-target") {
        spec.load.target = share.0;
    }
    table.done();
}

/// In how many milliseconds it is to recover.
fn rto(service: &mut Table<'_, '_>) -> Option<u32> {
    let at = service.take_at::<Millis>("rto")?;
    if !(RTO_MS_MIN..=RTO_MS_MAX).contains(&at.value.0) {
        let message = format!("{}: `rto` must be from 1 s to 1 d", service.subject());
        service.report(Finding::at(Code::WrongValue, at.place, message).label("out of range"));
    }
    Some(at.value.0)
}

/// How endpoints come back: `ramp` and `damping`.
fn recovery(service: &mut Table<'_, '_>) -> Recovery {
    let default = Recovery::default();
    let ramp_ms = service.take_at::<Millis>("ramp").map_or(default.ramp_ms, |at| {
        if at.value.0 > RAMP_MS_MAX {
            let message = format!("{}: `ramp` must be at most 1 h", service.subject());
            service.report(Finding::at(Code::WrongValue, at.place, message).label("out of range"));
        }
        at.value.0
    });
    Recovery { ramp_ms, damping: damping(service) }
}

/// The hold-down of what comes and goes: a table or "off".
fn damping(service: &mut Table<'_, '_>) -> Option<Damping> {
    let default = Damping::default();
    let Some((place, value)) = service.raw("damping") else { return Some(default) };
    if let DeValue::String(_) = value.get_ref() {
        let word = service.leaf::<Box<str>>("damping", &value)?;
        return service.choose("damping", &word, &[("off", ())]).map_or(Some(default), |()| None);
    }
    let subject = format!("the damping of {}", service.subject());
    let mut table = service.open("damping", place, value, &keys::DAMPING, subject)?;
    let mut penalty = |key, default| table.whole(key, 1..=DAMPING_PENALTY_MAX).unwrap_or(default);
    let (suppress, reuse) = (penalty("suppress", default.suppress), penalty("reuse", default.reuse));
    let mut time = |key, default| table.take_at::<Millis>(key).map_or((default, place), |at| (at.value.0, at.place));
    let (half_life_ms, half_life_place) = time("half-life", default.half_life_ms);
    let (hold_max_ms, hold_place) = time("max-suppress", default.hold_max_ms.max(half_life_ms));
    let wrong = |place, message: &str, label: String| {
        let message = format!("{}: {message}", table.subject());
        table.report(Finding::at(Code::Conflict, place, message).label(label));
    };
    if reuse >= suppress {
        wrong(place, "`reuse` must be less than `suppress`", format!("reuse is {reuse}, suppress is {suppress}"));
    }
    if !(1_000..=DAMPING_MS_MAX).contains(&half_life_ms) {
        wrong(half_life_place, "`half-life` must be from 1 s to 1 d", "out of range".to_owned());
    }
    if !(half_life_ms..=DAMPING_MS_MAX).contains(&hold_max_ms) {
        wrong(hold_place, "`max-suppress` must be from the half-life to 1 d", "out of range".to_owned());
    }
    let damping = Damping { half_life_ms, suppress, reuse, hold_max_ms };
    if reuse < suppress && damping.penalty_max() < suppress {
        let label = format!("the penalty never grows beyond {}, and suppress is {suppress}", damping.penalty_max());
        wrong(place, "nothing would ever be held down: `max-suppress` is too short", label);
    }
    table.done();
    Some(damping)
}

/// The endpoints, by name.
fn endpoints(service: &mut Table<'_, '_>, apex: &Name) -> Vec<EndpointSpec> {
    let of = format!(" of {}", service.subject());
    let tables = service.tables("endpoint", &keys::ENDPOINT, "endpoint", &of);
    tables.into_iter().filter_map(|(name, table)| endpoint::read(name, table, apex)).collect()
}
