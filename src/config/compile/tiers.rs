//! Tiers: names and patterns of endpoints become a tier and a place in the order for each.

use super::Context;
use super::too_many;
use crate::catalog::glob;
use crate::catalog::{By, Failback};
use crate::config::diagnostic::{Code, Finding};
use crate::config::source::{At, Place};
use crate::config::spec::{AllDownSpec, ServiceSpec};
use crate::limits::TIERS_MAX;

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its tier, 0 first.
    pub(super) tier: u8,
    /// Its place in the order of the service.
    pub(super) order: u8,
}

/// The standing of each endpoint of a service, in the order of its endpoints, and the number of tiers.
pub(super) fn stand(context: &Context<'_>, spec: &ServiceSpec) -> (Vec<Standing>, u8) {
    if spec.tiers.is_empty() {
        if let (By::Order, Some(place)) = (spec.by, spec.by_place) {
            let message = format!("service \"{}\" is steered by order and has none", spec.label);
            context.findings.add(Finding::at(Code::Conflict, place, message).label("needs `tiers`, which give the order"));
        }
        if let (Failback::Manual, Some(place)) = spec.failback {
            check_failback(context, spec, place);
        }
        return ((0..=u8::MAX).take(spec.endpoints.len()).map(|order| Standing { tier: 0, order }).collect(), 1);
    }
    if let (Failback::Manual, Some(place)) = spec.failback {
        check_failback(context, spec, place);
    }
    too_many(context.findings, spec.tiers.first().map(|tier| tier.0), "tiers in one service", spec.tiers.len(), TIERS_MAX);
    let mut standings: Vec<Option<Standing>> = vec![None; spec.endpoints.len()];
    let mut order = 0_u8;
    for (tier, (_, names)) in (0..=u8::MAX).zip(&spec.tiers) {
        for name in names {
            let is_pattern = name.value.contains('*');
            let matching: Vec<usize> = (0..spec.endpoints.len()).filter(|&index| glob(&name.value, &spec.endpoints[index].name)).collect();
            if matching.is_empty() {
                let hint = context.findings.hints.did_you_mean(&name.value, spec.endpoints.iter().map(|endpoint| endpoint.name.as_ref()));
                let message = format!("service \"{}\" has a tier with an unknown endpoint", spec.label);
                context.findings.add(Finding::at(Code::UnknownEndpoint, name.place, message).label("no such endpoint").maybe_help(hint));
            }
            for index in matching {
                if standings[index].is_none() {
                    standings[index] = Some(Standing { tier, order });
                    order = order.saturating_add(1);
                } else if !is_pattern {
                    let message = format!("service \"{}\" has endpoint \"{}\" in two tiers", spec.label, name.value);
                    context.findings.add(Finding::at(Code::Duplicate, name.place, message).label("stands in a tier already"));
                }
            }
        }
    }
    let last = u8::try_from(spec.tiers.len()).unwrap_or(u8::MAX);
    let standings = standings.into_iter().zip(&spec.endpoints).map(|(standing, endpoint)| {
        let is_last_resort = matches!(&spec.when_all_down, AllDownSpec::LastResort(name) if name.value == endpoint.name);
        if standing.is_none() && !is_last_resort {
            let message = format!("endpoint \"{}\" of service \"{}\" stands in no tier", endpoint.name, spec.label);
            let finding = Finding::at(Code::NoTier, endpoint.place, message).label("would never be given");
            context.findings.add(finding.help("add it to a tier, or end `tiers` with [\"*\"]"));
        }
        standing.unwrap_or_else(|| {
            order = order.saturating_add(1);
            Standing { tier: last.saturating_sub(1), order: order - 1 }
        })
    });
    (standings.collect(), last)
}

/// Reports `failback = "manual"` where there is no tier to return to, or where clients would return within one all the same.
fn check_failback(context: &Context<'_>, spec: &ServiceSpec, place: Place) {
    if spec.tiers.len() < 2 {
        let message = format!("service \"{}\" has no tier that clients could leave and return to", spec.label);
        let finding = Finding::at(Code::Conflict, place, message).label("needs two `tiers` at least");
        context.findings.add(finding.help("write `tiers = [[\"primary\"], [\"secondary\"]]`, or leave `failback` out"));
        return;
    }
    let standing = |names: &[At<Box<str>>]| spec.endpoints.iter().filter(|endpoint| names.iter().any(|name| glob(&name.value, &endpoint.name))).count();
    if spec.by == By::Order
        && let Some((tier, _)) = spec.tiers.iter().find(|(_, names)| standing(names) > 1)
    {
        let message = format!("service \"{}\" is steered by order, and clients would return by themselves within a tier", spec.label);
        let finding = Finding::at(Code::Conflict, place, message).label("holds them off whole tiers only").related(*tier, "several endpoints in one tier");
        context.findings.add(finding.help("give each endpoint a tier of its own: `tiers = [[\"a\"], [\"b\"]]` is the same order"));
    }
}
