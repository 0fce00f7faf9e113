//! Reads what operators write.

pub mod geoip;
pub mod records;
