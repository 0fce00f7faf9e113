"""Hostile inputs: messages that are wrong in every way we know of, each with the answers that are right for it. `scripts/hostile` sends them.

An answer is a set of RCODEs; `SILENCE` among them allows none. Where an RFC leaves no choice there is one answer only.
"""
import random

SILENCE = -1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS, BADCOOKIE = 0, 1, 2, 3, 4, 5, 16, 23
# What has a sound header and question, and is odd behind them.
ODD = {NOERROR, FORMERR}
# What is noise: anything but a wrong reply.
NOISE = {SILENCE, NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS, BADCOOKIE}
ID = 0x1A2B
A, SOA, OPT, TSIG, IXFR, AXFR, ANY, SIG, TKEY, NXNAME = 1, 6, 41, 250, 251, 252, 255, 24, 249, 128


def words(*numbers):
    """Numbers as words of 16 bits."""
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def header(flags=0, qd=1, an=0, ns=0, ar=0):
    return words(ID, flags, qd, an, ns, ar)


def name(text):
    """A name, label by label."""
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def options(*pairs):
    """EDNS options, each a code and its data."""
    return b"".join(words(code, len(data)) + data for code, data in pairs)


def opt(data=b"", size=1232, version=0, flags=0, extended=0, owner=b"\0", length=None):
    """An OPT record, possibly with a false length."""
    return owner + words(OPT, size) + bytes([extended, version]) + words(flags, len(data) if length is None else length) + data


def subnet(family, source, scope, address):
    """The data of a client subnet."""
    return words(family) + bytes([source, scope]) + address


class Inputs:
    """All of them, for a service that is there."""

    def __init__(self, service):
        self.name = name(service)
        self.question = self.name + words(A, 1)
        self.plain = header() + self.question
        self.all = []
        for kind in (self.headers, self.opcodes, self.names, self.counts, self.types, self.edns, self.subnets, self.cookies, self.records, self.tails, self.cuts, self.flips, self.noise):
            kind()
        assert len({label for label, _, _ in self.all}) == len(self.all), "each has a name of its own"

    def add(self, label, octets, *answers):
        self.all.append((label, octets, set().union(*(answer if isinstance(answer, set) else {answer} for answer in answers))))

    def with_opt(self, record, count=1):
        return header(ar=count) + self.question + record

    def headers(self):
        for length in range(12):
            self.add(f"{length} octets", self.plain[:length], SILENCE)
        for flags in (0x8000, 0x8180, 0xA800, 0xFFFF):
            self.add(f"a reply, flags {flags:04x}", header(flags) + self.question, SILENCE)
        for flags in (0x0400, 0x0200, 0x0080, 0x0070, 0x000F, 0x06FF):
            self.add(f"flags {flags:04x} that a query has not", header(flags) + self.question, NOERROR)
        self.add("a header alone that asks nothing", header(qd=0), FORMERR)
        self.add("a header alone that says it asks", header(), FORMERR)
        self.add("a header of ones", b"\xff" * 12, SILENCE)
        self.add("a header of zeros", b"\0" * 12, FORMERR)

    def opcodes(self):
        for opcode in range(1, 16):
            refused = {NOTIMP, REFUSED, FORMERR} if opcode in (4, 5) else {NOTIMP}
            self.add(f"opcode {opcode}", header(opcode << 11) + self.question, refused)
            self.add(f"opcode {opcode}, a header alone", header(opcode << 11, qd=0), refused)
        update = header(5 << 11, ns=1) + name("gslb.test") + words(SOA, 1) + self.name + words(A, 1, 0, 60, 4) + b"\xc0\0\2\1"
        self.add("an update", update, NOTIMP, REFUSED)

    def names(self):
        end = words(A, 1)
        for label, octets in {
            "a label of type 0x40": b"\x41a\0", "a label of type 0x80": b"\x81a\0", "a bit string label": b"\x41\x01\x00", "a pointer to itself": b"\xc0\x0c", "a pointer forward": b"\xc0\x20",
            "a pointer far forward": b"\xff\xff", "a pointer into the header": b"\xc0\0", "two pointers in a ring": b"\xc0\x0e\xc0\x0c", "a label before its own pointer": b"\3www\xc0\x0c",
            "a label longer than the message": b"\x3fabc", "half a pointer": b"\xc0", "a label of no length given": b"", "labels without an end": b"\1a" * 40,
            "a name of 256 octets": (b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\0", "a name of 300 octets": (b"\x3b" + b"a" * 59) * 5 + b"\0",
            "a name of 4,000 octets": (b"\x3f" + b"a" * 63) * 62 + b"\0", "128 labels": b"\1a" * 128 + b"\0", "500 labels": b"\1a" * 500 + b"\0",
        }.items():
            self.add(label, header() + octets + end, FORMERR)
        longest = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0"
        assert len(longest) == 255
        self.add("a name of exactly 255 octets that is not ours", header() + longest + end, REFUSED)
        self.add("127 labels that are not ours", header() + b"\1a" * 127 + b"\0" + end, REFUSED)
        self.add("the root", header() + b"\0" + end, REFUSED)
        for octet in (0x00, 0x20, 0x22, 0x2E, 0x5C, 0x7F, 0x80, 0xFF):
            self.add(f"a label of octets {octet:02x}", header() + b"\4" + bytes([octet]) * 4 + name("gslb.test") + end, NXDOMAIN)
        self.add("an asterisk", header() + b"\1*" + name("gslb.test") + end, NXDOMAIN)
        deep = b"\1a" * ((254 - len(name("gslb.test"))) // 2) + name("gslb.test")
        self.add("the deepest name of ours", header() + deep + end, NXDOMAIN)
        self.add("question cut in its type", header() + self.name + b"\0", FORMERR)
        self.add("question cut before its type", header() + self.name, FORMERR)
        self.add("question cut in its class", header() + self.name + b"\0\1\0", FORMERR)

    def counts(self):
        self.add("two questions", header(qd=2) + self.question * 2, FORMERR)
        self.add("two questions, one there", header(qd=2) + self.question, FORMERR)
        self.add("65,535 questions", header(qd=0xFFFF) + self.question, FORMERR)
        self.add("a thousand questions, all there", header(qd=100) + self.question * 100, FORMERR)
        for section in ("an", "ns", "ar"):
            for count in (1, 2, 255, 65_535):
                self.add(f"{count} records of {section} that are not there", header(**{section: count}) + self.question, FORMERR)
        self.add("65,535 of everything", header(0, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF) + self.question, FORMERR)
        self.add("no question but an OPT", header(qd=0, ar=1) + opt(), FORMERR)

    def types(self):
        for qtype in (0, TSIG, IXFR, AXFR, TKEY, NXNAME, 253, 254, 65_535, 32_768, 10, OPT, 43, 46, 47, 50, 59):
            self.add(f"type {qtype}", header() + self.name + words(qtype, 1), NOERROR, FORMERR, NOTIMP, REFUSED)
        self.add("type ANY", header() + self.name + words(ANY, 1), NOERROR)
        for qclass in (0, 2, 3, 4, 254, 255, 256, 65_535):
            self.add(f"class {qclass}", header() + self.name + words(A, qclass), REFUSED, *({NOERROR} if qclass == 255 else ()), *({FORMERR} if qclass in (0, 254) else ()))
        self.add("version.bind", header() + name("version.bind") + words(16, 3), REFUSED)

    def edns(self):
        self.add("two OPT", self.with_opt(opt() + opt(), 2), FORMERR)
        self.add("three OPT", self.with_opt(opt() * 3, 3), FORMERR)
        self.add("OPT of another owner", self.with_opt(opt(owner=b"\1a\0")), FORMERR)
        self.add("OPT that a pointer owns", self.with_opt(opt(owner=b"\xc0\x0c")), FORMERR)
        self.add("OPT that a ring owns", self.with_opt(opt(owner=words(0xC000 | 12 + len(self.question)))), FORMERR)
        for version in (1, 2, 100, 255):
            self.add(f"EDNS version {version}", self.with_opt(opt(version=version)), BADVERS)
        for size in (0, 1, 511, 512, 65_535):
            self.add(f"UDP size {size}", self.with_opt(opt(size=size)), NOERROR)
        self.add("all flags of EDNS", self.with_opt(opt(flags=0xFFFF)), NOERROR)
        self.add("an extended RCODE in a query", self.with_opt(opt(extended=255)), NOERROR)
        for length in (1, 4, 255, 65_535):
            self.add(f"OPT that says {length} octets and has none", self.with_opt(opt(length=length)), FORMERR)
        self.add("OPT with more than it says", self.with_opt(opt(b"abcd", length=0)), ODD)
        for cut in range(1, 11):
            self.add(f"OPT without its last {cut} octets", self.with_opt(opt()[:-cut]), FORMERR)
        for cut in (1, 2, 3):
            self.add(f"an option of {cut} octets", self.with_opt(opt(words(65_001, 0)[:cut])), FORMERR)
        for length in (1, 5, 65_535):
            self.add(f"an option that says {length} octets and has none", self.with_opt(opt(words(65_001, length))), FORMERR)
        self.add("an unknown option", self.with_opt(opt(options((65_001, b"abcd")))), NOERROR)
        self.add("500 empty options", self.with_opt(opt(words(65_001, 0) * 500)), NOERROR)
        self.add("an option of 3,000 octets", self.with_opt(opt(options((65_001, b"x" * 3_000)))), NOERROR)
        for code in (3, 5, 6, 7, 9, 11, 12, 13, 14, 15, 16, 17, 18):
            self.add(f"option {code} empty", self.with_opt(opt(options((code, b"")))), ODD)
            self.add(f"option {code} of 40 octets", self.with_opt(opt(options((code, b"\xff" * 40)))), ODD)
        self.add("OPT in the answer section", header(an=1) + self.question + opt(), ODD)
        self.add("OPT in the authority section", header(ns=1) + self.question + opt(), ODD)

    def subnets(self):
        v4, v6 = b"\xc6\x33\x64", bytes.fromhex("20010db8000102")
        for label, data in {
            "family 0": subnet(0, 24, 0, v4), "family 3": subnet(3, 24, 0, v4), "family 65535": subnet(65_535, 24, 0, v4), "SOURCE 33 of IPv4": subnet(1, 33, 0, v4 + b"\1\x80"),
            "SOURCE 255 of IPv4": subnet(1, 255, 0, v4), "SOURCE 129 of IPv6": subnet(2, 129, 0, bytes(17)), "too few octets": subnet(1, 24, 0, v4[:2]), "no octets": subnet(1, 24, 0, b""),
            "too many octets": subnet(1, 24, 0, v4 + b"\0"), "far too many octets": subnet(1, 24, 0, v4 + bytes(200)), "bits beyond SOURCE": subnet(1, 23, 0, b"\xc6\x33\x65"),
            "bits beyond SOURCE 1": subnet(1, 1, 0, b"\xc0"), "IPv6 bits beyond SOURCE": subnet(2, 55, 0, v6[:6] + b"\x01"), "SCOPE 24": subnet(1, 24, 24, v4), "SCOPE 1": subnet(1, 24, 1, v4),
            "SOURCE 0 with an octet": subnet(1, 0, 0, b"\0"), "no data": b"", "one octet": b"\0", "two octets": b"\0\1", "three octets": b"\0\1\x18", "family 0 and nothing": subnet(0, 24, 0, b""),
        }.items():
            self.add(f"subnet: {label}", self.with_opt(opt(options((8, data)))), FORMERR)
        for label, data in {"SOURCE 0": subnet(1, 0, 0, b""), "SOURCE 0 of IPv6": subnet(2, 0, 0, b""), "SOURCE 32": subnet(1, 32, 0, v4 + b"\1"), "SOURCE 27": subnet(1, 27, 0, v4 + b"\x20"),
                            "SOURCE 128": subnet(2, 128, 0, bytes.fromhex("20010db8000000000000000000000001")), "private": subnet(1, 24, 0, b"\x0a\0\0"), "loopback": subnet(1, 8, 0, b"\x7f"),
                            "multicast": subnet(1, 8, 0, b"\xe0"), "everybody": subnet(1, 1, 0, b"\x80")}.items():
            self.add(f"subnet: {label} is fine", self.with_opt(opt(options((8, data)))), NOERROR)
        twice = options((8, subnet(1, 24, 0, v4)), (8, subnet(1, 24, 0, b"\1\2\3")))
        self.add("two subnets", self.with_opt(opt(twice)), ODD)

    def cookies(self):
        for length in (0, 1, 7, 9, 15, 41, 64, 500):
            # FORMERR where cookies are known (RFC 7873 §5.2.2), else an option like any other.
            self.add(f"a cookie of {length} octets", self.with_opt(opt(options((10, b"c" * length)))), ODD)
        for length in (8, 16, 24, 40):
            self.add(f"a cookie of {length} octets that we never gave", self.with_opt(opt(options((10, b"c" * length)))), NOERROR, BADCOOKIE)
        self.add("two cookies", self.with_opt(opt(options((10, b"c" * 8), (10, b"d" * 8)))), ODD, BADCOOKIE)
        self.add("a cookie and no question", header(qd=0, ar=1) + opt(options((10, b"c" * 8))), ODD)

    def records(self):
        loop = words(0xC000 | 12 + len(self.question))
        self.add("a record that a ring owns", header(an=1) + self.question + loop + words(A, 1, 0, 60, 4) + bytes(4), FORMERR)
        self.add("a record longer than the message", header(ar=1) + self.question + b"\xc0\x0c" + words(A, 1, 0, 60, 5_000), FORMERR)
        self.add("an answer in a query", header(an=1) + self.question + b"\xc0\x0c" + words(A, 1, 0, 60, 4) + bytes(4), ODD)
        for length in (0, 10, 60_000):
            self.add(f"TSIG that says {length} octets", header(ar=1) + self.question + b"\0" + words(TSIG, ANY, 0, 0, length), NOISE)
        good = b"\3key\0" + words(TSIG, ANY, 0, 0)
        data = name("hmac-md5.sig-alg.reg.int") + bytes(6) + words(300, 16) + bytes(16) + words(ID, 0, 0)
        self.add("TSIG of a key that is not there", header(ar=1) + self.question + good + words(len(data)) + data, NOISE)
        self.add("TSIG of an algorithm with a loop", header(ar=1) + self.question + good + words(2) + b"\xc0\x0c", NOISE)
        self.add("SIG(0)", header(ar=1) + self.question + b"\0" + words(SIG, ANY, 0, 0, 19) + bytes(19), NOISE)
        self.add("TKEY", header(ar=1) + self.name + words(TKEY, ANY) + self.name + words(TKEY, ANY, 0, 0, 4) + bytes(4), NOISE)
        many = b"".join(b"\xc0\x0c" + words(A, 1, 0, 60, 4) + bytes(4) for _ in range(200))
        self.add("200 records", header(ar=200) + self.question + many, ODD)

    def tails(self):
        for count in (1, 12, 512, 3_000):
            for octet in (0, 0xFF):
                self.add(f"{count} octets {octet:02x} behind the question", self.plain + bytes([octet]) * count, ODD)
        self.add("octets behind OPT", self.with_opt(opt() + b"\xde\xad"), ODD)

    def cuts(self):
        whole = self.with_opt(opt(options((8, subnet(1, 24, 0, b"\xc6\x33\x64")), (10, b"c" * 8))))
        for length in range(12, len(whole)):
            self.add(f"a query cut to {length} octets", whole[:length], FORMERR)

    def flips(self):
        whole = self.with_opt(opt(options((8, subnet(1, 24, 0, b"\xc6\x33\x64")))))
        drawn = random.Random(1)
        for bit in sorted(drawn.sample(range(16, 8 * len(whole)), 60)):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            self.add(f"bit {bit} of a query flipped", bytes(flipped), NOISE)

    def noise(self):
        drawn = random.Random(2)
        for length in (12, 13, 20, 40, 64, 100, 200, 300, 512, 600, 1_232, 1_400, 2_000, 4_000, 4_096, 4_097, 8_000, 60_000):
            self.add(f"{length} octets of noise", words(ID) + drawn.randbytes(length - 2), NOISE)
            self.add(f"{length} zeros", words(ID) + bytes(length - 2), NOISE)
        self.add("4,096 ones", words(ID) + b"\xff" * 4_094, NOISE)
        self.add("an HTTP request", b"GET / HTTP/1.1\r\nHost: gslb.test\r\n\r\n", NOISE)
        self.add("a TLS hello", bytes.fromhex("16030100750100007103034a5b") + bytes(100), NOISE)
        self.add("an NTP query", b"\x1b" + bytes(47), NOISE)
        self.add("an SSDP query", b'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\n\r\n', NOISE)
