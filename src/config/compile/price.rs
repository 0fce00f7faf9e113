//! What a million requests cost, and what that is in latency. Integers only, rounded half up.

use crate::catalog::Price;
use crate::config::spec::PriceSpec;
use crate::units::{MicroUsd, Micros};

/// The price of a million requests that send `egress` octets and take `cpu` each. What is not known counts as nothing; where it decides,
/// the caller has refused it.
pub(super) fn per_million(egress: u64, cpu: Micros, prices: PriceSpec, latency_per_usd: Micros) -> Price {
    let known = |price: Option<MicroUsd>| i128::from(price.map_or(0, |price| price.0));
    // 10⁶ requests × octets ÷ 10⁹ octets a gigabyte; 10⁶ requests × µs = s, 3600 of them an hour.
    let egress = divide(i128::from(egress) * known(prices.egress_per_gb), 1_000);
    let compute = divide(i128::from(cpu.0) * known(prices.cpu_hour), 3_600);
    let sum = i128::from(egress) + i128::from(compute);
    let micros = Micros(divide(sum * i128::from(latency_per_usd.0), 1_000_000));
    Price { compute: MicroUsd(compute), egress: MicroUsd(egress), micros }
}

/// The quotient of numbers that are not negative, rounded half up, held at the end of the range.
fn divide(dividend: i128, divisor: i128) -> i64 {
    i64::try_from((dividend + divisor / 2) / divisor).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_kilobytes_from_ireland_at_list_price_are_four_dollars_fifty_a_million() {
        let prices = PriceSpec { egress_per_gb: Some(MicroUsd(90_000)), cpu_hour: Some(MicroUsd(36_000)) };
        let price = per_million(50_000, Micros::from_millis(20), prices, Micros::from_millis(2));
        assert_eq!(price.egress, MicroUsd(4_500_000));
        assert_eq!(price.compute, MicroUsd(200_000));
        assert_eq!(price.micros, Micros(9_400));
    }

    #[test]
    fn halves_are_rounded_up_and_nothing_overflows() {
        let prices = PriceSpec { egress_per_gb: Some(MicroUsd(1)), cpu_hour: None };
        assert_eq!(per_million(499, Micros::ZERO, prices, Micros(1_000_000)).micros, Micros(0));
        assert_eq!(per_million(500, Micros::ZERO, prices, Micros(1_000_000)).micros, Micros(1));
        let most = 1 << 53;
        let prices = PriceSpec { egress_per_gb: Some(MicroUsd(most)), cpu_hour: Some(MicroUsd(most)) };
        assert_eq!(per_million(1 << 53, Micros(most), prices, Micros(most)).micros, Micros(i64::MAX));
    }
}
