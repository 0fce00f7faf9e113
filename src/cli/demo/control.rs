//! The demo's control port and its other end: `aya demo fail REGION`, `aya demo heal REGION`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;

use super::regions::{RegionError, Regions};
use super::story;
use super::web::{self, Request, Response};
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
        Err(error @ RegionError::Listen { .. }) => Response::text(409, super::chain(&error)),
    }
}

/// Asks a running demo to fail or heal a region, and waits until its health shows it.
///
/// # Errors
/// In words: when no demo runs there, it does not know the region, or the health did not follow.
pub(super) async fn drill(control: SocketAddr, verb: &str, region: &str, wanted: &str) -> Result<ExitCode, String> {
    let no_demo = |error| format!("no demo answers on {control} ({error}); start one with `aya demo`");
    let (status, body) = web::ask(control, "POST", &format!("/{verb}/{region}")).await.map_err(no_demo)?;
    if status != 200 {
        return Err(body.trim_end().to_owned());
    }
    super::print(&match verb {
        "fail" => format!("{region} refuses connections now; waiting for the probes to find out …\n"),
        _ => format!("{region} accepts connections again; waiting for the probes to find out …\n"),
    });
    let mut now = String::new();
    for look in 0..LOOKS_MAX {
        now = web::ask(control, "GET", &format!("/health/{region}")).await.map_err(no_demo)?.1;
        if now == wanted {
            let tenths = look * usize::try_from(LOOK_AGAIN.as_millis()).unwrap_or(100) / 100;
            super::print(&format!("{region} is {wanted} after some {}.{} s; ask again\n", tenths / 10, tenths % 10));
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err(format!("{region} is still {now}"))
}
