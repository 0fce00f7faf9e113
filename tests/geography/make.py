#!/usr/bin/env python3
"""Writes the small MMDB files beside it, in the layouts that vendors use, with the PyPI packages mmdb_writer and netaddr."""
import pathlib

from mmdb_writer import MmdbU16, MmdbU32, MMDBWriter
from netaddr import IPSet

HERE = pathlib.Path(__file__).resolve().parent


def write(name, kind, ip_version, records, **options):
    writer = MMDBWriter(ip_version, kind, languages=["en"], description="made for tests", **options)
    for prefixes, record in records:
        writer.insert_network(IPSet(prefixes), record)
    writer.to_db_file(str(HERE / name))


def nested(continent, country, subdivision=None, place=None):
    names = {"en": "a name", "de": "ein Name"}
    record = {"continent": {"code": continent, "geoname_id": MmdbU32(6255149), "names": names}, "registered_country": {"iso_code": "US", "names": names}}
    if country:
        record["country"] = {"iso_code": country, "is_in_european_union": True, "names": names}
    if subdivision:
        record["subdivisions"] = [{"iso_code": subdivision, "names": names}, {"iso_code": "XXX"}]
    if place:
        record["location"] = {"accuracy_radius": MmdbU16(20), "latitude": place[0], "longitude": place[1], "time_zone": "Europe/Berlin"}
    return record


# As GeoLite2-City: one tree for both families.
write("nested-city.mmdb", "GeoLite2-City", 6, [
    (["198.51.100.0/24", "2001:db8:1::/48"], nested("NA", "US", "CA", (37.7749, -122.4194))),
    (["203.0.113.0/25"], nested("EU", "DE", "BE", (52.52, 13.405))),
    (["192.0.2.0/24"], nested("EU", None)),
], ipv4_compatible=True)

# As DB-IP through ip-location-db: one family a file, flat.
write("flat-city-ipv4.mmdb", "city ipv4", 4, [
    (["198.51.100.0/24"], {"city": "San Francisco", "country_code": "US", "latitude": 37.7749, "longitude": -122.4194, "state1": "California"}),
    (["203.0.113.0/24"], {"city": "Sao Paulo", "country_code": "br", "latitude": "-23.55", "longitude": "-46.63", "state1": "SP"}),
    (["192.0.2.0/24"], {"country_code": "ZZ", "city": ""}),
])

# As GeoLite2-ASN and, with the number as a text, IPinfo.
write("asn.mmdb", "GeoLite2-ASN", 6, [
    (["198.51.100.0/23", "2001:db8::/32"], {"autonomous_system_number": MmdbU32(64500), "autonomous_system_organization": "Example"}),
    (["203.0.113.0/24"], {"asn": "AS64501", "country": "Germany", "country_code": "DE", "continent": "Europe", "continent_code": "EU"}),
], ipv4_compatible=True)

# A database of something else.
write("nothing.mmdb", "Proxy", 4, [(["198.51.100.0/24"], {"is_proxy": True})])
