//! The stacks of an epoch, and the modules of their addresses.

use std::collections::BTreeMap;

use aya::maps::{RingBuf, StackTraceMap};
use tracer_common::{
    Event, Key, Options, Stacks, Tally,
    stack::{self, Module, StackId},
};

use super::{
    Session,
    error::{SessionError, map_error},
};

/// The counts of one stack of the kernel and of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The key of the counter.
    pub key: Key,
    /// The count.
    pub tally: Tally,
    /// Addresses in the kernel, the innermost first.
    pub kernel: Vec<u64>,
    /// Addresses in the program, likewise.
    pub user: Vec<u64>,
}

impl Session {
    /// The stacks of counters of one epoch, which are then removed.
    pub(super) fn samples(
        &mut self,
        epoch: u32,
        counters: &[(Key, Tally)],
    ) -> Result<Vec<Sample>, SessionError> {
        if !takes_stacks(&self.options) {
            return Ok(Vec::new());
        }
        let name = if epoch == 0 { "STACKS_EVEN" } else { "STACKS_ODD" };
        let mut map = self.map::<StackTraceMap<_>>(name)?;
        let mut known = BTreeMap::new();
        for id in map.stack_ids().collect::<Result<Vec<u32>, _>>().unwrap_or_default() {
            if let Ok(stack) = map.get(&id, 0) {
                let frames: Vec<u64> = stack.frames().iter().map(|frame| frame.ip).collect();
                known.insert(id, frames);
            }
            map.remove(&id).map_err(|error| map_error(name, error))?;
        }
        let frames = |StackId(id): StackId| -> Vec<u64> {
            let found = u32::from(id).checked_sub(1).and_then(|id| known.get(&id));
            found.cloned().unwrap_or_default()
        };
        let taken = counters.iter().filter(|(key, _)| key.stacks != Stacks::NONE);
        let samples = taken.map(|(key, tally)| Sample {
            key: *key,
            tally: *tally,
            kernel: frames(key.stacks.kernel),
            user: with_caller(key, frames(key.stacks.user)),
        });
        Ok(samples.collect())
    }

    /// The mappings of processes since the last reading, in their order.
    pub fn modules(&mut self) -> Result<Vec<Module>, SessionError> {
        if !takes_stacks(&self.options) {
            return Ok(Vec::new());
        }
        let mut map = self.map::<RingBuf<_>>("MODULES")?;
        let mut modules = Vec::new();
        while let Some(entry) = map.next() {
            if entry.len() >= size_of::<Module>() {
                // SAFETY: it is long enough, and any bytes are valid for this type.
                modules.push(unsafe { entry.as_ptr().cast::<Module>().read_unaligned() });
            }
        }
        Ok(modules)
    }
}

/// A stack that begins with a stub, which has no name but that of what it copies, has in its place the
/// caller that it lacks.
fn with_caller(key: &Key, mut frames: Vec<u64>) -> Vec<u64> {
    if key.event == Event::JvmCopy as u8
        && let (Some(stub), Some(call)) = (frames.first_mut(), key.address.checked_sub(1))
    {
        *stub = call;
    }
    frames
}

fn takes_stacks(options: &Options) -> bool {
    options.stacks != stack::NEVER
}
