//! What operators may not do by accident, as written.

use crate::catalog::{MovedMax, Safety};
use crate::config::diagnostic::{Code, Finding};
use crate::config::keys;
use crate::config::leaf::{Millis, Share};
use crate::config::source::Place;
use crate::config::walk::Table;
use crate::limits::{MOVED_PER_MS, SAFETY_REGIONS_MAX, SAFETY_SPAN_MS_MAX, SAFETY_SPAN_MS_MIN};

/// Reads `[safety]` of one file into what other files said; it may stand once.
pub(super) fn read(top: &mut Table<'_, '_>, all: &mut Option<(Place, Safety)>) {
    let Some(place) = top.place_of("safety") else { return };
    let Some(mut table) = top.table("safety", &keys::SAFETY, "safety") else { return };
    let min_regions = table.whole("min-regions", 1..=SAFETY_REGIONS_MAX).and_then(|regions| u8::try_from(regions).ok()).unwrap_or(0);
    let gate_ms = span(&mut table, "gate", 0).unwrap_or(0);
    let share_place = table.place_of("max-moved");
    let share = table.take::<Share>("max-moved").map(|share| share.0);
    let per_place = table.place_of("per");
    let per_ms = span(&mut table, "per", SAFETY_SPAN_MS_MIN);
    if let (None, Some(place)) = (share_place, per_place) {
        table.report(Finding::at(Code::MissingKey, place, "safety has `per` without `max-moved`").label("of what share?"));
    }
    table.done();
    let safety = Safety { min_regions, gate_ms, moved: share.map(|share| MovedMax { share, per_ms: per_ms.unwrap_or(MOVED_PER_MS) }) };
    match all {
        None => *all = Some((place, safety)),
        Some((first, _)) => {
            let finding = Finding::at(Code::Duplicate, place, "safety is declared twice").label("declared again here");
            top.report(finding.related(*first, "first declared here"));
        }
    }
}

/// A time of at least so many milliseconds and at most [`SAFETY_SPAN_MS_MAX`].
fn span(table: &mut Table<'_, '_>, key: &'static str, least: u32) -> Option<u32> {
    let at = table.take_at::<Millis>(key)?;
    if (least..=SAFETY_SPAN_MS_MAX).contains(&at.value.0) {
        return Some(at.value.0);
    }
    let range = if least == 0 { "at most 24h" } else { "from 1min to 24h" };
    let message = format!("safety: `{key}` must be {range}");
    table.report(Finding::at(Code::WrongValue, at.place, message).label("out of range"));
    None
}
