//! Joins let others go on: a query that is dropped stops soon, whatever it computes.
//!
//! The engine makes the ends of a plan yield now and then. A join can make millions of batches from one batch of its
//! input and never come back to it, so its own output has to yield too.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// Steps whose output can be much larger than their input.
const GROWING: [&str; 5] = [
    "CrossJoinExec",
    "NestedLoopJoinExec",
    "HashJoinExec",
    "SortMergeJoinExec",
    "UnnestExec",
];

/// Puts a yielding step above every join.
#[derive(Debug)]
pub(crate) struct YieldingJoins;

impl PhysicalOptimizerRule for YieldingJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|step| {
            if GROWING.contains(&step.name()) {
                return Ok(Transformed::yes(
                    Arc::new(CooperativeExec::new(step)) as Arc<dyn ExecutionPlan>
                ));
            }
            Ok(Transformed::no(step))
        })
        .map(|done| done.data)
    }

    fn name(&self) -> &str {
        "yielding_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
