//! The demo's control port and its other end: `aya demo fail REGION`, `aya demo heal REGION`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::regions::{RegionError, Regions};
use super::web::{self, Request, Response};
use super::{DemoError, print, story};
use crate::clock::Stopwatch;
use crate::publish::Worlds;

/// How often the other end asks whether the probes have seen it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often at most: 60 seconds, for zones with patient probes.
const LOOKS_MAX: usize = 600;

/// Serves the control port for ever.
pub(super) async fn serve(listener: TcpListener, regions: Regions, worlds: Worlds) {
    web::serve(listener, move |request| respond(request, regions.clone(), worlds.clone())).await;
}

/// Does what a request asks.
async fn respond(request: Request, regions: Regions, worlds: Worlds) -> Response {
    let path: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let done = match (request.method.as_str(), &path[..]) {
        ("POST", ["fail", region]) => regions.fail(region).await,
        ("POST", ["heal", region]) => regions.heal(region).await,
        ("GET", ["health", region]) => {
            return match story::regions(&worlds.load()).remove(*region) {
                Some(health) => Response::text(200, health),
                None => Response::text(404, "no such region\n"),
            };
        }
        _ => return Response::text(404, "POST /fail/REGION, POST /heal/REGION, GET /health/REGION\n"),
    };
    match done {
        Ok(()) => Response::text(200, "done\n"),
        Err(error @ RegionError::Unknown { .. }) => Response::text(404, error.to_string()),
        Err(error @ RegionError::Listen { .. }) => Response::text(409, crate::cli::chain(&error)),
    }
}

/// Asks a running demo to fail or heal a region, and waits until its health shows it.
///
/// # Errors
/// When no demo runs there, it does not know the region, or the health did not follow.
pub(super) async fn have(there: SocketAddr, verb: &str, region: &str, wanted: &str) -> Result<(), DemoError> {
    let no_demo = |error| DemoError::NoDemo(there, error);
    let (status, body) = web::ask(there, "POST", &format!("/{verb}/{region}")).await.map_err(no_demo)?;
    if status != 200 {
        return Err(DemoError::Refused(body.trim_end().to_owned()));
    }
    let done = if verb == "fail" { "refuses connections" } else { "accepts connections" };
    print(&format!("{region} {done} now; the probes will find out …\n"));
    let watch = Stopwatch::start();
    let mut health = String::new();
    for _ in 0..LOOKS_MAX {
        health = web::ask(there, "GET", &format!("/health/{region}")).await.map_err(no_demo)?.1;
        if health == wanted {
            let tenths = watch.so_far().0 / 100_000;
            print(&format!("{region} is {wanted} after {}.{} s; ask again\n", tenths / 10, tenths % 10));
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err(DemoError::Unmoved(region.to_owned(), health))
}
