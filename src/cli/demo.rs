//! `aya demo`: the main job in one command, with nothing to install.
//!
//! Six small regional web services on loopback, the zone that is built in, and the very node that `aya serve` runs. From another
//! terminal, `aya demo fail REGION` stops a web service and `aya demo heal REGION` starts it again, through a control port that is
//! bound to loopback only; nothing else of the node is touched, the probes find out by themselves.

mod content;
mod control;
mod regions;
mod story;
mod web;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `aya demo` is told.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Address and port that answers are given on, over UDP and TCP.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 5300)))]
    listen: SocketAddr,
    /// Address and port that `fail` and `heal` speak to; loopback only.
    #[arg(long, global = true, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 5380)), value_parser = loopback)]
    control: SocketAddr,
    /// Folder of zones to serve instead of the built-in ones; loopback addresses that they probe get a web service.
    #[arg(long)]
    zones: Option<PathBuf>,
    /// What is to be done with a running demo; without it, one is started.
    #[command(subcommand)]
    drill: Option<Drill>,
}

/// What can be done with a running demo.
#[derive(Debug, Subcommand)]
enum Drill {
    /// Stop the web service of a region: connections to it are refused until it is healed.
    Fail {
        /// The region, for instance dc-frankfurt.
        region: String,
    },
    /// Start the web service of a region again.
    Heal {
        /// The region.
        region: String,
    },
}

/// A loopback address and port.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "not an address and port".to_owned())?;
    if address.ip().is_loopback() { Ok(address) } else { Err("the control port must be on loopback: anybody who reaches it can stop regions".to_owned()) }
}
