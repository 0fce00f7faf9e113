//! Every limit, once, with its unit and its reason. The assertions below hold that they fit together.

/// Largest UDP reply in octets, OPT included (DNS flag day 2020; RFC 9715 §3.1 R3 allows up to 1400).
pub const UDP_REPLY_MAX: usize = 1232;
/// Largest reply to a client without EDNS, in octets (RFC 1035 §4.2.1).
pub const UDP_REPLY_PLAIN: usize = 512;
/// Largest message over TCP, in octets: the length prefix has 16 bits (RFC 1035 §4.2.2).
pub const TCP_MESSAGE_MAX: usize = 65_535;
/// Largest name in octets, root label included (RFC 1035 §2.3.4).
pub const NAME_OCTETS_MAX: usize = 255;
/// Largest label in octets (RFC 1035 §2.3.4).
pub const LABEL_OCTETS_MAX: usize = 63;
/// Most labels of a name, the root not counted: 127 × 2 octets + the root make 255.
pub const LABELS_MAX: usize = 127;

/// Octets of a cookie: the client's eight, and sixteen of ours (RFC 9018 §4).
pub const COOKIE_OCTETS: usize = 24;
/// Seconds for which a server cookie is good (RFC 9018 §4.3).
pub const COOKIE_AGE_MAX_S: u32 = 3_600;
/// Seconds that a server cookie may be ahead of our clock: the clocks of the nodes of one address differ (RFC 9018 §4.3).
pub const COOKIE_AHEAD_MAX_S: u32 = 300;
/// Seconds after which a good cookie is renewed (RFC 9018 §4.3: half an hour).
pub const COOKIE_RENEW_S: u32 = 1_800;
/// Secrets that server cookies are checked against: the active one, and the one before or the one to come (RFC 9018 §5).
pub const COOKIE_SECRETS_MAX: usize = 2;
/// Octets of the file of cookie secrets that are read at most: two lines of 32 digits and some words of the operator's.
pub const COOKIE_FILE_OCTETS_MAX: u64 = 4_096;
/// Octets of what a node calls itself (RFC 5001 leaves it open); every steered reply of a usual length has room for it.
pub const NSID_OCTETS_MAX: usize = 64;
/// Encrypted replies are padded to a multiple of so many octets (RFC 8467 §4.1).
pub const PADDING_BLOCK_OCTETS: usize = 468;
/// Octets of the text of an extended error: a line for people.
pub const EDE_TEXT_OCTETS_MAX: usize = 128;
/// Idle time that a client over TCP or TLS is told to count on when it asks for it, and is given from then on, in milliseconds (RFC 7828 §3.1).
pub const TCP_KEEPALIVE_MS: u64 = 37_000;

/// Answers a second, positive or negative, that one prefix gets before more are counted: twice what a busy resolver asks of one zone with
/// short TTLs. They are counted only, unless told otherwise: big public resolvers send more than any such number from one prefix.
pub const RRL_ANSWERS_PER_S: u32 = 200;
/// Refusals, and again errors, a second that one prefix gets: nobody needs more of either, and they are what a forger of sources gets for
/// any query at all.
pub const RRL_ERRORS_PER_S: u32 = 20;
/// BADCOOKIE replies a second that one prefix gets instead of other limited replies: a resolver needs one. They are hardly longer than
/// their queries.
pub const RRL_CHALLENGE_PER_S: u32 = 100;
/// Largest rate that may be set, in replies a second: a bucket of thousandths has 32 bits.
pub const RRL_PER_S_MAX: u32 = 1_000_000;
/// Of so many limited replies one goes out truncated.
pub const RRL_SLIP: u8 = 2;
/// Buckets of one UDP worker, a power of two. 16 octets each: 1 MiB a worker.
pub const RRL_SLOTS: usize = 65_536;
/// Length of the IPv4 prefixes whose sources share a limit.
pub const RRL_V4_PREFIX: u32 = 24;
/// Length of the IPv6 prefixes whose sources share a limit: what one customer of an access provider has.
pub const RRL_V6_PREFIX: u32 = 56;
/// Endpoints whose bills `_why.SERVICE` tells: so many fit a datagram with usual names.
pub const WHY_ENDPOINTS_MAX: usize = 5;

/// Most endpoints of one service. A decision holds a candidate per endpoint on the stack.
pub const ENDPOINTS_PER_SERVICE_MAX: usize = 64;
/// Most endpoints in one answer (`answers = n`).
pub const ANSWERS_MAX: usize = 8;
/// Most addresses in one steered RRset: endpoints in the answer × addresses of an endpoint of one family.
pub const STEERED_ADDRESSES_MAX: usize = 32;
/// Highest weight of an endpoint.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// Candidates that share clients and turn some away, up to which their shares are told exactly: the work doubles with each.
pub const THINNED_GROUP_MAX: usize = 10;
/// Candidates that a cell holds; a service that shares a locality's clients among more is decided anew for each query.
pub const CELL_CANDIDATES_MAX: usize = 8;
/// Cells of one worker, a power of two. 64 octets each: 4 MiB a worker.
pub const CELLS: usize = 65_536;
/// Situations of services that the controller tells apart by number; beyond them it begins anew, and services share fewer decisions for a while.
pub const SITUATIONS_MAX: usize = 65_536;

/// Most regions of a catalog: a `RegionSet` has a bit for each.
pub const REGIONS_MAX: usize = 256;
/// Most distinct client sets of a catalog: `ClientSets` has a bit for each.
pub const CLIENT_SETS_MAX: usize = 256;
/// Most residency rules of a catalog.
pub const RESIDENCIES_MAX: usize = 64;
/// Most localities; their number has 16 bits in the table, where the highest means something else.
pub const LOCALITIES_MAX: usize = 65_535;
/// Largest amount of one term of a score, in microseconds either way: eleven days. A sum of terms can never overflow, and leaves a sort key
/// room for the endpoint's number.
pub const SCORE_TERM_MAX: i64 = 1_000_000_000_000;
/// What an endpoint reported of its load counts for so long, in milliseconds: three reports of a usual twenty seconds.
pub const LOAD_FRESH_MS: u64 = 60_000;
/// Thousandths of its capacity by which an endpoint's load must have changed to be published.
pub const LOAD_DEAD_BAND_PERMILLE: u16 = 50;
/// Thousandths of its capacity to which an endpoint is filled before clients are turned to others, where load is reported: what shares in thousandths and
/// the clients' chance leave to be on the safe side.
pub const SPILL_REPORTED_PERMILLE: u64 = 970;
/// The same where the demand is only declared: it may be wrong by 30 %, and 1.3 × 840 is less than a tenth too much.
pub const SPILL_DECLARED_PERMILLE: u64 = 840;
/// Thousandths by which the share that an endpoint keeps must change to be published, so that clients are not moved for a trifle.
pub const SPILL_DEAD_BAND_PERMILLE: u16 = 20;
/// Services whose load is fitted each time that the controller looks at its clock: some milliseconds of work.
pub const SPILL_SERVICES_AT_ONCE: usize = 32;
/// Services of a region that the forecast of its loss looks at each time.
pub const OUTLOOK_SERVICES_AT_ONCE: usize = 16;
/// Times that the fitting of a service's load looks at where its clients land before it gives up on a factor.
pub const SPILL_ROUNDS_MAX: usize = 64;
/// Thousandths of their limits to which endpoints are loaded at most in what is computed: beyond sixteen times, it does not matter by how much.
pub const SPILL_FACTOR_MAX: u32 = 16_000;
/// Entries of a simulation's timeline; further ones are counted.
pub const SIMULATION_ENTRIES_MAX: usize = 10_000;
/// Milliseconds that a simulated node runs before its scenario begins: its probes have found their places, and its loads are fitted.
pub const SIMULATION_WARM_UP_MS: u64 = 60_000;
/// Milliseconds after something happened in a simulation for which the controller looks at its clock at every step, and loads are not yet called settled.
pub const SIMULATION_SETTLE_MS: u64 = 10_000;
/// Milliseconds from one look to the next while nothing happens, so that a day takes seconds.
pub const SIMULATION_IDLE_MS: u64 = 10_000;
/// Milliseconds from one report of its load that a simulated endpoint makes to the next.
pub const SIMULATION_REPORT_MS: u64 = 20_000;
/// Seeds that one call of the simulator runs at most.
pub const SIMULATION_SEEDS_MAX: u32 = 10_000;
/// Events, and again expectations, of one scenario.
pub const SCENARIO_LINES_MAX: usize = 10_000;
/// Lines of a recording of clients: each is decided for whenever its answer may have changed. The largest of a busy service are in it.
pub const RECORDING_LINES_MAX: usize = 100_000;
/// Octets of a recording of clients.
pub const RECORDING_OCTETS_MAX: u64 = 8 << 20;
/// Octets from which a block of memory is the system's own and goes back to it when it is freed; as the C library begins with.
pub const LARGE_BLOCK_OCTETS: i32 = 128 * 1024;
/// Crowds that the client mix tells apart; smaller ones count with the largest of their country.
pub const CROWDS_MAX: usize = 512;
/// Most tiers of one service.
pub const TIERS_MAX: usize = 16;
/// Most services of a catalog.
pub const SERVICES_MAX: usize = 100_000;
/// Most endpoints of a catalog.
pub const ENDPOINTS_MAX: usize = 200_000;
/// Most zones of a catalog.
pub const ZONES_MAX: usize = 4_096;
/// Most operator networks (CIDR rules) of a catalog.
pub const NETWORKS_MAX: usize = 100_000;
/// Largest TOML file in octets: its tree takes some forty times as much memory while it is read.
pub const TOML_FILE_OCTETS_MAX: u64 = 2 << 20;
/// Most owner names of a catalog: those of records and services, and the empty ones above them.
pub const OWNER_NAMES_MAX: usize = 2_000_000;
/// How deep `$INCLUDE` of master files may nest.
pub const INCLUDE_DEPTH_MAX: usize = 8;
/// Largest master file in octets, what it includes counted in.
pub const MASTER_FILE_OCTETS_MAX: u64 = 16 << 20;
/// Most files of a zones folder.
pub const ZONE_FILES_MAX: usize = 4_096;
/// Most mistakes that are reported of one load; the rest is counted.
pub const DIAGNOSTICS_MAX: usize = 200;
/// Largest MMDB file in octets.
pub const MMDB_OCTETS_MAX: u64 = 1 << 30;
/// Days after which a database is warned of: blocks of addresses are traded and moved all the time, and publishers renew monthly or weekly.
pub const GEOIP_AGE_DAYS_MAX: u64 = 90;

/// Longest IPv4 prefix that shares of clients are told apart by (RFC 7871 §11.1 asks for no more than /24).
pub const V4_HASHED_MAX: u8 = 24;
/// Longest IPv6 prefix that shares of clients are told apart by (RFC 7871 §11.1: /56).
pub const V6_HASHED_MAX: u8 = 56;

/// Longest time that a worker sleeps without looking for a newer world, in milliseconds.
pub const WORKER_WAKE_MS: u64 = 250;
/// Most probes under way at once.
pub const PROBES_IN_FLIGHT_MAX: usize = 512;
/// Commands that are probes under way at once: each is a process, and the machine has other work.
pub const EXECS_IN_FLIGHT_MAX: usize = 16;
/// Octets that are kept of what a command prints, of each of its two streams.
pub const EXEC_OUTPUT_OCTETS_MAX: usize = 4 << 10;
/// Octets of a command's path, and of each of its arguments.
pub const EXEC_WORD_OCTETS_MAX: usize = 4 << 10;
/// Arguments of a command.
pub const EXEC_ARGS_MAX: usize = 64;
/// Records that a DNS probe may expect.
pub const PROBE_ANSWERS_MAX: usize = 64;
/// Milliseconds that the connection of a probe is kept at most: ten minutes, after which a server that has stopped accepting is noticed, and what TLS
/// handshakes cost is next to nothing.
pub const PROBE_CONNECTION_LIFE_MS: u64 = 600_000;
/// Seconds before the end of its certificate from which on an endpoint is degraded unless told: two weeks, when one that is renewed by itself should have been.
pub const EXPIRY_WARNING_S: u32 = 14 * 86_400;
/// Shortest and longest time, in milliseconds, within which a heartbeat may be expected: a day, after which nobody speaks of health.
pub const HEARTBEAT_MS_MIN: u32 = 1_000;
/// See [`HEARTBEAT_MS_MIN`].
pub const HEARTBEAT_MS_MAX: u32 = 86_400_000;
/// Time within which a heartbeat is expected unless told, in milliseconds.
pub const HEARTBEAT_MS: u32 = 10_000;
/// Least time for which an alias is not looked up again, in milliseconds, whatever its TTL: some load balancers say none at all.
pub const ALIAS_FRESH_MIN_MS: u64 = 5_000;
/// Longest such time, in milliseconds: an hour, after which a name that was moved is noticed whatever its TTL was.
pub const ALIAS_FRESH_MAX_MS: u64 = 3_600_000;
/// Milliseconds until a look-up that failed is made again; twice as many after each further failure.
pub const ALIAS_RETRY_MS: u64 = 2_000;
/// At most so many: who has no addresses waits no longer than a minute once the name is there.
pub const ALIAS_RETRY_MAX_MS: u64 = 60_000;
/// Milliseconds that one look-up may take, the following of CNAMEs and a second try included.
pub const ALIAS_LOOKUP_MS: u64 = 5_000;
/// Milliseconds that one question to a name server may take.
pub const ALIAS_QUERY_MS: u64 = 2_000;
/// Milliseconds after its time within which a look-up must have brought anything, or nobody looks: a look-up with its wait for room.
pub const ALIAS_LATE_MS: u64 = 15_000;
/// Milliseconds for which the last good addresses of an alias are given while nothing better can be found: a day, in which people notice.
pub const ALIAS_KEPT_MS: u64 = 86_400_000;
/// Look-ups of aliases under way at once.
pub const ALIAS_LOOKUPS_MAX: usize = 64;
/// Events that wait for the controller; what does not fit is dropped and counted.
pub const EVENTS_QUEUED_MAX: usize = 16_384;
/// Longest time that a node waits for its first round of probes before it is ready all the same, in milliseconds.
pub const READY_DEADLINE_MS: u64 = 10_000;
/// Intervals after which an observation is old: it no longer proves that anybody is looking.
pub const FRESH_INTERVALS: u64 = 3;
/// What each time that an endpoint goes down adds to its penalty: the unit of `damping.suppress` and `reuse`, as routers have it (RFC 2439 §4.2).
pub const FLAP_PENALTY: u32 = 1_000;
/// Highest threshold of a penalty, as many times as an endpoint may go down before it is held.
pub const DAMPING_PENALTY_MAX: u32 = 20 * FLAP_PENALTY;
/// Longest half-life and longest hold of damping, in milliseconds: a day.
pub const DAMPING_MS_MAX: u32 = 86_400_000;
/// Most things that one endpoint may depend on.
pub const NEEDS_MAX: usize = 64;
/// Targets that must fall silent within one interval before a node whose references are all silent doubts itself.
pub const DOUBT_TARGETS_MIN: usize = 4;
/// And clouds that they must be in: the outage of one cloud is no fault of ours.
pub const DOUBT_CLOUDS_MIN: usize = 2;
/// Most references of a vantage.
pub const REFERENCES_MAX: usize = 16;
/// References are asked so often, in milliseconds, and have as long to answer: their silence is known before a target that fell silent with
/// them is down.
pub const REFERENCE_INTERVAL_MS: u32 = 1_000;
/// Longest recovery ramp in milliseconds: an hour.
pub const RAMP_MS_MAX: u32 = 3_600_000;
/// After a first failure a probe is asked again at this fraction of its interval.
pub const RECHECK_FRACTION: u64 = 5;
/// Most that jitter takes off an interval, as one part in so many: a tenth.
pub const JITTER_FRACTION: u64 = 10;
/// The controller looks at its clock this often, in milliseconds: statuses grow stale, files fall due, old worlds are freed.
pub const CONTROL_TICK_MS: u64 = 250;
/// Events that the controller takes in one go, so that a dying region is published in a few worlds and not in a thousand.
pub const EVENTS_AT_ONCE_MAX: usize = 1_024;
/// A world is published at least this often while observations arrive, in milliseconds, so that its evidence has a true age.
pub const WORLD_REFRESH_MS: u64 = 5_000;
/// What probes have shown is put together for people at most this often, in milliseconds.
pub const EVIDENCE_REFRESH_MS: u64 = 1_000;
/// The state is written at most this often while health changes, in milliseconds.
pub const STATE_WRITE_MS: u64 = 2_000;
/// And at least this often while it does not, in milliseconds: the age of its evidence decides how far it is trusted.
pub const STATE_REFRESH_MS: u64 = 60_000;
/// Largest state file in octets that is read: some 300 for each probe of a full catalog.
pub const STATE_FILE_OCTETS_MAX: u64 = 128 << 20;
/// Overrides in force at once. Each is looked at for every endpoint when the catalog changes.
pub const OVERRIDES_MAX: usize = 128;
/// Octets of an override's reason, and again of its author: a line for people.
pub const OVERRIDE_WORDS_OCTETS_MAX: usize = 200;
/// Shortest life of an override, in milliseconds.
pub const OVERRIDE_LIFE_MS_MIN: u64 = 60_000;
/// Longest life of an override, in milliseconds: three days, after which it belongs into the files.
pub const OVERRIDE_LIFE_MS_MAX: u64 = 72 * 3_600_000;
/// Life of an override that says none, in milliseconds.
pub const OVERRIDE_LIFE_MS: u64 = 4 * 3_600_000;
/// Even steps by which a gradual drain takes clients away; the last one drains.
pub const DRAIN_STEPS: u16 = 10;
/// Octets of a selector.
pub const SELECTOR_OCTETS_MAX: usize = 512;
/// Words of a selector.
pub const SELECTOR_WORDS_MAX: usize = 8;
/// Proposals of overrides that wait for the one that is being written; more are refused.
pub const PROPOSALS_QUEUED_MAX: usize = 16;
/// Moves of clients that are remembered for the safety rules; with more, the newest two are remembered as one.
pub const MOVES_MAX: usize = 256;
/// Endpoints whose new intent is told one by one; more are counted.
pub const INTENTS_TOLD_MAX: usize = 256;
/// Octets of the file of overrides that are read: a full list has less than a third.
pub const OVERRIDES_FILE_OCTETS_MAX: u64 = 1 << 20;
/// Octets of the audit trail before it is set aside and begun anew.
pub const AUDIT_OCTETS_MAX: u64 = 4 << 20;
/// Trails that are set aside and kept: some hundred thousand entries.
pub const AUDIT_FILES_MAX: usize = 8;
/// Records of the audit trail that wait to be written, of what happens by itself.
pub const AUDIT_QUEUED_MAX: usize = 4 * OVERRIDES_MAX;
/// Shortest time that a drill makes something fail, in milliseconds: long enough for usual probes to notice, and for people to look.
pub const DRILL_LIFE_MS_MIN: u64 = 60_000;
/// Longest such time, in milliseconds: two hours. What lasts longer is no rehearsal.
pub const DRILL_LIFE_MS_MAX: u64 = 2 * 3_600_000;
/// Longest time from the announcement of a drill to its start, in milliseconds; steady TTLs beyond it are not waited out.
pub const DRILL_PRE_ROLL_MS_MAX: u64 = 2 * 3_600_000;
/// Milliseconds that a pre-roll is longer than the longest steady TTL: what was answered as the drill was announced is gone from caches.
pub const DRILL_PRE_ROLL_MARGIN_MS: u64 = 1_000;
/// Longest time that a drill adds to round trips, in milliseconds.
pub const DRILL_SLOW_MS_MAX: u64 = 60_000;
/// Services of which a drill keeps times of their own; of more it keeps those of all together.
pub const DRILL_SERVICES_MAX: usize = 1_024;
/// Services that the report of a drill tells of one by one, those with an `rto` first.
pub const DRILL_SERVICES_TOLD: usize = 64;
/// Reports of drills that are kept; the oldest goes.
pub const DRILL_REPORTS_MAX: usize = 100;
/// Octets of a report that are read: four times what the services that it tells of take.
pub const DRILL_REPORT_OCTETS_MAX: u64 = 4 << 20;
/// Octets of the drill's file that are read: a full record has a third.
pub const DRILL_FILE_OCTETS_MAX: u64 = 1 << 20;
/// Milliseconds from one look at the clock and at the workers' counts to the next while a drill waits for its last wrong answer: half of the
/// exactness that its report promises.
pub const DRILL_TICK_MS: u64 = 100;
/// The same once that is known: only its guards count then.
pub const DRILL_LOOK_MS: u64 = 1_000;
/// Milliseconds after a service was taken off the drilled endpoints for which its last wrong answer is looked for closely.
pub const DRILL_SETTLE_MS: u64 = 3_000;
/// Thousandths of the answers of a drill's services that may be given for want of anything that is up before it is aborted, unless told otherwise.
pub const DRILL_ERRORS_PERMILLE: u16 = 10;
/// Answers that must have been given before that share is one.
pub const DRILL_ANSWERS_MIN: u64 = 50;
/// Longest `rto` of a service, in milliseconds: a day.
pub const RTO_MS_MAX: u32 = 86_400_000;
/// Shortest `rto`, in milliseconds: no prober and no cache is faster.
pub const RTO_MS_MIN: u32 = 1_000;
/// Highest number of regions that `[safety]` may ask for.
pub const SAFETY_REGIONS_MAX: u32 = 64;
/// Longest time that a safety rule may look back, in milliseconds: a day.
pub const SAFETY_SPAN_MS_MAX: u32 = 86_400_000;
/// Shortest time that a share of moved clients may be limited for, in milliseconds.
pub const SAFETY_SPAN_MS_MIN: u32 = 60_000;
/// The time that it is limited for unless told, in milliseconds.
pub const MOVED_PER_MS: u32 = 3_600_000;
/// Services that are asked, of those that an override or a reload touches.
pub const MOVED_SERVICES: usize = 128;
/// Those that are asked in any case, of those of which a reload changes nothing but what is around them.
pub const MOVED_SERVICES_LEAST: usize = 32;
/// Services that are told of one by one when somebody asks who would move.
pub const MOVED_SERVICES_TOLD: usize = 20;
/// Changes of health that a slow listener may fall behind by before it misses some.
pub const CHANGES_QUEUED_MAX: usize = 1_024;
/// Characters of a peer's words (a TLS error, a body) that a failed probe keeps.
pub const PROBE_WORDS_MAX: usize = 200;
/// Octets of a probed body that are read for a match or an assertion.
pub const PROBE_BODY_OCTETS_MAX: usize = 64 << 10;
/// Octets that a probe's connection holds of what it has read and not understood: the head of an answer is shorter.
pub const PROBE_HEAD_OCTETS_MAX: usize = 64 * 1024;
/// Milliseconds within which probes that are due are asked together: on a node with thousands of them, it wakes for many at once.
pub const PROBE_TICK_MS: u64 = 5;
/// Connections of one transport over TCP that all workers serve at once, as far as there are descriptors (RFC 9210 §4).
pub const TCP_CONNECTIONS_MAX: usize = 1_000;
/// Such connections of one client prefix (/32, /56) at once.
/// Descriptors that the process asks for at its start, if the system lets it have so many.
pub const DESCRIPTORS_WANTED: u64 = 65_536;
/// Descriptors that everything may take but the connections that probes keep: full transports, probes that connect anew, files, listeners.
pub const OTHER_DESCRIPTORS_MAX: u64 = 5_120;
/// TCP connections of one client prefix (/32, /56) at once.
pub const TCP_CONNECTIONS_PER_PREFIX_MAX: usize = 50;
/// An idle TCP connection is closed after so many milliseconds (RFC 7766 §6.2.3: of the order of seconds), unless its client was told otherwise.
pub const TCP_IDLE_MS: u64 = 10_000;
/// A half-sent TCP message may take so many milliseconds.
pub const TCP_MESSAGE_MS: u64 = 2_000;
/// A TCP connection lives at most so many milliseconds: an hour, after which a resolver opens another (RFC 9210 §4).
pub const TCP_LIFE_MS: u64 = 3_600_000;
/// Octets that one read of a TCP connection brings at most: some 300 queries.
pub const TCP_READ_OCTETS: usize = 16 << 10;
/// Octets of a buffer that a TCP connection keeps for its next large message.
pub const TCP_KEPT_OCTETS_MAX: usize = 4 << 10;
/// Octets that the system holds of one TCP connection, in each direction; Linux doubles it for its own needs.
pub const TCP_SOCKET_BUFFER_OCTETS: usize = 128 << 10;
/// Part of the process's descriptors that the connections of one transport may take, as one in so many: all transports leave half of them for
/// probes, files and listeners.
pub const DESCRIPTORS_FRACTION: u64 = 8;
/// Queries of one TCP connection that are answered before their replies are written.
pub const TCP_IN_FLIGHT_MAX: usize = 64;
/// Shaking hands over TLS may take so many milliseconds: a few round trips to the other side of the world, with losses.
pub const TLS_HANDSHAKE_MS: u64 = 5_000;
/// Replies of one TCP connection that wait to be written, in octets, before more of its queries are answered.
pub const TCP_UNSENT_OCTETS_MAX: usize = 256 << 10;
/// Requests that one HTTPS connection has under way at once, as many as a resolver asks in a burst; over HTTP/2 only.
pub const HTTPS_STREAMS_MAX: u32 = 64;
/// Octets of a request's head over HTTPS: room for a URL with a query of some 10,000 octets, and the headers that proxies add.
pub const HTTPS_HEAD_OCTETS_MAX: usize = 16 << 10;
/// The same for the decoded header list of HTTP/2 (RFC 9113 §6.5.2: names, values and 32 octets for each).
pub const HTTPS_HEADER_LIST_OCTETS_MAX: u32 = 16 << 10;
/// Headers of one request.
pub const HTTPS_HEADERS_MAX: usize = 64;
/// Streams of one HTTP/2 connection that were reset and wait to be forgotten, by the client or for its mistakes; with more it is closed.
pub const HTTPS_RESETS_MAX: usize = 32;
/// Octets of a body that a client of HTTP/2 may send before it waits: a whole message.
pub const HTTPS_STREAM_WINDOW_OCTETS: u32 = 64 << 10;
/// Octets of all bodies of one HTTP/2 connection that its client may send before it waits.
pub const HTTPS_CONNECTION_WINDOW_OCTETS: u32 = 256 << 10;
/// Octets that are held of one HTTPS connection: of queries that are not whole and of responses that are not sent.
pub const HTTPS_HELD_OCTETS_MAX: usize = 256 << 10;
/// Octets of a body that nobody wants that are read all the same, so that its client comes to read why.
pub const HTTPS_PASSED_OVER_OCTETS_MAX: usize = 256 << 10;
/// Milliseconds without a word of an HTTP/2 client before it is asked whether it is there.
pub const HTTPS_PING_MS: u64 = 5_000;
/// Milliseconds that it has to say so.
pub const HTTPS_PING_ANSWER_MS: u64 = 3_000;
/// Milliseconds that an HTTPS connection lives at most; a resolver that goes on asking connects anew.
pub const HTTPS_CONNECTION_MS: u64 = 600_000;
/// Milliseconds that an HTTPS connection that was told to end may take to.
pub const HTTPS_CLOSE_MS: u64 = 1_000;
/// QUIC connections that one worker serves at once.
pub const QUIC_CONNECTIONS_MAX: usize = 1_000;
/// QUIC connections that one worker remembers, those included that were closed and wait for stray datagrams (RFC 9000 §10.2).
pub const QUIC_STATES_MAX: usize = 4_000;
/// Handshakes under way of QUIC clients whose addresses may be forged; with more, newcomers show that theirs are not (RFC 9000 §8.1.2).
pub const QUIC_UNVALIDATED_MAX: usize = 32;
/// First datagrams of QUIC connections that wait to be looked at.
pub const QUIC_INCOMING_MAX: usize = 1_024;
/// Octets that are held of each meanwhile, beside the first datagram.
pub const QUIC_INCOMING_OCTETS_MAX: u64 = 4_096;
/// Queries that one QUIC connection has under way at once.
pub const QUIC_STREAMS_MAX: u32 = 64;
/// Octets that a QUIC client may send on a stream before it waits: a whole message, its length and one octet.
pub const QUIC_STREAM_WINDOW_OCTETS: u32 = 68 << 10;
/// Octets that it may send on all streams before it waits.
pub const QUIC_CONNECTION_WINDOW_OCTETS: u32 = 256 << 10;
/// Octets that are held of one QUIC connection of queries that are not whole.
pub const QUIC_HELD_OCTETS_MAX: usize = 256 << 10;
/// Octets of replies of one QUIC connection that its client has not acknowledged.
pub const QUIC_UNSENT_OCTETS_MAX: u64 = 256 << 10;
/// Milliseconds that a QUIC connection lives at most; a resolver that goes on asking connects anew.
pub const QUIC_CONNECTION_MS: u64 = 600_000;
/// Largest certificate or key file in octets; a chain of RSA certificates has some 6,000.
pub const CERTIFICATE_FILE_OCTETS_MAX: u64 = 1 << 20;
/// Milliseconds from one look at the certificate's files to the next.
pub const CERTIFICATE_LOOK_MS: u64 = 2_000;
/// Milliseconds from one warning of a certificate that ends to the next: a day.
pub const CERTIFICATE_WARN_MS: u64 = 86_400_000;
/// Connections that wait to be accepted on one listener; the system caps it at net.core.somaxconn.
pub const TCP_BACKLOG: i32 = 1_024;
/// Milliseconds without receiving or accepting after the system refused to: a socket that only fails must not become a busy loop.
pub const SOCKET_PAUSE_MS: u64 = 20;
/// Datagrams that one system call receives or sends at most, and queries that are answered from one look at the world. Measured, CPU time a
/// query against 32, paired: 1: 1.26, 16: 1.03, 64: 1.03, 128: 1.07. Beyond 32 the buffers cost more than the calls that they save.
pub const UDP_BATCH: usize = 32;
/// Milliseconds that replies wait for an interface that takes no more; then they are dropped and counted, so that queries do not pile up.
pub const UDP_SEND_MS: u64 = 20;
/// Milliseconds until a worker that died is started again.
pub const WORKER_RESTART_MS: u64 = 10;
/// And at most so many where it dies again and again: each time twice as many as before.
pub const WORKER_RESTART_MAX_MS: u64 = 1_000;
/// A datagram worker that has not moved for so many milliseconds is stuck: the service manager is no longer told that the node is alive.
pub const WORKER_STUCK_MS: u64 = 5_000;
/// A worker that lived for so many milliseconds is well: what it dies of next is something new.
pub const WORKER_STEADY_MS: i64 = 10_000;
/// Milliseconds that either process waits for the other while sockets are handed over.
pub const HANDOVER_MS: u64 = 2_000;
/// Most sockets that are taken over from the process before.
pub const HANDOVER_SOCKETS_MAX: usize = 16_384;
/// Largest UDP query in octets that is read; longer ones are cut, and nearly always malformed thereby.
pub const UDP_QUERY_MAX: usize = 4_096;
/// Octets of queries, and of replies, that the system holds for one UDP socket, if it allows so much.
pub const UDP_SOCKET_BUFFER_OCTETS: usize = 4 << 20;
/// Datagrams of one socket that are still answered when the node stops.
pub const UDP_DRAIN_MAX: usize = 65_536;
/// TCP connections may take so many milliseconds to end when the node stops.
pub const DRAIN_MS: u64 = 5_000;
/// Milliseconds that an idle TCP connection is still listened to when the node stops: for what is on its way.
pub const DRAIN_LAST_CALL_MS: u64 = 50;
/// Milliseconds from one look to the next whether they have ended.
pub const DRAIN_LOOK_MS: u64 = 10;
/// Octets of a request's head on the admin and metrics listeners.
pub const ADMIN_HEAD_OCTETS_MAX: usize = 16 << 10;
/// Octets of a request's body on the admin listener.
pub const ADMIN_BODY_OCTETS_MAX: usize = 64 << 10;
/// Connections of one admin or metrics listener at once.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Milliseconds within which a request must be there, and again within which it must be answered.
pub const ADMIN_REQUEST_MS: u64 = 10_000;
/// Milliseconds that a connection of the admin or metrics listener lives at most.
pub const ADMIN_CONNECTION_MS: u64 = 300_000;
/// Connections of one address to the admin listener at once, loopback aside: nobody takes all of them.
pub const ADMIN_CONNECTIONS_PER_PEER_MAX: usize = 16;
/// Requests a second that one token, or one address without a token, may make over time: a page that is looked at makes some ten.
pub const ADMIN_REQUESTS_PER_S: u64 = 100;
/// Requests that it may make at once.
pub const ADMIN_REQUESTS_BURST: u64 = 200;
/// Buckets in which the requests of addresses are counted; addresses that fall into one share its rate.
pub const ADMIN_BUCKETS: usize = 512;
/// Tokens of the API.
pub const ADMIN_TOKENS_MAX: usize = 256;
/// Octets of the file of tokens that are read: some 150 for each, and comments.
pub const ADMIN_TOKENS_OCTETS_MAX: u64 = 256 << 10;
/// Random octets of a token: 256 bits, so that nobody finds one by trying, and its plain hash may be stored.
pub const ADMIN_TOKEN_OCTETS: usize = 32;
/// Octets of a token's name, which stands in the audit trail before the words of whoever used it.
pub const ADMIN_TOKEN_NAME_OCTETS_MAX: usize = 64;
/// Octets of what is presented as a token that are looked at.
pub const ADMIN_PRESENTED_OCTETS_MAX: usize = 512;
/// Milliseconds from one look at the files of tokens and of clients' issuers to the next.
pub const ADMIN_LOOK_MS: u64 = 2_000;
/// Events that are kept for those who come back: some hours of an ordinary day, or one region's death.
pub const ADMIN_EVENTS_KEPT: usize = 4_096;
/// Streams of events at once; they leave connections for everybody else.
pub const ADMIN_SUBSCRIBERS_MAX: usize = 16;
/// Milliseconds without an event after which a stream says that it lives.
pub const ADMIN_EVENTS_PING_MS: u64 = 15_000;
/// Events that one stream is given in one piece, before it is asked whether it takes more.
pub const ADMIN_EVENTS_AT_ONCE: usize = 64;
/// Endpoints, and again services, that one answer of the admin API tells; the rest is on the next page.
pub const ADMIN_PAGE_MAX: usize = 10_000;
/// Reports of load in one request.
pub const ADMIN_REPORTS_MAX: usize = 500;
/// Requests per second that an endpoint may report: sums of a service's endpoints, and products with them, have room in 64 bits.
pub const LOAD_REPORTED_RPS_MAX: u64 = 1_000_000_000;
/// News of the node that a slow listener may fall behind by before it misses some.
pub const NEWS_QUEUED_MAX: usize = 1_024;
/// Milliseconds that files must be left alone before `--watch` reloads.
pub const WATCH_SETTLE_MS: u64 = 300;
/// Such waits before files that are never left alone are read all the same.
pub const WATCH_SETTLES_MAX: u32 = 20;
/// Milliseconds from one folding of histogram samples to the next.
pub const TELEMETRY_UPKEEP_MS: u64 = 5_000;
/// Panics that are logged; all are counted.
pub const PANICS_LOGGED_MAX: u32 = 16;
/// Labelled series that the metrics hold for one metric name; more are summed under `other`.
pub const METRIC_SERIES_MAX: usize = 10_000;

/// Octets of the largest steered reply without options that help: header, question with the longest name, addresses as `pointer type
/// class ttl rdlength AAAA`, OPT with ECS (4 + 4 + 16).
const STEERED_REPLY_MAX: usize = 12 + NAME_OCTETS_MAX + 4 + STEERED_ADDRESSES_MAX * (12 + 16) + 11 + 24;
const _: () = assert!(STEERED_REPLY_MAX <= UDP_REPLY_MAX, "every steered answer fits one datagram");
const _: () = assert!(STEERED_REPLY_MAX + 4 + COOKIE_OCTETS <= UDP_REPLY_MAX, "and so does its cookie");
const _: () = assert!(STEERED_REPLY_MAX + 6 <= UDP_REPLY_MAX, "or an extended error without text; beside a cookie it may have to yield");
const _: () = assert!(ANSWERS_MAX <= STEERED_ADDRESSES_MAX, "every endpoint of an answer has room for an address");
const _: () = assert!(ALIAS_LATE_MS > 2 * ALIAS_LOOKUP_MS, "a look-up that takes its time is not late");
const _: () = assert!(READY_DEADLINE_MS > ALIAS_LOOKUP_MS, "a first look-up may fail before the node is ready");
const _: () = assert!(EDE_TEXT_OCTETS_MAX < 256, "a text's length is an octet");
const _: () = assert!(TCP_KEEPALIVE_MS < TCP_LIFE_MS && TCP_KEEPALIVE_MS >= TCP_IDLE_MS, "who asks is not worse off");
const _: () = assert!(TCP_KEEPALIVE_MS / 100 <= u16::MAX as u64, "it has 16 bits of tenths of a second");
const _: () = assert!(RRL_SLOTS.is_power_of_two() && RRL_SLOTS >= 2);
const _: () = assert!(RRL_PER_S_MAX as u64 * 1_000 <= u32::MAX as u64, "a full bucket has 32 bits");
const _: () = assert!(COOKIE_RENEW_S < COOKIE_AGE_MAX_S, "a client that asks now and then always has a good one");
const _: () = assert!(CELLS.is_power_of_two());
const _: () = assert!(OVERRIDE_LIFE_MS_MIN <= OVERRIDE_LIFE_MS && OVERRIDE_LIFE_MS <= OVERRIDE_LIFE_MS_MAX);
const _: () = assert!(DRILL_TICK_MS <= CONTROL_TICK_MS && DRILL_SETTLE_MS >= WORKER_WAKE_MS + DRILL_TICK_MS);
const _: () = assert!(DRILL_FILE_OCTETS_MAX >= (DRILL_SERVICES_MAX * (NAME_OCTETS_MAX + 120) + MOVES_MAX * 50 + 4_096) as u64);
const _: () = assert!(DRILL_SERVICES_TOLD <= DRILL_SERVICES_MAX);
const _: () = assert!(1_000 % DRAIN_STEPS == 0, "steps of thousandths are even");
const _: () = assert!(OVERRIDES_MAX < u16::MAX as usize, "the number of an override in force has 16 bits, and one is left for none");
const _: () = assert!(SAFETY_REGIONS_MAX as usize <= ENDPOINTS_PER_SERVICE_MAX);
const _: () = assert!(OVERRIDES_FILE_OCTETS_MAX >= (3 * OVERRIDES_MAX * (2 * OVERRIDE_WORDS_OCTETS_MAX + SELECTOR_OCTETS_MAX + 200)) as u64);
const _: () = assert!(MOVED_PER_MS >= SAFETY_SPAN_MS_MIN && MOVED_PER_MS <= SAFETY_SPAN_MS_MAX);
const _: () = assert!(ANSWERS_MAX <= CELL_CANDIDATES_MAX, "a fixed answer fits a cell");
const _: () = assert!(LOCALITIES_MAX <= 1 << 16);
const _: () = assert!(HTTPS_STREAM_WINDOW_OCTETS as usize >= TCP_MESSAGE_MAX, "a whole message fits the window of its stream");
const _: () = assert!(HTTPS_HELD_OCTETS_MAX >= 2 * TCP_MESSAGE_MAX, "the largest query and the largest reply fit");
const _: () = assert!(QUIC_STREAM_WINDOW_OCTETS as usize >= TCP_MESSAGE_MAX + 3, "a whole message and what would follow it fit the window of its stream");
const _: () = assert!(QUIC_STATES_MAX >= QUIC_CONNECTIONS_MAX + QUIC_UNVALIDATED_MAX);
const _: () = assert!(DESCRIPTORS_WANTED >= 2 * DESCRIPTORS_FRACTION * TCP_CONNECTIONS_MAX as u64);
const _: () = assert!(WORKER_STUCK_MS >= 4 * (WORKER_WAKE_MS + WORKER_RESTART_MAX_MS), "who is started again is not stuck");
const _: () = assert!(ADMIN_SUBSCRIBERS_MAX * 2 <= ADMIN_CONNECTIONS_MAX, "who listens leaves room for who asks");
const _: () = assert!(ADMIN_CONNECTIONS_PER_PEER_MAX * 2 <= ADMIN_CONNECTIONS_MAX);
const _: () = assert!(ADMIN_TOKENS_OCTETS_MAX >= (ADMIN_TOKENS_MAX * (2 * ADMIN_TOKEN_NAME_OCTETS_MAX + 200)) as u64, "a full list of tokens can be read");
const _: () = assert!(ADMIN_TOKEN_NAME_OCTETS_MAX + 8 < OVERRIDE_WORDS_OCTETS_MAX, "a token's name leaves room for the person's");
const _: () = assert!(ADMIN_BUCKETS.is_power_of_two());
const _: () = assert!(LOAD_REPORTED_RPS_MAX.checked_mul(1_000 * ENDPOINTS_PER_SERVICE_MAX as u64).is_some());
const _: () = assert!(WORKER_RESTART_MS <= 100, "nobody waits longer for a worker that died");
const _: () = assert!(TCP_UNSENT_OCTETS_MAX >= 2 * TCP_MESSAGE_MAX, "the largest reply fits behind what waits already");
const _: () =
    assert!(RECORDING_OCTETS_MAX >= (RECORDING_LINES_MAX * (43 + 1 + 20 + 2)) as u64, "the longest lines fit: a prefix, a weight, what is between and behind");
