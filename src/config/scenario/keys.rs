//! Every key of a scenario file, with its form, its default and its meaning; the reference in `README.md` is written from it.

use crate::config::keys::{Section, key};

/// Every section, in reading order.
pub const SECTIONS: &[&Section] = &[&FILE, &DEMAND, &EVENT, &SLOW, &CERTIFICATE, &LOSSY, &FLAP, &CUT, &SURGE, &EXPECT, &ANSWERS];

/// The top of a file.
pub const FILE: Section = Section {
    path: "",
    about: "The top of a scenario. Paths are relative to its file.",
    keys: &[
        key("zones", "path or list", "required", "Files or folders of zones."),
        key("geoip", "path or list", "", "MMDB files or folders; without any, `network`s are all that is known of clients."),
        key("for", "duration", "required", "How long it lasts."),
        key("seed", "number", "1", "What draws, and the turns of probes, are made from; `--seed` says another."),
        key("step", "duration", "250 ms", "How often the controller looks at its clock while something is going on; a node does it every 250 ms."),
        key(
            "clients",
            "table or path",
            "as many as addresses",
            "Who asks: countries and weights, as in `DE = 40`; or a recording, a file of lines `PREFIX WEIGHT`.",
        ),
        key("demand", "table", "", "What is asked for, instead of `peak` of the zones."),
        key("event", "list of tables", "", "What happens."),
        key("expect", "list of tables", "", "What must hold; exit code 1 when it does not."),
    ],
};

/// `[demand]`.
pub const DEMAND: Section = Section {
    path: "demand",
    about: "What clients ask for.",
    keys: &[
        key("service", "table", "", "By service, an owner name or a label with or without `*`: requests per second, or a share of the declared peak."),
        key("wrong-by", "difference", "0%", "By how much what is really asked for differs from what the controller believes."),
        key("reported", "yes or no", "false", "Whether endpoints report their load every 20 seconds."),
    ],
};

/// `[[event]]`.
pub const EVENT: Section = Section {
    path: "event",
    about: "Something that happens: `at`, and one of the others. A *target* is `region:NAME`, `cloud:NAME` or `endpoint:[SERVICE/]NAME`; `*` stands for any text.",
    keys: &[
        key("at", "duration", "required", "When, from the start."),
        key("down", "target", "", "These endpoints answer no more."),
        key("how", "refused | blackhole", "refused", "What asking them comes to; with `down`."),
        key("up", "target", "", "These are well again, whatever was the matter."),
        key("slow", "table", "", "Some answer later."),
        key("certificate", "table", "", "The certificates of some end soon; a certificate is seen by probes of https and tls."),
        key("lossy", "table", "", "Some leave a share of what they are asked unanswered."),
        key("flap", "table", "", "Some come and go; they begin by going."),
        key(
            "cut",
            "table",
            "",
            "The node does not reach some, or loses a share of what it asks; clients reach them as before, and another node may see otherwise.",
        ),
        key("failback", "name", "", "An operator lets the clients of a service return to tiers that they left; an owner name or a label, with or without `*`."),
        key("surge", "table", "", "A service is asked for more, or less; the controller is not told."),
        key("reload", "path or list", "", "These zones are loaded: another price, another rule."),
        key("restart", "yes", "", "The node dies, and is started with what its state file holds."),
        key("stale", "duration", "", "The prober stops for so long."),
    ],
};

/// `event.slow`.
pub const SLOW: Section = Section {
    path: "event.slow",
    about: "Endpoints that answer later.",
    keys: &[key("what", "target", "required", "Which."), key("by", "duration", "required", "By how much.")],
};

/// `event.certificate`.
pub const CERTIFICATE: Section = Section {
    path: "event.certificate",
    about: "Endpoints whose certificates end; `up` renews them.",
    keys: &[key("what", "target", "required", "Which."), key("ends-in", "duration", "required", "After how long.")],
};

/// `event.lossy`.
pub const LOSSY: Section = Section {
    path: "event.lossy",
    about: "Endpoints that leave questions unanswered.",
    keys: &[key("what", "target", "required", "Which."), key("share", "share", "required", "Of how many.")],
};

/// `event.flap`.
pub const FLAP: Section = Section {
    path: "event.flap",
    about: "Endpoints that come and go.",
    keys: &[
        key("what", "target", "required", "Which."),
        key("up", "duration", "required", "How long they are there each time."),
        key("down", "duration", "required", "How long they are gone."),
        key("for", "duration", "required", "For how long this goes on."),
    ],
};

/// `event.cut`.
pub const CUT: Section = Section {
    path: "event.cut",
    about: "A node that is cut off from endpoints, or whose network is lossy: so many of its probes of them are never answered.",
    keys: &[
        key("what", "target", "required", "Which."),
        key("for", "duration", "required", "For how long."),
        key("share", "share", "100%", "Of how many."),
        key("references", "yes or no", "false", "Whether the same holds of its `vantage.reference`."),
    ],
};

/// `event.surge`.
pub const SURGE: Section = Section {
    path: "event.surge",
    about: "A service that is asked for more, or less.",
    keys: &[
        key("service", "name", "required", "An owner name or a label, with or without `*`."),
        key("factor", "share", "required", "Share of its demand, as in `\"150%\"`."),
    ],
};

/// `[[expect]]`.
pub const EXPECT: Section = Section {
    path: "expect",
    about: "Something that must hold, one in each table.",
    keys: &[
        key("residency", "never-broken", "", "No client is ever given a region that a residency rule does not allow it."),
        key(
            "rto",
            "\"<= \" duration",
            "",
            "So long after a `down`, nobody is given its endpoints any more to whom another could be given. What caches keep comes on top.",
        ),
        key("max-load", "\"<= \" share", "", "No endpoint is loaded beyond so much of its capacity."),
        key("after", "duration", "10s", "For so long after each event that does not count; with `max-load`."),
        key("moves-per-client", "\"<= \" number", "", "No client is moved more often in any hour."),
        key("never-empty", "yes", "", "Every client always gets an answer."),
        key("answers", "table", "", "A client gets a region."),
    ],
};

/// `expect.answers`.
pub const ANSWERS: Section = Section {
    path: "expect.answers",
    about: "The answer of one client at one moment.",
    keys: &[
        key("service", "name", "required", "An owner name or a label."),
        key("client", "address", "required", "The client."),
        key("region", "name", "required", "The region, with or without `*`."),
        key("at", "duration", "required", "When, from the start."),
    ],
};
