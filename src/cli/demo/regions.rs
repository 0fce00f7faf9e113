//! The demo's regional web services: one for each loopback address that the catalog probes, failed and healed by region.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::web::{self, Response};
use crate::catalog::{Catalog, ProbeHost};

/// The web services of all regions. Clones are the same services.
#[derive(Clone, Debug)]
pub(super) struct Regions(Arc<Mutex<BTreeMap<String, Region>>>);

/// The web services of one region.
#[derive(Debug)]
struct Region {
    /// Where they listen while they live.
    addresses: BTreeSet<SocketAddr>,
    /// The tasks that own the listeners; none while the region is failed.
    tasks: Vec<JoinHandle<()>>,
}

/// Why a region could not be failed or healed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegionError {
    /// There is none of this name.
    #[error("no region \"{name}\" has a web service here; there are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Its address is taken.
    #[error("cannot listen on {address} for the web service of {name} (does another demo run?)")]
    Listen {
        /// The region.
        name: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Where the web services of each region are expected: the loopback addresses that its endpoints' probes ask.
pub(super) fn expected(catalog: &Catalog) -> BTreeMap<String, BTreeSet<SocketAddr>> {
    let mut regions: BTreeMap<String, BTreeSet<SocketAddr>> = BTreeMap::new();
    for endpoint in &catalog.endpoints {
        for probe in &endpoint.probes {
            let target = &catalog.probes[probe.index()].target;
            if let ProbeHost::Address(address) = target.host
                && address.is_loopback()
            {
                let region = catalog.region(endpoint.region).name.to_string();
                regions.entry(region).or_default().insert(SocketAddr::new(address, target.port));
            }
        }
    }
    regions
}

impl Regions {
    /// Starts the web services.
    ///
    /// # Errors
    /// When an address is taken: [`RegionError::Listen`].
    pub(super) async fn start(expected: BTreeMap<String, BTreeSet<SocketAddr>>) -> Result<Self, RegionError> {
        let mut regions = BTreeMap::new();
        for (name, addresses) in expected {
            let tasks = listen(&name, &addresses).await?;
            regions.insert(name, Region { addresses, tasks });
        }
        Ok(Self(Arc::new(Mutex::new(regions))))
    }

    /// Closes the listeners of a region: from now on connections to it are refused. Does nothing if that is so already.
    ///
    /// # Errors
    /// When there is no such region.
    pub(super) async fn fail(&self, name: &str) -> Result<(), RegionError> {
        let mut regions = self.0.lock().await;
        let region = find(&mut regions, name)?;
        for task in region.tasks.drain(..) {
            task.abort();
            // The listener is closed when the task is gone; that it was aborted is what was wanted.
            let _ = task.await;
        }
        Ok(())
    }

    /// Opens the listeners of a region again. Does nothing if they are open.
    ///
    /// # Errors
    /// When there is no such region, or one of its addresses has been taken meanwhile.
    pub(super) async fn heal(&self, name: &str) -> Result<(), RegionError> {
        let mut regions = self.0.lock().await;
        let region = find(&mut regions, name)?;
        if region.tasks.is_empty() {
            region.tasks = listen(name, &region.addresses).await?;
        }
        Ok(())
    }

    /// The names of all regions, in order.
    pub(super) async fn names(&self) -> Vec<String> {
        self.0.lock().await.keys().cloned().collect()
    }
}

/// The region of this name.
fn find<'a>(regions: &'a mut BTreeMap<String, Region>, name: &str) -> Result<&'a mut Region, RegionError> {
    let known = regions.keys().cloned().collect::<Vec<_>>().join(", ");
    regions.get_mut(name).ok_or_else(|| RegionError::Unknown { name: name.to_owned(), known })
}

/// Opens listeners and starts a task for each.
async fn listen(name: &str, addresses: &BTreeSet<SocketAddr>) -> Result<Vec<JoinHandle<()>>, RegionError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let opened = TcpListener::bind(address).await;
        listeners.push(opened.map_err(|source| RegionError::Listen { name: name.to_owned(), address: *address, source })?);
    }
    let body = format!("{{\"status\":\"ok\",\"region\":\"{name}\"}}\n");
    let start = |listener| {
        let body = body.clone();
        tokio::spawn(web::serve(listener, move |_| std::future::ready(Response::json(body.clone()))))
    };
    Ok(listeners.into_iter().map(start).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One region on a free port.
    async fn one_region() -> (Regions, SocketAddr) {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let regions = Regions::start(BTreeMap::from([("dc-here".to_owned(), BTreeSet::from([free]))])).await.unwrap();
        (regions, free)
    }

    #[tokio::test]
    async fn failed_region_refuses_connections_until_it_is_healed() {
        let (regions, address) = one_region().await;
        assert_eq!(web::ask(address, "GET", "/healthz").await.unwrap(), (200, "{\"status\":\"ok\",\"region\":\"dc-here\"}\n".to_owned()));
        regions.fail("dc-here").await.unwrap();
        assert_eq!(web::ask(address, "GET", "/healthz").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        regions.heal("dc-here").await.unwrap();
        assert_eq!(web::ask(address, "GET", "/healthz").await.unwrap().0, 200);
    }

    #[tokio::test]
    async fn unknown_region_is_named_with_those_there_are() {
        let (regions, _) = one_region().await;
        let told = regions.fail("dc-there").await.unwrap_err().to_string();
        assert!(told.contains("\"dc-there\"") && told.contains("dc-here"), "{told}");
    }

    #[tokio::test]
    async fn taken_port_is_told_with_its_region() {
        let (_regions, address) = one_region().await;
        let again = Regions::start(BTreeMap::from([("dc-too".to_owned(), BTreeSet::from([address]))])).await.unwrap_err();
        assert_eq!(again.to_string(), format!("cannot listen on {address} for the web service of dc-too (does another demo run?)"));
    }
}
