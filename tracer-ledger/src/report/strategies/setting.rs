//! What was sent, where, and how it was measured.

use super::{Environment, Payload};
use crate::report::{document::Fact, escape::plain};

/// The facts of it. `details`: they are shown already.
pub(in crate::report) fn setting(
    environment: &Environment,
    sent: &Payload,
    details: bool,
) -> Vec<Fact> {
    let gather = if environment.scatter_gather { "on" } else { "off" };
    let more = if details { "" } else { "; --verbose shows each movement" };
    let sent = format!(
        "{}, {} page cache: {} → {}, scatter-gather {gather}",
        sent,
        environment.cache.name(),
        plain(&environment.disk),
        plain(&environment.nic),
    );
    let Environment { kernel, where_, tier, .. } = environment;
    vec![
        Fact::new("Sent", sent),
        Fact::new("Measured", format!("Linux {} {where_}, by {tier}{more}", plain(kernel))),
    ]
}
