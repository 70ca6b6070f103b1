//! Values that an aggregate cannot take: such rows are rejected before they reach the window.

use super::stateless::Fate;
use crate::record::expr::AggregateKind;
use crate::record::{Row, Schema, Value};

/// A check of the fields that are aggregated.
///
/// `sum` and `mean` take numbers; `min` and `max` take everything but lists and objects. Null is
/// welcome everywhere and counts nowhere.
pub(super) fn values(
    aggregates: &[(AggregateKind, Option<usize>)],
    schema: &Schema,
) -> impl FnMut(&mut Row) -> Fate + use<> {
    let name = |kind| match kind {
        AggregateKind::Sum => "sum",
        AggregateKind::Mean => "mean",
        AggregateKind::Min => "min",
        _ => "max",
    };
    let fields: Vec<_> = aggregates
        .iter()
        .filter_map(|&(kind, slot)| {
            let field = schema.fields().get(slot?).cloned().unwrap_or_default();
            let numbers = matches!(kind, AggregateKind::Sum | AggregateKind::Mean);
            Some((slot?, numbers, format!("{}({field})", name(kind))))
        })
        .collect();
    move |row: &mut Row| {
        for (slot, numbers, call) in &fields {
            let value = row.get(*slot);
            let fits = match value {
                Value::Null | Value::Int(_) | Value::Float(_) => true,
                Value::Bool(_) | Value::Text(_) => !numbers,
                Value::Json(_) => false,
            };
            if !fits {
                return Fate::Reject("type", format!("`{call}` does not take {}", value.kind()));
            }
        }
        Fate::Keep
    }
}
