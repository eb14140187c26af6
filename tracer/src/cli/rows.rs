//! The rows of a report of flows, and their order.

use tracer_ledger::{
    flows::{digest::Sort, group::Per},
    report::flows::{Format, View},
};

use super::usage;

/// The options of `run`, `attach` and `report`.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub struct Rows {
    /// Group rows by [default: path]
    #[arg(long, value_enum)]
    per: Option<Per>,
    /// Sort rows by, the most first [default: payload]
    #[arg(long, value_enum)]
    sort: Option<Sort>,
    /// Show so many rows of the table or page, 0 for all [default: enough for 95 % of the payload]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
}

impl Rows {
    /// The property that tells rows apart.
    pub fn per(self) -> Per {
        self.per.unwrap_or_default()
    }

    /// The view of a report.
    pub fn view(self) -> View {
        View { per: self.per(), sort: self.sort.unwrap_or_default(), top: self.top }
    }

    /// Refuses options without effect.
    pub fn check(self, verb: &str, formats: &[Format]) {
        let has_rows = self.per.is_some() || self.sort.is_some();
        usage::refuse_useless(
            verb,
            has_rows && formats.iter().all(|format| format.is_of_stacks()),
            "--per and --sort have no effect on a --format of stacks, which shows no rows",
        );
        usage::refuse_useless(
            verb,
            self.top.is_some() && !formats.iter().any(|format| format.is_in_short()),
            "--top is for a table and a page: every other form has each row",
        );
    }
}
