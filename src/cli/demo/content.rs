//! What the demo serves: the zones and the geography of this repository, built into the program so that it works in any folder.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::load::{LoadError, Loaded};
use crate::config::{self, SourceFile};
use crate::geo::{Databases, Geo, Mmdb, Source};

/// The TOML files of `zones/`.
const ZONES: &[(&str, &str)] = &[
    ("zones/gslb.example.com.toml", include_str!("../../../zones/gslb.example.com.toml")),
    ("zones/regions.toml", include_str!("../../../zones/regions.toml")),
];
/// The master files of `zones/`.
const MASTERS: &[(&str, &str)] = &[("static.zone", include_str!("../../../zones/static.zone"))];
/// The databases of `geoip/`.
const GEOIP: &[(&str, &[u8])] = &[("iptoasn-country.mmdb", include_bytes!("../../../geoip/iptoasn-country.mmdb"))];
