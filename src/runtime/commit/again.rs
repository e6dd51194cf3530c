//! What goes out once more of what a message caused that was handled before.

use crate::broken::{self, Broken};
use crate::domain::decision::Effect;

/// Whether what a message caused that turns out to be handled is to be sent again: it is redelivered or redriven, or
/// this process may have committed it without having heard so.
pub(super) fn sends_again(again: bool, tried: bool) -> bool {
    !broken::is(Broken::NeverAgain) && (again || tried && !broken::is(Broken::AgainByFlagOnly))
}

/// Whether it is known what had this effect sent; always, while no rule is left out.
pub(super) fn remembers(effect: Effect, is_new: bool) -> bool {
    match effect {
        Effect::Execute { .. } => true,
        Effect::Alarm { .. } if broken::is(Broken::AlarmsForgotten) => false,
        _ => is_new || !broken::is(Broken::CausesOfCommandsOnly),
    }
}
