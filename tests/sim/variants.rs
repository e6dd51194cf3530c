//! Broken variants of the protocol, made by the wrappers round the ports. The rules have to catch each of them.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// What ships.
    Shipped,
    /// Deliveries are acked as they come, before anything is decided, committed or confirmed.
    AckOnDelivery,
    /// The store takes every batch, whatever version it was decided at.
    NoVersionCheck,
    /// Alarms are never sent.
    AlarmForgotten,
    /// Nobody is told that a delivery was delivered before, so what it caused is never sent again.
    NeverAgain,
}
