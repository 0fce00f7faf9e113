//! Fits load to capacity: the share of its usual clients that each endpoint can keep.

use super::{Landing, Orders};
use crate::limits::{SPILL_FACTOR_MAX, SPILL_ROUNDS_MAX};
use crate::steer::ALL_CLIENTS;
use crate::units::Permille;

/// How a service's load fits the capacities of its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// By place within the service: the share of its usual clients that the endpoint keeps.
    pub rooms: Box<[Permille]>,
    /// By place: what comes of it, in thousandths of requests per second.
    pub loads: Box<[u64]>,
    /// By how much every limit had to be exceeded, alike, in thousandths: 1000 when the load fits, 1250 when everybody who can help is a quarter over.
    pub factor: u32,
}

impl Fit {
    /// Whether there was room for the load.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.factor <= 1000
    }
}

/// Finds the largest shares with which no endpoint that has a limit goes beyond it: clients are turned away only where there is no room for them, and no
/// more of them than have none.
///
/// `demand` is that of the service in requests per second; `limits` are those of its endpoints, `None` where there is none; `keeps` is what each keeps
/// for other reasons, such as a ramp. Where the load does not fit those that its clients may be given, every limit is raised by the same factor,
/// the smallest that does.
#[must_use]
pub fn fit(orders: &Orders, demand: u64, limits: &[Option<u64>], keeps: &[Permille]) -> Fit {
    let mut factor = 1000;
    loop {
        let (rooms, landing, is_over) = shrink(orders, demand, limits, keeps, factor);
        if !is_over || factor >= SPILL_FACTOR_MAX {
            let loads = landing.shares.iter().map(|share| load(*share, demand)).collect();
            return Fit { rooms, loads, factor };
        }
        // A step of a hundredth: the overload is proportional to within that.
        factor = (factor + factor / 100).min(SPILL_FACTOR_MAX).max(least_factor(orders, demand, limits).min(SPILL_FACTOR_MAX));
    }
}

/// What a share of the demand is, in thousandths of requests per second.
fn load(share: u64, demand: u64) -> u64 {
    u64::try_from(u128::from(share) * u128::from(demand) * 1000 / u128::from(ALL_CLIENTS)).unwrap_or(u64::MAX)
}

/// The factor below which no sharing out can do: demand over all limits. 1000 where somebody has no limit.
fn least_factor(orders: &Orders, demand: u64, limits: &[Option<u64>]) -> u32 {
    let able = limits.iter().enumerate().filter(|(place, _)| orders.reach(*place)).map(|(_, limit)| *limit);
    let Some(total) = able.sum::<Option<u64>>() else { return 1000 };
    u32::try_from(u128::from(demand) * 1000 / u128::from(total.max(1))).unwrap_or(u32::MAX).max(1000)
}

/// Takes room from those that are beyond `factor` times their limit until nobody is, or nothing helps. Rooms only shrink, so it ends; and as a room
/// shrinks more clients come to the others, never fewer, so that none shrinks too far.
fn shrink(orders: &Orders, demand: u64, limits: &[Option<u64>], keeps: &[Permille], factor: u32) -> (Box<[Permille]>, Landing, bool) {
    let mut rooms = vec![Permille::WHOLE; limits.len()].into_boxed_slice();
    for _ in 0..SPILL_ROUNDS_MAX {
        let kept: Vec<Permille> = rooms.iter().zip(keeps).map(|(room, keep)| product(*room, *keep)).collect();
        let landing = orders.landing(&kept);
        let mut is_over = false;
        let mut helped = false;
        for ((room, share), limit) in rooms.iter_mut().zip(&landing.shares).zip(limits) {
            let Some(limit) = limit else { continue };
            let (load, limit) = (u128::from(load(*share, demand)), u128::from(*limit) * u128::from(factor));
            // Half a percent is what a share in thousandths may be wrong by.
            if load * 1000 <= limit * 1005 {
                continue;
            }
            is_over = true;
            let fitting = u16::try_from(u128::from(room.0) * limit / load).unwrap_or(room.0);
            helped |= fitting < room.0;
            *room = Permille(fitting.min(room.0));
        }
        if !is_over || !helped {
            return (rooms, landing, is_over);
        }
    }
    let kept: Vec<Permille> = rooms.iter().zip(keeps).map(|(room, keep)| product(*room, *keep)).collect();
    let landing = orders.landing(&kept);
    (rooms, landing, true)
}

/// One share of another.
fn product(one: Permille, other: Permille) -> Permille {
    Permille(u16::try_from(u32::from(one.0) * u32::from(other.0) / 1000).unwrap_or(1000))
}
