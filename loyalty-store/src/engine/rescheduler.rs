//! Due dates computed again from the stored programs and customers: of accounts that recovery
//! folded, and to verify the stored ones.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use loyalty_core::{AccountId, Program, ProgramVersion, ShopId};

use super::backend::TableReader;
use super::map::Map;
use crate::error::Failure;
use crate::record::AccountRecord;
use crate::timeline::ProgramTimeline;

/// Computes due dates and loads each shop's programs once.
#[derive(Default)]
pub(crate) struct Rescheduler {
    timelines: Map<ShopId, Option<ProgramTimeline>>,
    programs: Map<(ShopId, ProgramVersion), Arc<Program>>,
}

/// The number of programs that are kept.
const MAX_PROGRAMS: usize = 1_024;

impl Rescheduler {
    /// Returns `true` if all accounts of a shop have their due date under its newest program.
    pub(crate) fn is_due_current(
        &mut self,
        tables: &impl TableReader,
        shop: ShopId,
    ) -> Result<bool, Failure> {
        let timeline = self.timeline(tables, shop)?;
        Ok(timeline.is_some_and(|timeline| timeline.reschedule_cursor().is_none()))
    }

    /// Sets the due date of an account.
    pub(crate) fn reschedule(
        &mut self,
        tables: &impl TableReader,
        id: AccountId,
        record: &mut AccountRecord,
    ) -> Result<(), Failure> {
        let shop = record.shop;
        self.timeline(tables, shop)?;
        let Self { timelines, programs } = self;
        let Some(Some(timeline)) = timelines.get(&shop) else {
            return Ok(());
        };

        let customer = tables.customer(id)?;
        timeline.reschedule(id, record, customer.as_ref(), |version| {
            if let Some(known) = programs.get(&(shop, version)) {
                return Ok(Arc::clone(known));
            }
            let program = load_program(tables, shop, version)?;
            if programs.len() >= MAX_PROGRAMS {
                programs.clear();
            }
            programs.insert((shop, version), Arc::clone(&program));
            Ok(program)
        })
    }

    fn timeline(
        &mut self,
        tables: &impl TableReader,
        shop: ShopId,
    ) -> Result<Option<&ProgramTimeline>, Failure> {
        Ok(match self.timelines.entry(shop) {
            Entry::Occupied(entry) => entry.into_mut().as_ref(),
            Entry::Vacant(entry) => entry.insert(tables.timeline(shop)?).as_ref(),
        })
    }
}

fn load_program(
    tables: &impl TableReader,
    shop: ShopId,
    version: ProgramVersion,
) -> Result<Arc<Program>, Failure> {
    let found = tables.program(shop, Some(version))?;
    let missing = || Failure::Corrupt(format!("shop {shop} has no program {version}"));
    found.map(|(_, program)| program).ok_or_else(missing)
}
