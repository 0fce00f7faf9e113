//! How long a packet takes there and back, estimated from how far it is.
//!
//! Light in fibre covers 200 km in a millisecond, so a round trip costs at least 10 µs a kilometre of great circle. Cables do not lie on
//! great circles and packets queue: 1.6 times that, 16 µs a kilometre, and 4 ms for the first and the last mile. That puts Paris–Frankfurt
//! (480 km) at 11.7 ms, London–New York (5,570 km) at 93 ms and Frankfurt–Singapore (10,260 km) at 168 ms, near what the clouds publish
//! for their own regions; where it is off, the operator declares `[latency]`. What steering needs most is the order, and that is the
//! order of distance: the estimate grows with it.
//!
//! The trigonometry is the `libm` crate's and the rest is IEEE 754 arithmetic, so that every node computes the same microseconds.

use crate::units::Coordinates;

/// Mean radius of the Earth in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;
/// The first and the last mile, in microseconds.
const BASE_US: u64 = 4_000;
/// Microseconds of round trip for each kilometre of great circle.
const US_PER_KM: u64 = 16;
/// The estimate for a place that is not known, the same to every region: between a neighbour and another continent.
pub const UNKNOWN_RTT_US: u32 = 100_000;

/// A place as a point of the unit sphere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point([f64; 3]);

impl Point {
    /// The point of these coordinates.
    pub(super) fn of(at: Coordinates) -> Self {
        let (latitude, longitude) = at.degrees();
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        let across = libm::cos(latitude);
        Self([across * libm::cos(longitude), across * libm::sin(longitude), libm::sin(latitude)])
    }

    /// Great-circle distance in metres, 0 to 20,015,115.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "half the circumference fits")]
    pub(super) fn metres_to(self, other: Self) -> u32 {
        let chord: f64 = self.0.iter().zip(other.0).map(|(one, other)| (one - other) * (one - other)).sum();
        let angle = 2.0 * libm::asin((libm::sqrt(chord) / 2.0).min(1.0));
        libm::round(angle * EARTH_RADIUS_M) as u32
    }

    /// How near another point is: 1 at the same place, −1 at the antipode. Cheaper than a distance where only the order counts.
    pub(super) fn nearness(self, other: Self) -> f64 {
        self.0.iter().zip(other.0).map(|(one, other)| one * other).sum()
    }

    /// The coordinates in the middle of points by their weight, to a ten-thousandth of a degree; `None` without points, or when they are
    /// all around the globe.
    pub(super) fn centre(points: impl Iterator<Item = (Self, f64)>) -> Option<Coordinates> {
        let mut sum = [0.0; 3];
        for (point, weight) in points {
            sum.iter_mut().zip(point.0).for_each(|(sum, value)| *sum += value * weight);
        }
        let [x, y, z] = sum;
        let across = libm::sqrt(x * x + y * y);
        if across + z.abs() <= 0.0 {
            return None;
        }
        let rounded = |radians: f64| libm::round(radians.to_degrees() * 1e4) / 1e4;
        Coordinates::from_degrees(rounded(libm::atan2(z, across)), rounded(libm::atan2(y, x)))
    }

    /// The estimated round-trip time in microseconds. Grows with distance.
    pub(super) fn rtt_to(self, other: Self) -> u32 {
        rtt_over(self.metres_to(other))
    }
}

/// The estimated round-trip time in microseconds over so many metres.
fn rtt_over(metres: u32) -> u32 {
    u32::try_from(BASE_US + u64::from(metres) * US_PER_KM / 1000).unwrap_or(u32::MAX)
}

/// Great-circle distance in metres, 0 to 20,015,115.
#[must_use]
pub fn metres_between(one: Coordinates, other: Coordinates) -> u32 {
    Point::of(one).metres_to(Point::of(other))
}

/// The estimated round-trip time in microseconds between two places.
#[must_use]
pub fn rtt_between(one: Coordinates, other: Coordinates) -> u32 {
    Point::of(one).rtt_to(Point::of(other))
}

/// The centre of the grid's cell around a place, for cells of `step` millionths of a degree.
pub(super) fn on_grid(at: Coordinates, step: i32) -> Coordinates {
    let centre = |value: i32, end: i32| (value + end).div_euclid(step) * step + step / 2 - end;
    let longitude = if at.longitude == 180_000_000 { -180_000_000 } else { at.longitude };
    Coordinates {
        latitude: centre(at.latitude, 90_000_000).clamp(-90_000_000, 90_000_000),
        longitude: centre(longitude, 180_000_000).clamp(-180_000_000, 180_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> Coordinates {
        Coordinates::from_degrees(latitude, longitude).unwrap()
    }

    #[test]
    fn distances_are_those_of_the_atlas() {
        let km = |one, other| metres_between(one, other) / 1000;
        let (london, new_york) = (at(51.5074, -0.1278), at(40.7128, -74.006));
        assert_eq!(km(london, new_york), 5570);
        assert_eq!(km(london, london), 0);
        assert_eq!(km(at(90.0, 0.0), at(-90.0, 0.0)), 20_015);
        assert_eq!(km(at(0.0, 179.5), at(0.0, -179.5)), 111, "across the antimeridian");
        assert_eq!(rtt_between(london, london), 4_000);
        assert_eq!(rtt_between(london, new_york) / 1000, 93);
    }

    #[test]
    fn farther_is_never_faster() {
        let mut before = 0;
        for tenth in 0..=1800 {
            let rtt = rtt_between(at(10.0, -90.0), at(10.0, -90.0 + f64::from(tenth) / 10.0));
            assert!(rtt >= before, "{tenth}");
            before = rtt;
        }
    }

    #[test]
    fn the_grid_moves_a_place_by_half_a_step_at_most() {
        for (latitude, longitude) in [(48.1, 11.6), (-33.9, 151.2), (90.0, 180.0), (-90.0, -180.0), (0.0, 0.0)] {
            let place = at(latitude, longitude);
            let cell = on_grid(place, 250_000);
            assert!((cell.latitude - place.latitude).abs() <= 125_000);
            assert!(metres_between(place, cell) <= 20_000, "{place:?} {cell:?}");
            assert_eq!(on_grid(cell, 250_000), cell, "a centre stays where it is");
        }
    }
}
