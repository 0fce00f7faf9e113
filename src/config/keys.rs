//! Every key that is read, with its form, its default and its meaning.
//!
//! The walker refuses to read a key that does not stand here (a debug assertion, so that tests find it), finds unknown keys and nearest
//! names here, and the reference in `zones/` and `README.md` is held against it by a test.

/// A table of the files.
#[derive(Debug)]
pub struct Section {
    /// Its header, names that the operator chooses in capitals.
    pub path: &'static str,
    /// What it is, one sentence.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A key of a section.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// Its form.
    pub form: &'static str,
    /// Its default; `required` when it must be there, empty when leaving it out means having none.
    pub default: &'static str,
    /// What it means.
    pub about: &'static str,
}

/// A key, in one line.
pub(super) const fn key(name: &'static str, form: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { name, form, default, about }
}

/// Every section, in reading order.
pub const SECTIONS: &[&Section] = &[
    &FILE,
    &SOA,
    &RECORD,
    &REGION,
    &PRICE,
    &JURISDICTION,
    &NETWORK,
    &RESIDENCY,
    &SAFETY,
    &PROBES,
    &PROBE_HTTP,
    &PROBE_TCP,
    &PROBE_TLS,
    &PROBE_DNS,
    &PROBE_EXEC,
    &PROBE_PUSH,
    &BASELINE,
    &VANTAGE,
    &SERVICE,
    &TTL,
    &REQUEST,
    &GEO,
    &WHEN_ALL_DOWN,
    &STEERING,
    &DEPENDS_ON,
    &DAMPING,
    &HTTPS,
    &ENDPOINT,
];

/// The top of a file.
pub const FILE: Section = Section {
    path: "",
    about: "The top of a file. All files of the folder make one catalog; a file defines at most one zone.",
    keys: &[
        key("zone", "name", "", "Apex of the zone that this file defines."),
        key("records", "file name or list", "", "Ordinary master files (RFC 1035) beside this file: MX, TXT, CAA, …"),
        key("record-ttl", "duration", "1h", "TTL of NS records and of records that say none."),
        key("ns", "table", "", "Name servers of the zone: host = [addresses]; a host outside the zone has none. Or NS records at the apex."),
        key("soa", "table", "", "The SOA record, where the defaults do not suit."),
        key("record", "tables", "", "Ordinary records by owner name, relative to the apex; `@` is the apex."),
        key("service", "tables", "", "Steered services by owner name, relative to the apex; `@` is the apex."),
        key("region", "tables", "", "Regions. Those of known clouds need no declaration."),
        key("jurisdiction", "tables", "", "The operator's own unions of countries, beside EU, EEA, ADEQUATE and UK-ADEQUATE."),
        key("network", "tables", "", "What is known of some prefixes; comes before every database."),
        key("residency", "tables", "", "Rules about which clients may get which regions."),
        key("safety", "table", "", "What operators may not do by accident; stands in one file only."),
        key("latency", "tables", "", "Known latencies: client selector, then region = duration. They come before distance."),
        key("probe", "tables", "", "Probe templates, used by name."),
        key("vantage", "table", "", "From where this looks at the world: what a node may doubt itself by."),
    ],
};

/// `[soa]`.
pub const SOA: Section = Section {
    path: "soa",
    about: "The SOA record (RFC 1035 §3.3.13).",
    keys: &[
        key("mname", "name", "the first of ns", "Primary name server."),
        key("rname", "name", "hostmaster", "Mailbox of who is responsible, as a name."),
        key("serial", "number", "derived from the content", "Serial number; derived, it is the same on every node."),
        key("refresh", "duration", "1h", "For secondaries, of which Aya has none."),
        key("retry", "duration", "10min", "For secondaries."),
        key("expire", "duration", "14d", "For secondaries."),
        key("minimum", "duration", "30s", "How long caches keep that a name or type does not exist (RFC 2308)."),
        key("ttl", "duration", "1h", "TTL of the record itself."),
    ],
};

/// `[record.NAME]`.
pub const RECORD: Section = Section {
    path: "record.NAME",
    about: "Records of one owner name: TYPE = \"data\" or a list, as in a master file; TYPE123 for unknown types (RFC 3597).",
    keys: &[key("ttl", "duration", "record-ttl", "TTL of these records.")],
};

/// `[region.NAME]`.
pub const REGION: Section = Section {
    path: "region.NAME",
    about: "A place where endpoints stand. For regions of known clouds everything has a default.",
    keys: &[
        key("cloud", "word", "known", "The cloud: aws, azure, gcp, oci, alibaba, on-prem or a word of the operator's."),
        key("country", "country", "known", "ISO 3166-1 code of the country; brings its unions as jurisdictions."),
        key("at", "[latitude, longitude]", "known", "Where it is, in degrees."),
        key("tags", "list of words", "", "Words for selectors: tag:WORD."),
        key("price", "table", "list prices", "What it costs."),
    ],
};

/// `price` of a region or an endpoint.
pub const PRICE: Section = Section {
    path: "region.NAME.price",
    about: "Prices of a region; an endpoint may have its own.",
    keys: &[
        key("egress-per-gb", "money", "known list price", "A gigabyte sent to clients."),
        key("cpu-hour", "money", "known list price", "An hour of one virtual CPU."),
    ],
};

/// `[jurisdiction.NAME]`.
pub const JURISDICTION: Section = Section {
    path: "jurisdiction.NAME",
    about: "A union of countries of the operator's own.",
    keys: &[key("countries", "list of countries", "required", "ISO 3166-1 codes, or names of other built-in unions.")],
};

/// `[network.NAME]`.
pub const NETWORK: Section = Section {
    path: "network.NAME",
    about: "What is known of some prefixes: an office, a partner, a private network.",
    keys: &[
        key("prefixes", "list of prefixes", "required", "IPv4 and IPv6 prefixes."),
        key("country", "country", "as in the databases", "ISO 3166-1 code."),
        key("subdivision", "subdivision", "as in the databases", "ISO 3166-2 code."),
        key("at", "[latitude, longitude]", "as in the databases", "Where it is, in degrees."),
    ],
};

/// `[residency.NAME]`.
pub const RESIDENCY: Section = Section {
    path: "residency.NAME",
    about: "A data-residency rule: a veto, never relaxed. A service names the rules that bind it; all of them hold at once.",
    keys: &[
        key("clients", "list of client selectors", "required", "Whom it binds."),
        key("regions", "list of region selectors", "required", "The regions that those clients may get."),
        key("unknown", "apply | exempt", "required", "What applies to clients whose jurisdiction is unknown. Has no default on purpose."),
    ],
};

/// `[safety]`.
pub const SAFETY: Section = Section {
    path: "safety",
    about: "What overrides may not do unless they are forced with a reason, and what reloads may not do, by the rules in force before them; of a class of clients the last endpoint is always kept. The removal of an endpoint that is down is never held up.",
    keys: &[
        key("min-regions", "number", "", "Regions that each service keeps for every class of clients: lawful, not drained, out or down. Binds reloads, too."),
        key("gate", "duration", "", "Least time from one override, drill, release of a tier or reload that moves clients to the next; at most 24h."),
        key("max-moved", "share", "", "Share of all clients that overrides, drills, releases of tiers and reloads may move in a time."),
        key("per", "duration", "1h", "That time; from 1min to 24h."),
    ],
};

/// `[probe.NAME]` and `probe` of a service or an endpoint.
pub const PROBES: Section = Section {
    path: "probe.NAME",
    about: "How endpoints are asked; with several, all must pass. A service or endpoint has such a table, or names templates.",
    keys: &[
        key("http", "table", "", "An HTTP request."),
        key("https", "table", "", "An HTTP request over TLS."),
        key("tcp", "table", "", "A TCP connection."),
        key("tls", "table", "", "A TLS handshake."),
        key("dns", "table", "", "A DNS query."),
        key("exec", "table", "", "A command of the operator's; only where the node is started with `--allow-exec`."),
        key("push", "table", "", "Heartbeats: the endpoint tells by itself (`POST /v1/health`)."),
    ],
};

/// `probe.NAME.http` and `.https`.
pub const PROBE_HTTP: Section = Section {
    path: "probe.NAME.http",
    about: "An HTTP probe; https is the same over TLS.",
    keys: &[
        key("port", "number", "80 or 443", "The port; `probe-at` of an endpoint may say another."),
        key("interval", "duration", "5s", "From one probe to the next."),
        key("timeout", "duration", "2s", "After which it has failed; at most the interval."),
        key("fall", "number", "3", "Failures in a row that make it down."),
        key("rise", "number", "3", "Successes in a row that make it up again."),
        key("slow", "duration", "", "An answer slower than this makes it degraded."),
        key("baseline", "table or off", "off", "When it is degraded against its own past."),
        key("method", "word", "GET", "The method."),
        key("path", "text", "/", "Path and query."),
        key("host", "text", "the service's name", "Host header and server name."),
        key("headers", "table", "", "Further headers."),
        key("body", "text", "", "Body of the request."),
        key("statuses", "list", "[\"200-399\"]", "Statuses that pass: numbers or ranges."),
        key("contains", "text", "", "Text that the first 64 KiB of the body must have."),
        key("json", "table", "", "JSON pointers (RFC 6901) and the values that must stand there."),
        key(
            "first-byte",
            "duration",
            "",
            "Time from the start to the first octet of the body, after which it is degraded; of a response without a body, to its head.",
        ),
        key(
            "keep-alive",
            "yes or no",
            "false",
            "Whether its connection is kept, for ten minutes at most: cheaper, and a server that has stopped accepting is noticed later.",
        ),
        key("verify", "yes or no", "true", "Whether the certificate is verified; https only."),
        key("expiry-warning", "duration or off", "14d", "It is degraded from so long before its certificate ends; https only."),
    ],
};

/// `probe.NAME.tcp`.
pub const PROBE_TCP: Section = Section {
    path: "probe.NAME.tcp",
    about: "A TCP probe: the connection is made and closed.",
    keys: &[
        key("port", "number", "required", "The port; `probe-at` of an endpoint may say another."),
        key("interval", "duration", "5s", "From one probe to the next."),
        key("timeout", "duration", "2s", "After which it has failed; at most the interval."),
        key("fall", "number", "3", "Failures in a row that make it down."),
        key("rise", "number", "3", "Successes in a row that make it up again."),
        key("slow", "duration", "", "A connection slower than this makes it degraded."),
        key("baseline", "table or off", "off", "When it is degraded against its own past."),
    ],
};

/// `probe.NAME.tls`.
pub const PROBE_TLS: Section = Section {
    path: "probe.NAME.tls",
    about: "A TLS probe: the handshake is made and the connection closed.",
    keys: &[
        key("port", "number", "443", "The port; `probe-at` of an endpoint may say another."),
        key("interval", "duration", "5s", "From one probe to the next."),
        key("timeout", "duration", "2s", "After which it has failed; at most the interval."),
        key("fall", "number", "3", "Failures in a row that make it down."),
        key("rise", "number", "3", "Successes in a row that make it up again."),
        key("slow", "duration", "", "A handshake slower than this makes it degraded."),
        key("baseline", "table or off", "off", "When it is degraded against its own past."),
        key("host", "text", "the service's name", "Server name that is asked for."),
        key("verify", "yes or no", "true", "Whether the certificate is verified."),
        key("expiry-warning", "duration or off", "14d", "It is degraded from so long before its certificate ends."),
    ],
};

/// `probe.NAME.dns`.
pub const PROBE_DNS: Section = Section {
    path: "probe.NAME.dns",
    about: "A DNS probe: a query over UDP, and over TCP when the reply is truncated.",
    keys: &[
        key("port", "number", "53", "The port; `probe-at` of an endpoint may say another."),
        key("interval", "duration", "5s", "From one probe to the next."),
        key("timeout", "duration", "2s", "After which it has failed; at most the interval."),
        key("fall", "number", "3", "Failures in a row that make it down."),
        key("rise", "number", "3", "Successes in a row that make it up again."),
        key("slow", "duration", "", "An answer slower than this makes it degraded."),
        key("baseline", "table or off", "off", "When it is degraded against its own past."),
        key("name", "name", "required", "The whole name that is asked for."),
        key("type", "record type", "A", "The type that is asked for."),
        key("rcode", "noerror | nxdomain | refused | …", "noerror", "The RCODE that the reply must have."),
        key("answers", "list of record data", "", "Data that records of that type must have, each of them; there may be others."),
        key("at-least", "number", "1, or 0 for another rcode", "Records of that type that there must be."),
        key("authoritative", "yes or no", "false", "Whether the reply must be authoritative (AA)."),
        key("recursion", "yes or no", "false", "Whether recursion is desired (RD): of a resolver."),
    ],
};

/// `probe.NAME.exec`.
pub const PROBE_EXEC: Section = Section {
    path: "probe.NAME.exec",
    about: "A command of the folder that the node is started with (`--allow-exec`). It exits with 0 when all is well, 1 when degraded, 3 when it cannot tell, and anything else when down.",
    keys: &[
        key("command", "path", "required", "The absolute path of the program; no shell reads it."),
        key("args", "list of texts", "", "Its arguments."),
        key("interval", "duration", "5s", "From one probe to the next."),
        key("timeout", "duration", "2s", "After which it has failed, and is killed with all its children; at most the interval."),
        key("fall", "number", "3", "Failures in a row that make it down."),
        key("rise", "number", "3", "Successes in a row that make it up again."),
        key("slow", "duration", "", "A run slower than this makes it degraded."),
        key("baseline", "table or off", "off", "When it is degraded against its own past."),
    ],
};

/// `probe.NAME.push`.
pub const PROBE_PUSH: Section = Section {
    path: "probe.NAME.push",
    about: "Heartbeats that the endpoint, or whoever knows, sends to each node: `POST /v1/health`.",
    keys: &[
        key(
            "expect-every",
            "duration",
            "10s",
            "Silence for longer counts as a failure, and for each such time again; from 1s to 24h. A heartbeat may say its own.",
        ),
        key("fall", "number", "3", "Failures in a row that make it down: silence, and heartbeats that say so."),
        key("rise", "number", "3", "Heartbeats in a row that make it up again."),
    ],
};

/// `baseline` of a probe, as a table.
pub const BASELINE: Section = Section {
    path: "probe.NAME.http.baseline",
    about: "Degraded against its own past: the median of the last 8 answers beside that of some 250 before, which do not learn while it is degraded or down.",
    keys: &[
        key(
            "deviations",
            "number",
            "6",
            "The recent median must be beyond the usual one by so many median absolute deviations; one counts as a sixteenth of the median at least.",
        ),
        key("dwell", "duration", "30s", "For so long, and as long within half of that margin before it is well again."),
        key("errors", "share", "20%", "Or this share of the last 64 probes must have failed, though never `fall` in a row."),
        key("samples", "number", "64", "Answers that must be known before slowness is judged."),
    ],
};

/// `[vantage]`.
pub const VANTAGE: Section = Section {
    path: "vantage",
    about: "When a node holds its statuses since it has lost the network itself: only if every reference is silent, and four targets in two clouds are.",
    keys: &[key(
        "reference",
        "list of address:port",
        "required",
        "Asked by TCP every second, as evidence of the node's own network and nothing else; refusing is an answer.",
    )],
};

/// `[service.NAME]`.
pub const SERVICE: Section = Section {
    path: "service.NAME",
    about: "An owner name whose answer is steered.",
    keys: &[
        key("ttl", "table", "", "How long caches keep the answer."),
        key("residency", "list of rules", "", "Residency rules that bind it, all at once."),
        key("request", "table", "", "What a request takes; turns prices into USD per million requests."),
        key("tiers", "list of lists of endpoints", "one tier of all", "Ordered failover groups; names may have `*`."),
        key("min-live", "number", "1", "Endpoints eligible for the client that a tier needs to be chosen."),
        key("failback", "auto | manual", "auto", "How clients return to a tier that they left for want of live endpoints; `manual` waits for `aya failback`."),
        key("geo", "list of tables", "", "Preferences by place; the first that matches counts, and never narrows to nothing."),
        key("max-rtt", "duration", "", "Longest round-trip time of an endpoint; relaxed first when nothing is left."),
        key("prefer", "table", "", "Labels that endpoints should have; relaxed second."),
        key("require", "table", "", "Labels that endpoints must have; never relaxed."),
        key("when-all-down", "as-if-up | nodata | servfail | table", "as-if-up", "What is answered when every lawful endpoint is down."),
        key("when-none-left", "nodata | servfail", "nodata", "What is answered when residency, out and require leave nothing."),
        key("families", "together | separate", "together", "Whether one decision serves A and AAAA alike."),
        key(
            "probe-families",
            "first | each",
            "first",
            "Whether endpoints that have both families are asked on the one written first, or on each; with `separate`, one that fails alone is alone out.",
        ),
        key("answers", "number", "1", "Endpoints in one answer, of distinct regions."),
        key("peak", "rate", "", "Demand at the busiest hour, until endpoints report it."),
        key("rto", "duration", "", "In which answers are to leave endpoints that fail; drills hold it against what they measure."),
        key("https", "table", "", "HTTPS records (RFC 9460) with hints from the same decision."),
        key("steering", "table", "", "How the best are chosen."),
        key("depends-on", "name, list of names or table", "", "What each endpoint needs in its region: services, or `probe:TEMPLATE`; a list needs all."),
        key("ramp", "duration", "2min", "Over which an endpoint that was down takes its usual clients back: 5, 25, 50, 100 %; \"0s\" is all at once."),
        key("damping", "table or off", "the table's defaults", "When an endpoint that comes and goes is held out of service."),
        key("probe", "template, list of templates or table", "", "How its endpoints are asked."),
        key("endpoint", "tables", "required", "Its endpoints."),
    ],
};

/// `service.NAME.ttl`.
pub const TTL: Section = Section {
    path: "service.NAME.ttl",
    about: "How long caches keep the answer.",
    keys: &[
        key("steady", "duration", "30s", "While nothing that matters to the answer is moving."),
        key("moving", "duration", "5s", "While something is: a first failed probe, a ramp, a drill."),
    ],
};

/// `service.NAME.request`.
pub const REQUEST: Section = Section {
    path: "service.NAME.request",
    about: "What one request takes on average.",
    keys: &[key("egress", "data", "0 B", "Octets sent to the client."), key("cpu", "duration", "0 ms", "Time of one virtual CPU.")],
};

/// An element of `service.NAME.geo`.
pub const GEO: Section = Section {
    path: "service.NAME.geo",
    about: "A preference by place.",
    keys: &[
        key("clients", "list of client selectors", "required", "The clients."),
        key("regions", "list of region selectors", "required", "The regions they prefer."),
    ],
};

/// `service.NAME.when-all-down`, as a table.
pub const WHEN_ALL_DOWN: Section = Section {
    path: "service.NAME.when-all-down",
    about: "A last resort, instead of a word.",
    keys: &[key("last-resort", "endpoint", "required", "This endpoint, never probed and given only then.")],
};

/// `service.NAME.steering`.
pub const STEERING: Section = Section {
    path: "service.NAME.steering",
    about: "How the best endpoints of a tier are chosen.",
    keys: &[
        key("by", "score | weight | order", "score", "Lowest score first; clients shared by weight; or in the order of tiers."),
        key("latency-per-usd", "duration", "0 ms", "Latency that is worth one US dollar per million requests; 0 leaves price out."),
        key("spread", "duration", "0 ms", "Endpoints whose score is within this of the best share the clients."),
        key("degraded-penalty", "duration", "100 ms", "What degraded health adds to the score."),
        key("load-target", "share", "80%", "Load below this share of capacity costs nothing."),
        key("load-at-capacity", "duration", "0 ms", "What load equal to capacity adds to the score; what an endpoint cannot take spills over in any case."),
    ],
};

/// `service.NAME.depends-on`, as a table.
pub const DEPENDS_ON: Section = Section {
    path: "service.NAME.depends-on",
    about: "What an endpoint needs in its region, one form of three. While it lacks that, it is taken as down, and everything says what the root is.",
    keys: &[
        key("all", "list of names", "", "All of these."),
        key("any", "list of names", "", "Any of these."),
        key("at-least", "number", "", "So many of `of`."),
        key("of", "list of names", "", "Of these."),
    ],
};

/// `service.NAME.damping`, as a table.
pub const DAMPING: Section = Section {
    path: "service.NAME.damping",
    about: "Holding down what comes and goes (after RFC 2439): each time that an endpoint goes down adds 1000 to its penalty.",
    keys: &[
        key("half-life", "duration", "5min", "Time in which a penalty halves."),
        key("suppress", "number", "1500", "A penalty of so much holds the endpoint out of service, while anything else is up."),
        key("reuse", "number", "750", "A penalty below this lets it go again."),
        key("max-suppress", "duration", "20min", "The longest hold, from the last time that it went down."),
    ],
};

/// `service.NAME.https`.
pub const HTTPS: Section = Section {
    path: "service.NAME.https",
    about: "HTTPS records (RFC 9460) with hints from the same decision.",
    keys: &[
        key("priority", "number", "1", "SvcPriority."),
        key("alpn", "list of words", "", "Protocols, for instance h3 and h2."),
        key("no-default-alpn", "yes or no", "false", "Whether the default protocol is left out."),
        key("port", "number", "", "The port, if not 443."),
        key("ech", "base64", "", "Encrypted ClientHello configuration."),
        key("hints", "yes or no", "true", "Whether addresses are given as hints."),
    ],
};

/// `service.NAME.endpoint.NAME`.
pub const ENDPOINT: Section = Section {
    path: "service.NAME.endpoint.NAME",
    about: "One place where the service can be had.",
    keys: &[
        key("region", "region", "the endpoint's name", "Where it stands."),
        key("a", "list of addresses", "", "IPv4 addresses."),
        key("aaaa", "list of addresses", "", "IPv6 addresses."),
        key("cname", "name", "", "Canonical name, relative to the apex unless it ends with a dot; instead of addresses."),
        key("alias", "host name", "", "Whole name of a host outside of these zones whose addresses are looked up and given; instead of addresses."),
        key("alias-types", "list of A and AAAA", "what the service's other endpoints have, else A", "The addresses that the alias has."),
        key("weight", "number", "100", "Share of the clients, under by = weight and within spread; 0 gets none while anything with weight is left."),
        key("bias", "duration", "0 ms", "Added to the score; negative favours it."),
        key("capacity", "rate", "", "Requests per second that it can take."),
        key("labels", "table", "", "Words that require and prefer look at."),
        key("price", "table", "the region's", "Prices of this endpoint alone."),
        key("probe", "template, list of templates or table", "the service's", "How it is asked, instead of how the service says."),
        key("probe-at", "address or address:port", "the first of a, else of aaaa; of an alias all in turn", "Where it is asked."),
        key("probe-families", "first | each", "the service's", "Whether it is asked on the family written first, or on each that it has."),
        key("depends-on", "name, list of names or table", "the service's", "What it needs, instead of what the service says; `[]` is nothing."),
    ],
};
