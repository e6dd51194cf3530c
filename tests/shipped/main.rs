//! What ships as data: the playbook, the examples, and the scripts that they run, performed by the runners that
//! ship, with the settings that ship; the planner and the runners are real, only what goes between them is not.

mod code_report;
mod ecommerce;
mod performer;
